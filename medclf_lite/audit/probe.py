"""How well a trait predicts the label alone, cross-validated by patient, with an interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.traits import Trait
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.resampling import auc_with_interval
from medclf_lite.splits.folds import MANY_PATIENTS, PatientKFold

Model = Literal["line", "curve", "best"]
Vector = npt.NDArray[Any]
MOST_PROBED = 20_000  # images; more would narrow an interval that is narrow already


def probe_traits(
    cohort: Cohort,
    *,
    pixels: npt.NDArray[np.uint8] | None = None,
    model: Model = "line",
    test: str | None = None,
    seed: int = 0,
    resamples: int = 200,
    cache: Path | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure how well each trait of files, pixels and records predicts the label alone.

    A logistic regression sees the trait and nothing else. It is cross-validated by patient,
    or fitted on all other images where a ``test`` side is named.

    Parameters
    ----------
    cohort : Cohort
        With one label an image.
    pixels : ndarray of uint8, shape (n, height, width), optional
        The cohort's pixels if they are loaded already.
    model : {"line", "curve", "best"}, default "line"
        ``curve`` fits cubic splines of a trait that is a number and finds more: both extremes
        can mean the same class. ``best`` tries both and keeps the higher lower end.
    test : str, optional
        Side of the split to score instead of cross-validating.
    seed : int
        Seeds folds and resampling.
    resamples : int
        Resamples of patients for the interval.
    cache, jobs, progress
        As for :func:`medclf_lite.audit.audit_cohort`.

    Returns
    -------
    pandas.DataFrame
        One row a trait: ``trait``, ``kind`` (file, image or record), ``auc`` (0.5: the trait
        knows nothing; a constant one has exactly that), ``low`` and ``high`` of the 95 %
        interval by patient, ``n`` images: of more than 20,000, those of as many patients,
        drawn at random, as have so many.

    Raises
    ------
    MedclfError
        If a class has fewer than two patients, or ``test`` names no side with both classes.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcdefgh"), "patient_id": list("abcdefgh"),
    ...                       "label": [0, 1] * 4, "width": [10, 20] * 4})
    >>> probe_traits(Cohort(table, None, "example", "CC0"))[["trait", "auc"]].values.tolist()
    [['width', 1.0]]
    """
    audit = AuditInput(cohort, pixels, cache, jobs, progress)
    return probe(audit, audit.traits, model=model, test=test, seed=seed, resamples=resamples)


def probe(
    audit: AuditInput,
    of: list[Trait],
    *,
    model: Model = "line",
    test: str | None = None,
    seed: int = 0,
    resamples: int = 200,
) -> pd.DataFrame:
    """Measure these traits, as :func:`probe_traits` does."""
    cohort = audit.readable
    if cohort.findings:
        raise MedclfError(
            "A probe predicts one label an image; this cohort has "
            f"{len(cohort.findings)} findings. Take one: cohort.finding({cohort.findings[0]!r})."
        )
    return probe_cohort(cohort, of, model=model, test=test, seed=seed, resamples=resamples)


def probe_cohort(
    cohort: Cohort,
    of: list[Trait],
    *,
    model: Model = "line",
    test: str | None = None,
    seed: int = 0,
    resamples: int = 200,
) -> pd.DataFrame:
    """Measure traits, one row an image of this very cohort, as :func:`probe_traits` does."""
    rows = np.arange(len(cohort)) if test is not None else _some(cohort, seed)
    if len(rows) < len(cohort):
        cohort = cohort.take(rows)
        of = [trait._replace(values=trait.values[rows]) for trait in of]
    folds = _folds(cohort, test, seed)
    found = []
    for trait in of:
        tried = []
        for curve in _tried(trait, model):
            held, scores = _out_of_fold(trait, cohort.labels, folds, curve)
            tried.append(
                auc_with_interval(
                    cohort.labels[held], scores, cohort.patients[held],
                    resamples=resamples, seed=seed,
                )
            )  # fmt: skip
        best = max(tried, key=lambda figures: figures.low)
        found.append((trait.name, trait.kind, *best, len(held)))
    return pd.DataFrame(found, columns=["trait", "kind", "auc", "low", "high", "n"])


def _some(cohort: Cohort, seed: int) -> Vector:
    """Choose whole patients at random, with at most so many images as a probe needs."""
    if len(cohort) <= MOST_PROBED:
        return np.arange(len(cohort))
    patient = pd.factorize(cohort.patients)[0]
    order = np.random.default_rng(seed).permutation(cohort.n_patients)
    images = np.cumsum(np.bincount(patient)[order])
    return np.flatnonzero(np.isin(patient, order[images <= MOST_PROBED]))


def _tried(trait: Trait, model: Model) -> tuple[bool, ...]:
    """Return whether to bend the line, for each model to try."""
    if not trait.is_number:
        return (False,)
    return {"line": (False,), "curve": (True,), "best": (False, True)}[model]


def _folds(cohort: Cohort, test: str | None, seed: int) -> list[tuple[Vector, Vector]]:
    labels = cohort.labels
    if test is not None:
        cohort.part(test)  # raises where there is no such side
        held = (cohort.table["split"] == test).to_numpy()
        if len(set(labels[held])) < 2 or len(set(labels[~held])) < 2:
            raise MedclfError(f"The side {test!r} and the rest both need images of both classes.")
        return [(np.flatnonzero(~held), np.flatnonzero(held))]
    fewest = min(len(set(cohort.patients[labels == label])) for label in (0, 1))
    if fewest < 2:
        raise MedclfError(
            f"A class has {fewest} patient(s); probing a trait by cross-validation needs two."
        )
    if cohort.n_patients > MANY_PATIENTS:  # whose time would grow with the square of the number
        return list(PatientKFold(min(5, fewest), seed).split(labels, labels, cohort.patients))
    splitter = StratifiedGroupKFold(min(5, fewest), shuffle=True, random_state=seed)
    return list(splitter.split(labels, labels, cohort.patients))


def _out_of_fold(
    trait: Trait, labels: Vector, folds: list[tuple[Vector, Vector]], curve: bool
) -> tuple[Vector, Vector]:
    """Return the rows that were held out, and their scores."""
    held = np.concatenate([rows for _, rows in folds])
    if np.ptp(trait.values, axis=0).max() == 0:
        return held, np.zeros(len(held))
    scores = [
        _model(trait, curve).fit(trait.values[fit], labels[fit]).predict_proba(trait.values[rows])
        for fit, rows in folds
    ]
    return held, np.concatenate(scores)[:, 1]


def _model(trait: Trait, curve: bool) -> Any:  # noqa: ANN401 - scikit-learn is not typed
    steps: list[Any] = [StandardScaler()]
    if curve:
        steps.append(SplineTransformer(n_knots=6, knots="quantile", extrapolation="linear"))
    # Border and corners have many columns that say the same, so they are held shorter.
    strength = 1.0 if trait.is_number or trait.kind != "image" else 0.01
    return make_pipeline(*steps, LogisticRegression(C=strength, max_iter=2000))
