"""Net benefit: what decisions at a threshold are worth, counted in true positives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import Weights, percentiles, resample

STRATEGIES = ("model", "treat_all", "treat_none")


def net_benefit(
    predictions: Predictions,
    thresholds: Sequence[float] | npt.NDArray[np.float64] | None = None,
    *,
    resamples: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute the net benefit of acting on scores, of acting on everybody, and on nobody.

    At a threshold t, somebody acts from a probability of t on, and so accepts (1 - t) / t false
    positives for one true positive. Net benefit is TP / n - FP / n * t / (1 - t): true
    positives an image, less the false ones at that price (Vickers & Elkin 2006,
    doi:10.1177/0272989X06295361). It takes scores for probabilities, so calibrate first.

    Parameters
    ----------
    predictions : Predictions
    thresholds : sequence of float, optional
        In (0, 1); by default 0.01, 0.02, ... 0.99.
    resamples : int, default 0
        Resamples of patients behind the interval of the model; 0 gives none.
    level, seed
        As for :func:`medclf_lite.metrics.evaluate`.

    Returns
    -------
    pandas.DataFrame
        One row a threshold: ``threshold``, ``model``, ``treat_all``, ``treat_none`` (always 0);
        with resamples also ``low`` and ``high`` of the model. At most the prevalence.

    Raises
    ------
    MedclfError
        If a threshold is not in (0, 1).

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"),
    ...                       "label": [0, 0, 1, 1], "score": [0.1, 0.6, 0.7, 0.9]})
    >>> net_benefit(Predictions(table), [0.5])[["model", "treat_all"]].to_numpy().tolist()
    [[0.25, 0.0]]
    """
    given = np.arange(1, 100) / 100 if thresholds is None else thresholds
    cuts = np.asarray(given, dtype=np.float64)
    if cuts.ndim != 1 or not len(cuts) or not ((cuts > 0) & (cuts < 1)).all():
        raise MedclfError(f"thresholds must be one or more numbers between 0 and 1; got {given}.")
    labels, scores = predictions.labels, predictions.scores
    price = cuts / (1 - cuts)
    worth = np.where(labels[:, None] == 1, 1.0, -price)  # (n, thresholds)
    acted = worth * (scores[:, None] >= cuts)

    def of_model(weights: Weights) -> npt.NDArray[np.float64]:
        benefit: npt.NDArray[np.float64] = weights @ acted / weights.sum(axis=1, keepdims=True)
        return benefit

    found = pd.DataFrame({
        "threshold": cuts, "model": acted.mean(axis=0), "treat_all": worth.mean(axis=0),
        "treat_none": np.zeros(len(cuts)),
    })  # fmt: skip
    if resamples:
        drawn = resample(of_model, predictions.patients, resamples=resamples, seed=seed)
        found["low"], found["high"] = percentiles(drawn, level)
    return found
