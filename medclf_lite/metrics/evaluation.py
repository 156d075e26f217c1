"""The figures of a result, each with its interval by patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from medclf_lite.errors import MedclfError
from medclf_lite.metrics.figures import Sample
from medclf_lite.metrics.thresholds import Threshold
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import Interval, auc_with_interval, percentiles, resample


def evaluate(
    predictions: Predictions,
    threshold: Threshold | None = None,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Evaluate scores on patients who took no part in choosing anything.

    The intervals resample patients, with all their images (percentile bootstrap; Davison &
    Hinkley 1997). A share that is exactly 0 or 1 does not vary under resampling; it gets the
    exact binomial interval (Clopper & Pearson 1934), a patient counting as one observation.

    Parameters
    ----------
    predictions : Predictions
    threshold : Threshold, optional
        From :func:`choose_threshold` on other patients, or :func:`fixed_threshold`. Without it
        only figures that need no decision are given.
    resamples : int, default 2000
    level : float, default 0.95
        Coverage that the intervals aim at.
    seed : int, default 0

    Returns
    -------
    pandas.DataFrame
        Indexed by figure (see :func:`medclf_lite.metrics.figures`): ``value``, ``low``,
        ``high``, ``n`` (images that the figure rests on), ``patients`` (theirs), and
        ``undefined``, the share of resamples in which the figure does not exist. NaN where
        there is no value, or no spread to take an interval from.

    Raises
    ------
    MedclfError
        If the threshold was chosen on these patients, or is a bare number.

    Examples
    --------
    >>> from medclf_lite.metrics import fixed_threshold
    >>> table = pd.DataFrame({"image_id": list("abcdef"), "patient_id": list("ppqrst"),
    ...                       "label": [0, 0, 1, 1, 0, 1], "score": [.1, .6, .4, .9, .2, .7]})
    >>> found = evaluate(Predictions(table), fixed_threshold(0.5, "an example"))
    >>> found.loc["sensitivity", ["value", "n", "patients"]].round(2).tolist()
    [0.67, 3.0, 3.0]
    """
    check_options(threshold, resamples, level)
    if threshold is not None:
        threshold.check(predictions)
    value = None if threshold is None else threshold.value
    sample = Sample.of(predictions.labels, predictions.scores, value)
    point = sample.under(np.ones((1, len(predictions))))[0]
    drawn = resample(sample.under, predictions.patients, resamples=resamples, seed=seed)
    low, high = percentiles(drawn, level)
    found = pd.DataFrame(
        {"value": point, "low": low, "high": high, "undefined": np.isnan(drawn).mean(axis=0)},
        index=pd.Index(sample.names, name="figure"),
    )
    _count_and_widen(found, sample, predictions.patients, level)
    return found[["value", "low", "high", "n", "patients", "undefined"]]


def check_options(threshold: object, resamples: int, level: float) -> None:
    """Raise if the threshold has no origin, or the interval makes no sense."""
    if threshold is not None and not isinstance(threshold, Threshold):
        raise MedclfError(
            f"threshold is {threshold!r}, a number without an origin. Use choose_threshold on "
            "validation images, or fixed_threshold(value, reason)."
        )
    if resamples < 1 or not 0 < level < 1:
        raise MedclfError(
            f"resamples must be at least 1 and level between 0 and 1; got {resamples} and {level}."
        )


def _count_and_widen(
    found: pd.DataFrame, sample: Sample, patients: npt.NDArray[np.str_], level: float
) -> None:
    """Write what each figure rests on, and an interval where resampling shows no spread."""
    everyone = np.ones(len(sample.labels), dtype=bool)
    positive = everyone if sample.positive is None else sample.positive == 1
    rests_on = {
        "sensitivity": sample.labels == 1, "specificity": sample.labels == 0,
        "ppv": positive, "npv": ~positive,
        "accuracy": everyone, "prevalence": everyone,
    }  # fmt: skip
    for name in found.index:
        rows = rests_on.get(name, everyone)
        people = len(np.unique(patients[rows]))
        found.loc[name, ["n", "patients"]] = rows.sum(), people
        value = found.loc[name, "value"]
        if found.loc[name, "low"] != found.loc[name, "high"]:
            continue
        ends = (np.nan, np.nan)
        if name in rests_on and value in (0, 1):
            exact = binomtest(round(people * value), people)
            ends = exact.proportion_ci(level, method="exact")
        found.loc[name, ["low", "high"]] = tuple(ends)


def auc_interval(
    predictions: Predictions, *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Give the ROC-AUC with the percentile interval of the patient bootstrap.

    Parameters
    ----------
    predictions : Predictions
        With both classes.
    resamples, level, seed
        As for :func:`evaluate`.

    Returns
    -------
    Interval

    Raises
    ------
    MedclfError
        If a class is absent.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"),
    ...                       "label": [0, 1, 0, 1], "score": [0.1, 0.4, 0.5, 0.9]})
    >>> auc_interval(Predictions(table)).value
    0.75
    """
    check_options(None, resamples, level)
    if len(set(predictions.labels)) < 2:
        raise MedclfError("A ROC-AUC needs images of both classes; these have one label.")
    return auc_with_interval(
        predictions.labels, predictions.scores, predictions.patients,
        resamples=resamples, level=level, seed=seed,
    )  # fmt: skip


def confusion(predictions: Predictions, threshold: Threshold) -> npt.NDArray[np.int64]:
    """Count decisions against the truth, int64 of shape (2, 2).

    Returns
    -------
    ndarray
        ``[[true negatives, false positives], [false negatives, true positives]]``.

    Raises
    ------
    MedclfError
        If the threshold was chosen on these patients.

    Examples
    --------
    >>> from medclf_lite.metrics import fixed_threshold
    >>> table = pd.DataFrame({"image_id": list("abc"), "patient_id": list("pqr"),
    ...                       "label": [0, 1, 1], "score": [0.1, 0.4, 0.9]})
    >>> confusion(Predictions(table), fixed_threshold(0.5, "an example")).tolist()
    [[1, 0], [1, 1]]
    """
    threshold.check(predictions)
    called = threshold.decide(predictions.scores).astype(np.int64)
    return np.bincount(2 * predictions.labels + called, minlength=4).reshape(2, 2)
