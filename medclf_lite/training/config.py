"""What a training run is told, and what it tells afterwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import pandas as pd

from medclf_lite.errors import MedclfError

Schedule = Literal["cosine", "plateau", "constant"]
Monitor = Literal["val_auc", "val_loss"]
Precision = Literal["auto", "no", "bf16"]


@dataclass(frozen=True)
class TrainConfig:
    """Settings of :func:`medclf_lite.training.train`.

    Parameters
    ----------
    epochs : int, default 10
    lr : float, default 1e-3
        Learning rate of the head.
    layer_decay : float, default 1
        Each stage further from the head learns at this times the rate of the next.
    weight_decay : float, default 0.01
    schedule : {"cosine", "plateau", "constant"}, default "cosine"
        ``cosine`` rises during the warm-up and falls to zero at the last step (Loshchilov &
        Hutter 2017, arXiv:1608.03983). ``plateau`` halves the rate when two epochs in a
        row do not improve the monitored value.
    warmup : float, default 0.1
        Share of all steps in which the cosine schedule rises.
    clip : float or None, default 1
        Largest norm of the gradient; None clips nothing, but the norm is recorded.
    patience : int or None, default 5
        Stop after so many epochs without improvement; None never stops early.
    monitor : {"val_auc", "val_loss"}, default "val_auc"
        Decides the best epoch, early stopping and the plateau.
    pos_weight : float or None
        Weight of positive images in the loss, n_negative / n_positive to balance them; see
        :func:`medclf_lite.training.positive_weight`. Scores are then not calibrated.
    focal : float or None
        Focusing parameter gamma of the focal loss (Lin et al. 2017, arXiv:1708.02002), without
        class weights: each image's loss is multiplied by (1 - p)^gamma, where p is the
        probability given to its true class. 0 changes nothing, the paper uses 2. Scores are
        then not calibrated. Not together with ``pos_weight``.
    precision : {"auto", "no", "bf16"}, default "auto"
        Mixed precision. ``auto``: bfloat16 on a GPU that computes with it, never on a CPU.
    deterministic : bool, default True
        Use PyTorch's deterministic algorithms where there are any, and warn where not.
    seed : int, default 0
        Seeds dropout and every other draw; the order of the images follows the loader's.

    Raises
    ------
    MedclfError
        If a setting is unknown or out of range, or ``focal`` and ``pos_weight`` are both given.

    Examples
    --------
    >>> TrainConfig(epochs=3, schedule="plateau").lr
    0.001
    """

    epochs: int = 10
    lr: float = 1e-3
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    schedule: Schedule = "cosine"
    warmup: float = 0.1
    clip: float | None = 1.0
    patience: int | None = 5
    monitor: Monitor = "val_auc"
    pos_weight: float | None = None
    focal: float | None = None
    precision: Precision = "auto"
    deterministic: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        choices = {"schedule": Schedule, "monitor": Monitor, "precision": Precision}
        for name, literal in choices.items():
            if getattr(self, name) not in get_args(literal):
                known = ", ".join(get_args(literal))
                raise MedclfError(f"{name} must be one of {known}; got {getattr(self, name)!r}.")
        for name in ("epochs", "lr", "layer_decay", "clip", "patience", "pos_weight"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise MedclfError(f"{name} must be greater than 0; got {value!r}.")
        if self.focal is not None and not 0 <= self.focal < math.inf:
            raise MedclfError(f"focal is an exponent of 0 or more; got {self.focal!r}.")
        if self.focal is not None and self.pos_weight is not None:
            raise MedclfError(
                "focal and pos_weight both change what an image counts in the loss, and only one "
                "of them can be judged at a time. Drop one of them."
            )
        if not 0 <= self.warmup < 1:
            raise MedclfError(f"warmup is a share of all steps in [0, 1); got {self.warmup!r}.")


@dataclass(frozen=True)
class TrainResult:
    """What happened in a training run. The model itself holds the weights of the best epoch.

    Parameters
    ----------
    history : pandas.DataFrame
        One row an epoch: ``epoch`` (from 1), ``train_loss`` and ``val_loss`` (means over
        images, not over batches), ``val_auc`` (NaN where validation has one class only),
        ``lr`` (of the head, at the epoch's last step), ``grad_norm`` (mean, before clipping),
        ``images`` (trained on, over all processes), ``seconds``.
    best_epoch : int
    best_score : float
        The monitored value in that epoch.
    stopped : str
        Why the run ended.
    """

    history: pd.DataFrame
    best_epoch: int
    best_score: float
    stopped: str
