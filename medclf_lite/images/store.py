"""A file of pixels that is whole or not there: written aside, checked when opened."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Shape = tuple[int, int, int]
_CHUNK = 1 << 24  # bytes read at a time for the check sum
_SUM = 4  # bytes of the CRC-32 behind the pixels
_DAY = 86_400.0


def open_stored(path: Path, shape: Shape) -> Pixels | None:
    """Open a stored array, or return None where there is none or it is damaged.

    Parameters
    ----------
    path : pathlib.Path
        An .npy file with a CRC-32 of the pixels behind them.
    shape : tuple of int
        The shape expected.

    Returns
    -------
    numpy.ndarray or None
        uint8, memory-mapped, read-only.
    """
    try:
        pixels: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
        with path.open("rb") as file:
            whole = pixels.shape == shape and pixels.dtype == np.uint8 and _is_whole(file, pixels)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError):
        whole = False
    if whole:
        return pixels
    warnings.warn(f"The stored pixels {path} are damaged; decoding again.", stacklevel=3)
    return None


def _is_whole(file: BinaryIO, pixels: Pixels) -> bool:
    file.seek(0, os.SEEK_END)
    start = file.tell() - pixels.nbytes - _SUM
    file.seek(start)
    total, left = 0, pixels.nbytes
    while left and (chunk := file.read(min(_CHUNK, left))):
        total = zlib.crc32(chunk, total)
        left -= len(chunk)
    return not left and file.read() == total.to_bytes(_SUM, "big")


def write_stored(path: Path, squares: Iterable[Pixels], shape: Shape) -> Pixels:
    """Write images one after the other, then give the file its name in one step.

    Two processes that write the same file at once each use a temporary file of their own;
    the one that is later replaces equal bytes. A run that is stopped leaves no file of this
    name, and what a killed run leaves aside is removed after a day.

    Parameters
    ----------
    path : pathlib.Path
    squares : iterable of numpy.ndarray
        ``shape[0]`` arrays, uint8, of shape ``shape[1:]``.
    shape : tuple of int

    Returns
    -------
    numpy.ndarray
        The stored array, memory-mapped, read-only.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_old(path.parent)
    needed = int(np.prod(shape, dtype=np.int64))
    if (free := shutil.disk_usage(path.parent).free) < needed:
        raise OSError(f"it needs {needed / 1e6:,.0f} MB and the disk has {free / 1e6:,.0f} MB left")
    handle, name = tempfile.mkstemp(prefix="pixels-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        # Written through a file, not a memory map: a full disk then raises, and does not kill.
        with os.fdopen(handle, "wb") as file:
            _write(file, squares, shape)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    stored: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    return stored


def _write(file: BinaryIO, squares: Iterable[Pixels], shape: Shape) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    total = 0
    for square in squares:
        row = square.tobytes()
        total = zlib.crc32(row, total)
        file.write(row)
    file.write(total.to_bytes(_SUM, "big"))
    file.flush()
    os.fsync(file.fileno())


def _remove_old(folder: Path) -> None:
    for path in folder.glob("pixels-*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > _DAY:
                path.unlink()
        except OSError:  # another process was quicker, or may not be disturbed
            continue
