"""A table of image files: one row an image, with its label and whatever else is known."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from medclf_lite.cohort import Cohort, Files
from medclf_lite.errors import MedclfError
from medclf_lite.patients import COLUMNS, patient_ids
from medclf_lite.sources.headers import left_out_table, read_headers
from medclf_lite.sources.labels import Labelled, label_columns

PATHS = ("path", "image_path", "file", "filename", "filepath", "image", "image_id", "img")
LABELS = ("label", "labels", "class", "target", "diagnosis", "finding", "findings", "y")
SPLITS = ("split", "set", "side", "partition", "subset")
SEPARATORS = ("|", ";")


def from_manifest(
    csv: str | Path,
    *,
    root: str | Path | None = None,
    patients: str | None = None,
    source: str | None = None,
    licence: str = "licence not stated",
    jobs: int = 1,
    progress: bool = False,
) -> Cohort:
    r"""Open a CSV table with one row an image.

    Parameters
    ----------
    csv : str or pathlib.Path
        With a column of paths (``path``, ``file``, ``image``, ...) and one of labels
        (``label``, ``class``, ``target``, ...): two values; more, which become one column a
        class; or several findings in one text, with ``|`` or ``;`` between. Perhaps
        ``patient_id``, ``split``, and any columns of a cohort.
    root : str or pathlib.Path, optional
        Folder that the paths start from; the table's own if not given.
    patients : str, optional
        A rule as for :func:`medclf_lite.patients.patient_ids` where the table has no patients;
        ``"unknown"`` counts each image as its own patient.
    source, licence, jobs, progress
        As for :func:`medclf_lite.sources.from_folder`.

    Returns
    -------
    Cohort
        Rows whose file is missing or no image are in ``left_out``.

    Raises
    ------
    MedclfError
        If the table cannot be read, a column is missing, or no row has an image.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> place = Path(tempfile.mkdtemp())
    >>> for name in "ab":
    ...     Image.new("L", (8, 6)).save(place / f"{name}.png")
    >>> _ = (place / "all.csv").write_text("path,label,patient_id\na.png,ill,p\nb.png,no,q\n")
    >>> from_manifest(place / "all.csv").table[["image_id", "label"]].values.tolist()
    [['a.png', 1], ['b.png', 0]]
    """
    csv = Path(csv)
    given = _read(csv)
    home = Path(root) if root is not None else csv.parent
    names = [os.path.normpath(name) for name in given.pop("image_id").astype(str)]
    known, unread = read_headers(home, names, jobs=jobs, progress=progress)
    given.insert(0, "image_id", names)
    kept = given[given["image_id"].isin(known["image_id"])].reset_index(drop=True)
    if not len(kept):
        why = unread["reason"].iloc[0] if len(unread) else "it has no rows"
        raise MedclfError(
            f"No row of {csv} has an image; the first: {why}. Paths start from {home}; give "
            "root= where they start from another folder."
        )
    labelled = _labels(kept.pop("label"))
    told = kept.drop(columns=[c for c in known if c in kept and c != "image_id"])
    table = told.merge(known, on="image_id").assign(**labelled.columns)
    return Cohort(
        _with_patients(table, patients), Files(home, tuple(table["image_id"])),
        source or f"table {csv.name}", licence, labelled.classes, labelled.findings,
        left_out_table(unread.itertuples(index=False, name=None)),
    )  # fmt: skip


def _read(csv: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(csv, dtype=dict.fromkeys((*PATHS, *COLUMNS), str))
    except FileNotFoundError as problem:
        raise MedclfError(f"There is no file {csv}; check the path.") from problem
    except (OSError, ValueError, EOFError) as problem:
        raise MedclfError(f"{csv} cannot be read as CSV: {problem}.") from problem
    for own, names in (("image_id", PATHS), ("label", LABELS), ("patient_id", COLUMNS),
                       ("split", SPLITS)):  # fmt: skip
        found = next((c for c in names if c in table), None)
        if found is not None and own not in table:
            table = table.rename(columns={found: own})
        if own not in table and own in ("image_id", "label"):
            raise MedclfError(
                f"{csv} needs a column of {'paths' if own == 'image_id' else 'labels'}, one of "
                f"{', '.join(names)}; it has {', '.join(map(str, table.columns))}."
            )
        if own in ("image_id", "label") and table[own].isna().any():
            row = int(table[own].isna().to_numpy().argmax())
            raise MedclfError(f"Column {own} of {csv} is empty in row {row}; each row needs one.")
    if "split" in table:
        table["split"] = table["split"].map(_side, na_action="ignore")
    twice = table["image_id"].duplicated()
    if twice.any():
        raise MedclfError(
            f"{csv} names {table.loc[twice, 'image_id'].iloc[0]!r} more than once "
            f"({int(twice.sum())} rows too many). Keep one row an image."
        )
    return table


def _side(name: object) -> str:
    text = str(name).strip().lower()
    return {"training": "train", "validation": "val", "valid": "val", "testing": "test"}.get(
        text, text
    )


def _labels(column: pd.Series) -> Labelled:
    """Make columns of labels; texts with a separator in some are several findings each."""
    for mark in SEPARATORS:
        if column.astype(str).str.contains(mark, regex=False).any():
            wide = column.astype(str).str.get_dummies(mark)
            named = {str(c).strip(): wide[c].to_numpy(dtype="int64") for c in wide}
            named = {c: v for c, v in named.items() if c.lower() not in ("no finding", "none", "")}
            return Labelled(named, tuple(named), ("absent", "present"))
    return label_columns(column.tolist())


def _with_patients(table: pd.DataFrame, patients: str | None) -> pd.DataFrame:
    if "patient_id" in table:
        return table
    ids = patient_ids(table["image_id"].tolist(), patients or "unknown")
    return table.assign(patient_id=ids)
