"""A linear head on frozen features, fitted by scikit-learn and written into the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from medclf_lite.backbones.classifier import Classifier, device_of
from medclf_lite.errors import MedclfError

Features = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]
STRENGTHS = (1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class HeadFit:
    """How the head was fitted.

    Parameters
    ----------
    strengths : tuple of float
        The C of scikit-learn's logistic regression, one an output.
    table : pandas.DataFrame
        Cross-validated mean log loss: one row a C tried, one column an output. Empty where
        C was given.
    pipelines : tuple of sklearn.pipeline.Pipeline
        The fitted scaler and regression, one an output.
    """

    strengths: tuple[float, ...]
    table: pd.DataFrame
    pipelines: tuple[Pipeline, ...]


def fit_head(
    model: Classifier,
    features: Features,
    labels: Labels,
    patients: Sequence[str] | npt.NDArray[np.str_],
    *,
    seed: int = 0,
    strength: float | None = None,
) -> HeadFit:
    """Fit the head by logistic regression on standardised features, and write it in place.

    The scaler and the regression are both linear, so they fold into one layer: with
    z = (x - mean) / sd, w z + b = (w / sd) x + (b - w mean / sd).

    Parameters
    ----------
    model : Classifier
        Its ``head`` is overwritten; its backbone must be the one behind ``features``.
    features : numpy.ndarray
        Shape (n, features), from :func:`medclf_lite.backbones.features`; training images only.
    labels : numpy.ndarray
        0 or 1, shape (n,), or (n, outputs).
    patients : sequence of str
        Patient of each image. No patient is on both sides of a fold.
    seed : int, default 0
        Seeds the folds.
    strength : float, optional
        C, the inverse of the L2 penalty. By default the one of :data:`STRENGTHS` with the
        least log loss in five-fold patient-grouped cross-validation.

    Returns
    -------
    HeadFit

    Raises
    ------
    MedclfError
        If shapes disagree, a class is absent, or there are too few patients for two folds.

    Examples
    --------
    >>> from medclf_lite.backbones import build
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(40) % 2
    >>> found = rng.normal(size=(40, 64)) + labels[:, None]
    >>> model = build("tiny_cnn")
    >>> fit_head(model, found, labels, [f"p{i}" for i in range(40)], strength=0.1).strengths
    (0.1,)
    >>> bool(((head_scores(model, found) > 0.5) == labels).all())
    True
    """
    columns = labels.reshape(len(labels), -1)  # (n, outputs)
    _check(model, features, columns, patients)
    groups = np.asarray(patients)
    tables = [] if strength else [_losses(features, y, groups, seed) for y in columns.T]
    chosen = (
        tuple(float(t.index[int(t.to_numpy().argmin())]) for t in tables)
        or (strength or 1.0,) * model.outputs
    )
    pipelines = tuple(_pipeline(c).fit(features, y) for c, y in zip(chosen, columns.T, strict=True))
    _write(model, pipelines)
    table = pd.concat(tables, axis=1) if tables else pd.DataFrame()
    return HeadFit(chosen, table, pipelines)


def head_scores(model: Classifier, features: Features) -> npt.NDArray[np.float64]:
    """Compute scores from features: float64 in [0, 1], shape (n,), or (n, outputs)."""
    found = torch.from_numpy(np.array(features, dtype=np.float32)).to(device_of(model))
    with torch.inference_mode():
        logits = model.head(found).double()  # (n, outputs)
    scores: npt.NDArray[np.float64] = logits.sigmoid().cpu().numpy()
    return scores[:, 0] if model.outputs == 1 else scores


def _pipeline(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def _losses(
    features: Features, labels: Labels, patients: npt.NDArray[np.str_], seed: int
) -> pd.Series:
    per_class = [len(np.unique(patients[labels == value])) for value in (0, 1)]
    folds = min(5, *per_class)
    if folds < 2:
        raise MedclfError(
            f"Choosing C needs two patients of each class; got {per_class[0]} of class 0 and "
            f"{per_class[1]} of class 1. Give a strength instead."
        )
    cv = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = list(cv.split(features, labels, patients))
    if any(len(np.unique(labels[train])) < 2 for train, _ in parts):
        raise MedclfError(
            "A fold was left without one of the classes: too few patients have it. Give a "
            "strength instead, or another seed."
        )
    losses = {}
    for c in STRENGTHS:
        p = cross_val_predict(_pipeline(c), features, labels, cv=parts, method="predict_proba")
        losses[c] = float(log_loss(labels, p))
    return pd.Series(losses, name="log_loss").rename_axis("C")


def _check(
    model: Classifier,
    features: Features,
    columns: Labels,
    patients: Sequence[str] | npt.NDArray[np.str_],
) -> None:
    expected = (len(columns), model.head.in_features)
    if features.shape != expected or columns.shape[1] != model.outputs:
        raise MedclfError(
            f"The head of {model.name} takes {expected[1]} features and gives {model.outputs} "
            f"outputs; got features of shape {features.shape} and labels of shape "
            f"{columns.shape}."
        )
    if len(patients) != len(columns):
        raise MedclfError(f"{len(columns)} labels but {len(patients)} patients: give one a row.")
    for i, column in enumerate(columns.T):
        if set(np.unique(column)) != {0, 1}:
            raise MedclfError(
                f"Output {i} needs labels 0 and 1, both of them; got {np.unique(column)[:5]}. "
                "See whether the training part holds both classes."
            )


def _write(model: Classifier, pipelines: tuple[Pipeline, ...]) -> None:
    weights, biases = [], []
    for scaler, regression in (tuple(p.named_steps.values()) for p in pipelines):
        w = regression.coef_[0].astype(np.float64) / scaler.scale_
        weights.append(w)
        biases.append(regression.intercept_[0] - w @ scaler.mean_)
    with torch.no_grad():
        model.head.weight.copy_(torch.tensor(np.array(weights)))
        model.head.bias.copy_(torch.tensor(np.array(biases)))
