"""The patient table: one row a patient, or a group of patients that share an image."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medclf_lite.cohort import Cohort, Rows
from medclf_lite.errors import MedclfError

Duplicates = Collection[Sequence[str] | Sequence[int]]
Names = npt.NDArray[np.str_]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PatientTable:
    """What a division needs to know of each patient, in the order of the sorted IDs.

    Everything is drawn from this table and never from the rows of images, so that a seed gives
    one division whatever the order of the images or the interpreter's hash seed.

    Parameters
    ----------
    names : array of str, shape (patients,)
    of_image : array of int, shape (images,)
        Row in this table of each image.
    ill, well : array of bool, shape (patients, findings)
        Whether the patient has an image with the finding, and one without it.
    images : array of int, shape (patients,)
    """

    names: Names
    of_image: Rows
    ill: Mask
    well: Mask
    images: Rows

    def __len__(self) -> int:
        return len(self.names)

    @property
    def multilabel(self) -> bool:
        """Whether there is more than one finding."""
        return bool(self.ill.shape[1] > 1)

    def strata(self, parts: int) -> Rows:
        """Return the stratum of each patient: 0 never ill, 1 always ill, 2 both.

        Patients with images of both classes are a stratum of their own if there is one for
        each of the ``parts``; fewer of them go with the rarer class, which needs them more.
        """
        stratum = self.ill[:, 0].astype(np.intp)
        both = self.ill[:, 0] & self.well[:, 0]
        rarer = int((stratum[~both] == 1).sum() < (stratum[~both] == 0).sum())
        stratum[both] = 2 if both.sum() >= parts else rarer
        return stratum

    def require(self, parts: int, what: str, names: Sequence[str]) -> None:
        """Raise unless each class is seen in at least as many patients as there are parts."""
        for name, patients in zip(names, class_columns(self.ill, self.well), strict=True):
            if (n := int(patients.sum())) < parts:
                raise MedclfError(
                    f"{name} is seen in {n} of {len(self)} patients, but each of {parts} {what} "
                    "needs at least one such patient (patients joined by copies count as one). "
                    "Use fewer parts, or add patients."
                )


def class_names(cohort: Cohort) -> list[str]:
    """Name what each side must hold: both classes, or each finding absent and present."""
    if cohort.findings:
        return [f"{f} {state}" for f in cohort.findings for state in ("absent", "present")]
    return [f"Class {c}" for c in cohort.classes]


def label_names(labels: Mask) -> list[str]:
    """Name the same where only labels of shape (n, findings) are known."""
    return [f"Label {i} of column {k}" for k in range(labels.shape[1]) for i in (0, 1)]


def class_columns(ill: Mask, well: Mask) -> Mask:
    """Stack (rows, findings) absent and present, in the order of :func:`class_names`."""
    return np.stack([well, ill], axis=2).reshape(len(ill), -1).T


def binary_labels(y: npt.ArrayLike) -> Mask:
    """Return labels as bool of shape (images, findings); only 0 and 1 are accepted."""
    given = np.asarray(y)
    if given.ndim not in (1, 2) or not given.size or not np.isin(given, [0, 1]).all():
        raise MedclfError(
            f"Labels must be 0 or 1, of shape (n,) or (n, findings); got {given.dtype} of shape "
            f"{given.shape}. Give a task of several classes as one 0/1 column a class."
        )
    return given.astype(bool).reshape(len(given), -1)


def as_names(values: npt.ArrayLike | pd.Series, what: str) -> Names:
    """Return IDs as text; a missing one is an error, since it could be anybody."""
    if np.ndim(values) != 1:
        raise MedclfError(f"Give one {what} an image, as shape (n,); got shape {np.shape(values)}.")
    given = pd.Series(values)
    if given.isna().any():
        raise MedclfError(
            f"{int(given.isna().sum())} of {len(given)} images have no {what}; the first is in "
            f"row {int(given.isna().to_numpy().argmax())}. Fill it in, or take those rows out."
        )
    return given.to_numpy(dtype=np.str_)


def on_several(part: Rows, patients: Names) -> list[str]:
    """Return the patients who are in more than one part; both of shape (images,)."""
    codes, names = pd.factorize(patients, sort=True)
    several = pd.Series(part).groupby(codes).nunique().to_numpy() > 1
    found: list[str] = np.asarray(names)[several].tolist()
    return found


def patient_table(y: npt.ArrayLike, patients: Names) -> PatientTable:
    """Gather labels (images,) or (images, findings) and patients (images,) by patient."""
    labels = binary_labels(y)
    of_image, names = pd.factorize(patients, sort=True)
    images = np.bincount(of_image)
    ill = [np.bincount(of_image, weights=column) for column in labels.T]
    counts = np.stack(ill, axis=1).astype(np.intp)
    return PatientTable(np.asarray(names), of_image, counts > 0, counts < images[:, None], images)


def copy_pairs(cohort: Cohort, duplicates: Duplicates | None) -> tuple[Rows, Rows]:
    """Return rows that must stay together, as pairs: equal ``sha256``, and the groups given."""
    one, other = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    if "sha256" in cohort.table:
        known = cohort.table["sha256"].replace("", None)
        rows = np.flatnonzero(known.notna())
        first = pd.Series(rows).groupby(known.to_numpy()[rows]).transform("first").to_numpy()
        one, other = [first[first != rows]], [rows[first != rows]]
    if isinstance(duplicates, Iterator):
        # Read once to divide, it would be empty when the division is proven.
        raise MedclfError("Duplicates must be a list of groups, not an iterator; pass list(...).")
    groups = [] if duplicates is None else list(duplicates)
    for rows in _rows_of(cohort, groups):
        one.append(np.repeat(rows[:1], len(rows) - 1))
        other.append(rows[1:])
    return np.concatenate(one), np.concatenate(other)


def _rows_of(cohort: Cohort, groups: Sequence[Sequence[str] | Sequence[int]]) -> list[Rows]:
    if single := [g for g in groups if isinstance(g, str | Integral)]:
        raise MedclfError(
            "Duplicates must be groups, such as [('a.png', 'b.png')]; got the single entry "
            f"{single[0]!r}. Put each set of copies into a list of its own."
        )
    index = pd.Index(cohort.table["image_id"])
    return [_rows_of_group(index, group) for group in groups]


def _rows_of_group(index: pd.Index, group: Sequence[str] | Sequence[int]) -> Rows:
    if all(isinstance(entry, Integral) for entry in group):
        rows = np.asarray(group, dtype=np.intp)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(index)):
            raise MedclfError(
                f"The duplicates {group} name rows outside of 0 to {len(index) - 1}. Whole "
                "numbers mean rows; image IDs must be text."
            )
        return rows
    rows = index.get_indexer(pd.Index(group, dtype=object)).astype(np.intp)
    if (rows < 0).any():
        raise MedclfError(
            f"The duplicates name the image {group[int((rows < 0).argmax())]!r}, which the "
            "cohort does not have. Use its image IDs, or row numbers."
        )
    return rows


def linked_patients(cohort: Cohort, duplicates: Duplicates | None = None) -> Names:
    """Give each image the name of its patient, patients who share an image being one.

    Two patients who share a copy of an image leak as if they were one, so they must be divided
    as one. Use the result as ``groups`` of :class:`PatientKFold`.

    Parameters
    ----------
    cohort : Cohort
        Rows with equal ``sha256`` are copies where the cohort has that column.
    duplicates : list of sequences, optional
        Further groups of copies: image IDs, or row numbers such as the audit's
        ``exact_groups`` gives. Whole numbers always mean rows.

    Returns
    -------
    array of str, shape (n,)
        The first patient ID, in sorted order, of all that are linked with this image's.

    Raises
    ------
    MedclfError
        If a duplicate names an image that the cohort does not have.

    Notes
    -----
    Links chain: one blank image under many patients joins them all. Remove such images first.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abc"), "patient_id": ["p", "q", "r"],
    ...                       "label": 0, "sha256": ["x", "y", "x"]})
    >>> linked_patients(Cohort(table, None, "example", "CC0")).tolist()
    ['p', 'q', 'p']
    """
    codes, names = pd.factorize(cohort.patients, sort=True)
    one, other = copy_pairs(cohort, duplicates)
    links = coo_array((np.ones(len(one)), (codes[one], codes[other])), shape=(len(names),) * 2)
    _, group = connected_components(links, directed=False)
    # Names are sorted, so the first member of a group is its smallest ID.
    first = np.unique(group, return_index=True)[1]
    return np.asarray(names[first[group[codes]]], dtype=np.str_)
