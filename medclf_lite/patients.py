"""From files to patients: a rule for names, or a table; both match or stop, never guess."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from medclf_lite.errors import MedclfError

# What people call the column, or the key, that says whose image it is.
COLUMNS = ("patient_id", "patient", "subject", "subject_id", "case_id", "case", "pid")

# person23_bacteria_87.jpeg; the odd one of the set is person447_virus_921_1.jpeg
_PNEUMONIA = re.compile(r"(?P<number>person\d+)_(?P<subtype>bacteria|virus)_\d+(?:_\d+)?", re.ASCII)
# IM-0117-0001.jpeg, NORMAL2-IM-0095-0001.jpeg, IM-0429-0001-0002.jpeg
_NORMAL = re.compile(r"(?P<patient>(?:NORMAL\d*-)?IM-\d+)-\d+(?:-\d+)?", re.ASCII)
_EXTENSION = re.compile(r"\.[A-Za-z]\w*")  # not the ".113" of a DICOM file named by its UID


def _stem(name: str) -> str:
    path = PurePosixPath(name)
    return path.stem if _EXTENSION.fullmatch(path.suffix) else path.name


def kaggle_patient(stem: str) -> str | None:
    """Give the patient of a Kaggle chest X-ray file name, or None if it is not such a name.

    A pneumonia patient is number *and* subtype: bacterial and viral cases that share a
    number are different people (nearest-neighbour evidence; see the chapter on splits).

    Examples
    --------
    >>> kaggle_patient("person23_bacteria_87"), kaggle_patient("NORMAL2-IM-0095-0001")
    ('person23_bacteria', 'NORMAL2-IM-0095')
    """
    if found := _PNEUMONIA.fullmatch(stem):
        return f"{found['number']}_{found['subtype']}"
    if found := _NORMAL.fullmatch(stem):
        return found["patient"]
    return None


def tutorial_patient(stem: str) -> str | None:
    """Give the source tutorial's patient: the text before the first ``_``, else the whole stem.

    This rule is wrong on purpose and kept to measure what it costs: each normal image becomes
    a patient of its own, and bacterial and viral cases with the same number are merged.

    Examples
    --------
    >>> tutorial_patient("person23_bacteria_87"), tutorial_patient("NORMAL2-IM-0095-0001")
    ('person23', 'NORMAL2-IM-0095-0001')
    """
    return stem.split("_")[0] if "_" in stem else stem.split(".")[0]


def _by_pattern(rule: str) -> Callable[[str], str | None]:
    try:
        pattern = re.compile(rule)
    except re.error as problem:
        raise MedclfError(
            f"The patient rule {rule!r} is neither 'kaggle' nor 'tutorial' nor a regular "
            f"expression: {problem}."
        ) from problem
    if "patient" not in pattern.groupindex:
        raise MedclfError(
            f"The patient rule {rule!r} has no group named 'patient'. Write for example "
            r"'(?P<patient>case\d+)_.*', or use 'kaggle'."
        )

    def find(stem: str) -> str | None:
        found = pattern.search(stem)
        return found["patient"] if found and found["patient"] else None

    return find


def patient_ids(names: Sequence[str], rule: str) -> list[str]:
    r"""Give the patient of each file name.

    Parameters
    ----------
    names : sequence of str
        File names or paths; folders and the extension are ignored.
    rule : str
        ``"kaggle"`` for the names of the Kaggle chest X-ray set, ``"tutorial"`` for the source
        tutorial's wrong rule, a regular expression with a group named ``patient``, or
        ``"unknown"``, which counts each image as its own patient.

    Returns
    -------
    list of str
        One patient ID for each name.

    Raises
    ------
    MedclfError
        If a name does not match the rule; the message names it.

    Examples
    --------
    >>> patient_ids(["a/case7_left.png", "a/case7_right.png"], r"(?P<patient>case\d+)")
    ['case7', 'case7']
    """
    if rule == "unknown":
        return list(names)
    known = {"kaggle": kaggle_patient, "tutorial": tutorial_patient}
    find = known.get(rule) or _by_pattern(rule)
    found = [find(_stem(name)) for name in names]
    if None in found:
        missing = [name for name, patient in zip(names, found, strict=True) if patient is None]
        raise MedclfError(
            f"The patient rule {rule!r} does not match {missing[0]!r} ({len(missing)} of "
            f"{len(names)} names). Give a regular expression with a group named 'patient', or "
            "a CSV with the columns file and patient_id."
        )
    return [patient for patient in found if patient is not None]


def subtypes(names: Sequence[str]) -> list[str] | None:
    """Give ``bacteria``, ``virus`` or ``normal`` for Kaggle names, None if any is not one.

    Examples
    --------
    >>> subtypes(["person1_virus_6.jpeg", "IM-0117-0001.jpeg"])
    ['virus', 'normal']
    """
    found = []
    for name in names:
        stem = _stem(name)
        if match := _PNEUMONIA.fullmatch(stem):
            found.append(match["subtype"])
        elif _NORMAL.fullmatch(stem):
            found.append("normal")
        else:
            return None
    return found


def read_metadata(table: pd.DataFrame | str | Path) -> pd.DataFrame:
    """Read a table that says whose image each file is.

    Parameters
    ----------
    table : pandas.DataFrame, str or pathlib.Path
        A table, or a CSV file (also compressed), with the column ``patient_id`` and one of
        ``image_id`` (path below the folder) and ``file`` (file name, or such a path).
        Identifiers in a CSV are read as text, so that ``007`` stays ``007``; blanks around
        a patient's are taken away.

    Returns
    -------
    pandas.DataFrame
        With a column ``key`` in place of ``image_id`` or ``file``.

    Raises
    ------
    MedclfError
        If the file cannot be read, a column is missing, a file has two rows or no patient.

    Examples
    --------
    >>> read_metadata(pd.DataFrame({"file": ["a.png"], "patient_id": [7]}))
         key patient_id
    0  a.png          7
    """
    given = table if isinstance(table, pd.DataFrame) else _read_csv(Path(table))
    keys = [c for c in ("image_id", "file") if c in given]
    usable = len(keys) == 1 and "patient_id" in given and "key" not in given
    if not usable or not given.columns.is_unique:
        raise MedclfError(
            "The metadata table needs the column patient_id and one of image_id and file, spelt "
            "so, once each, with commas between them in a CSV, and none called key; it has "
            f"{', '.join(repr(str(c)) for c in given.columns)}."
        )
    known = given.rename(columns={keys[0]: "key"}).reset_index(drop=True)
    for column in ("key", "patient_id"):
        empty = known[column].isna() | (known[column].astype(str).str.strip() == "")
        if empty.any():
            row = known.loc[empty].iloc[0]
            raise MedclfError(
                f"The metadata table has {int(empty.sum())} rows without {column}; the first is "
                f"{row.to_dict()}. Give every file a patient, or move the file out."
            )
        # A column of whole numbers that pandas holds as 7.0 means the patient 7.
        known[column] = known[column].convert_dtypes().astype(str)
    known["patient_id"] = known["patient_id"].str.strip()
    known["key"] = known["key"].map(lambda key: unicodedata.normalize("NFC", key))
    twice = known.loc[known["key"].duplicated(), "key"]
    if len(twice):
        raise MedclfError(
            f"The metadata table names {twice.iloc[0]!r} more than once ({len(twice)} rows too "
            "many). Keep one row a file."
        )
    return known


def _read_csv(path: Path) -> pd.DataFrame:
    text = dict.fromkeys(("image_id", "file", "patient_id"), str)
    try:
        return pd.read_csv(path, dtype=text)
    except (OSError, ValueError, EOFError) as problem:
        raise MedclfError(
            f"The metadata table {path} cannot be read as CSV: {problem}. Expected one row a "
            "file with the columns file and patient_id."
        ) from problem


def join_metadata(
    image_ids: Sequence[str], table: pd.DataFrame | str | Path, *, left_out: Sequence[str] = ()
) -> pd.DataFrame:
    """Look each image up in a metadata table.

    Parameters
    ----------
    image_ids : sequence of str
        Paths below the folder.
    table : pandas.DataFrame, str or pathlib.Path
        As for :func:`read_metadata`.
    left_out : sequence of str
        Paths of files that could not be read; the table may name them too.

    Returns
    -------
    pandas.DataFrame
        One row for each of ``image_ids``, in their order: ``patient_id`` and every further
        column of the table (site, view, age, ...).

    Raises
    ------
    MedclfError
        If a file has no row, a row has no file, or file names repeat so that a name does not
        tell which file is meant.

    Examples
    --------
    >>> known = pd.DataFrame({"file": ["a.png", "b.png"], "patient_id": ["p", "q"]})
    >>> join_metadata(["x/b.png", "x/a.png"], known)["patient_id"].tolist()
    ['q', 'p']
    """
    known = read_metadata(table)
    by_path = bool(known["key"].str.contains("/").any())
    keys = [_key(i, by_path=by_path) for i in image_ids]
    repeated = pd.Series(keys, dtype=str).duplicated()
    if repeated.any():
        raise MedclfError(
            f"Two files are called {keys[int(repeated.argmax())]!r}; write paths such as "
            f"{image_ids[0]!r} in the metadata table, which name one file each."
        )
    _check_same(set(keys), set(known["key"]), {_key(i, by_path=by_path) for i in left_out})
    return known.set_index("key").loc[keys].reset_index(drop=True)


def _key(image_id: str, *, by_path: bool) -> str:
    # One letter with an accent has two spellings in Unicode; disks and tables differ in it.
    name = image_id if by_path else PurePosixPath(image_id).name
    return unicodedata.normalize("NFC", name)


def _check_same(files: set[str], rows: set[str], left_out: set[str]) -> None:
    if without := sorted(files - rows):
        raise MedclfError(
            f"{len(without)} files have no row in the metadata table; the first is "
            f"{without[0]!r}. Add the rows, or move the files out of the folder."
        )
    if without := sorted(rows - files - left_out):
        raise MedclfError(
            f"{len(without)} rows of the metadata table have no file; the first is "
            f"{without[0]!r}. Remove the rows, or look for the files."
        )
