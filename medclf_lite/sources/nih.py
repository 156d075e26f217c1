"""NIH ChestX-ray14: 14 findings an image, with patients, follow-up, age, sex and view."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from medclf_lite.cohort import Cohort, Files
from medclf_lite.errors import MedclfError
from medclf_lite.sources.headers import left_out_table, read_headers
from medclf_lite.sources.scan import walk

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis",
    "Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia", "Pneumothorax",
)  # fmt: skip
_COLUMNS = {
    "Image Index": "image_id", "Finding Labels": "findings", "Follow-up #": "follow_up",
    "Patient ID": "patient_id", "Patient Age": "age", "Patient Gender": "sex",
    "Patient Sex": "sex", "View Position": "view",
    # The table gives the size of the original radiograph, not of the published file.
    "OriginalImage[Width": "original_width", "Height]": "original_height",
}  # fmt: skip
_TEXT = dict.fromkeys(("Image Index", "Finding Labels", "Patient ID", "Patient Age"), str)
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 1 / 52, "D": 1 / 365}


def from_nih(
    csv: str | Path,
    *,
    images: str | Path | None = None,
    partial: bool = False,
    jobs: int = 1,
    progress: bool = False,
) -> Cohort:
    r"""Open the labels of NIH ChestX-ray14 (Wang et al., CVPR 2017), with images if given.

    Parameters
    ----------
    csv : str or pathlib.Path
        ``Data_Entry_2017.csv`` or its 2020 revision, also compressed.
    images : str or pathlib.Path, optional
        Folder with the PNG files, at any depth; without it the cohort is a table only.
    partial : bool, default False
        Accept a folder that holds a part of the images; the rows without a file go to
        ``left_out``.
    jobs, progress
        Threads that read files, and whether to show a progress bar.

    Returns
    -------
    Cohort
        Multi-label: one 0/1 column for each of the 14 findings, and ``patient_id`` (eight
        digits, as in the file names), ``follow_up``, ``age`` (whole years), ``sex``, ``view``.

    Raises
    ------
    MedclfError
        If the table has other columns or values, or rows and files do not match.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "Data_Entry.csv"
    >>> head = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
    >>> _ = path.write_text(head + "View Position\n1.png,Mass|Nodule,0,7,58,F,PA\n")
    >>> from_nih(path).table[["patient_id", "Mass", "Nodule", "Edema"]].values.tolist()
    [['00000007', 1, 1, 0]]
    """
    table = _read(Path(csv))
    store, left_out = None, left_out_table([])
    if images is not None:
        table, store, left_out = _with_files(table, Path(images), partial, jobs, progress)
    return Cohort(
        table=table,
        images=store,
        source="NIH ChestX-ray14 (Wang et al. 2017)",
        licence="no restriction on use; credit the NIH Clinical Center and Wang et al. 2017",
        findings=FINDINGS,
        left_out=left_out,
    )


def is_nih(csv: Path) -> bool:
    """Tell whether a table has the columns of NIH ChestX-ray14."""
    try:
        return "Finding Labels" in pd.read_csv(csv, nrows=0).columns
    except (OSError, ValueError, EOFError):
        return False  # whoever opens it says what is wrong


def _read(csv: Path) -> pd.DataFrame:
    try:
        raw = pd.read_csv(csv, dtype=_TEXT)
    except FileNotFoundError as problem:
        raise MedclfError(f"There is no file {csv}; check the path.") from problem
    except (OSError, ValueError, EOFError) as problem:
        raise MedclfError(f"{csv} cannot be read as CSV: {problem}.") from problem
    if not len(raw):
        raise MedclfError(f"{csv} has no rows. Expected Data_Entry_2017.csv of NIH ChestX-ray14.")
    table = raw.rename(columns=_COLUMNS)
    if missing := [new for new in dict.fromkeys(_COLUMNS.values())
                   if new not in table and not new.startswith("original")]:  # fmt: skip
        names = [old for old, new in _COLUMNS.items() if new in missing]
        raise MedclfError(
            f"{csv} lacks the column(s) {', '.join(names)}; it has {', '.join(raw.columns)}. "
            "Expected Data_Entry_2017.csv of NIH ChestX-ray14."
        )
    if not table.columns.is_unique:
        raise MedclfError(
            f"{csv} has two columns for one thing: {', '.join(raw.columns)}. Keep one of them."
        )
    labels = _findings(table, csv)
    kept = [c for c in dict.fromkeys(_COLUMNS.values()) if c in table and c != "findings"]
    table = table[kept].assign(
        patient_id=table["patient_id"].str.zfill(8), age=_years(table["age"], csv)
    )
    return pd.concat([table, labels], axis=1)


def _findings(table: pd.DataFrame, csv: Path) -> pd.DataFrame:
    given = table["findings"].fillna("").str.get_dummies("|")
    none = given.pop("No Finding") if "No Finding" in given else 0
    if unknown := sorted(set(given.columns) - set(FINDINGS)):
        row = table.loc[given[unknown[0]] == 1].iloc[0]
        raise MedclfError(
            f"{csv} has the finding {unknown[0]!r} (image {row['image_id']}), which is not one "
            f"of the 14: {', '.join(FINDINGS)}."
        )
    empty = table["findings"].isna()
    if empty.any():
        raise MedclfError(
            f"{csv} has no finding for image {table.loc[empty, 'image_id'].iloc[0]}; "
            "'No Finding' is expected where there is none."
        )
    both = (given.sum(axis=1) > 0) & (none == 1)
    if both.any():
        raise MedclfError(
            f"{csv} has 'No Finding' beside a finding for image "
            f"{table.loc[both, 'image_id'].iloc[0]}; correct the table."
        )
    return given.reindex(columns=list(FINDINGS), fill_value=0).astype(np.int8)


def _years(age: pd.Series[str], csv: Path) -> pd.Series[int]:
    """Read whole years from 58, 058Y, 013M or 005D, all of which the revisions hold."""
    parts = age.str.extract(r"^(\d+)([YMWD]?)$")
    if parts[0].isna().any():
        bad = age[parts[0].isna()].iloc[0]
        raise MedclfError(f"{csv} has the age {bad!r}; expected years, or 058Y, 013M, 005D.")
    unit = parts[1].replace("", "Y").map(_YEARS)
    return (parts[0].astype(float) * unit + 1e-9).astype(int)


def _with_files(
    table: pd.DataFrame, folder: Path, partial: bool, jobs: int, progress: bool
) -> tuple[pd.DataFrame, Files, pd.DataFrame]:
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises in a closed folder
        raise MedclfError(f"There is no folder {folder}; check the path of the images.")
    found = list(walk(folder))
    place = {name.rsplit("/", 1)[-1]: name for name, reason in found if not reason}
    rows = table["image_id"].isin(list(place))
    if not rows.any() or not (partial or rows.all()):
        first = table.loc[~rows, "image_id"].iloc[0]
        raise MedclfError(
            f"{int((~rows).sum())} of {len(table)} rows have no file in {folder}; the first is "
            f"{first}. Point at the folder of the images, or accept a part with partial=True."
        )
    wanted = [place[i] for i in table.loc[rows, "image_id"]]
    headers, unread = read_headers(folder, wanted, jobs=jobs, progress=progress)
    if not len(headers):
        raise MedclfError(
            f"None of the {len(wanted)} images in {folder} can be read; the first is "
            f"{unread['path'].iloc[0]}: {unread['reason'].iloc[0]}."
        )
    taken = set(wanted)
    other = [(n, r or _why_not(n, place)) for n, r in found if n not in taken]
    other += [(i, "row without a file") for i in table.loc[~rows, "image_id"]]
    left_out = left_out_table([*other, *unread.itertuples(index=False, name=None)])
    paths = tuple(headers["image_id"])
    headers["image_id"] = headers["image_id"].str.rsplit("/", n=1).str[-1]
    return table.merge(headers, on="image_id", validate="1:1"), Files(folder, paths), left_out


def _why_not(name: str, place: dict[str, str]) -> str:
    used = place[name.rsplit("/", 1)[-1]]
    return "no row in the table" if used == name else f"a second file of this name; {used} is used"
