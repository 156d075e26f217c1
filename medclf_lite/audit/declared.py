"""What a data set keeps about all its items: their file names and labels, without fetching one."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.data import ConcatDataset, Subset

NAMES = ("image_paths", "img_paths", "paths", "files", "filenames", "file_paths", "image_files",
         "image_ids", "names", "ids")  # fmt: skip
LABELS = ("targets", "labels", "y", "label")
PAIRS = ("samples", "imgs", "items", "records", "data", "rows")
FRAMES = ("df", "frame", "table", "data", "dataframe", "metadata")
FRAME_NAMES = ("image_id", "path", "image_path", "file", "filename", "filepath", "image", "name")
FRAME_LABELS = ("label", "target", "y", "class", "diagnosis")


def declared_names(source: object) -> list[str] | None:
    """Return the file names that a data set keeps, one an item; None if it keeps none.

    Looks through ``Subset`` and ``ConcatDataset`` at the usual attributes: ``samples``,
    ``imgs``, lists of paths, a pandas table.
    """
    return _through(source, _names_of)


def declared_labels(source: object) -> list[Any] | None:
    """Return the labels that a data set keeps, one an item; None if it keeps none."""
    return _through(source, _labels_of)


def _through(source: Any, read: Callable[[Any], list[Any] | None]) -> list[Any] | None:  # noqa: ANN401
    if isinstance(source, Subset):
        inner = _through(source.dataset, read)
        inside = inner is not None and all(0 <= i < len(inner) for i in source.indices)
        return [inner[i] for i in source.indices] if inner is not None and inside else None
    if isinstance(source, ConcatDataset):
        parts = [_through(part, read) for part in source.datasets]
        known = [part for part in parts if part is not None]
        return [x for part in known for x in part] if len(known) == len(parts) else None
    return read(source)


def _names_of(source: object) -> list[str] | None:
    first_of_pairs = [pair[0] for pair in _pairs(source)]
    columns = [_column(getattr(source, name, None)) for name in NAMES]
    for found in (first_of_pairs, *columns, _of_frame(source, FRAME_NAMES)):
        if found and isinstance(found[0], str | PathLike):
            return [str(name) for name in found]
    return None


def _labels_of(source: object) -> list[Any] | None:
    tensors = getattr(source, "tensors", None)  # TensorDataset
    if isinstance(tensors, tuple):
        return list(tensors[1]) if len(tensors) > 1 else None
    pairs = [pair[1] for pair in _pairs(source) if len(pair) > 1]
    columns = [_column(getattr(source, name, None)) for name in LABELS]
    return next((f for f in (*columns, pairs, _of_frame(source, FRAME_LABELS)) if f), None)


def _pairs(source: object) -> list[Any]:
    for name in PAIRS:
        found = getattr(source, name, None)
        if isinstance(found, list) and found and isinstance(found[0], tuple | list):
            return found
    return []


def _of_frame(source: object, columns: tuple[str, ...]) -> list[Any]:
    for name in FRAMES:
        found = getattr(source, name, None)
        if isinstance(found, pd.DataFrame):
            return next((found[c].tolist() for c in columns if c in found), [])
    return []


def _column(value: object) -> list[Any]:
    """Return a column as a list; empty if it is none."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return list(value) if value.ndim in (1, 2) else []
    if isinstance(value, pd.Series):
        return value.tolist()
    return list(value) if isinstance(value, list | tuple) else []
