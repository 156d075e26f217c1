"""Make any image a square of a given size."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from medclf_lite.errors import MedclfError

Fit = Literal["letterbox", "squash"]
Grey = npt.NDArray[np.uint8]


def to_square(image: Grey, size: int, fit: Fit = "letterbox") -> Grey:
    """Resize to a square, without aliasing.

    Each output pixel averages, with triangular weights, all input pixels that it covers
    (Pillow's bilinear filter); enlarging is plain bilinear interpolation.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, shape (height, width).
    size : int
        Side of the square in pixels.
    fit : {"letterbox", "squash"}, default "letterbox"
        ``letterbox`` keeps the aspect and pads with black, the image in the middle;
        ``squash`` stretches both sides to ``size``.

    Returns
    -------
    numpy.ndarray
        uint8, shape (size, size).

    Raises
    ------
    MedclfError
        If the image is not uint8 of two dimensions, or size or fit is not usable.

    Examples
    --------
    >>> to_square(np.full((2, 4), 200, np.uint8), 4)[:, 0]
    array([  0, 200, 200,   0], dtype=uint8)
    """
    check_transform(size, fit)
    if image.dtype != np.uint8 or image.ndim != 2 or not image.size:
        raise MedclfError(
            f"An image must be uint8 of shape (height, width); got {image.dtype} of shape "
            f"{image.shape}. Use read_grey to decode files."
        )
    if image.shape == (size, size):
        return image.copy()
    height, width = (size, size) if fit == "squash" else _inside(image.shape, size)
    resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    square = np.zeros((size, size), np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = np.asarray(resized)
    return square


def _inside(shape: tuple[int, ...], size: int) -> tuple[int, int]:
    height, width = shape
    scale = size / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def check_transform(size: int, fit: str) -> None:
    """Refuse a size or a fit that cannot be.

    Raises
    ------
    MedclfError
        If the size is not a whole number of at least 1, or the fit is not known.
    """
    check_whole("size", size)
    if fit not in get_args(Fit):
        raise MedclfError(f"fit must be one of {', '.join(get_args(Fit))}; got {fit!r}.")


def check_whole(name: str, value: object, most: int | None = None) -> None:
    """Refuse what is not a whole number from 1 to ``most``.

    Raises
    ------
    MedclfError
        If it is not; the message names the argument.
    """
    if not isinstance(value, int | np.integer) or value < 1 or (most and value > most):
        limits = f"from 1 to {most}" if most else "of at least 1"
        raise MedclfError(f"{name} must be a whole number {limits}; got {value!r}.")
