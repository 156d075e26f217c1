"""Grades of heat maps: do they lie on what is to be found, and how alike are two of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.stats import rankdata

from medclf_lite.errors import MedclfError

Maps = npt.NDArray[np.floating]
Masks = npt.NDArray[np.bool_]
Vector = npt.NDArray[np.float64]


def pointing_game(maps: Maps, masks: Masks, *, dilate: int = 0) -> Vector:
    """Ask of each map whether its highest point lies on the mask.

    The pointing game of Zhang et al. (2018, doi:10.1007/s11263-017-1059-x). Several equally
    high points share the hit, so a map that is the same everywhere gets the share of the image
    that the mask covers: ``pointing_game(np.ones(masks.shape), masks)`` is the chance level.

    Parameters
    ----------
    maps : ndarray of float, shape (n, h, w)
        Not negative; or (h, w) for one map that is put to every mask.
    masks : ndarray of bool, shape (n, h, w)
        What is to be found in each image.
    dilate : int, default 0
        Pixels by which each mask is made larger on all sides: a miss by less counts as a hit.

    Returns
    -------
    ndarray of float64, shape (n,)
        1 a hit, 0 a miss.

    Raises
    ------
    MedclfError
        If shapes differ, a map has negative values or NaN, or a mask is empty.

    Examples
    --------
    >>> mask = np.eye(4, dtype=bool)[None]
    >>> corner = np.pad([[1.0]], (0, 3))
    >>> pointing_game(corner, mask), pointing_game(np.ones((4, 4)), mask)
    (array([1.]), array([0.25]))
    """
    given, wide = _check_maps(maps, masks, dilate)
    highest = given == given.max((1, 2), keepdims=True)
    return _share(highest.astype(np.float64), wide)


def energy_in_mask(maps: Maps, masks: Masks, *, dilate: int = 0) -> Vector:
    """Compute the share of each map's sum that lies on the mask.

    The energy-based pointing game of Wang et al. (2020, doi:10.1109/CVPRW50498.2020.00020). It
    looks at the whole map and not at its highest point alone. A map without any value says
    nothing, and counts as one that is the same everywhere.

    Parameters
    ----------
    maps, masks, dilate
        As for :func:`pointing_game`, which the chance level follows too.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [0, 1].

    Raises
    ------
    MedclfError
        As :func:`pointing_game`.

    Examples
    --------
    >>> energy_in_mask(np.ones((2, 2)), np.array([[[True, False], [False, False]]]))
    array([0.25])
    """
    given, wide = _check_maps(maps, masks, dilate)
    silent = given.max((1, 2)) == 0
    return _share(given + silent[:, None, None], wide)


def _share(values: Maps, masks: Masks) -> Vector:
    inside: Vector = (values * masks).sum((1, 2)) / values.sum((1, 2))
    return inside


def _check_maps(maps: Maps, masks: Masks, dilate: int) -> tuple[Vector, Masks]:
    given = np.asarray(maps, dtype=np.float64)
    wanted = np.asarray(masks)
    if given.ndim == 2:
        given = np.broadcast_to(given, (len(wanted), *given.shape))
    if wanted.dtype != bool or wanted.ndim != 3 or given.shape != wanted.shape:
        raise MedclfError(
            "Expected masks of bool and maps of float, both of shape (n, h, w); got "
            f"{wanted.dtype} {wanted.shape} and {given.dtype} {given.shape}."
        )
    if not np.isfinite(given).all() or (given < 0).any():
        raise MedclfError("Maps must be finite and not negative; take what speaks for the finding.")
    if (empty := ~wanted.any((1, 2))).any():
        raise MedclfError(
            f"{int(empty.sum())} of {len(wanted)} masks are empty, the first is mask "
            f"{int(empty.argmax())}: an image without the finding cannot be hit. Take the "
            "images that have a mask."
        )
    if dilate < 0:
        raise MedclfError(f"dilate is {dilate}; expected a number of pixels from 0 on.")
    if dilate:
        near = [ndimage.distance_transform_edt(~mask) <= dilate for mask in wanted]
        wanted = np.stack(near)
    return given, wanted


def similarity(first: Maps, second: Maps) -> Vector:
    """Compute the rank correlation (Spearman) of each map with its partner.

    Parameters
    ----------
    first, second : ndarray of float, shape (n, h, w)

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]; NaN where one of the two is the same everywhere and so has no ranks.

    Raises
    ------
    MedclfError
        If shapes differ.

    Examples
    --------
    >>> ramp = np.arange(4.0).reshape(1, 2, 2)
    >>> similarity(ramp, -(ramp**3)).round(6)
    array([-1.])
    """
    if first.ndim != 3 or first.shape != second.shape:
        raise MedclfError(
            f"Expected maps of one shape (n, h, w); got {first.shape} and {second.shape}."
        )
    ranks = [rankdata(m.reshape(len(m), -1), axis=1) for m in (first, second)]
    a, b = (r - r.mean(1, keepdims=True) for r in ranks)
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    found: Vector = np.divide((a * b).sum(1), scale, out=np.full(len(a), np.nan), where=scale > 0)
    return found
