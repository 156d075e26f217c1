"""Cross-validation of anything that can be fitted: whole patients held out, folds side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed

from medclf_lite.cohort import Cohort, Rows
from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions

FitAndScore = Callable[[Rows, Rows], npt.ArrayLike]


def cross_predict(
    cohort: Cohort,
    folds: Iterable[tuple[Rows, Rows]],
    fit_and_score: FitAndScore,
    *,
    jobs: int = 1,
    leaks: bool = False,
) -> Predictions:
    """Score each held-out image once, by a model that has seen none of its patient.

    Parameters
    ----------
    cohort : Cohort
        Binary.
    folds : iterable of (train, test) arrays of int
        Rows of the cohort: from ``PatientKFold(5).split(None, cohort.labels,
        cohort.patients)``, ``SiteOut``, or any splitter of scikit-learn. For repeated folds call
        once a repeat.
    fit_and_score : callable
        ``(train_rows, test_rows) -> scores``: fits a *new* model on the train rows, with all
        that is learnt from data inside it (scaling, selection, thresholds), and gives one score
        in [0, 1] for each test row.
    jobs : int, default 1
        Folds at a time, by joblib: inside ``joblib.parallel_config("dask")`` or ``"ray"`` they
        run on other machines.
    leaks : bool, default False
        True lets a patient stand on both sides of a fold, to show what it does.

    Returns
    -------
    Predictions
        Of the held-out images, with the column ``fold`` (from 0). One pooled table: compare
        scores between folds only if they are probabilities of one and the same model recipe.

    Raises
    ------
    MedclfError
        If the cohort has findings, a patient is on both sides of a fold, an image is held out
        twice or never, a fold's training rows lack a class, or scores are missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.linear_model import LogisticRegression
    >>> from medclf_lite.splits import PatientKFold
    >>> table = pd.DataFrame({"image_id": range(40), "patient_id": range(40),
    ...                       "label": [0, 1] * 20})
    >>> cohort = Cohort(table, None, "example", "CC0")
    >>> x = cohort.labels[:, None] + np.random.default_rng(0).normal(size=(40, 1))
    >>> def fit_and_score(train, test):
    ...     model = LogisticRegression().fit(x[train], cohort.labels[train])
    ...     return model.predict_proba(x[test])[:, 1]
    >>> folds = PatientKFold(4).split(None, cohort.labels, cohort.patients)
    >>> found = cross_predict(cohort, folds, fit_and_score)
    >>> len(found), sorted(found.table["fold"].unique().tolist())
    (40, [0, 1, 2, 3])
    """
    if cohort.findings:
        raise MedclfError(
            "Cross-validation scores one label an image; this cohort has "
            f"{len(cohort.findings)} findings. Take one: cohort.finding({cohort.findings[0]!r})."
        )
    pairs = [(np.asarray(train), np.asarray(test)) for train, test in folds]
    _check(cohort, pairs, leaks)
    scores = Parallel(n_jobs=jobs)(delayed(fit_and_score)(*pair) for pair in pairs)
    found = np.full(len(cohort), np.nan)
    fold = np.empty(len(cohort), dtype=np.int64)
    for number, ((_, test), given) in enumerate(zip(pairs, scores, strict=True)):
        values = np.asarray(given, dtype=np.float64)
        if values.shape != test.shape:
            raise MedclfError(
                f"fit_and_score gave shape {values.shape} for the {len(test)} test rows of fold "
                f"{number}; expected one score for each, such as predict_proba(x[test])[:, 1]."
            )
        found[test], fold[test] = values, number
    return Predictions.of(cohort, found, fold=fold)


def _check(cohort: Cohort, pairs: list[tuple[Rows, Rows]], leaks: bool) -> None:
    times = np.zeros(len(cohort), dtype=np.int64)
    for number, (train, test) in enumerate(pairs):
        times[test] += 1
        if len(set(cohort.labels[train])) < 2:
            raise MedclfError(
                f"The {len(train)} training images of fold {number} have one label only. Use "
                "fewer folds, or PatientKFold, which spreads both classes."
            )
        shared = set(cohort.patients[train]) & set(cohort.patients[test])
        if shared and not leaks:
            raise MedclfError(
                f"{len(shared)} patients are on both sides of fold {number}, the first is "
                f"{str(min(shared))!r}: the figure would be too good. Make the folds by patient, "
                "with PatientKFold. To show what such folds do, say leaks=True."
            )
    if (wrong := np.flatnonzero(times != 1)).size:
        raise MedclfError(
            f"Each image must be held out once; image {cohort.table['image_id'].iloc[wrong[0]]} "
            f"is held out {times[wrong[0]]} times ({wrong.size} such images). For repeated folds "
            "call cross_predict once a repeat; for a part of the images take it first."
        )
