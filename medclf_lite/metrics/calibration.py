"""How far scores can be read as probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.predictions import Predictions

BINS = 10


def bin_of(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Find the bin of each score in [0, 1]: ten of equal width, closed on the left.

    Examples
    --------
    >>> bin_of(np.array([0.0, 0.05, 0.1, 0.999, 1.0])).tolist()
    [0, 0, 1, 9, 9]
    """
    return np.minimum((scores * BINS).astype(np.intp), BINS - 1)


def calibration_table(predictions: Predictions) -> pd.DataFrame:
    """Compare the mean score with the share of disease, in ten bins of equal width.

    Parameters
    ----------
    predictions : Predictions

    Returns
    -------
    pandas.DataFrame
        One row a bin that holds an image: ``mean_score``, ``observed`` (share of label 1),
        ``n`` images and ``patients``. The mean of ``|mean_score - observed|``, weighted by
        ``n``, is the expected calibration error.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abc"), "patient_id": list("pqr"),
    ...                       "label": [0, 1, 1], "score": [0.25, 0.25, 0.75]})
    >>> calibration_table(Predictions(table)).to_numpy().tolist()
    [[0.25, 0.5, 2.0, 2.0], [0.75, 1.0, 1.0, 1.0]]
    """
    grouped = predictions.table.groupby(bin_of(predictions.scores))
    found: pd.DataFrame = grouped.agg(
        mean_score=("score", "mean"),
        observed=("label", "mean"),
        n=("image_id", "size"),
        patients=("patient_id", "nunique"),
    )
    return found.rename_axis("bin")
