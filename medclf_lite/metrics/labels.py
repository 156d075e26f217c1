"""Labels that a model doubts: candidates for a second reading, not for deletion."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions


def suspect_labels(predictions: Predictions) -> pd.DataFrame:
    """Rank images by how much their label disagrees with scores of models that never saw them.

    Confident learning (Northcutt, Jiang & Chuang 2021, doi:10.1613/jair.1.12125) for two
    classes: the model is confident of a class where its probability is at least the mean
    probability of that class among the images labelled so. An image is suspect where the model
    is confident of the other class, and not of its own.

    Parameters
    ----------
    predictions : Predictions
        Out-of-fold scores, with whole patients held out: a model that has seen the image, or
        another one of the same patient with the same wrong label, has learnt the error.

    Returns
    -------
    pandas.DataFrame
        ``image_id``, ``patient_id``, ``label``, ``score``, ``doubt`` (1 minus the probability
        of the given label, in [0, 1]) and ``suspect`` (bool), the most doubtful first. They
        are candidates for a second reading: hard images and wrong labels look alike to a model.

    Raises
    ------
    MedclfError
        If a class is absent.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcdef"), "patient_id": list("pqrstu"),
    ...                       "label": [0, 0, 0, 1, 1, 1], "score": [.1, .2, .9, .8, .9, .7]})
    >>> found = suspect_labels(Predictions(table))
    >>> found.loc[found["suspect"], "image_id"].tolist()
    ['c']
    """
    labels, scores = predictions.labels, predictions.scores
    if len(set(labels)) < 2:
        raise MedclfError("Both classes are needed; these images all have one label.")
    sure_ill = scores >= scores[labels == 1].mean()
    sure_well = (1 - scores) >= (1 - scores[labels == 0]).mean()
    suspect = np.where(labels == 1, sure_well & ~sure_ill, sure_ill & ~sure_well)
    found = predictions.table[["image_id", "patient_id", "label", "score"]].assign(
        doubt=np.where(labels == 1, 1 - scores, scores), suspect=suspect
    )
    return found.sort_values("doubt", ascending=False, kind="stable").reset_index(drop=True)
