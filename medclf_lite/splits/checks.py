"""The proof of a split, and its balance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from medclf_lite.cohort import Cohort, Rows
from medclf_lite.errors import MedclfError
from medclf_lite.splits.units import (
    Duplicates,
    Mask,
    binary_labels,
    class_columns,
    class_names,
    copy_pairs,
    on_several,
)

SIDES = ("train", "val", "test")


def check_split(
    cohort: Cohort, duplicates: Duplicates | None = None, *, sides: Sequence[str] = SIDES
) -> None:
    """Raise if the split of a cohort leaks or cannot be evaluated.

    Parameters
    ----------
    cohort : Cohort
        With a column ``split``.
    duplicates : list of sequences, optional
        Groups of copies, as for :func:`linked_patients`; equal ``sha256`` is always looked at.
    sides : sequence of str
        The sides that there must be, and no others.

    Raises
    ------
    MedclfError
        If a patient or a copy is on two sides, an image on none, a side is empty, or a side
        lacks a class. A multi-label side must hold each finding both present and absent.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrq"),
    ...                       "label": [0, 1, 0, 1], "split": ["train", "train", "test", "test"]})
    >>> try:
    ...     check_split(Cohort(table, None, "example", "CC0"), sides=("train", "test"))
    ... except MedclfError as problem:
    ...     print(str(problem).split(".")[0])
    1 patient(s) are on more than one side, the first is 'q' (test and train)
    """
    side = _sides_of(cohort, sides)
    _check_patients(cohort, side)
    _check_copies(cohort, side, duplicates)
    check_classes(
        binary_labels(cohort.labels), side, [f"Side {s!r}" for s in sides],
        class_names(cohort),
    )  # fmt: skip


def _sides_of(cohort: Cohort, sides: Sequence[str]) -> Rows:
    if "split" not in cohort.table:
        raise MedclfError("This cohort has no 'split' column; make one with split_patients.")
    side = (
        pd.Index(sides).get_indexer(pd.Index(cohort.table["split"], dtype=object)).astype(np.intp)
    )
    if (side < 0).any():
        row = cohort.table.iloc[int((side < 0).argmax())]
        raise MedclfError(
            f"{int((side < 0).sum())} images are on no side: image {row['image_id']!r} has split "
            f"{row['split']!r}; expected one of {', '.join(sides)}."
        )
    for i, name in enumerate(sides):
        if not (side == i).any():
            raise MedclfError(
                f"Side {name!r} has no image. Divide again with a larger share, or name the "
                "sides that there are, e.g. sides=('train', 'test')."
            )
    return side


def _check_patients(cohort: Cohort, side: Rows) -> None:
    if several := on_several(side, cohort.patients):
        where = sorted(set(cohort.table["split"][cohort.patients == several[0]]))
        raise MedclfError(
            f"{len(several)} patient(s) are on more than one side, the first is {several[0]!r} "
            f"({' and '.join(where)}). Divide patients, not images: split_patients. To keep a "
            "given test side, take these patients out of the other sides."
        )


def _check_copies(cohort: Cohort, side: Rows, duplicates: Duplicates | None) -> None:
    one, other = copy_pairs(cohort, duplicates)
    across = side[one] != side[other]
    if across.any():
        rows = [one[across][0], other[across][0]]
        first, second = cohort.table["image_id"].iloc[rows]
        raise MedclfError(
            f"{int(across.sum())} copies are on another side than their original, the first is "
            f"{second!r} = {first!r}. Divide again with these duplicates (split_patients keeps "
            "them together), or keep one image of each group."
        )


def check_classes(labels: Mask, part: Rows, parts: Sequence[str], names: Sequence[str]) -> None:
    """Raise unless each part holds each class; labels (n, findings), part (n,) as position."""
    for name, has in zip(names, class_columns(labels, ~labels), strict=True):
        counts = np.bincount(part[has], minlength=len(parts))
        if not counts.all():
            raise MedclfError(
                f"{parts[int(counts.argmin())]} has no image of {name}, so that sensitivity, "
                "specificity or ROC-AUC is not defined there. Use fewer or larger parts, add "
                "patients of that class, or leave a finding this rare out of `findings`."
            )


def balance(
    cohort: Cohort, *, by: str | None = None, wanted: Mapping[str, float] | None = None
) -> pd.DataFrame:
    """Count images and patients, and give the prevalence, for each side of a split.

    Parameters
    ----------
    cohort : Cohort
        With a column ``split``.
    by : str, optional
        A column such as ``"site"``: one row for each side and value of it.
    wanted : mapping of str to float, optional
        Wanted share of the patients for each side, to stand beside the share achieved.

    Returns
    -------
    pandas.DataFrame
        Indexed by side (and value of ``by``): ``images``, ``patients``, ``prevalence`` (share of
        images with label 1, or with any finding; then one column a finding), ``share_images``,
        ``share_patients``, ``wanted`` if given, ``moved`` (images marked in ``split_moved``) if
        known, and for each value of subtype, site and view (a missing one counts as ``nan``) its
        share of the images of the row.

    Raises
    ------
    MedclfError
        If the cohort has no column ``split`` or ``by``.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("ppqr"),
    ...                       "label": [1, 1, 0, 1], "split": ["train"] * 3 + ["test"]})
    >>> found = balance(Cohort(table, None, "example", "CC0"))
    >>> found["patients"].to_dict(), found["prevalence"].round(2).to_dict()
    ({'train': 2, 'test': 1}, {'train': 0.67, 'test': 1.0})
    """
    for column in ("split", *([by] if by else [])):
        if column not in cohort.table:
            raise MedclfError(f"This cohort has no column {column!r}; balance cannot count by it.")
    table = cohort.table.assign(
        split=_ordered(cohort.table["split"]), _ill=np.any(binary_labels(cohort.labels), axis=1)
    )
    grouped = table.groupby(["split", by] if by else "split", observed=True, dropna=False)
    found = grouped.agg(
        images=("image_id", "size"), patients=("patient_id", "nunique"), prevalence=("_ill", "mean")
    )
    for finding in cohort.findings:
        found[finding] = grouped[finding].mean()
    found["share_images"] = found["images"] / len(cohort)
    found["share_patients"] = found["patients"] / cohort.n_patients
    if wanted is not None:
        found["wanted"] = found.index.get_level_values("split").map(dict(wanted)).astype(float)
    if "split_moved" in table:
        found["moved"] = grouped["split_moved"].sum()
    for column in ("subtype", "site", "view"):
        if column in table and column != by:
            shares = grouped[column].value_counts(normalize=True, dropna=False)
            found = found.join(shares.unstack(fill_value=0).add_prefix(f"{column} "))
    return found


def _ordered(split: pd.Series) -> pd.Categorical:
    further = sorted(set(split.dropna()) - set(SIDES))
    return pd.Categorical(split, categories=[*SIDES, *further], ordered=True)
