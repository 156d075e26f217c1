"""MedMNIST's layout: one .npz file with images and labels, and no patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.errors import MedclfError

SPLITS = ("train", "val", "test")
_CHOOSE = (
    "This file holds no patient IDs. Give patients= one ID an image (train, then val, then "
    "test), or patients='unknown', which counts each image as its own patient: intervals come "
    "out too narrow then, and no split can be checked for leakage."
)
Patients = Sequence[object] | npt.NDArray[np.generic] | str | None


def from_npz(
    path: str | Path,
    *,
    patients: Patients = None,
    classes: tuple[str, str] = ("NORMAL", "PNEUMONIA"),
    source: str | None = None,
    licence: str = "licence not stated",
) -> Cohort:
    """Open a file in the layout of MedMNIST, such as PneumoniaMNIST.

    Parameters
    ----------
    path : str or pathlib.Path
        An .npz file with ``train_images`` (uint8, shape (n, h, w)), ``train_labels`` (0 or 1,
        shape (n,) or (n, 1)) and the same for ``val`` and ``test``, or some of the three.
    patients : sequence or "unknown"
        Patient of each image, in the order train, val, test. The file does not hold any, so
        the caller must choose; ``"unknown"`` makes each image its own patient, and the
        source's description says so.
    classes : tuple of str
        Names of labels 0 and 1.
    source, licence : str
        For the dataset card; the source is the file's name if not given.

    Returns
    -------
    Cohort
        With ``split`` and ``sha256``, the hash of each image's shape and grey values.

    Raises
    ------
    MedclfError
        If the file cannot be read or has another layout, or ``patients`` is not given.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "small.npz"
    >>> np.savez(path, train_images=np.zeros((2, 4, 4), np.uint8), train_labels=[[0], [1]])
    >>> from_npz(path, patients=["p", "q"]).table["image_id"].tolist()
    ['train/00000', 'train/00001']
    """
    path = Path(path)
    parts = _read(path)
    _check_one_size(path, {split: found.shape for split, (found, _) in parts.items()})
    images = Arrays(np.concatenate([found for found, _ in parts.values()]))
    table = pd.DataFrame({
        "image_id": [f"{s}/{i:05d}" for s, (found, _) in parts.items() for i in range(len(found))],
        "label": np.concatenate([labels for _, labels in parts.values()]),
        "split": [s for s, (found, _) in parts.items() for _ in range(len(found))],
        "sha256": images.hashes(),
        "width": images.pixels.shape[2],
        "height": images.pixels.shape[1],
    })  # fmt: skip
    table.insert(1, "patient_id", _patients(patients, table["image_id"]))
    source = source or f"file {path.name}"
    if isinstance(patients, str):
        source += ", patients unknown: each image counts as its own patient"
    return Cohort(table, images, source, licence, classes)


def _read(path: Path) -> dict[str, tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    try:
        # Without pickle a file cannot run code. A lone .npy gives an array, not a mapping.
        with np.load(path, allow_pickle=False) as file:
            stored = {key: file[key] for key in file.files}
    except FileNotFoundError as problem:
        raise MedclfError(f"There is no file {path}; check the path.") from problem
    except Exception as problem:  # a damaged archive makes zipfile and zlib raise almost anything
        raise MedclfError(
            f"{path} cannot be read as .npz: {type(problem).__name__}: {problem}. Download or "
            "save it again."
        ) from problem
    found = [s for s in SPLITS if f"{s}_images" in stored or f"{s}_labels" in stored]
    if not found:
        raise MedclfError(
            f"{path} has none of train_images, val_images, test_images; it has "
            f"{', '.join(stored) or 'nothing'}. Expected the layout of MedMNIST."
        )
    return {split: _part(path, stored, split) for split in found}


def _part(
    path: Path, stored: Mapping[str, npt.NDArray[np.generic]], split: str
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    for key in (f"{split}_images", f"{split}_labels"):
        if key not in stored:
            raise MedclfError(f"{path} lacks {key}, which belongs to the other arrays of {split}.")
    images, labels = stored[f"{split}_images"], stored[f"{split}_labels"]
    if images.dtype != np.uint8 or images.ndim != 3 or 0 in images.shape[1:]:
        raise MedclfError(
            f"{split}_images in {path} must be grey: uint8 of shape (n, height, width); got "
            f"{images.dtype} of shape {images.shape}."
        )
    if labels.size != len(images) or not np.isin(labels, (0, 1)).all():
        raise MedclfError(
            f"{split}_labels in {path} must be one 0 or 1 for each of {len(images)} images; got "
            f"shape {labels.shape} with values {np.unique(labels)[:5].tolist()}."
        )
    return images.astype(np.uint8, copy=False), labels.reshape(-1).astype(np.int64)


def _check_one_size(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if len({shape[1:] for shape in shapes.values()}) > 1:
        sizes = ", ".join(f"{split} {h} x {w}" for split, (_, h, w) in shapes.items())
        raise MedclfError(f"All images in {path} must have one height and width; got {sizes}.")


def _patients(patients: Patients, image_ids: pd.Series[str]) -> list[str]:
    if patients is None or (isinstance(patients, str) and patients != "unknown"):
        got = "" if patients is None else f" Got patients={patients!r}."
        raise MedclfError(_CHOOSE + got)
    if isinstance(patients, str):
        return image_ids.tolist()
    if len(patients) != len(image_ids):
        raise MedclfError(f"Got {len(patients)} patient IDs for {len(image_ids)} images.")
    if pd.isna(pd.Series(list(patients))).any():
        raise MedclfError("Some of the patient IDs are missing; give every image one.")
    return [str(patient) for patient in patients]
