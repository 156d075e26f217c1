"""Nested folds: an outer loop that measures, an inner loop that chooses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medclf_lite.cohort import Cohort, Rows
from medclf_lite.errors import MedclfError
from medclf_lite.splits.folds import Fold, PatientKFold, SiteOut
from medclf_lite.splits.units import Duplicates, Names, linked_patients


@dataclass(frozen=True)
class OuterFold:
    """One outer fold: rows to develop on, rows to measure on, and the inner folds.

    Parameters
    ----------
    train, test : array of int
        Rows of the cohort.
    inner : tuple of (train, val) arrays of int
        Rows of the cohort too, all of them from ``train``.
    """

    train: Rows
    test: Rows
    inner: tuple[Fold, ...]


def nested(
    cohort: Cohort,
    outer: int | PatientKFold | SiteOut = 5,
    inner: int | PatientKFold | SiteOut = 5,
    *,
    seed: int = 0,
    duplicates: Duplicates | None = None,
) -> Iterator[OuterFold]:
    """Give outer folds that measure and, within the train rows of each, inner folds that choose.

    Parameters
    ----------
    cohort : Cohort
    outer, inner : int, PatientKFold or SiteOut
        A number means that many folds of patients.
    seed : int
        For folds given as a number.
    duplicates : list of sequences, optional
        Groups of copies, as for :func:`linked_patients`.

    Yields
    ------
    OuterFold

    Raises
    ------
    MedclfError
        As the splitters do. An inner fold has fewer patients than an outer one.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": range(12), "patient_id": range(12),
    ...                       "label": [0, 1] * 6})
    >>> first = next(nested(Cohort(table, None, "example", "CC0"), 3, 2))
    >>> len(first.train), len(first.test), [len(val) for _, val in first.inner]
    (8, 4, [4, 4])
    """
    loops = [PatientKFold(s, seed) if isinstance(s, int) else s for s in (outer, inner)]
    linked = linked_patients(cohort, duplicates)
    groups = [_groups(cohort, linked, loop) for loop in loops]
    labels = cohort.labels
    for train, test in loops[0].split(None, labels, groups[0]):
        folds = loops[1].split(None, labels[train], groups[1][train])
        yield OuterFold(train, test, tuple((train[fit], train[val]) for fit, val in folds))


def _groups(cohort: Cohort, linked: Names, loop: PatientKFold | SiteOut) -> npt.NDArray[Any]:
    if isinstance(loop, PatientKFold):
        return linked
    if "site" not in cohort.table:
        raise MedclfError("This cohort has no 'site' column, which SiteOut needs.")
    return np.column_stack([cohort.table["site"].to_numpy(dtype=object), linked])
