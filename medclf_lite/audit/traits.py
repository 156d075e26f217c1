"""Traits of an image that say nothing about the patient, as numbers a probe can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.audit.looks import GRID, Looks

if TYPE_CHECKING:
    from medclf_lite.audit.cohort_input import AuditInput

Kind = Literal["file", "image", "record"]
Matrix = npt.NDArray[Any]  # numbers of any kind: bytes where they came as bytes
EDGE = 4  # width of border and corners on that grid, a seventh of the side


class Trait(NamedTuple):
    """One trait: ``values`` of shape (n, k); k is 1 for a number."""

    name: str
    kind: Kind
    values: Matrix
    is_number: bool = True


def compute_traits(audit: AuditInput) -> list[Trait]:
    """Compute every trait that the cohort's table, files and pixels give.

    Parameters
    ----------
    audit : AuditInput

    Returns
    -------
    list of Trait
        One row a readable image. File: bytes, bits per pixel, width, height, aspect, mode,
        JPEG table (sum of the luma quantisation table). Image: mean and standard deviation of
        the intensity, the outer seventh as border ring and as four corners. Record: site,
        view, date. What the cohort does not have is absent.
    """
    found = [*_of_files(audit), *_of_records(audit.readable.table)]
    if audit.cohort.images is not None or audit.given_pixels is not None:
        found += _of_pixels(audit.looks)
    return found


def _of_files(audit: AuditInput) -> list[Trait]:
    table = audit.readable.table
    numbers = {"bytes": "n_bytes", "width": "width", "height": "height"}
    given = {name: _as_numbers(table[c]) for name, c in numbers.items() if c in table}
    if {"width", "height"} <= given.keys():
        given["aspect"] = _as_numbers(given["width"] / given["height"])
        if "bytes" in given:
            area = given["width"] * given["height"]
            given["bits per pixel"] = _as_numbers(8 * given["bytes"] / area)
    if "compression" in audit.facts:
        given["JPEG table"] = audit.facts["compression"].iloc[audit.rows]
    elif "compression" in table:
        given["JPEG table"] = _as_numbers(table["compression"])
    found = [
        _number(name, "file", values) for name, values in given.items() if values.notna().any()
    ]
    return found + ([_category("mode", "file", table["mode"])] if "mode" in table else [])


def _of_records(table: pd.DataFrame) -> list[Trait]:
    found = [_category(c, "record", table[c]) for c in ("site", "view") if c in table]
    if "date" in table:
        dates = read_dates(table["date"])
        if dates.notna().any():
            found.append(_number("date", "record", dates.rank()))
    return found


def _of_pixels(looks: Looks) -> list[Trait]:
    small = looks.small
    ring = np.ones((GRID, GRID), dtype=bool)
    ring[EDGE:-EDGE, EDGE:-EDGE] = False
    outside = np.r_[:EDGE, GRID - EDGE : GRID]
    corners = np.zeros((GRID, GRID), dtype=bool)
    corners[np.ix_(outside, outside)] = True
    return [
        Trait("intensity mean", "image", looks.mean[:, None]),
        Trait("intensity sd", "image", looks.sd[:, None]),
        Trait("border ring", "image", small[:, ring], is_number=False),
        Trait("four corners", "image", small[:, corners], is_number=False),
    ]


def read_dates(values: pd.Series) -> pd.Series:
    """Read dates as the splits do: numbers count days or years, text is ISO 8601.

    A value that is neither is missing: whether 03/04/2021 is in March cannot be known.
    """
    if pd.api.types.is_numeric_dtype(values):
        return values
    return pd.to_datetime(values, format="ISO8601", errors="coerce", utc=True)


def _as_numbers(values: pd.Series) -> pd.Series:
    """Read numbers; what is none, or infinite, is missing."""
    known = pd.to_numeric(values, errors="coerce").astype(float)
    return known.where(np.isfinite(known))


def _number(name: str, kind: Kind, values: pd.Series) -> Trait:
    """Make a column of a number; where it is missing, the median, and a second column."""
    missing = values.isna().to_numpy()
    filled = values.astype(float).fillna(values.median()).to_numpy()
    columns = [filled, missing.astype(float)] if missing.any() else [filled]
    return Trait(name, kind, np.column_stack(columns), is_number=not missing.any())


def _category(name: str, kind: Kind, values: pd.Series) -> Trait:
    codes = pd.get_dummies(values.astype("string").fillna("unknown"), dtype=float)
    return Trait(name, kind, codes.to_numpy(), is_number=False)
