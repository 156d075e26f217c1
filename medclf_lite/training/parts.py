"""The parts of the training loop: loss, schedule, and what is refused before it starts."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from medclf_lite.backbones.classifier import Classifier
from medclf_lite.errors import MedclfError
from medclf_lite.loaders import Item
from medclf_lite.training.config import TrainConfig


def positive_weight(labels: npt.NDArray[np.integer]) -> float:
    """Compute n_negative / n_positive, the ``pos_weight`` that balances the loss.

    Raises
    ------
    MedclfError
        If a class is absent.

    Examples
    --------
    >>> positive_weight(np.array([0, 1, 1, 1, 1]))
    0.25
    """
    positive = int((labels == 1).sum())
    if not 0 < positive < len(labels):
        raise MedclfError(f"Both classes are needed; {positive} of {len(labels)} are positive.")
    return (len(labels) - positive) / positive


def loss_of(logits: Tensor, labels: Tensor, config: TrainConfig) -> Tensor:
    """Compute the mean loss from logits: a sigmoid first would lose digits."""
    logits = logits.float()
    if config.focal is not None:
        # The logit of the true class. torchvision's sigmoid_focal_loss goes by way of the
        # probability: its gradient is NaN for a sure image where gamma is below 1.
        sure = logits * (2 * labels - 1)
        return -((config.focal * logsigmoid(-sure)).exp() * logsigmoid(sure)).mean()
    weight = None if config.pos_weight is None else labels.new_tensor(config.pos_weight)
    return binary_cross_entropy_with_logits(logits, labels, pos_weight=weight)


def auc_of(labels: npt.NDArray[np.float32], logits: npt.NDArray[np.float32]) -> float:
    """Return the mean AUC over outputs; NaN where an output lacks a class or a number."""
    columns = zip(labels.reshape(len(labels), -1).T, logits.reshape(len(labels), -1).T, strict=True)
    areas = [
        roc_auc_score(y, s) if np.ptp(y) and np.isfinite(s).all() else math.nan for y, s in columns
    ]
    return float(np.mean(areas))


def cosine_factor(step: int, steps: int, warmup: float) -> float:
    """Return the factor on the learning rate: up to 1 in the warm-up, then down to 0."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    """Make the context of mixed precision: off on a CPU unless asked for."""
    wanted = config.precision == "bf16"
    if config.precision == "auto" and device.type == "cuda":
        wanted = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted)


def check(
    train_loader: DataLoader[Item],
    val_loader: DataLoader[Item],
    config: TrainConfig,
    out: Path | None,
    resume: bool,
) -> None:
    """Refuse what would end in a wrong figure, before any work is done."""
    if resume and out is None:
        raise MedclfError("resume=True needs the folder of the run: give out.")
    if config.pos_weight is not None and getattr(train_loader.sampler, "balanced", False):
        raise MedclfError(
            "The loader draws both classes equally and pos_weight weights the loss as well: "
            "imbalance would be corrected twice, which ruins calibration. Drop one of them."
        )
    labels = getattr(val_loader.dataset, "labels", None)
    if config.monitor == "val_auc" and labels is not None:
        columns = labels.reshape(len(labels), -1)
        if bool((columns.amax(0) == columns.amin(0)).any()):
            raise MedclfError(
                "The validation set has images of one class only, so its AUC does not exist. "
                "Split again with more patients, or use monitor='val_loss'."
            )


def check_batch(model: Classifier, images: Tensor) -> None:
    """Refuse a batch of one image where BatchNorm would learn from it."""
    if len(images) > 1:
        return
    if any(isinstance(layer, _BatchNorm) and layer.training for layer in model.modules()):
        raise MedclfError(
            "BatchNorm cannot learn from a batch of one image: it would see no spread. Use "
            "make_loader(..., train=True), which leaves a last single image out, or freeze."
        )


def begin_epoch(epoch: int, loader: DataLoader[Item], batches: Any) -> None:  # noqa: ANN401
    """Tell order and augmentation which epoch begins; counted from 0."""
    # accelerate counts epochs of its own and would tell them to the sampler.
    for part in (batches, loader.sampler, loader.dataset):
        if hasattr(part, "set_epoch"):
            part.set_epoch(epoch)


# A module whose attribute is a switch, which type stubs do not know.
_switch: Any = torch.utils.deterministic


@contextmanager
def deterministic_algorithms(wanted: bool) -> Iterator[None]:
    """Use deterministic algorithms inside the block, and what was set before after it."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        _switch.fill_uninitialized_memory,
    )
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
        torch.use_deterministic_algorithms(True, warn_only=True)
        _switch.fill_uninitialized_memory = False  # a debugging aid that costs time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        _switch.fill_uninitialized_memory = before[2]
