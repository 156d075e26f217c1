"""One item of anybody's data set: which part of it is the image, which the label, whose it is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from medclf_lite.patients import COLUMNS

IMAGE_KEYS = ("image", "img", "images", "x", "pixel_values", "pixels", "input", "inputs", "data",
              "scan")  # fmt: skip
LABEL_KEYS = ("label", "labels", "y", "target", "targets", "class", "diagnosis", "finding")
NAME_KEYS = ("image_id", "path", "image_path", "filename", "file", "name", "filepath", "img_path",
             "fname", "id", "uid")  # fmt: skip
_FILE = re.compile(r"[/\\]|\.(jpe?g|png|tiff?|dcm|npy|bmp|nii)\b", re.IGNORECASE)
Array = npt.NDArray[Any]
Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """What one item holds: the image as an array, the label, and who and what it is of."""

    image: Array | None
    label: Any = None
    name: str | None = None
    patient: str | None = None
    kind: str = ""  # of the image, as a reader would name it: "float32 (1, 64, 64)"


def read_item(item: object) -> Item:
    """Find image, label, name and patient in an item of any usual shape.

    A mapping is read by its keys; of a sequence, the first array is the image and the first
    number after it the label, texts are file names or patients; anything else is an image.
    """
    if isinstance(item, Mapping):
        return _of_mapping(item)
    if isinstance(item, Sequence) and not isinstance(item, str):
        return _of_sequence(item)
    image = as_array(item)
    return Item(image, kind=_kind(item, image))


def _of_mapping(item: Mapping[Any, Any]) -> Item:
    by_key = {str(k).lower(): v for k, v in item.items()}

    def first(keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever the data set holds
        return next((by_key[k] for k in keys if k in by_key), None)

    given = first(IMAGE_KEYS)
    if given is None:
        given = next((v for v in item.values() if as_array(v) is not None), None)
    name, patient = first(NAME_KEYS), first(COLUMNS)
    image = as_array(given)
    return Item(image, first(LABEL_KEYS), _text(name), _text(patient), _kind(given, image))


def _of_sequence(item: Sequence[Any]) -> Item:
    arrays = [(i, a) for i, part in enumerate(item) if (a := as_array(part)) is not None]
    at, image = arrays[0] if arrays else (-1, None)
    rest = [part for i, part in enumerate(item) if i != at]
    texts = [part for part in rest if isinstance(part, str)]
    others = [part for part in rest if not isinstance(part, str)]
    name = next((t for t in texts if _FILE.search(t)), None)
    patient = next((t for t in texts if t != name), None)
    if not others and patient is not None and name is None:
        return Item(image, patient, kind=_kind(item[at], image))  # the label is a word
    label = others[0] if others else None
    return Item(image, label, name, patient, _kind(item[at] if arrays else None, image))


def _text(value: object) -> str | None:
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim == 0:
        value = value.item()
    return None if value is None else str(value)


def as_array(value: object) -> Array | None:
    """Return an image as an array, None if it is no image: fewer than two dimensions."""
    if isinstance(value, torch.Tensor):
        if value.ndim < 2 or value.is_sparse:
            return None
        value = value.detach().cpu()
        return np.asarray(value.float() if value.dtype == torch.bfloat16 else value)
    if isinstance(value, np.ndarray):
        return value if value.ndim >= 2 and value.dtype.kind in "biuf" else None
    return np.asarray(value) if isinstance(value, Image.Image) else None


def _kind(given: object, image: Array | None) -> str:
    if image is None:
        return type(given).__name__
    if isinstance(given, Image.Image):
        return f"PIL image of mode {given.mode}"
    return f"{type(given).__name__} of {image.dtype}, {image.ndim} dimensions"


def label_of(value: object) -> float | tuple[float, ...] | str | None:
    """Return a label as a number, several numbers (findings), a word, or None."""
    if isinstance(value, torch.Tensor | np.ndarray):
        flat = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
        if flat.dtype.kind not in "biuf":
            return str(flat.tolist())
        numbers = flat.astype(float).ravel()
        return float(numbers[0]) if numbers.size == 1 else tuple(numbers.tolist())
    if isinstance(value, list | tuple) and all(isinstance(v, int | float) for v in value):
        return tuple(map(float, value)) if len(value) != 1 else float(value[0])
    if isinstance(value, bool | int | float | np.number):
        return float(value)
    return None if value is None else str(value)


def grey(image: Array) -> Grey:
    """Reduce an image to one channel: float32, shape (height, width).

    Channels are averaged, wherever they stand; of a volume the middle slice is taken.
    """
    values = np.asarray(image, dtype=np.float32)
    while values.ndim > 3:
        values = values[len(values) // 2]
    if values.ndim == 3:
        if values.shape[0] <= 4:
            values = values.mean(axis=0)
        elif values.shape[-1] <= 4:
            values = values.mean(axis=-1)
        else:
            values = values[len(values) // 2]
    return values


def as_bytes(image: Array) -> npt.NDArray[np.uint8]:
    """Scale an image to 8 bits between its own darkest and brightest pixel."""
    values = np.nan_to_num(grey(image))
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) * 255 if high > low else np.zeros_like(values)
    return np.ascontiguousarray(scaled.round().astype(np.uint8))


def digest(image: Array) -> str:
    """Hash an image: its shape, type and values."""
    data = np.ascontiguousarray(image)
    return hashlib.sha256(f"{data.shape}{data.dtype}".encode() + data.tobytes()).hexdigest()
