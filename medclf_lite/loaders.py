"""From a cohort and its pixels to batches of tensors, in an order that can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from medclf_lite.augment import MedicalAugment, medical_augment
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

__all__ = [
    "Augmentation",
    "ImageSet",
    "MedicalAugment",
    "TrainOrder",
    "make_loader",
    "medical_augment",
]

Pixels = npt.NDArray[np.uint8]
Item = tuple[Tensor, Tensor, int]
Batch = tuple[Tensor, Tensor, Tensor]
Augmentation = Callable[[Tensor, np.random.Generator], Tensor]


class ImageSet(Dataset[Item]):
    """The images of a cohort as a torch data set: one item a row, every row.

    Parameters
    ----------
    cohort : Cohort
        Labels, one row an image.
    pixels : numpy.ndarray
        uint8, shape (n, s, s), in the cohort's order; may be memory-mapped.
    augment : callable, optional
        ``(image, generator) -> image``, for training only. Its generator is made anew
        from (seed, epoch, row). A generator kept in the data set would be copied into
        every worker and would repeat itself there and in every epoch.
    seed : int, default 0
        Seed of the augmentation.

    Raises
    ------
    MedclfError
        If the pixels do not match the cohort.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "q"], "label": [0, 1]})
    >>> images = ImageSet(Cohort(table, None, "example", "CC0"), np.zeros((2, 8, 8), np.uint8))
    >>> image, label, row = images[1]
    >>> image.shape, label.item(), row
    (torch.Size([1, 8, 8]), 1.0, 1)
    """

    def __init__(
        self,
        cohort: Cohort,
        pixels: Pixels,
        augment: Augmentation | None = None,
        *,
        seed: int = 0,
    ) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or len(pixels) != len(cohort):
            raise MedclfError(
                f"Pixels must be uint8 of shape ({len(cohort)}, size, size), one image a row of "
                f"the cohort; got {pixels.dtype} of shape {pixels.shape}. Load them with "
                "images.load_pixels(cohort, size)."
            )
        self.pixels = pixels
        self.labels = torch.tensor(cohort.labels, dtype=torch.float32)
        self.augment = augment
        self.seed = seed
        # Shared memory: workers that live on from epoch to epoch see the new number.
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        return len(self.pixels)

    def set_epoch(self, epoch: int) -> None:
        """Tell the augmentation, in every worker, which epoch begins; counted from 0."""
        self._epoch.fill_(epoch)

    def __getitem__(self, row: int) -> Item:
        image = torch.from_numpy(np.array(self.pixels[row])).float().div_(255)[None]  # (1, s, s)
        if self.augment is not None:
            rng = np.random.default_rng((self.seed, int(self._epoch), row))
            image = self.augment(image, rng)
        return image, self.labels[row], row


class TrainOrder(Sampler[int]):
    """The order of the rows in an epoch: a function of seed and epoch, and of nothing else.

    Every process and every resumed run finds the same order. NumPy draws it, so the limit
    of 2^24 rows of torch's ``WeightedRandomSampler`` does not hold here.

    Parameters
    ----------
    labels : numpy.ndarray
        0 or 1, shape (n,); shape (n, findings) if not ``balanced``.
    batch_size : int
        Where n leaves a last batch of one image, that image is left out, in each epoch
        another one: BatchNorm cannot train on a batch of one. ``len`` tells it.
    balanced : bool, default False
        Draw with replacement, so that both classes are equally likely.
    seed : int, default 0
        Seed of the order.
    """

    def __init__(
        self,
        labels: npt.NDArray[np.int64],
        batch_size: int,
        *,
        balanced: bool = False,
        seed: int = 0,
    ) -> None:
        self.n = len(labels)
        self.balanced = balanced
        self.seed = seed
        self.epoch = 0
        self.left_out = int(batch_size > 1 and self.n > 1 and self.n % batch_size == 1)
        self._classes = _class_rows(labels) if balanced else []

    def __len__(self) -> int:
        return self.n - self.left_out

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins; counted from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        if not self.balanced:
            return iter(rng.permutation(self.n)[: len(self)].tolist())
        negative, positive = self._classes
        coin = rng.random(len(self)) < 0.5
        rows = np.where(coin, rng.choice(positive, len(self)), rng.choice(negative, len(self)))
        return iter(rows.tolist())


def _class_rows(labels: npt.NDArray[np.int64]) -> list[npt.NDArray[np.intp]]:
    if labels.ndim != 1:
        raise MedclfError(
            "A balanced order needs one label an image; this cohort has one column a finding. "
            "Weight the loss instead."
        )
    rows = [np.flatnonzero(labels == value) for value in (0, 1)]
    if not all(map(len, rows)):
        raise MedclfError(
            f"A balanced order needs both classes; got {len(rows[0])} images of class 0 and "
            f"{len(rows[1])} of class 1."
        )
    return rows


def make_loader(
    cohort: Cohort,
    pixels: Pixels,
    *,
    train: bool,
    batch_size: int = 32,
    augment: Augmentation | None = None,
    balanced: bool = False,
    seed: int = 0,
    workers: int = 0,
) -> DataLoader[Item]:
    """Make the loader of one part of a cohort.

    Parameters
    ----------
    cohort : Cohort
        The part to load, for example ``cohort.part("train")``.
    pixels : numpy.ndarray
        uint8, shape (n, s, s), in the order of ``cohort``.
    train : bool
        Shuffle, anew in each epoch. False keeps the cohort's order and yields every image.
    batch_size : int, default 32
        Images in a batch.
    augment : callable, optional
        See :func:`medical_augment`; allowed with ``train=True`` only.
    balanced : bool, default False
        Draw both classes equally often. Scores are then not calibrated for the cohort's
        prevalence; never join it with a weighted loss.
    seed : int, default 0
        Order and augmentation follow from it.
    workers : int, default 0
        Loading processes. The pixels are in memory already, so 0 is fastest unless the
        augmentation costs more than the network.

    Returns
    -------
    torch.utils.data.DataLoader
        Batches (images, labels, rows): float32 (b, 1, s, s) in [0, 1]; float32 (b,) or
        (b, findings); int64 (b,), the row in the cohort. Memory is pinned where there is a
        CUDA device, and only there.

    Raises
    ------
    MedclfError
        If an evaluation loader is to be augmented or balanced, or a size is impossible.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "q"], "label": [0, 1]})
    >>> part = Cohort(table, None, "example", "CC0")
    >>> loader = make_loader(part, np.zeros((2, 8, 8), np.uint8), train=False)
    >>> next(iter(loader))[2]
    tensor([0, 1])
    """
    if batch_size < 1 or workers < 0:
        raise MedclfError(
            f"batch_size must be at least 1 and workers at least 0; got {batch_size} and {workers}."
        )
    if not train and (augment is not None or balanced):
        raise MedclfError(
            "augment and balanced belong to training: an evaluation loader must show each image "
            "once and unchanged. Make the training loader with train=True."
        )
    order = TrainOrder(cohort.labels, batch_size, balanced=balanced, seed=seed) if train else None
    return DataLoader(
        ImageSet(cohort, pixels, augment, seed=seed),
        batch_size=batch_size,
        sampler=order,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
    )
