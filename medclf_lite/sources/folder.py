"""Folders of images, `split/class` or `class`, with every file accounted for."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd

from medclf_lite.cohort import Cohort, Files
from medclf_lite.errors import MedclfError
from medclf_lite.patients import join_metadata, patient_ids, subtypes
from medclf_lite.sources.headers import left_out_table, read_headers
from medclf_lite.sources.scan import Layout, find_layout, walk


def from_folder(
    root: str | Path,
    *,
    patients: str | Path | pd.DataFrame = "kaggle",
    classes: tuple[str, ...] = ("NORMAL", "PNEUMONIA"),
    source: str | None = None,
    licence: str = "licence not stated",
    jobs: int = 1,
    progress: bool = False,
) -> Cohort:
    """Open a folder of images; every file in it is in the cohort or in its ``left_out``.

    Each file is read once, for its hash, size and header; its pixels are not decoded, so a
    file that is cut in half is found by the audit, not here.

    Parameters
    ----------
    root : str or pathlib.Path
        A folder with the folders ``split/class`` or ``class``, or one that holds such a
        folder called ``chest_xray``. Splits are called train, val and test (or training,
        valid, validation, testing); where none is, every folder with class folders is one.
    patients : str, pathlib.Path or pandas.DataFrame
        A rule for :func:`medclf_lite.patients.patient_ids`, or a table or CSV file for
        :func:`medclf_lite.patients.join_metadata`.
    classes : tuple of str
        Names of the class folders of labels 0 and 1, spelt exactly (in either Unicode form).
        More than two become one column a class, as for findings;
        :func:`medclf_lite.sources.class_folders` lists what a folder has.
    source, licence : str
        For the dataset card; the source is the folder's name if not given.
    jobs : int, default 1
        Threads that read files.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    Cohort
        With ``label``, ``split`` and ``subtype`` (where folders or names tell) and the columns
        of :class:`medclf_lite.sources.headers.Header`. ``image_id`` is the path below the
        folder that holds the splits or classes; so are the paths in ``left_out``.

    Raises
    ------
    MedclfError
        If a folder is missing, empty or misspelt, or a file's patient is not known.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> place = Path(tempfile.mkdtemp())
    >>> for name in ("NORMAL/IM-0001-0001.jpeg", "PNEUMONIA/person1_virus_6.jpeg"):
    ...     (place / name).parent.mkdir()
    ...     Image.new("L", (8, 6)).save(place / name)
    >>> from_folder(place).table[["patient_id", "label", "width", "subtype"]]
          patient_id  label  width subtype
    0        IM-0001      0      8  normal
    1  person1_virus      1      8   virus
    """
    classes = _several(classes)
    layout = find_layout(Path(root), classes)
    inside, outside = _sort_out(layout, classes)
    table, unread = read_headers(layout.root, inside, jobs=jobs, progress=progress)
    left_out = left_out_table([*outside, *unread.itertuples(index=False, name=None)])
    _check_each_class(layout, table, left_out)
    homes = [_home(layout, image_id) for image_id in table["image_id"]]
    labels = np.array([classes.index(name) for _, name in homes], dtype=np.int64)
    findings = classes if len(classes) > 2 else ()
    for i, column in enumerate(findings or ("label",)):
        table.insert(1 + i, column, (labels == i).astype(np.int64) if findings else labels)
    if homes[0][0] is not None:
        table.insert(2 + max(0, len(findings) - 1), "split", [split for split, _ in homes])
    return Cohort(
        table=_with_patients(table, patients, left_out),
        images=Files(layout.root, tuple(table["image_id"])),
        source=source or f"folder {_printable(layout.root.resolve().name)}",
        licence=licence,
        classes=("absent", "present") if findings else (classes[0], classes[1]),
        findings=findings,
        left_out=left_out,
    )


def _several(classes: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(unicodedata.normalize("NFC", name) for name in classes)
    if len(names) < 2 or len(set(names)) < len(names):
        raise MedclfError(
            "classes needs two different names, without and with the disease, or more; got "
            f"{classes}."
        )
    return names


def _printable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _sort_out(layout: Layout, classes: tuple[str, ...]) -> tuple[list[str], list[tuple[str, str]]]:
    """Part all files into those in a class folder, and the others with the reason."""
    inside: list[str] = []
    outside = [(name, "beside the folder that was read, not looked into") for name in layout.beside]
    where = "split and class folders" if _has_splits(layout) else "class folders"
    for name, reason in walk(layout.root):
        if reason:
            outside.append((name, reason))
        elif _in_class_folder(layout, name):
            inside.append(name)
        else:
            outside.append((name, f"outside the {where} of {' and '.join(classes)}"))
    return inside, outside


def _has_splits(layout: Layout) -> bool:
    return any(split is not None for split, _ in layout.folders.values())


def _class_folder(layout: Layout, name: str) -> str:
    depth = 2 if _has_splits(layout) else 1
    return "/".join(name.split("/")[:depth])


def _in_class_folder(layout: Layout, name: str) -> bool:
    folder = _class_folder(layout, name)
    return folder in layout.folders and folder != name


def _home(layout: Layout, name: str) -> tuple[str | None, str]:
    return layout.folders[_class_folder(layout, name)]


def _check_each_class(layout: Layout, table: pd.DataFrame, left_out: pd.DataFrame) -> None:
    filled = {_class_folder(layout, name) for name in table["image_id"]}
    for folder in layout.folders:
        if folder in filled:
            continue
        here = left_out[left_out["path"].str.startswith(f"{folder}/")]
        what = "is empty"
        if len(here):
            first = here.iloc[0]
            what = (
                f"holds no readable image; {len(here)} files were left out, the first is "
                f"{first['path']!r}: {first['reason']}"
            )
        raise MedclfError(
            f"The class folder {layout.root / folder} {what}. Every class folder needs images; "
            "look for them, or move the split folder away."
        )


def _with_patients(
    table: pd.DataFrame, patients: str | Path | pd.DataFrame, left_out: pd.DataFrame
) -> pd.DataFrame:
    names = table["image_id"].tolist()
    is_csv = isinstance(patients, str) and patients.lower().endswith((".csv", ".csv.gz"))
    if isinstance(patients, str) and not is_csv:
        table.insert(1, "patient_id", patient_ids(names, patients))
        known = subtypes(names)
        return table if known is None else table.assign(subtype=known)
    metadata = join_metadata(names, patients, left_out=left_out["path"].tolist())
    if taken := sorted(set(metadata.columns) & set(table.columns)):
        raise MedclfError(
            f"The metadata table has the column(s) {', '.join(taken)}, which the files and "
            "folders themselves tell. Drop or rename them, so that there is one answer."
        )
    return pd.concat([table, metadata], axis=1)
