"""The machines: three named sites with their look, their markers and their film edge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medclf_lite.errors import MedclfError
from medclf_lite.phantom.draws import NOISE, Array, generator

_FONT = {
    "L": "10000 10000 10000 10000 10000 10000 11111",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "P": "11110 10001 10001 11110 10000 10000 10000",
}


@dataclass(frozen=True)
class Scanner:
    """How one site's machine turns a chest into grey values.

    Parameters
    ----------
    gain, gamma : float
        Contrast about mid-grey, and the curve after it; below 1 is brighter.
    noise : float
        Standard deviation of the noise at mid-grey, as a share of white.
    blur : float
        Standard deviation of the blur, as a share of the image's height.
    marker, corner : str
        Letter of the side on which it lies, and where: ``"top right"`` is the patient's left.
    border : float
        Black edge where the beam was cut off (collimation), as a share of the height.
    """

    gain: float
    gamma: float
    noise: float
    blur: float
    marker: str
    corner: str
    border: float = 0.0


SCANNERS = {
    "A": Scanner(1.00, 1.00, 0.018, 0.0020, "L", "top right"),
    "B": Scanner(0.86, 0.78, 0.034, 0.0055, "R", "top left"),
    "C": Scanner(1.10, 1.25, 0.012, 0.0010, "L", "bottom right", border=0.03),
}


def scanner_of(site: str) -> Scanner:
    """Return the scanner of a site; raises MedclfError if there is no such site."""
    if site not in SCANNERS:
        raise MedclfError(f"There is no site {site!r}; the phantom knows {', '.join(SCANNERS)}.")
    return SCANNERS[site]


def expose(
    grey: Array, site: str, marker: str, seed: int, study: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Apply one site's machine to one image.

    Parameters
    ----------
    grey : float32 array of shape (height, width)
        From :func:`medclf_lite.phantom.projection.film`, in [0, 1].
    site : str
        A key of ``SCANNERS``.
    marker : str
        Letter to show, ``L``, ``R`` or ``P`` (portable), or empty.
    seed : int
    study : tuple of int
        Patient and follow-up, the address of the noise.

    Returns
    -------
    uint8 array of shape (height, width)
    """
    scanner = scanner_of(site)
    rng = generator(seed, NOISE, *study)
    place = rng.random(2)
    z = np.clip((grey - 0.5) * scanner.gain + 0.5, 0, 1) ** scanner.gamma
    noise = rng.standard_normal(z.shape, dtype=np.float32)
    z += noise * scanner.noise * (z + 0.5)
    sigma = scanner.blur * len(z)
    if sigma > 0.12:
        z = ndimage.gaussian_filter(z, sigma, truncate=3.0)
    edge = round(scanner.border * min(z.shape))
    if edge:
        z[:edge] = z[-edge:] = 0
        z[:, :edge] = z[:, -edge:] = 0
    if marker:
        _stamp(z, marker, scanner.corner, edge, place)
    shown: npt.NDArray[np.uint8] = np.clip(z * 255 + 0.5, 0, 255).astype(np.uint8)
    return shown


def _stamp(z: Array, letter: str, corner: str, edge: int, place: Array) -> None:
    """Lay a lead letter on the film: white, with a dark rim so that it shows on any ground."""
    shorter = min(z.shape)
    stamp, rim = _letter(letter, max(7, round(0.085 * shorter)))
    height, width = stamp.shape
    # The distance to the edge varies, but the whole letter stays inside the exposed field.
    free = max(1.0, 0.02 * shorter)
    down, right = (edge + 1 + int(p * free) for p in place)
    top = down if corner.startswith("top") else z.shape[0] - height - down
    start = right if corner.endswith("left") else z.shape[1] - width - right
    part = z[top : top + height, start : start + width]
    part *= 1 - 0.75 * rim
    np.maximum(part, 0.97 * stamp, out=part)


@lru_cache(maxsize=64)
def _letter(letter: str, height: int) -> tuple[Array, Array]:
    """Return a letter ``height`` pixels high, and its rim, with a free pixel or more around."""
    rows = [[float(c) for c in row] for row in _FONT[letter].split()]
    drawn = ndimage.zoom(np.array(rows, np.float32), height / 7, order=1, grid_mode=True,
                         mode="nearest")  # fmt: skip
    pad = max(1, round(height / 7))
    stamp = np.clip(np.pad(drawn, pad), 0, 1)
    rim = ndimage.grey_dilation(stamp, size=(2 * pad + 1, 2 * pad + 1))
    return stamp, rim
