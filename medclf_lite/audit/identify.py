"""Which image of a cohort is this? By its file name, or else by its content."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath
from typing import get_args

import numpy as np
import numpy.typing as npt

from medclf_lite.audit.copies import DETAIL, detail_of
from medclf_lite.audit.side import Side
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import iter_pixels
from medclf_lite.images.square import Fit

SIZE = 128
FITS: tuple[Fit, ...] = get_args(Fit)
MARGIN = 0.03  # by which the best must be better than the second
LEAST = 0.5  # share of a side that must be recognised, or the answer says nothing


def identify(side: Side, cohort: Cohort) -> dict[int, int]:
    """Find the row of the cohort that each item of a side shows.

    Parameters
    ----------
    side : Side
    cohort : Cohort

    Returns
    -------
    dict
        Index of the item to row of the cohort; items that are not recognised are absent.

    Raises
    ------
    MedclfError
        If fewer than half of the items are recognised.
    """
    named = _by_name(side, cohort)
    known = named or (_by_content(side, cohort) if cohort.images is not None else {})
    seen = side.names if named else side.items
    if len(known) < LEAST * max(1, len(seen)):
        raise MedclfError(
            f"{len(known)} of {len(seen)} items of {side.name} could be found in the cohort. Let "
            "the data set yield or keep the file names, or give the cohort that it was made from"
        )
    return known


def _by_name(side: Side, cohort: Cohort) -> dict[int, int]:
    ids = cohort.table["image_id"].astype(str).tolist()
    by_last: dict[str, list[int]] = defaultdict(list)
    for row, image_id in enumerate(ids):
        by_last[_parts(image_id)[-1]].append(row)
    found = {}
    for index, name in side.names.items():
        parts = _parts(name)
        rows = by_last.get(parts[-1], [])
        if len(rows) > 1:  # the name that shares most folders; none if two share as many
            shared = [_shared(parts, _parts(ids[row])) for row in rows]
            best = max(shared)
            rows = [r for r, n in zip(rows, shared, strict=True) if n == best]
        if len(rows) == 1:
            found[index] = rows[0]
    return found


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts or (name,)


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    """Count the last folders that two paths share."""
    n = 0
    for x, y in zip(reversed(a), reversed(b), strict=False):
        if x != y:
            break
        n += 1
    return n


def _by_content(side: Side, cohort: Cohort) -> dict[int, int]:
    """Match the fine detail of the pictures, in the better of two ways of making them square."""
    rows = [i for i, item in side.items.items() if item.image is not None]
    if not rows:
        return {}
    given = np.stack([_squared(side.items[i].image) for i in rows])
    # At the size of the items: a picture that was made smaller has lost its finest detail.
    size = min(SIZE, max(max(np.asarray(side.items[i].image).shape) for i in rows))
    best: dict[int, int] = {}
    for fit in FITS:
        kept = np.stack([detail_of(image) for image in iter_pixels(cohort, size, fit=fit)])
        alike = given @ kept.astype(np.float32).T
        which = alike.argmax(axis=1)
        two = np.sort(alike, axis=1)[:, -2:]
        sure = (two[:, -1] >= DETAIL) & (two[:, -1] - two[:, 0] >= MARGIN)
        found = {i: int(w) for i, w, s in zip(rows, which, sure, strict=True) if s}
        best = max(best, found, key=len)
    return best


def _squared(image: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.float32]:
    assert image is not None
    return detail_of(image).astype(np.float32)
