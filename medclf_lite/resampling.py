"""Patients drawn anew: the weights behind every interval, and ranking figures under them.

Resampling patients with replacement is the same as giving each patient a weight, the number of
times it was drawn. All images of a patient share its weight, so images that look alike count as
the one piece of evidence that they are (the cluster bootstrap; Davison & Hinkley 1997, 3.8).
With weights, the images are sorted once for all resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Weights = npt.NDArray[np.float64]
Vector = npt.NDArray[np.float64]
_CHUNK_VALUES = 2_000_000  # of weights that are in memory at a time


class Interval(NamedTuple):
    """A figure and the two ends of its interval."""

    value: float
    low: float
    high: float


def patient_weights(patients: npt.ArrayLike, resamples: int, seed: int) -> Iterator[Weights]:
    """Draw as many patients as there are, with replacement, again and again.

    Parameters
    ----------
    patients : array-like, shape (n,)
        Patient of each image.
    resamples : int
    seed : int

    Yields
    ------
    ndarray of float64, shape (some, n)
        How often the patient of each image was drawn, one row a resample; the chunks together
        have ``resamples`` rows.

    Examples
    --------
    >>> (weights,) = patient_weights(["p", "p", "q"], 2, seed=0)
    >>> weights.shape, bool((weights[:, 0] == weights[:, 1]).all())
    ((2, 3), True)
    """
    codes, names = pd.factorize(np.asarray(patients), sort=True)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_VALUES // len(codes))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        yield draws[:, codes].astype(np.float64)


@dataclass(frozen=True)
class Ranking:
    """Images in the order of their scores, with ties: what ranking figures are computed from.

    Parameters
    ----------
    order : ndarray of int, shape (n,)
        Rows from the lowest score to the highest.
    starts : ndarray of int, shape (ties,)
        Place in the order where each group of equal scores begins.
    labels : ndarray of float64, shape (n,)
        Labels in that order.
    """

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    labels: Vector

    @classmethod
    def of(cls, labels: npt.ArrayLike, scores: npt.ArrayLike) -> Ranking:
        """Sort images, labels 0 or 1 and scores of shape (n,), once."""
        given = np.asarray(scores, dtype=np.float64)
        order = np.argsort(given, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(given[order]) > 0])
        return cls(order, starts, np.asarray(labels, dtype=np.float64)[order])

    def auc(self, weights: Weights) -> Vector:
        """ROC-AUC of each resample, shape (k,): P(ill score > well score), ties half.

        NaN where a resample lacks a class. Weights have shape (k, n).
        """
        ill, well = self._sums(weights)
        below = well.cumsum(axis=1) - well / 2
        return _divide((ill * below).sum(axis=1), ill.sum(axis=1) * well.sum(axis=1))

    def average_precision(self, weights: Weights) -> Vector:
        """Area under the precision-recall steps, shape (k,), as scikit-learn defines it.

        NaN where a resample has no positive image. Weights have shape (k, n).
        """
        ill, well = (sums[:, ::-1] for sums in self._sums(weights))  # highest score first
        found, called = ill.cumsum(axis=1), (ill + well).cumsum(axis=1)
        # Before the first image that was drawn nothing is found, and precision is of no account.
        precision = found / np.maximum(called, 1e-300)
        return _divide((ill * precision).sum(axis=1), ill.sum(axis=1))

    def _sums(self, weights: Weights) -> tuple[Weights, Weights]:
        """Weight of ill and of well images at each distinct score, both (k, ties)."""
        ordered = weights[:, self.order]
        ill = np.add.reduceat(ordered * self.labels, self.starts, axis=1)
        return ill, np.add.reduceat(ordered, self.starts, axis=1) - ill


def resample(
    statistic: Callable[[Weights], npt.NDArray[np.float64]],
    patients: npt.ArrayLike,
    *,
    resamples: int,
    seed: int,
) -> npt.NDArray[np.float64]:
    """Compute a statistic under every resample of patients.

    Parameters
    ----------
    statistic : callable
        From weights (k, n) to an array whose first axis has length k.
    patients : array-like, shape (n,)
    resamples, seed : int

    Returns
    -------
    ndarray of float64, shape (resamples, ...)
    """
    return np.concatenate([statistic(w) for w in patient_weights(patients, resamples, seed)])


def percentiles(values: npt.NDArray[np.float64], level: float = 0.95) -> tuple[Vector, Vector]:
    """Lower and upper end of the percentile interval over the first axis.

    Resamples in which the figure is not defined (NaN) are left out; where none is defined,
    both ends are NaN.

    Examples
    --------
    >>> low, high = percentiles(np.arange(101.0), level=0.5)
    >>> float(low), float(high)
    (25.0, 75.0)
    """
    tail = (1 - level) / 2
    flat = values.reshape(len(values), -1)
    ends = np.full((2, flat.shape[1]), np.nan)
    for i, column in enumerate(flat.T):
        if not np.isnan(column).all():
            ends[:, i] = np.nanquantile(column, [tail, 1 - tail])
    low, high = ends.reshape(2, *values.shape[1:])
    return low, high


def auc_with_interval(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    patients: npt.ArrayLike,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Give a ROC-AUC and its percentile interval when patients are drawn anew.

    Parameters
    ----------
    labels, scores, patients : array-like, shape (n,)
        0 or 1; any number, higher for label 1; patient of each image.
    resamples : int, default 2000
    level : float, default 0.95
        Coverage that the interval aims at.
    seed : int, default 0

    Returns
    -------
    Interval
        NaN where a class is absent.

    Examples
    --------
    >>> auc_with_interval([0, 1, 0, 1], [1, 2, 3, 4], list("pqrs")).value
    0.75
    """
    ranking = Ranking.of(labels, scores)
    drawn = resample(ranking.auc, patients, resamples=resamples, seed=seed)
    low, high = percentiles(drawn, level)
    value = ranking.auc(np.ones((1, len(ranking.order))))[0]
    return Interval(float(value), float(low), float(high))


def _divide(above: Vector, below: Vector) -> Vector:
    """Divide, with NaN where the denominator is 0."""
    shares: Vector = np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
    return shares
