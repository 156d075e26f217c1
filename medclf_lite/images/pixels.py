"""All pixels of a cohort as one array, decoded once and kept in a file."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Generator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from medclf_lite.cohort import Arrays, Cohort, Files
from medclf_lite.errors import MedclfError
from medclf_lite.images.decode import read_bytes, read_grey
from medclf_lite.images.square import Fit, check_transform, to_square
from medclf_lite.images.store import open_stored, write_stored

Pixels = npt.NDArray[np.uint8]
AHEAD = 256  # images that are decoded before they are asked for
VERSION = 1  # raise it when decoding or resizing changes, so that old caches are not used


def load_pixels(
    cohort: Cohort,
    size: int,
    *,
    fit: Fit = "letterbox",
    bits: int | None = None,
    cache: str | Path | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Pixels:
    """Decode every image of a cohort and make it square.

    Load once and index: ``pixels[rows]`` is faster than loading ``cohort.take(rows)``, which
    would be cached as another file.

    Parameters
    ----------
    cohort : Cohort
    size : int
        Side of the square in pixels.
    fit : {"letterbox", "squash"}
        As for :func:`to_square`.
    bits : int, optional
        As for :func:`read_grey`.
    cache : str or pathlib.Path, optional
        Folder for the result. The file's name is a hash of the content of all images, in
        their order, and of size, fit and bits: a changed image is never served stale.
        Where the folder cannot be written, a warning says so and the pixels stay in memory.
    jobs : int, default 1
        Threads; decoding runs in C and lets the others go on.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    numpy.ndarray
        uint8, shape (n, size, size); memory-mapped and read-only if it comes from the cache.

    Raises
    ------
    MedclfError
        If the cohort has no images, one cannot be decoded, or a file has changed since the
        cohort was opened.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": ["a"], "patient_id": ["p"], "label": [0]})
    >>> cohort = Cohort(table, Arrays(np.zeros((1, 20, 30), np.uint8)), "example", "CC0")
    >>> load_pixels(cohort, 8).shape
    (1, 8, 8)
    """
    check_transform(size, fit)
    if cohort.images is None:
        raise MedclfError(
            f"The cohort '{cohort.source}' is a table without images. Give its source the folder "
            "of the images."
        )
    squares = _squares(cohort, int(size), fit, bits, jobs, progress)
    shape = (len(cohort), int(size), int(size))
    if cache is None:
        return _in_memory(squares, shape)
    path = Path(cache) / f"pixels-{content_key(cohort, int(size), fit, bits)}.npy"
    if (stored := open_stored(path, shape)) is not None:
        return stored
    try:
        return write_stored(path, squares, shape)
    except OSError as problem:
        warnings.warn(
            f"The pixels cannot be kept in {path} ({problem}), so they stay in memory and the "
            "next run decodes again. Free some space, or choose another cache folder.",
            stacklevel=2,
        )
    return _in_memory(_squares(cohort, int(size), fit, bits, jobs, progress), shape)


def iter_pixels(
    cohort: Cohort, size: int, *, fit: Fit = "letterbox", jobs: int = 1, progress: bool = False
) -> Generator[Pixels]:
    """Decode the images of a cohort one after the other; none of them is kept.

    Parameters and errors are those of :func:`load_pixels`; each image is uint8 (size, size).
    """
    check_transform(size, fit)
    if cohort.images is None:
        raise MedclfError(f"The cohort '{cohort.source}' is a table without images.")
    yield from _squares(cohort, int(size), fit, None, jobs, progress)


def content_key(cohort: Cohort, size: int, fit: Fit, bits: int | None = None) -> str:
    """Hash what determines the pixels: images, their order, transform; 16 hex digits."""
    digest = hashlib.sha256(f"{VERSION} {size} {fit} {bits}".encode())
    for content in content_hashes(cohort):
        digest.update(str(content).encode())
    return digest.hexdigest()[:16]


def content_hashes(cohort: Cohort) -> list[str | None]:
    """Give the SHA-256 of each image: of its file, or of its shape and grey values.

    Hashes of files are taken from the column ``sha256`` where it has them. For a table
    without images they are all there is, and None where there is none.
    """
    images, known = cohort.images, _known_hashes(cohort)
    if isinstance(images, Arrays):
        return [*images.hashes()]
    if images is None:
        return known
    return [
        sha256 or hashlib.sha256(read_bytes(images.root / path)).hexdigest()
        for sha256, path in zip(known, images.paths, strict=True)
    ]


def _known_hashes(cohort: Cohort) -> list[str | None]:
    column = cohort.table["sha256"] if "sha256" in cohort.table else [None] * len(cohort)
    return [h if isinstance(h, str) else None for h in column]


def _in_memory(squares: Generator[Pixels], shape: tuple[int, int, int]) -> Pixels:
    pixels = np.empty(shape, np.uint8)
    for row, square in enumerate(squares):
        pixels[row] = square
    return pixels


def _squares(
    cohort: Cohort, size: int, fit: Fit, bits: int | None, jobs: int, progress: bool
) -> Generator[Pixels]:
    """Yield the square of each row, in order; decoding starts with the first one asked for."""
    images = cohort.images
    if isinstance(images, Arrays):
        work = (delayed(to_square)(image, size, fit) for image in images.pixels)
    elif isinstance(images, Files):
        work = (
            delayed(_square_of_file)(images.root / path, content, size, fit, bits)
            for path, content in zip(images.paths, _known_hashes(cohort), strict=True)
        )
    shown = tqdm(total=len(cohort), desc="images", unit="image", disable=not progress)
    with Parallel(n_jobs=jobs, prefer="threads", return_as="generator") as run, shown:
        # Part by part: threads that decode faster than the images are used would pile them up.
        while part := list(islice(work, AHEAD)):
            for square in run(part):
                shown.update()
                yield square


def _square_of_file(
    path: Path, content: str | None, size: int, fit: Fit, bits: int | None
) -> Pixels:
    data = read_bytes(path)
    if content is not None and hashlib.sha256(data).hexdigest() != content:
        raise MedclfError(f"{path} has changed since the cohort was opened. Open it again.")
    try:
        # Twice the size asked for: the last step of a reduction should be a good filter.
        return to_square(read_grey(data, at_least=2 * size, bits=bits), size, fit)
    except MedclfError as problem:
        message = str(problem).replace("the given bytes", str(path), 1)
        raise MedclfError(message) from problem
