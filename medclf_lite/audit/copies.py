"""Copies among images: the same bytes, the same pixels, nearly the same picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medclf_lite.cohort import Cohort
from medclf_lite.images.pixels import content_hashes

Groups = list[tuple[int, ...]]
Pixels = npt.NDArray[np.uint8]

BITS = 256  # 64 bits give false alarms on chest X-rays, which all look alike
# On 5,856 chest X-rays no two different images come closer than 36 bits, and those within 70
# bits correlate by .872 at most in their detail. Of 80 of them saved again as JPEG, at another
# size, brightness or contrast, or with a border of 1 % cut off, all stayed within 24 bits and
# above .89.
DISTANCE, DETAIL = 24, 0.88


def exact_groups(cohort: Cohort) -> Groups:
    """Find images that are the same, byte for byte.

    Parameters
    ----------
    cohort : Cohort
        Files are hashed where its column ``sha256`` does not tell; a table without images
        has that column only.

    Returns
    -------
    list of tuple of int
        Rows of each group of two or more, in order.
    """
    return _groups((i, h) for i, h in enumerate(content_hashes(cohort)) if h is not None)


def same_pixels(digests: Sequence[bytes]) -> Groups:
    """Find images whose every pixel is the same, whatever the file.

    Examples
    --------
    >>> same_pixels([b"a", b"b", b"a"])
    [(0, 2)]
    """
    return _groups(enumerate(digests))


def near_copies(pixels: Pixels) -> Groups:
    """Find images (n, height, width) that show nearly the same picture: :func:`near_groups`."""
    return near_groups(perceptual_hashes(pixels), lambda row: pixels[row])


def near_groups(hashes: npt.NDArray[np.uint64], image: Callable[[int], Pixels]) -> Groups:
    """Find images that show the same picture after a small change.

    A perceptual hash of 256 bits (ImageHash ``phash``: the signs of the lowest 16 x 16 cosine
    terms) proposes pairs, and the correlation of their fine detail confirms them. Survives
    JPEG, resizing, brightness, contrast, a border of 1 % cut off; not rotation, a mirror or a
    shift, even of 1 %.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n, 4)
        From :func:`perceptual_hash`.
    image : callable
        Gives the pixels of a row; asked for the rows of pairs that were proposed only.

    Returns
    -------
    list of tuple of int
        Rows of each group; copies that are exact are in it too.
    """
    unique, first_row, same = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    # One row stands for all that share its hash, so that a thousand copies stay a thousand pairs.
    close = first_row[close_pairs(unique, DISTANCE)]
    equal = np.column_stack([first_row[same], np.arange(len(hashes))])
    pairs = np.concatenate([close, equal[equal[:, 0] != equal[:, 1]]])
    rows, place = np.unique(pairs, return_inverse=True)
    detail = np.array([detail_of(image(int(row))) for row in rows], dtype=np.float32)
    first, second = place.reshape(-1, 2).T
    alike = [bool(detail[i] @ detail[j] >= DETAIL) for i, j in zip(first, second, strict=True)]
    return _connected(pairs[np.array(alike, dtype=bool)], len(hashes))


def perceptual_hash(picture: Image.Image) -> Pixels:
    """Hash an image by ImageHash's ``phash`` of 256 bits: uint8, shape (32,)."""
    return np.packbits(imagehash.phash(picture, hash_size=int(BITS**0.5)).hash.ravel())


def perceptual_hashes(pixels: Pixels) -> npt.NDArray[np.uint64]:
    """Hash images (n, height, width) by :func:`perceptual_hash`; shape (n, 4)."""
    return np.stack([perceptual_hash(Image.fromarray(p)) for p in pixels]).view(np.uint64)


def close_pairs(hashes: npt.NDArray[np.uint64], distance: int) -> npt.NDArray[np.intp]:
    """Find all pairs of hashes that differ in at most ``distance`` bits.

    Cut into ``distance + 1`` bands, two such hashes agree in at least one of them (pigeonhole
    principle; Manku, Jain and Das Sarma 2007, doi:10.1145/1242572.1242592), so only hashes
    that share a band are compared. Nothing is missed.

    Parameters
    ----------
    hashes : ndarray of uint64, shape (n, words)
    distance : int

    Returns
    -------
    ndarray of int, shape (pairs, 2)
        Sorted, the smaller row first.
    """
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    # Low frequencies are alike in most images; dealt out in turn, no band is made of them.
    found = [np.empty((0, 2), dtype=np.intp)]
    for band in range(distance + 1):
        keys = np.packbits(bits[:, band :: distance + 1], axis=1)
        found.append(_close_within_band(keys, hashes, distance))
    return np.unique(np.concatenate(found), axis=0)


def _close_within_band(
    keys: npt.NDArray[np.uint8], hashes: npt.NDArray[np.uint64], distance: int
) -> npt.NDArray[np.intp]:
    """Compare each hash with those after it in the run of equal keys."""
    _, key = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(key, kind="stable")
    key = key[order]
    found, step = [np.empty((0, 2), dtype=np.intp)], 1
    alive = np.flatnonzero(key[1:] == key[:-1])
    while len(alive):
        i, j = order[alive], order[alive + step]
        close = np.bitwise_count(hashes[i] ^ hashes[j]).sum(axis=1) <= distance
        found.append(np.sort(np.column_stack([i, j])[close], axis=1))
        step += 1
        alive = alive[alive + step < len(key)]
        alive = alive[key[alive] == key[alive + step]]
    return np.concatenate(found)


def detail_of(image: Pixels) -> npt.NDArray[np.float64]:
    """Reduce to 56 x 56, take away what is blurred, and scale to length one."""
    small = np.asarray(
        Image.fromarray(image).resize((56, 56), Image.Resampling.BOX), dtype=np.float64
    )
    fine = (small - gaussian_filter(small, 3)).ravel()
    fine -= fine.mean()
    length = float(np.linalg.norm(fine))
    # A flat image has no detail: it is like nothing, and its equals are exact copies.
    return fine / length if length > 1e-6 else np.zeros_like(fine)


def _groups(keyed: Iterable[tuple[int, Hashable]]) -> Groups:
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in keyed:
        rows[key].append(row)
    return [tuple(group) for group in rows.values() if len(group) > 1]


def _connected(pairs: npt.NDArray[np.intp], n: int) -> Groups:
    ones = np.ones(len(pairs), dtype=np.int8)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    part = connected_components(graph, directed=False)[1]
    touched = np.unique(pairs)
    return _groups((int(row), int(part[row])) for row in touched)
