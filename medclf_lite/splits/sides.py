"""Train, val and test: by patient, by date, by site, or within an existing train side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medclf_lite.cohort import Cohort, Rows
from medclf_lite.errors import MedclfError
from medclf_lite.splits.checks import SIDES, check_split
from medclf_lite.splits.draw import check_shares, draw_sides
from medclf_lite.splits.units import (
    Duplicates,
    Mask,
    Names,
    PatientTable,
    class_names,
    linked_patients,
    patient_table,
)


def split_patients(
    cohort: Cohort,
    *,
    val: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
    duplicates: Duplicates | None = None,
) -> Cohort:
    """Divide the patients of a cohort at random into train, val and test.

    Patients are stratified by label (never ill, always ill, and both; few with both go with the
    rarer class) and by their number of images; those of a multi-label cohort by iterative
    stratification (Sechidis et al. 2011) of all findings a patient ever has.

    Parameters
    ----------
    cohort : Cohort
        A column ``split`` that it has is replaced.
    val, test : float
        Share of the patients, above 0; together below 1. Each side gets a patient of each class,
        so small cohorts can be some patients away from the shares.
    seed : int
        One seed gives one division, whatever the order of the rows.
    duplicates : list of sequences, optional
        Groups of copies, as for :func:`linked_patients`, whose patients stay together. Images
        with equal ``sha256`` always do.

    Returns
    -------
    Cohort
        With the column ``split``, as proven by :func:`check_split`.

    Raises
    ------
    MedclfError
        If the shares are not possible, there are too few patients of a class, or a finding is so
        rare that a side lacks it.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": range(40), "patient_id": np.arange(40) // 2,
    ...                       "label": np.arange(40) // 20})
    >>> divided = split_patients(Cohort(table, None, "example", "CC0"), val=0.2, test=0.2)
    >>> divided.table.groupby("split")["patient_id"].nunique().to_dict()
    {'test': 4, 'train': 12, 'val': 4}
    """
    check_shares(val=val, test=test)
    table = table_of(cohort, linked_patients(cohort, duplicates), parts=3)
    return finish(cohort, draw_sides(table, val, test, seed)[table.of_image], duplicates)


def split_train_val(
    cohort: Cohort, *, val: float = 0.15, seed: int = 0, duplicates: Duplicates | None = None
) -> Cohort:
    """Divide the given train and val sides anew by patient, and leave test untouched.

    An official validation side can be too small to steer anything (8 + 8 images in the Kaggle
    chest X-ray set): here its images go back to the others before the division.

    Parameters
    ----------
    cohort : Cohort
        With a column ``split``; a side ``test`` need not be there.
    val : float
        Share of the patients of train and val together that become val.
    seed, duplicates
        As for :func:`split_patients`.

    Returns
    -------
    Cohort
        With a new column ``split``.

    Raises
    ------
    MedclfError
        If there is nothing to divide, or the given test side shares a patient or a copy with it.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": range(8), "patient_id": range(8), "label": [0, 1] * 4,
    ...                       "split": ["train"] * 6 + ["test"] * 2})
    >>> divided = split_train_val(Cohort(table, None, "example", "CC0"), val=0.34)
    >>> divided.table["split"].value_counts().to_dict()
    {'train': 4, 'val': 2, 'test': 2}
    """
    check_shares(val=val)
    if "split" not in cohort.table:
        raise MedclfError("This cohort has no 'split' column; divide it with split_patients.")
    side = cohort.table["split"].to_numpy(dtype=object, copy=True)
    rows = np.flatnonzero(np.isin(side, ("train", "val")))
    if not len(rows):
        raise MedclfError("No image has split 'train' or 'val'; divide with split_patients.")
    table = table_of(cohort, linked_patients(cohort, duplicates), rows, parts=2)
    side[rows] = draw_sides(table, val, None, seed)[table.of_image]
    sides = SIDES if (side == "test").any() else SIDES[:2]
    return finish(cohort, side, duplicates, sides=sides)


def table_of(
    cohort: Cohort, linked: Names, rows: Rows | slice = slice(None), *, parts: int
) -> PatientTable:
    """Gather the patients of these rows, or raise where they are too few for the parts."""
    table = patient_table(cohort.labels[rows], linked[rows])
    table.require(parts, "sides", class_names(cohort))
    return table


def finish(
    cohort: Cohort,
    side: npt.NDArray[Any],
    duplicates: Duplicates | None,
    *,
    sides: Sequence[str] = SIDES,
    moved: Mask | None = None,
) -> Cohort:
    """Write the sides of the images into the cohort, and prove them."""
    # A mark left by an earlier division would be wrong here.
    table = cohort.table.drop(columns="split_moved", errors="ignore").assign(split=side)
    if moved is not None:
        table["split_moved"] = moved
    divided = replace(cohort, table=table)
    check_split(divided, duplicates, sides=sides)
    return divided
