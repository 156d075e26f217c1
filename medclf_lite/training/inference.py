"""Scores of a whole loader: exactly one an image, on one process or several."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from medclf_lite._memory import keep_freed_memory
from medclf_lite.backbones.classifier import Classifier
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.loaders import Item
from medclf_lite.predictions import Predictions


def predict(model: Classifier, loader: DataLoader[Item], cohort: Cohort) -> Predictions:
    """Score every image of a cohort with a classifier of one output.

    Parameters
    ----------
    model : Classifier
        Left in evaluation mode.
    loader : torch.utils.data.DataLoader
        Made from this cohort with ``train=False``.
    cohort : Cohort

    Returns
    -------
    Predictions
        One row an image, in the cohort's order, whatever the batches and processes.

    Raises
    ------
    MedclfError
        If the loader leaves an image out or belongs to another cohort, or the model has
        several outputs.
    """
    if model.outputs != 1:
        raise MedclfError(
            f"Predictions hold one score an image, this model has {model.outputs} outputs. Use "
            "score_images, and make one table a finding."
        )
    found = score_images(model, loader)
    if len(found) != len(cohort):
        raise MedclfError(
            f"The loader yields {len(found)} images but the cohort has {len(cohort)}: make the "
            "loader from this cohort."
        )
    return Predictions.of(cohort, found)


def score_images(model: Classifier, loader: DataLoader[Item]) -> npt.NDArray[np.float64]:
    """Score every image of a loader: float64 in [0, 1], shape (n,) or (n, outputs).

    Raises
    ------
    MedclfError
        If the loader leaves an image out, or changes images at random.
    """
    keep_freed_memory()
    accelerator = make_accelerator()
    model.to(accelerator.device)
    logits, _ = collect(accelerator, model, accelerator.prepare(loader))
    scores: npt.NDArray[np.float64] = logits.double().sigmoid().numpy()
    return scores


def make_accelerator() -> Accelerator:
    """Find this process's device and its fellows."""
    # Precision is chosen by TrainConfig: accelerate's own cannot change within a process.
    return Accelerator(mixed_precision="no")


def collect(accelerator: Accelerator, model: Classifier, batches: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - accelerate's loaders share no type
    """Compute the logits and labels of every row, in order, on the CPU.

    With several processes the last batches are filled up with repeated images. Each score
    travels with its row, and of a row that comes twice one is kept.
    """
    if getattr(batches.dataset, "augment", None) is not None:
        raise MedclfError(
            "This loader augments its images, so its scores would differ from pass to pass. "
            "Evaluate with make_loader(..., train=False)."
        )
    model.eval()
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    with torch.inference_mode():
        for images, labels, rows in batches:
            batch = (model(images).float(), labels, rows)
            # Not gather_for_metrics: it cuts the last batch by the length of the data set,
            # which loses images where a sampler yields another number of rows.
            gathered = accelerator.gather(batch)
            parts.append(tuple(tensor.cpu() for tensor in gathered))
    logits, labels, rows = (torch.cat(column) for column in zip(*parts, strict=True))
    known, first = np.unique(rows.numpy(), return_index=True)
    n = len(batches.dataset)
    if not np.array_equal(known, np.arange(n)):
        raise MedclfError(
            f"The loader yields {len(known)} different rows of {n}: every image must be scored. "
            "Make it with make_loader(..., train=False)."
        )
    # Tensors made in inference mode cannot enter autograd later; a copy can.
    return logits[first].clone(), labels[first].clone()
