"""Splits that ask for more than new patients: a later date, another site."""

from __future__ import annotations

import warnings
from numbers import Number
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.splits.checks import SIDES
from medclf_lite.splits.draw import check_shares, draw_sides
from medclf_lite.splits.sides import finish, table_of
from medclf_lite.splits.units import Duplicates, Mask, as_names, linked_patients


def split_by_date(
    cohort: Cohort,
    *,
    val: float = 0.15,
    test: float = 0.15,
    duplicates: Duplicates | None = None,
) -> Cohort:
    """Divide by date: train before val before test, and each patient on one side.

    A patient belongs to the day of the *last* study. So every training image is older than the
    first cut, and nothing of the future is learnt. The earlier studies of a patient who comes
    back later go with the patient to val or test; they are marked in the column ``split_moved``
    and a warning counts them. Without them each side is strictly younger than the one before.

    Parameters
    ----------
    cohort : Cohort
        With a column ``date`` without gaps: dates, text in ISO 8601 (2021-03-04), or numbers.
    val, test : float
        Share of the patients; the cuts are laid between the days that come nearest to it.
    duplicates : list of sequences, optional
        As for :func:`split_patients`.

    Returns
    -------
    Cohort
        With the columns ``split`` and ``split_moved`` (bool).

    Raises
    ------
    MedclfError
        If dates are missing or unreadable, there are fewer than three days of last studies, or
        a side lacks a class.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": range(6), "patient_id": range(6), "label": [0, 1] * 3,
    ...                       "date": [2001, 2001, 2002, 2002, 2003, 2003]})
    >>> by_date = split_by_date(Cohort(table, None, "example", "CC0"), val=0.3, test=0.3)
    >>> by_date.table["split"].tolist()
    ['train', 'train', 'val', 'val', 'test', 'test']
    """
    check_shares(val=val, test=test)
    when = _dates(cohort)
    table = table_of(cohort, linked_patients(cohort, duplicates), parts=3)
    last = pd.Series(when).groupby(table.of_image).max().to_numpy()
    days, patients = np.unique(last, return_counts=True)
    if len(days) < 3:
        raise MedclfError(
            f"The patients' last studies fall on {len(days)} different days; train, val and test "
            "need at least three. Give finer dates, or use split_patients."
        )
    until = np.cumsum(patients) / len(table)
    first_cut = int(np.abs(until[:-2] - (1 - val - test)).argmin())
    second_cut = first_cut + 1 + int(np.abs(until[first_cut + 1 : -1] - (1 - test)).argmin())
    cuts = days[[first_cut, second_cut]]
    side = np.searchsorted(cuts, last)[table.of_image]
    moved = side != np.searchsorted(cuts, when)
    _report_moved(cohort, moved, "older than the side of their patient's last study")
    return finish(cohort, np.asarray(SIDES)[side], duplicates, moved=moved)


def hold_out_site(
    cohort: Cohort,
    site: str,
    *,
    val: float = 0.15,
    seed: int = 0,
    shared: Literal["error", "test"] = "error",
    duplicates: Duplicates | None = None,
) -> Cohort:
    """Make one site the test side, and divide the patients of the others into train and val.

    Parameters
    ----------
    cohort : Cohort
        With a column ``site`` without gaps.
    site : str
        The site to hold out.
    val : float
        Share of the patients of the other sites.
    seed : int
        As for :func:`split_patients`.
    shared : {"error", "test"}
        What becomes of patients seen at this site and at another: refuse, or take all their
        images to test, mark those of other sites in ``split_moved`` and warn.
    duplicates : list of sequences, optional
        As for :func:`split_patients`.

    Returns
    -------
    Cohort
        With the columns ``split`` and ``split_moved`` (bool).

    Raises
    ------
    MedclfError
        If the site is not known, patients are seen at two sites, or a side lacks a class.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": range(8), "patient_id": range(8), "label": [0, 1] * 4,
    ...                       "site": list("AAAAAABB")})
    >>> held = hold_out_site(Cohort(table, None, "example", "CC0"), "B", val=0.3)
    >>> held.table.groupby("split")["site"].unique().map(list).to_dict()
    {'test': ['B'], 'train': ['A'], 'val': ['A']}
    """
    check_shares(val=val)
    here = _at_site(cohort, site)
    linked = linked_patients(cohort, duplicates)
    is_test = np.isin(linked, linked[here])
    moved = is_test & ~here
    if moved.any() and shared != "test":
        who = np.unique(linked[moved])
        raise MedclfError(
            f"{len(who)} patients of site {site!r}, or copies of their images, are also at "
            f"another site; the first is {who[0]!r}. Pass shared='test' to take all their images "
            "to test, or take these patients out."
        )
    _report_moved(cohort, moved, f"from another site than {site!r}")
    rest = np.flatnonzero(~is_test)
    if not len(rest):
        raise MedclfError(f"Every image is of site {site!r}; at least two sites are needed.")
    table = table_of(cohort, linked, rest, parts=2)
    side = np.full(len(cohort), "test", dtype=object)
    side[rest] = draw_sides(table, val, None, seed)[table.of_image]
    return finish(cohort, side, duplicates, moved=moved)


def _report_moved(cohort: Cohort, moved: Mask, what: str) -> None:
    if moved.any():
        patients = len(np.unique(cohort.patients[moved]))
        warnings.warn(
            f"{int(moved.sum())} images of {patients} patients are {what}; they stay with their "
            "patient, and the column split_moved marks them.",
            stacklevel=3,
        )


def _at_site(cohort: Cohort, site: str) -> Mask:
    if "site" not in cohort.table:
        raise MedclfError("This cohort has no 'site' column; add one with with_column.")
    sites = as_names(cohort.table["site"], "site")
    if str(site) not in sites:
        known = ", ".join(np.unique(sites))
        raise MedclfError(f"No image is of site {site!r}; the cohort has {known}.")
    here: Mask = sites == str(site)
    return here


def _dates(cohort: Cohort) -> npt.NDArray[Any]:
    if "date" not in cohort.table:
        raise MedclfError(
            "This cohort has no 'date' column. A follow-up number orders the studies of one "
            "patient only and cannot stand in for it; use split_patients."
        )
    given = cohort.table["date"].infer_objects()
    if not (pd.api.types.is_numeric_dtype(given) or pd.api.types.is_datetime64_any_dtype(given)):
        given = _read_dates(given)
    # After reading, which makes blank text a missing date too.
    as_names(given.isna().map({True: None, False: ""}), "date")
    return given.to_numpy()


def _read_dates(given: pd.Series) -> pd.Series:
    if any(isinstance(date, Number) for date in given.dropna()):
        raise MedclfError("Column 'date' mixes numbers and text. Write all dates in one way.")
    try:
        # Only ISO 8601: whether 03/04/2021 is in March or in April cannot be known.
        return pd.to_datetime(given, format="ISO8601", utc=True).dt.tz_localize(None)
    except (ValueError, TypeError) as problem:
        first_line = str(problem).splitlines()[0].split(". ")[0]
        raise MedclfError(
            f"A date cannot be read: {first_line}. Write dates as 2021-03-04 (ISO 8601), or "
            "convert the column with pandas.to_datetime and the format you know."
        ) from problem
