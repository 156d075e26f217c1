"""All figures of a binary classifier at once, for the images as they are or under weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.errors import MedclfError
from medclf_lite.metrics.calibration import BINS, bin_of
from medclf_lite.resampling import Ranking, Weights

# Without a threshold, and with one. Prevalence is what PR-AUC and PPV must be read against.
RANKING = ("roc_auc", "pr_auc", "brier", "ece", "prevalence")
DECISIONS = (
    "sensitivity", "specificity", "ppv", "npv", "f1", "balanced_accuracy", "accuracy",
)  # fmt: skip
FIGURES = (*RANKING[:2], *DECISIONS, *RANKING[2:])
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Images with everything about them that does not depend on how often they are drawn.

    Parameters
    ----------
    labels, scores : ndarray of float64, shape (n,)
    positive : ndarray of float64, shape (n,), or None
        1 where the decision is "ill", 0 elsewhere; None without a threshold.
    ranking : Ranking
    """

    labels: Vector
    scores: Vector
    positive: Vector | None
    ranking: Ranking

    @classmethod
    def of(cls, labels: npt.ArrayLike, scores: npt.ArrayLike, threshold: float | None) -> Sample:
        """Gather labels (0 or 1) and scores (in [0, 1]), both of shape (n,)."""
        y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        if y.ndim != 1 or y.shape != s.shape or not len(y):
            raise MedclfError(
                "Expected one label and one score an image, both of shape (n,); got labels of "
                f"shape {y.shape} and scores of shape {s.shape}."
            )
        if not np.isin(y, (0, 1)).all() or not ((s >= 0) & (s <= 1)).all():
            raise MedclfError("Labels must be 0 or 1, and scores numbers in [0, 1].")
        positive = None if threshold is None else (s >= threshold).astype(np.float64)
        return cls(y, s, positive, Ranking.of(y, s))

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that can be computed."""
        return FIGURES if self.positive is not None else RANKING

    def under(self, weights: Weights) -> npt.NDArray[np.float64]:
        """Compute every figure of each resample; weights (k, n), result (k, figures)."""
        total = weights.sum(axis=1)
        found = {
            "roc_auc": self.ranking.auc(weights),
            "pr_auc": self.ranking.average_precision(weights),
            "brier": weights @ (self.scores - self.labels) ** 2 / total,
            "ece": self._calibration_error(weights),
            "prevalence": weights @ self.labels / total,
        }
        if self.positive is not None:
            found |= self._decisions(weights, self.positive)
        return np.stack([found[name] for name in self.names], axis=1)

    def _calibration_error(self, weights: Weights) -> Vector:
        """Mean distance between score and share of disease, bin by bin (Naeini et al. 2015)."""
        member = np.eye(BINS)[bin_of(self.scores)]  # (n, bins)
        gaps = weights @ (member * (self.scores - self.labels)[:, None])  # (k, bins)
        distance: Vector = np.abs(gaps).sum(axis=1) / weights.sum(axis=1)
        return distance

    def _decisions(self, weights: Weights, positive: Vector) -> dict[str, Vector]:
        ill, well = self.labels, 1 - self.labels
        tp, fp = weights @ (ill * positive), weights @ (well * positive)
        fn, tn = weights @ (ill * (1 - positive)), weights @ (well * (1 - positive))
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN: not defined
            found = {
                "sensitivity": tp / (tp + fn),
                "specificity": tn / (tn + fp),
                "ppv": tp / (tp + fp),
                "npv": tn / (tn + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "accuracy": (tp + tn) / weights.sum(axis=1),
            }
        found["balanced_accuracy"] = (found["sensitivity"] + found["specificity"]) / 2
        return found


def figures(
    labels: npt.ArrayLike, scores: npt.ArrayLike, threshold: float | None = None
) -> pd.Series:
    """Compute all figures of scores, without intervals.

    For curves and simulations. To report a result use :func:`medclf_lite.metrics.evaluate`,
    which gives intervals and asks where the threshold comes from.

    Parameters
    ----------
    labels : array-like, shape (n,)
        0 or 1.
    scores : array-like, shape (n,)
        In [0, 1]; higher for label 1.
    threshold : float, optional
        Scores at or above it are called ill.

    Returns
    -------
    pandas.Series
        ``roc_auc`` and ``pr_auc`` (average precision); at the threshold ``sensitivity``,
        ``specificity``, ``ppv``, ``npv``, ``f1``, ``balanced_accuracy``, ``accuracy``; then
        ``brier``, ``ece`` (ten bins of equal width) and ``prevalence``. All in [0, 1]; NaN
        where a figure is not defined, such as the sensitivity without a diseased image.

    Raises
    ------
    MedclfError
        If shapes differ, labels are not 0 or 1, or scores are not in [0, 1].

    Examples
    --------
    >>> figures([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], 0.5)[["roc_auc", "sensitivity"]].tolist()
    [0.75, 0.5]
    """
    sample = Sample.of(labels, scores, threshold)
    values = sample.under(np.ones((1, len(sample.labels))))[0]
    return pd.Series(values, index=list(sample.names), name="value")
