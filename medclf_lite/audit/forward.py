"""Batches of a side and what a model says to them, on a copy of the model."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from medclf_lite.audit.item import as_array, label_of, read_item
from medclf_lite.audit.side import Side, kept_randomness
from medclf_lite.errors import MedclfError

BATCH = 32


@dataclass(frozen=True)
class Scored:
    """A side seen by a model, batch by batch: outputs (b, k) and labels (b,)."""

    outputs: tuple[Tensor, ...]
    labels: tuple[Tensor, ...]
    activated: bool  # whether the outputs are probabilities already

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """Probability of class 1, shape (n,), of a model with one or two outputs."""
        found = torch.cat(self.outputs).double()
        if not self.activated:
            found = found.softmax(dim=1) if found.shape[1] == 2 else found.sigmoid()
        return np.asarray(found[:, -1])


def batch_of(side: Side, n: int = 8) -> Tensor:
    """Make a batch of the first images that the model would get: float32, shape (n, ...).

    Raises
    ------
    MedclfError
        If the images are not tensors, or do not make a batch.
    """
    first = next(batches(side, n), None)
    if first is None:
        raise MedclfError(f"needs images; {side.name} is empty")
    return first[0]


def batches(side: Side, size: int | None = None) -> Iterator[tuple[Tensor, Any]]:
    """Go through a side in batches, made as its loader makes them, without workers.

    With ``size``, in batches of so many in the order of the data set.

    Raises
    ------
    MedclfError
        If the items do not make a batch of tensors.
    """
    collate = default_collate if side.loader is None else side.loader.collate_fn
    if side.length is None:
        raise MedclfError(f"needs a side with a length; {side.name} is a stream")
    groups = side.order if size is None else None
    if groups is None:
        groups = [
            list(range(side.length))[i : i + (size or BATCH)]
            for i in range(0, side.length, size or BATCH)
        ]
    with kept_randomness():
        for group in groups:
            try:
                items = [side.source[i] for i in group]
                yield _images_and_labels(collate(items), items)
            except MedclfError:
                raise
            except Exception as problem:  # anybody's items and collate function
                raise MedclfError(
                    f"the items of {side.name} do not make a batch: {type(problem).__name__}: "
                    f"{str(problem)[:200]}"
                ) from problem


def _images_and_labels(batch: Any, items: list[Any]) -> tuple[Tensor, Any]:  # noqa: ANN401
    image = as_array(read_item(batch).image) if not isinstance(batch, Tensor) else as_array(batch)
    if image is None or image.ndim < 2 or len(image) != len(items):
        raise MedclfError("the batches hold no images in the form of one tensor")
    labels = [label_of(read_item(item).label) for item in items]
    return torch.as_tensor(np.asarray(image, dtype=np.float32)), labels


def copied(model: nn.Module) -> nn.Module:
    """Copy a model to the CPU, so that looking at it changes nothing.

    Raises
    ------
    MedclfError
        If it cannot be copied.
    """
    try:
        return copy.deepcopy(model).cpu()
    except Exception as problem:  # hooks, locks, handles: anybody's module
        raise MedclfError(f"the model cannot be copied: {problem}") from problem


def outputs_of(model: nn.Module, images: Tensor) -> Tensor:
    """Return a model's raw answer to a batch, without gradients.

    Raises
    ------
    MedclfError
        If the model does not answer with a tensor.
    """
    with torch.no_grad():
        found = model(images)
    if isinstance(found, tuple | list):
        found = found[0]
    if not isinstance(found, Tensor):
        found = (
            found.get("logits") if isinstance(found, Mapping) else getattr(found, "logits", None)
        )
    if not isinstance(found, Tensor):
        raise MedclfError("needs a model that answers a batch with a tensor")
    return found


def wild(images: Tensor) -> Tensor:
    """Add images that no data set holds, so that a logit leaves the range of probabilities."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([images, 20 * images, -20 * images, 50 * noise])


def are_probabilities(outputs: Tensor) -> bool:
    """Tell whether the answers to :func:`wild` images all lie within 0 and 1."""
    return bool((outputs.min() >= 0) & (outputs.max() <= 1))


def score_side(model: nn.Module, side: Side) -> Scored:
    """Let a model see a whole side, in evaluation mode.

    Raises
    ------
    MedclfError
        If the side takes longer than its bound, or labels are not one 0 or 1 an image.
    """
    still, started = copied(model).eval(), time.monotonic()
    outputs, labels, activated = list[Tensor](), list[Tensor](), False
    for images, given in batches(side):
        if not outputs:
            activated = are_probabilities(outputs_of(still, wild(images[:8])))
        found = outputs_of(still, images)
        outputs.append(found.reshape(len(images), -1))
        if any(label not in (0.0, 1.0) for label in given):
            raise MedclfError(f"needs labels 0 and 1; {side.name} has others")
        labels.append(torch.tensor(given, dtype=torch.float32))
        if time.monotonic() - started > side.seconds:
            raise MedclfError(f"scoring {side.name} takes longer than {side.seconds:g} s")
    return Scored(tuple(outputs), tuple(labels), activated)
