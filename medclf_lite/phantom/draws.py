"""Randomness with an address: every patient and every image has its own generator.

Nothing is drawn from a shared stream, so no value depends on how many patients there are, on
their order, or on how the work is divided into chunks.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]  # float32, wherever pixels are
Uniforms = npt.NDArray[np.float64]

# First word of an address: what is drawn. Never reuse a number.
BLOCK, PATIENT, STUDY, ANATOMY, LESION, POSE, NOISE, FILE, SPLIT = range(1, 10)


def generator(seed: int, stream: int, *address: int) -> np.random.Generator:
    """Return the generator of one address, for example a patient's anatomy."""
    return np.random.default_rng([seed, stream, *address])


def uniforms(seed: int, stream: int, addresses: Iterable[tuple[int, ...]], k: int) -> Uniforms:
    """Draw ``k`` numbers in [0, 1) for each address, shape (n, k).

    Examples
    --------
    >>> both = uniforms(0, POSE, [(3, 0), (8, 1)], 4)
    >>> bool((uniforms(0, POSE, [(8, 1)], 4)[0] == both[1]).all())
    True
    """
    rows = [generator(seed, stream, *address).random(k) for address in addresses]
    return np.array(rows).reshape(len(rows), k)


def between(u: Uniforms, low: float, high: float) -> Array:
    """Map numbers in [0, 1) to float32 in [low, high)."""
    return (low + (high - low) * u).astype(np.float32)
