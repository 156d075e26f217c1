"""Two models on the same images: the difference of each figure, with its interval."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm

from medclf_lite.errors import MedclfError
from medclf_lite.metrics.delong import clustered_variance, clusters_of, placements
from medclf_lite.metrics.evaluation import check_options
from medclf_lite.metrics.figures import Sample
from medclf_lite.metrics.thresholds import Threshold
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import Weights, percentiles, resample


class Difference(NamedTuple):
    """First minus second, the two ends of the interval, and the p-value of no difference."""

    value: float
    low: float
    high: float
    p: float


def compare(
    first: Predictions,
    second: Predictions,
    thresholds: tuple[Threshold, Threshold] | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two models on the same patients, figure by figure.

    Each resample of patients is the same for both models (paired percentile bootstrap;
    Davison & Hinkley 1997), so what is hard about a patient counts for both and cancels out.

    Parameters
    ----------
    first, second : Predictions
        Of the same images, in any order, with the same labels and patients.
    thresholds : tuple of Threshold, optional
        One for each model, chosen on other patients. Without them only figures that need no
        decision are compared.
    resamples : int, default 2000
    level : float, default 0.95
        Coverage that the intervals aim at.
    seed : int, default 0

    Returns
    -------
    pandas.DataFrame
        Indexed by figure (see :func:`medclf_lite.metrics.figures`): ``first``, ``second``,
        ``difference`` (first - second), its ``low`` and ``high``, and ``undefined``, the share
        of resamples in which the difference does not exist. For Brier and ECE a lower figure
        is the better one. Both ends are 0 where the two models agree on every image.

    Raises
    ------
    MedclfError
        If the two are not of the same images, labels and patients, the thresholds are no
        pair, or one of them was chosen on these patients.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"),
    ...                       "label": [0, 1, 0, 1], "score": [0.1, 0.8, 0.5, 0.9]})
    >>> better = Predictions(table)
    >>> worse = Predictions(table.assign(score=[0.6, 0.8, 0.5, 0.2]))
    >>> compare(better, worse).loc["roc_auc", ["first", "second", "difference"]].tolist()
    [1.0, 0.5, 0.5]
    """
    second = _aligned(first, second)
    check_options(None, resamples, level)
    cuts = _values(thresholds, first)
    a, b = (Sample.of(p.labels, p.scores, c) for p, c in zip((first, second), cuts, strict=True))

    def both(weights: Weights) -> npt.NDArray[np.float64]:
        return np.stack([a.under(weights), b.under(weights)], axis=1)  # (k, 2, figures)

    one, other = both(np.ones((1, len(first))))[0]
    drawn = resample(both, first.patients, resamples=resamples, seed=seed)
    differences = drawn[:, 0] - drawn[:, 1]
    low, high = percentiles(differences, level)
    return pd.DataFrame(
        {
            "first": one, "second": other, "difference": one - other, "low": low, "high": high,
            "undefined": np.isnan(differences).mean(axis=0),
        },
        index=pd.Index(a.names, name="figure"),
    )  # fmt: skip


def delong_difference(
    first: Predictions, second: Predictions, *, level: float = 0.95, by_patient: bool = True
) -> Difference:
    """Give the difference of two ROC-AUCs on the same images, with interval and p-value.

    The paired test of DeLong, DeLong & Clarke-Pearson 1988 (doi:10.2307/2531595), with the
    clustered variance of Obuchowski 1997 (doi:10.2307/2533958). The test is meant for models
    that were fitted on other patients.

    Parameters
    ----------
    first, second : Predictions
        Of the same images, in any order, with both classes.
    level : float, default 0.95
    by_patient : bool, default True
        False takes every image for an independent observation; for comparison.

    Returns
    -------
    Difference
        First minus second; ``low``, ``high`` and ``p`` are NaN where the variance is 0, as
        when both rank all images alike.

    Raises
    ------
    MedclfError
        If the two are not of the same images, labels and patients, or a class has fewer than
        two observations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"image_id": range(200), "patient_id": range(200),
    ...                       "label": np.arange(200) % 2})
    >>> useful = Predictions(table.assign(score=(table["label"] + rng.random(200)) / 2))
    >>> guessing = Predictions(table.assign(score=rng.random(200)))
    >>> delong_difference(useful, guessing).p < 0.001
    True
    """
    second = _aligned(first, second)
    clusters = clusters_of(first, by_patient)
    (one, better), (other, worse) = (placements(p.labels, p.scores) for p in (first, second))
    variance = clustered_variance(first.labels, better - worse, clusters)
    value = one - other
    if not variance > 1e-20:  # what is left of 0 after rounding
        return Difference(value, math.nan, math.nan, math.nan)
    error = math.sqrt(variance)
    half = float(norm.ppf((1 + level) / 2)) * error
    return Difference(value, value - half, value + half, float(2 * norm.sf(abs(value) / error)))


def _values(thresholds: object, judged: Predictions) -> tuple[float | None, float | None]:
    """Give the two numbers, after asking both thresholds where they come from."""
    if thresholds is None:
        return None, None
    if not isinstance(thresholds, tuple | list) or len(thresholds) != 2:
        raise MedclfError(
            f"thresholds is {thresholds!r:.60}; expected a pair, one for each model. Two models "
            "have different scores, so each needs its own."
        )
    for threshold in thresholds:
        check_options(threshold, 1, 0.5)
        threshold.check(judged)
    return thresholds[0].value, thresholds[1].value


def _aligned(first: Predictions, second: Predictions) -> Predictions:
    """Bring the second into the order of the first, or say why they cannot be compared."""
    one, other = (p.table.set_index(p.table["image_id"].astype(str)) for p in (first, second))
    only = (one.index.difference(other.index), other.index.difference(one.index))
    if any(map(len, only)):
        raise MedclfError(
            "A paired comparison needs the same images in both predictions; "
            f"{len(only[0])} are only in the first and {len(only[1])} only in the second, such "
            f"as {[*only[0], *only[1]][0]!r}. Score both models on all of them."
        )
    other = other.loc[one.index]
    for column in ("label", "patient_id"):
        differ = one[column].astype(str) != other[column].astype(str)
        if differ.any():
            raise MedclfError(
                f"{int(differ.sum())} images have another {column} in the second predictions "
                f"than in the first, such as {differ.idxmax()!r}. Find out which "
                "table is right before you compare."
            )
    return Predictions(other, second.classes)
