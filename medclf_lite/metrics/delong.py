"""The interval of a ROC-AUC from its variance, without resampling."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import Interval

Vector = npt.NDArray[np.float64]


def delong_interval(
    predictions: Predictions, *, level: float = 0.95, by_patient: bool = True
) -> Interval:
    """Give the ROC-AUC with an interval from its estimated variance.

    DeLong, DeLong & Clarke-Pearson 1988 (doi:10.2307/2531595) by the ranks of Sun & Xu 2014
    (doi:10.1109/LSP.2014.2337313); for several images a patient the clustered variance of
    Obuchowski 1997 (doi:10.2307/2533958). The interval is computed on the logit scale, so that
    it stays within 0 and 1.

    Parameters
    ----------
    predictions : Predictions
        With both classes.
    level : float, default 0.95
    by_patient : bool, default True
        False takes every image for an independent observation, as most software does. With
        several images a patient that interval is too narrow; it is here for comparison.

    Returns
    -------
    Interval
        Both ends NaN where the variance is 0, as when the classes do not overlap.

    Raises
    ------
    MedclfError
        If a class has fewer than two observations.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label = np.arange(200) % 2
    >>> table = pd.DataFrame({"image_id": range(200), "patient_id": range(200), "label": label,
    ...                       "score": 1 / (1 + np.exp(-rng.normal(label)))})
    >>> value, low, high = delong_interval(Predictions(table))
    >>> low < value < high
    True
    """
    clusters = clusters_of(predictions, by_patient)
    value, better = placements(predictions.labels, predictions.scores)
    variance = clustered_variance(predictions.labels, better, clusters)
    if not variance > 0 or value in (0, 1):
        return Interval(value, math.nan, math.nan)
    # Delta method: the standard error on the logit scale.
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(variance) / (value * (1 - value))
    low, high = expit(logit(value) - half), expit(logit(value) + half)
    return Interval(value, float(low), float(high))


def clusters_of(predictions: Predictions, by_patient: bool) -> npt.NDArray[np.generic]:
    """Say which images count as one observation, and raise where a class has fewer than two."""
    labels = predictions.labels
    clusters = predictions.patients if by_patient else np.arange(len(labels))
    for label in (0, 1):
        if (n := len(np.unique(clusters[labels == label]))) < 2:
            who = "patients" if by_patient else "images"
            raise MedclfError(
                f"Class {predictions.classes[label]} has {n} {who}; a variance needs two."
            )
    return clusters


def placements(labels: npt.NDArray[np.int64], scores: Vector) -> tuple[float, Vector]:
    """Give the area, and for each image what it adds: its own share of right pairs - area."""
    is_ill = labels == 1
    m, n = int(is_ill.sum()), int((~is_ill).sum())
    ranks = rankdata(scores)
    # Share of the other class that each image is on the right side of, ties half.
    beaten = np.empty(len(scores))
    beaten[is_ill] = (ranks[is_ill] - rankdata(scores[is_ill])) / n
    beaten[~is_ill] = 1 - (ranks[~is_ill] - rankdata(scores[~is_ill])) / m
    area = float(beaten[is_ill].mean())
    return area, beaten - area


def clustered_variance(
    labels: npt.NDArray[np.int64], values: Vector, clusters: npt.NDArray[np.generic]
) -> float:
    """Estimate the variance of an area, or of a difference of areas, from its placements."""
    is_ill = labels == 1
    m, n = int(is_ill.sum()), int((~is_ill).sum())
    codes = pd.factorize(clusters)[0]
    ill, well = (_cluster_sums(values, codes, mask) for mask in (is_ill, ~is_ill))
    with_ill, with_well = len(np.unique(codes[is_ill])), len(np.unique(codes[~is_ill]))
    count = int(codes.max()) + 1
    variance = with_ill / (with_ill - 1) * (ill @ ill) / m**2
    variance += with_well / (with_well - 1) * (well @ well) / n**2
    # Patients with images of both classes tie the two sums together.
    variance += 2 * count / (count - 1) * (ill @ well) / (m * n)
    return float(variance)


def _cluster_sums(
    values: Vector, codes: npt.NDArray[np.intp], mask: npt.NDArray[np.bool_]
) -> Vector:
    sums = np.bincount(codes[mask], weights=values[mask], minlength=int(codes.max()) + 1)
    return sums.astype(np.float64)
