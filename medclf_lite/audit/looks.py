"""One look at each image: all that the checks keep of its pixels, about 1 kB an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from medclf_lite.audit.copies import BITS, perceptual_hash

Pixels = npt.NDArray[np.uint8]
GRID = 28  # side of the small picture, for border and corners


@dataclass(frozen=True)
class Looks:
    """What is kept of n images: digests, perceptual hashes, mean, spread, a small picture.

    ``digests`` are SHA-256 of the pixels, ``hashes`` uint64 of shape (n, 4), ``small`` uint8 of
    shape (n, 28, 28); ``side`` is the height of the images that were looked at.
    """

    side: int
    digests: list[bytes]
    hashes: npt.NDArray[np.uint64]
    mean: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    small: Pixels


def look_at(images: Iterable[Pixels], n: int) -> Looks:
    """Look at images one after the other; none of them is kept.

    Parameters
    ----------
    images : iterable of ndarray of uint8, shape (height, width)
    n : int
        How many there are.

    Examples
    --------
    >>> look_at(np.zeros((2, 32, 32), np.uint8), 2).mean.tolist()
    [0.0, 0.0]
    """
    digests = list[bytes]()
    hashes = np.empty((n, BITS // 8), dtype=np.uint8)
    mean, sd, side = np.empty(n), np.empty(n), 0
    small = np.empty((n, GRID, GRID), dtype=np.uint8)
    for i, image in enumerate(images):
        picture = Image.fromarray(image)
        digests.append(hashlib.sha256(image.tobytes()).digest())
        hashes[i] = perceptual_hash(picture)
        mean[i], sd[i], side = image.mean(), image.std(), len(image)
        small[i] = np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX))
    return Looks(side, digests, hashes.view(np.uint64), mean, sd, small)
