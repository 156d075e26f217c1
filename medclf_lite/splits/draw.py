"""Draw patients for the sides of a split, stratum by stratum."""

from __future__ import annotations

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit
from sklearn.model_selection import train_test_split

from medclf_lite.cohort import Rows
from medclf_lite.errors import MedclfError
from medclf_lite.splits.units import Names, PatientTable

SIZE_BINS = 10  # bins of the number of images, by which patients of a stratum are stratified


def check_shares(**shares: float) -> None:
    """Raise unless each share is above 0 and something is left for train."""
    given = " and ".join(f"{name}={share}" for name, share in shares.items())
    if not (all(share > 0 for share in shares.values()) and sum(shares.values()) < 1):
        raise MedclfError(
            f"Each share must be above 0 and together they must be below 1; got {given}. For "
            "15 % of the patients write 0.15."
        )


def draw_sides(table: PatientTable, val: float, test: float | None, seed: int) -> Names:
    """Give each patient of the table a side, shape (patients,): train, val, and test if asked."""
    side = np.full(len(table), "train", dtype="<U5")
    everyone = np.arange(len(table))
    strata = table.strata(2 if test is None else 3)
    if test is not None:
        side[_draw(table, everyone, strata, test, seed, keep=2)] = "test"
    rest = everyone[side == "train"]
    side[_draw(table, rest, strata, val / (1 - (test or 0)), seed, keep=1)] = "val"
    return side


def _draw(
    table: PatientTable, among: Rows, strata: Rows, share: float, seed: int, keep: int
) -> Rows:
    """Draw a share of the patients ``among``; leave ``keep`` of each stratum for other sides."""
    if table.multilabel:
        n = _how_many(len(among), share, keep)
        splitter = MultilabelStratifiedShuffleSplit(1, test_size=n, random_state=seed)
        findings = table.ill[among]
        drawn: Rows = next(splitter.split(findings, findings))[1]
        return among[drawn]
    each = [among[strata[among] == s] for s in np.unique(strata[among])]
    return np.concatenate([_draw_stratum(m, table.images[m], share, seed, keep) for m in each])


def _draw_stratum(patients: Rows, images: Rows, share: float, seed: int, keep: int) -> Rows:
    n = _how_many(len(patients), share, keep)
    if n < 1:
        return patients[:0]
    # At most as many bins as patients on either side, so that each bin can give to both.
    bins = min(SIZE_BINS, n, len(patients) - n)
    bin_of = np.empty(len(patients), np.intp)
    bin_of[np.argsort(images, kind="stable")] = np.arange(len(patients)) * bins // len(patients)
    drawn: Rows = train_test_split(patients, test_size=n, random_state=seed, stratify=bin_of)[1]
    return drawn


def _how_many(n: int, share: float, keep: int) -> int:
    return min(max(round(share * n), 1), n - keep)
