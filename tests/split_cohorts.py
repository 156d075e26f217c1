"""Random cohorts for the tests of the splits, and what must hold of a division, by brute force."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TypeVar

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

ID_KINDS = {
    "text": lambda i: f"p{i:03d}",
    "numbers": lambda i: 7 * i % 1009,
    "beyond ASCII": lambda i: f"患者-{chr(0xE0 + i % 30)}😀{i}",
}
Groups = list[tuple[str, ...]]
T = TypeVar("T")


def cohort_of(patients: dict[object, list[int]], **columns: object) -> Cohort:
    """Give a cohort from the labels of each patient's images, with further columns."""
    rows = [(who, label) for who, labels in patients.items() for label in labels]
    table = pd.DataFrame(rows, columns=["patient_id", "label"])
    ids = [f"i{k}" for k in range(len(table))]
    return Cohort(table.assign(image_id=ids, **columns), None, "made", "CC0")


def random_cohort(
    n: int, seed: int = 0, *, ill: float = 0.3, mixed: float = 0.1, most: int = 5, ids: str = "text"
) -> Cohort:
    """Give n patients with up to ``most`` images; some have images of both classes."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(n), np.minimum(rng.geometric(0.4, n), most))
    own = (rng.random(n) < ill)[owner]
    label = np.where((rng.random(n) < mixed)[owner], rng.random(len(owner)) < 0.5, own)
    table = pd.DataFrame({
        "image_id": [f"i{k:04d}" for k in range(len(owner))],
        "patient_id": [ID_KINDS[ids](i) for i in owner],
        "label": label.astype(int),
        "sha256": [f"{k:x}" for k in range(len(owner))],
    })  # fmt: skip
    return Cohort(table, None, "made", "CC0")


def multilabel_cohort(n: int = 600, seed: int = 0, rarest: int = 12) -> Cohort:
    """Give n patients with 14 findings, the first in ``rarest`` patients, the last in 30 %.

    A finding is in all images of a patient who has it, or, one time in two, in the first only.
    """
    base, rng = random_cohort(n, seed), np.random.default_rng(seed)
    codes = pd.factorize(base.patients)[0]
    later = base.table["patient_id"].duplicated().to_numpy()
    names = tuple(f"finding{k:02d}" for k in range(14))
    columns = {}
    for name, share in zip(names, np.geomspace(rarest / n, 0.3, 14), strict=True):
        has = np.isin(codes, rng.choice(n, round(share * n), replace=False))
        columns[name] = (has & ~(later & (rng.random() < 0.5))).astype(int)
    table = base.table.drop(columns="label").assign(**columns)
    return Cohort(table, None, "made", "CC0", findings=names)


@st.composite
def cohorts(draw: st.DrawFn, fewest: int = 2, most: int = 40) -> tuple[Cohort, Groups]:
    """Draw a cohort, rows in any order, with copies by sha256, and further groups of copies."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    cohort = random_cohort(
        draw(st.integers(fewest, most)), seed,
        ill=draw(st.sampled_from([0.1, 0.3, 0.5])), mixed=draw(st.sampled_from([0, 0.1, 0.6])),
        ids=draw(st.sampled_from(sorted(ID_KINDS))),
    )  # fmt: skip
    sha = cohort.table["sha256"].to_numpy(dtype=object)
    sha[rng.random(len(sha)) < 0.2] = draw(st.sampled_from(["", None]))
    for _ in range(draw(st.integers(0, 3))):
        one, other = rng.integers(0, len(sha), 2)
        sha[one] = sha[other]
    table = cohort.table.assign(sha256=sha).sample(frac=1, random_state=seed)
    groups = [
        tuple(rng.choice(table["image_id"], min(size, len(table)), replace=False).tolist())
        for size in draw(st.lists(st.integers(0, 3), max_size=2))
    ]
    return Cohort(table, None, "made", "CC0"), groups


def linked_by_force(cohort: Cohort, groups: Groups) -> list[str]:
    """Join patients copy by copy: the slow way to :func:`linked_patients`."""
    patients = [str(p) for p in cohort.table["patient_id"]]
    known = cohort.table.assign(row=range(len(cohort)))
    copies = [set(known.loc[known["image_id"].isin(group), "row"]) for group in groups]
    if "sha256" in known:
        named = known[known["sha256"].notna() & (known["sha256"] != "")]
        copies += [set(rows) for _, rows in named.groupby("sha256")["row"]]
    joined = {p: {p} for p in patients}
    for one, other in (pair for rows in copies for pair in combinations(sorted(rows), 2)):
        both = joined[patients[one]] | joined[patients[other]]
        joined.update(dict.fromkeys(both, both))
    return [min(joined[p]) for p in patients]


def enough_patients(labels: np.ndarray, linked: list[str], parts: int) -> bool | None:
    """Say whether each part can hold both classes; None for a few patients that may not fit."""
    seen = pd.Series(labels).groupby(np.asarray(linked)).agg(["min", "max"])
    both = int((seen["min"] < seen["max"]).sum())
    ill, well = int(seen["min"].sum()), int((seen["max"] == 0).sum())
    if min(ill, well) + both < parts:
        return False
    return True if max(ill, well, both) >= parts else None


def attempt(make: Callable[[], T]) -> tuple[T | None, str]:
    """Return what was made, or None and why it was refused."""
    try:
        return make(), ""
    except MedclfError as refusal:
        return None, str(refusal)


def spread(values: pd.Series, part: pd.Series) -> pd.Series:
    """Return the set of parts in which each value is found."""
    return pd.Series(np.asarray(part)).groupby(np.asarray(values)).agg(set)


def assert_apart(cohort: Cohort, groups: Groups, part: np.ndarray, parts: set) -> None:
    """Assert that no patient and no copy is in two parts, and that each part has both classes."""
    assert set(part) == parts
    assert len(part) == len(cohort)
    assert (spread(cohort.table["patient_id"].astype(str), part).map(len) == 1).all()
    assert (spread(linked_by_force(cohort, groups), part).map(len) == 1).all()
    for column in cohort.table[list(cohort.findings or ["label"])].to_numpy().T:
        assert set(zip(part, column, strict=True)) == {(p, c) for p in parts for c in (0, 1)}
