"""The Predictions table: one row an image, with its patient, its label and its score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

REQUIRED = ("image_id", "patient_id", "label", "score")
SUBGROUPS = ("subtype", "site", "view", "age", "sex", "date", "split")
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Scores of images, with all that is needed to evaluate them.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``image_id`` (unique), ``patient_id``, ``label`` (0 or 1) and ``score`` (in
        [0, 1], higher for label 1); further columns, such as ``fold``, ``site`` or ``view``,
        are kept for subgroups.
    classes : tuple of str
        Names of labels 0 and 1.

    Raises
    ------
    MedclfError
        If a column is missing, an image occurs twice, a label is not 0 or 1, or a score is
        not a number in [0, 1].

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "q"],
    ...                       "label": [0, 1], "score": [0.2, 0.9]})
    >>> Predictions(table).n_patients
    2
    """

    table: pd.DataFrame
    classes: tuple[str, str] = ("NORMAL", "PNEUMONIA")

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", self.table.reset_index(drop=True))
        _check(self.table)

    @classmethod
    def of(
        cls, cohort: Cohort, scores: npt.ArrayLike, *, fold: npt.ArrayLike | None = None
    ) -> Predictions:
        """Put scores beside the images of a cohort.

        Parameters
        ----------
        cohort : Cohort
            Binary; its subgroup columns (subtype, site, view, age, sex, date, split) come along.
        scores : array-like, shape (n,)
            One score an image, in the cohort's order; float in [0, 1].
        fold : array-like, shape (n,), optional
            Number of the fold in which each score was computed.

        Raises
        ------
        MedclfError
            If there is not exactly one score for each image, or the cohort has findings in
            place of a label.

        Examples
        --------
        >>> table = pd.DataFrame({"image_id": ["a"], "patient_id": ["p"], "label": [1]})
        >>> Predictions.of(Cohort(table, None, "example", "CC0"), [0.7]).scores
        array([0.7])
        """
        if cohort.findings:
            raise MedclfError(
                "Predictions hold one label and one score an image; this cohort has "
                f"{len(cohort.findings)} findings. Make one table a finding."
            )
        given = np.asarray(scores, dtype=np.float64)
        if given.shape != (len(cohort),):
            raise MedclfError(
                f"Expected one score for each of {len(cohort)} images, shape ({len(cohort)},); "
                f"got shape {given.shape}. Score every image once, in the cohort's order."
            )
        kept = ["image_id", "patient_id", "label", *(c for c in SUBGROUPS if c in cohort.table)]
        table = cohort.table[kept].copy()
        table.insert(3, "score", given)
        if fold is not None:
            table.insert(4, "fold", np.asarray(fold))
        return cls(table, cohort.classes)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Labels, int64 of shape (n,); 0 or 1."""
        return self.table["label"].to_numpy(dtype=np.int64)

    @property
    def scores(self) -> Vector:
        """Scores, float64 of shape (n,); in [0, 1]."""
        return self.table["score"].to_numpy(dtype=np.float64)

    @property
    def patients(self) -> npt.NDArray[np.str_]:
        """Patient of each image, shape (n,)."""
        return self.table["patient_id"].to_numpy(dtype=np.str_)

    @property
    def n_patients(self) -> int:
        """Number of different patients."""
        return int(self.table["patient_id"].nunique())

    def where(self, rows: npt.ArrayLike) -> Predictions:
        """Return the images that a mask, bool of shape (n,), chooses: a subgroup.

        Examples
        --------
        >>> table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "q"],
        ...                       "label": [0, 1], "score": [0.2, 0.9], "view": ["AP", "PA"]})
        >>> both = Predictions(table)
        >>> len(both.where(both.table["view"] == "AP"))
        1
        """
        mask = np.asarray(rows)
        if mask.dtype != bool or mask.shape != (len(self),):
            raise MedclfError(
                f"Expected a mask of shape ({len(self)},); got {mask.dtype} of shape {mask.shape}."
            )
        return Predictions(self.table.loc[mask], self.classes)

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV; scores keep every digit."""
        path = Path(path)
        self.table.to_csv(path, index=False)
        return path

    @classmethod
    def from_csv(
        cls, path: str | Path, *, classes: tuple[str, str] = ("NORMAL", "PNEUMONIA")
    ) -> Predictions:
        """Read a table that :meth:`to_csv`, or another program, has written.

        Raises
        ------
        MedclfError
            If the file cannot be read, or is not a table of predictions.
        """
        text = {"image_id": str, "patient_id": str}
        try:
            # A patient may be called NA: only an empty cell is missing. Python's own float
            # keeps every digit.
            table = pd.read_csv(
                path, dtype=text, converters={"score": float}, keep_default_na=False, na_values=[""]
            )
        except (OSError, ValueError) as problem:
            raise MedclfError(
                f"{path} cannot be read as predictions: {problem}. Expected a CSV with the "
                f"columns {', '.join(REQUIRED)}."
            ) from problem
        return cls(table, classes)


def _check(table: pd.DataFrame) -> None:
    if missing := [c for c in REQUIRED if c not in table]:
        raise MedclfError(
            f"Predictions lack the column(s) {', '.join(missing)}; they have "
            f"{', '.join(map(str, table.columns))}."
        )
    if not len(table):
        raise MedclfError("Predictions need at least one image; got none.")
    if table[["image_id", "patient_id"]].isna().to_numpy().any():
        raise MedclfError("Predictions need an image_id and a patient_id in every row.")
    repeated = table.loc[table["image_id"].duplicated(), "image_id"]
    if len(repeated):
        raise MedclfError(
            f"{len(repeated)} images are scored more than once, the first is "
            f"{repeated.iloc[0]!r}. Average or choose before; one row is one image."
        )
    if not table["label"].isin([0, 1]).all():
        raise MedclfError(f"Labels must be 0 or 1; got {sorted(set(table['label']))[:5]}.")
    scores = pd.to_numeric(table["score"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~((scores >= 0) & (scores <= 1))  # NaN is wrong too
    if wrong.any():
        row = table.loc[wrong].iloc[0]
        raise MedclfError(
            f"{int(wrong.sum())} scores are not numbers in [0, 1]; the first is {row['score']!r}, "
            f"of image {row['image_id']!r}. Apply a sigmoid to logits; a NaN means that the model "
            "failed on that image."
        )
