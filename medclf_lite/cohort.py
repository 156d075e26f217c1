"""The Cohort: one table with a row an image, and the store its pixels come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.errors import MedclfError

REQUIRED = ("image_id", "patient_id")
OPTIONAL = (
    "label", "subtype", "site", "view", "age", "sex", "date", "follow_up",
    "width", "height", "mode", "n_bytes", "sha256", "split",
)  # fmt: skip
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Files:
    """Images that lie on disk: ``root / paths[i]`` is the file of row ``i``."""

    root: Path
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: Rows) -> Files:
        """Return the store of these rows, in this order."""
        return replace(self, paths=tuple(self.paths[i] for i in rows))


@dataclass(frozen=True)
class Arrays:
    """Images that lie in memory: ``pixels`` is uint8 of shape (n, height, width)."""

    pixels: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.dtype != np.uint8:
            raise MedclfError(
                "Pixels must be uint8 of shape (n, height, width); "
                f"got {self.pixels.dtype} of shape {self.pixels.shape}."
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def hashes(self) -> list[str]:
        """Return the SHA-256 of each image's shape and grey values, as hex digits."""
        return [
            hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
            for image in self.pixels
        ]

    def take(self, rows: Rows) -> Arrays:
        """Return the store of these rows, in this order."""
        return Arrays(self.pixels[rows])


def _no_files() -> pd.DataFrame:
    return pd.DataFrame({"path": pd.Series(dtype=str), "reason": pd.Series(dtype=str)})


@dataclass(frozen=True)
class Cohort:
    """A table (one row an image) and the images it describes.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``image_id`` (unique) and ``patient_id``; ``label`` (0 or 1) or one 0/1
        column a finding; and any of ``subtype, site, view, age, sex, date, follow_up,
        width, height, mode, n_bytes, sha256, split``. A column that is not known is
        absent, not guessed. Further columns are kept.
    images : Files, Arrays or None
        Where the pixels of each row come from; None for a table without images.
    source, licence : str
        Where the cohort comes from and on what terms.
    classes : tuple of str
        Names of labels 0 and 1.
    findings : tuple of str
        Columns of a multi-label cohort; empty for a binary one.
    left_out : pandas.DataFrame
        Files that lie in the folder but not in the table: ``path`` and ``reason``.

    Raises
    ------
    MedclfError
        If columns are missing, image IDs repeat, labels are not 0 or 1, or the number of
        images differs from the number of rows.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "q"], "label": [0, 1]})
    >>> Cohort(table, Arrays(np.zeros((2, 8, 8), np.uint8)), "example", "CC0").n_patients
    2
    """

    table: pd.DataFrame
    images: Files | Arrays | None
    source: str
    licence: str
    classes: tuple[str, str] = ("NORMAL", "PNEUMONIA")
    findings: tuple[str, ...] = ()
    left_out: pd.DataFrame = field(default_factory=_no_files)

    def __post_init__(self) -> None:
        table = self.table.reset_index(drop=True)
        _check_columns(table, self.findings)
        for column in self.findings or ("label",):
            _check_binary(table, column)
            if not pd.api.types.is_integer_dtype(table[column]):  # True and 1.0 mean 1
                table = table.astype({column: np.int64})
        object.__setattr__(self, "table", table)
        if self.images is not None and len(self.images) != len(self.table):
            raise MedclfError(
                f"The table has {len(self.table)} rows but the store {len(self.images)} "
                "images; they must match one to one."
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels, shape (n,), or (n, findings) for a multi-label cohort; 0 or 1."""
        columns: str | list[str] = list(self.findings) if self.findings else "label"
        return self.table[columns].to_numpy(dtype=np.int64)

    @property
    def patients(self) -> npt.NDArray[np.str_]:
        """Patient ID of each image, shape (n,)."""
        return self.table["patient_id"].to_numpy(dtype=np.str_)

    @property
    def n_patients(self) -> int:
        """Number of different patients."""
        return int(self.table["patient_id"].nunique())

    def take(self, rows: Sequence[int] | npt.NDArray[np.integer] | npt.NDArray[np.bool_]) -> Cohort:
        """Return the cohort of these rows (positions or a mask), in this order."""
        given = np.asarray(rows)
        if given.dtype == bool and len(given) != len(self):
            raise MedclfError(f"The mask has {len(given)} entries for {len(self)} rows.")
        index = np.flatnonzero(given) if given.dtype == bool else given.astype(np.intp)
        images = None if self.images is None else self.images.take(index)
        return replace(self, table=self.table.iloc[index], images=images)

    def part(self, name: str) -> Cohort:
        """Return the images whose ``split`` column says ``name``."""
        if "split" not in self.table:
            raise MedclfError("This cohort has no 'split' column; make one with splits.")
        known = sorted(self.table["split"].dropna().unique())
        if name not in known:
            raise MedclfError(f"No image has split {name!r}; the cohort has {', '.join(known)}.")
        return self.take((self.table["split"] == name).to_numpy())

    def finding(self, name: str) -> Cohort:
        """Return the binary cohort in which ``label`` is one finding of a multi-label cohort.

        Examples
        --------
        >>> table = pd.DataFrame({"image_id": ["a"], "patient_id": ["p"], "Mass": [1]})
        >>> Cohort(table, None, "example", "CC0", findings=("Mass",)).finding("Mass").classes
        ('no Mass', 'Mass')
        """
        if name not in self.findings:
            known = ", ".join(self.findings) or "none: it has one label an image"
            raise MedclfError(f"There is no finding {name!r}; the cohort has {known}.")
        table = self.table.assign(label=self.table[name])
        return replace(self, table=table, findings=(), classes=(f"no {name}", name))

    def with_column(self, name: str, values: npt.ArrayLike) -> Cohort:
        """Return a copy in which column ``name`` holds ``values``, one for each row."""
        return replace(self, table=self.table.assign(**{name: np.asarray(values)}))

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of a SHA-256 over the table, whatever the order of its rows.

        Files enter through their ``sha256`` column where the source computed one.
        """
        columns = sorted(self.table.columns)
        rows = self.table.sort_values("image_id")[columns].to_csv(index=False)
        return hashlib.sha256(rows.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def counts(self) -> pd.DataFrame:
        """Count images and patients for each class (or finding), and each split if known.

        Images on no side of the split are counted as those of the split ``none``.
        """
        names = self.findings or self.classes
        long = [
            self.table.loc[self.labels[:, i] == 1 if self.findings else self.labels == i].assign(
                **{"class": name}
            )
            for i, name in enumerate(names)
        ]
        every = pd.concat(long)
        by = ["class"]
        if "split" in every:
            every["split"] = every["split"].astype(object).fillna("none")
            by = ["split", "class"]
        grouped = every.groupby(by, sort=True)
        counted: pd.DataFrame = grouped.agg(
            images=("image_id", "size"), patients=("patient_id", "nunique")
        )
        return counted

    def card(self) -> str:
        """Describe the cohort as a short dataset card in Markdown."""
        lines = [
            f"**{self.source}** ({self.licence})",
            f"- {len(self):,} images of {self.n_patients:,} patients; fingerprint "
            f"`{self.fingerprint}`",
        ]
        for index, row in self.counts().iterrows():
            name = " / ".join(map(str, index)) if isinstance(index, tuple) else str(index)
            lines.append(f"- {name}: {row['images']:,} images, {row['patients']:,} patients")
        absent = [c for c in OPTIONAL if c not in self.table and c != "label"]
        lines.append(f"- not known: {', '.join(absent) or 'nothing'}")
        if len(self.left_out):
            lines.append(f"- left out: {len(self.left_out)} files, see `left_out`")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.card()

    def _repr_markdown_(self) -> str:
        return self.card()


def _check_columns(table: pd.DataFrame, findings: tuple[str, ...]) -> None:
    missing = [c for c in (*REQUIRED, *(findings or ("label",))) if c not in table]
    if missing:
        raise MedclfError(
            f"The table lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns))}."
        )
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise MedclfError(f"The table has the column {twice!r} more than once; keep one.")
    if "split" in table:
        given = table["split"].dropna().astype(object)
        if pd.api.types.infer_dtype(given) not in ("string", "empty"):
            raise MedclfError(
                "Column split must hold names, such as train, val and test, or nothing; got "
                f"{given.unique()[:5].tolist()}."
            )
    if not len(table):
        raise MedclfError("The table has no rows: a cohort needs at least one image.")
    for column in REQUIRED:
        if table[column].isna().any():
            row = int(np.flatnonzero(table[column].isna())[0])
            raise MedclfError(f"Column {column} is empty in row {row}; every image needs one.")
    repeated = table.loc[table["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise MedclfError(
            f"{len(repeated)} image IDs occur more than once, the first is {repeated.iloc[0]!r}; "
            "an image ID must name one image."
        )


def _check_binary(table: pd.DataFrame, column: str) -> None:
    wrong = ~table[column].isin([0, 1])
    if wrong.any():
        row = table.loc[wrong].iloc[0]
        raise MedclfError(
            f"Column {column} must be 0 or 1 in every row; image {row['image_id']!r} has "
            f"{row[column]!r} ({int(wrong.sum())} rows in all)."
        )
