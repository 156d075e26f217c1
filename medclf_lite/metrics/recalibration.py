"""Scores made into probabilities again: temperature, a logistic line, another prevalence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions

Vector = npt.NDArray[np.float64]
_NEAREST = 1e-7  # scores of exactly 0 or 1 have no finite logit


def _logits(scores: npt.ArrayLike) -> Vector:
    found: Vector = logit(np.clip(np.asarray(scores, dtype=np.float64), _NEAREST, 1 - _NEAREST))
    return found


@dataclass(frozen=True)
class Temperature:
    """A number that logits are divided by, and whom it was fitted on.

    Made by :func:`fit_temperature`.

    Parameters
    ----------
    value : float
        Above 1: the scores were too sure of themselves.
    images, patients : frozenset of str
        Whom it was fitted on.
    """

    value: float
    images: frozenset[str]
    patients: frozenset[str]

    def apply(self, predictions: Predictions) -> Predictions:
        """Return the predictions with scores sigmoid(logit / temperature).

        The order of the scores does not change, so neither does any ROC curve.

        Raises
        ------
        MedclfError
            If it was fitted on these images or patients: their calibration would look too good.
        """
        table = predictions.table[["image_id", "patient_id"]].astype(str)
        known = table["image_id"].isin(list(self.images))
        known |= table["patient_id"].isin(list(self.patients))
        if known.any():
            raise MedclfError(
                f"This temperature was fitted on {int(known.sum())} of the {len(predictions)} "
                "images or on their patients, whose calibration would look too good. Fit it on "
                "validation patients and apply it to others."
            )
        scores = expit(_logits(predictions.scores) / self.value)
        return Predictions(predictions.table.assign(score=scores), predictions.classes)


def fit_temperature(predictions: Predictions) -> Temperature:
    """Find the temperature with the least log loss on validation images.

    Guo et al. 2017 (arXiv:1706.04599).

    Parameters
    ----------
    predictions : Predictions
        Of validation images, with both classes.

    Raises
    ------
    MedclfError
        If a class is absent.

    Examples
    --------
    >>> import pandas as pd
    >>> rng = np.random.default_rng(0)
    >>> logits = rng.normal(0, 1.5, 2000)
    >>> label = (rng.random(2000) < expit(logits)).astype(int)
    >>> table = pd.DataFrame({"image_id": range(2000), "patient_id": range(2000),
    ...                       "label": label, "score": expit(3 * logits)})
    >>> round(fit_temperature(Predictions(table)).value)
    3
    """
    labels, logits = _both_classes(predictions), _logits(predictions.scores)
    sign = np.where(labels == 1, -1.0, 1.0)

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, sign * logits / math.exp(log_temperature)).mean())

    best = minimize_scalar(log_loss, bounds=(-5, 5), method="bounded")
    return Temperature(
        math.exp(float(best.x)),
        frozenset(predictions.table["image_id"].astype(str)), frozenset(predictions.patients),
    )  # fmt: skip


class CalibrationLine(NamedTuple):
    """Slope (1 is right, below 1 too sure) and intercept (0 is right, above 0 too low)."""

    slope: float
    intercept: float


def calibration_line(predictions: Predictions) -> CalibrationLine:
    """Fit the calibration slope, and the calibration in the large.

    The slope is that of a logistic regression of the label on the logit of the score; the
    intercept is fitted with a slope of 1 (Van Calster et al. 2019,
    doi:10.1186/s12916-019-1466-7).

    Parameters
    ----------
    predictions : Predictions
        With both classes.

    Raises
    ------
    MedclfError
        If a class is absent.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": range(8), "patient_id": range(8),
    ...                       "label": [0, 0, 0, 1, 0, 1, 1, 1], "score": [.25] * 4 + [.75] * 4})
    >>> line = calibration_line(Predictions(table))
    >>> round(line.slope, 2), round(abs(line.intercept), 2)
    (1.0, 0.0)
    """
    labels, logits = _both_classes(predictions), _logits(predictions.scores)
    line = LogisticRegression(C=np.inf, max_iter=1000).fit(logits[:, None], labels)
    share = labels.mean()

    def miss(shift: float) -> float:
        return float(abs(expit(logits + shift).mean() - share))

    # The likelihood's derivative is zero where the mean score is the share of the ill.
    found = minimize_scalar(miss, bounds=(-15, 15), method="bounded", options={"xatol": 1e-8})
    return CalibrationLine(float(line.coef_[0, 0]), float(found.x))


def shift_prevalence(scores: npt.ArrayLike, old: float, new: float) -> Vector:
    """Correct probabilities for a prevalence other than the one they were trained on.

    Multiplies the odds by [new / (1 - new)] / [old / (1 - old)] (Saerens, Latinne & Decaestecker
    2002, doi:10.1162/089976602753284446). Right where the images of each class look as before
    and only the share of the classes differs.

    Parameters
    ----------
    scores : array-like of float
        In [0, 1].
    old, new : float
        Share of the ill that the model was trained on, as resampled or weighted, and the share
        where it is used; both in (0, 1).

    Returns
    -------
    numpy.ndarray
        float64 of the same shape; the order of the scores does not change.

    Raises
    ------
    MedclfError
        If a score or a share is out of range.

    Examples
    --------
    >>> shift_prevalence([0.5], old=0.5, new=0.1).round(3).tolist()
    [0.1]
    """
    given = np.asarray(scores, dtype=np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise MedclfError("scores must be probabilities in [0, 1]; apply a sigmoid to logits.")
    if not (0 < old < 1 and 0 < new < 1):
        raise MedclfError(f"old and new must be shares between 0 and 1; got {old} and {new}.")
    ratio = (new / (1 - new)) / (old / (1 - old))
    shifted: Vector = given * ratio / (given * ratio + 1 - given)
    return shifted


def _both_classes(predictions: Predictions) -> npt.NDArray[np.int64]:
    labels = predictions.labels
    if len(set(labels)) < 2:
        raise MedclfError("Calibration needs images of both classes; these have one label.")
    return labels
