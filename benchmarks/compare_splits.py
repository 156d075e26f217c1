"""Splits: what a list of patients costs, and what balancing patient by patient costs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from measure import Row, seconds, told
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from medclf_lite.cohort import Cohort
from medclf_lite.splits import PatientKFold, split_patients, split_train_val

SIZES = (10_000, 100_000)
LOOKED_UP = 2_000  # images that the slow way is timed on; its time is linear in them
FOLDS = 5


def cohort(images: int) -> Cohort:
    """Draw a table of about so many images, 3.3 a patient on average."""
    rng = np.random.default_rng(0)
    n = round(images * 0.3)
    person = np.repeat(np.arange(n), rng.geometric(0.3, n))
    label = (rng.random(n) < 0.27).astype(int)[person]
    table = {"image_id": np.arange(len(person)), "patient_id": person, "label": label}
    return Cohort(
        pd.DataFrame(table).assign(split="train").astype({"patient_id": str}),
        None, "drawn for a benchmark", "CC0",
    )  # fmt: skip


def by_list(patients: list[str], sides: list[list[str]]) -> list[list[str]]:
    """Choose the images of each side as the tutorial does, by looking its patient up in a list."""
    return [[patient for patient in patients if patient in side] for side in sides]


def membership(size: int, runs: int) -> Row:
    """Compare the tutorial's split with ours; ours also stratifies and proves its result."""
    asked = cohort(size)
    patients = asked.patients.tolist()
    names = sorted(set(patients))
    sides = [list(side) for side in train_test_split(names, test_size=0.2, random_state=42)]
    part = np.random.default_rng(0).choice(patients, LOOKED_UP, replace=False).tolist()
    slow = seconds(partial(by_list, part, sides), runs) * len(patients) / LOOKED_UP
    fast = seconds(partial(split_train_val, asked, val=0.2), runs)
    return Row(
        f"train and val, {len(patients):,} images of {len(names):,} patients",
        f"`patient in a_list`: {told(slow)}, extrapolated from {LOOKED_UP:,} of the images",
        told(fast),
    )


def folds(size: int, runs: int) -> list[Row]:
    """Compare scikit-learn's splitter by group with ours: time, and how even the folds are."""
    asked = cohort(size)
    y, groups = asked.labels, asked.patients
    splitters = (StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0), PatientKFold(FOLDS))
    times, spread = [], []
    for splitter in splitters:
        work = partial(lambda s: list(s.split(y, y, groups)), splitter)
        times.append(told(seconds(work, runs)))
        shares = [y[test].mean() for _, test in work()]
        sizes = [len(test) for _, test in work()]
        spread.append(f"{max(shares) - min(shares):.4f} and {max(sizes) / min(sizes):.3f}")
    what = f"{FOLDS} folds by patient, {len(y):,} images"
    return [
        Row(what, f"`StratifiedGroupKFold`: {times[0]}", f"`PatientKFold`: {times[1]}"),
        Row("the same: largest gap of prevalence, and of size as a ratio", *spread),
    ]


def rows(runs: int) -> list[Row]:
    """Compare splits of several sizes."""
    found = [membership(size, runs) for size in SIZES]
    found += [row for size in SIZES for row in folds(size, runs)]
    large = cohort(1_000_000)
    once = seconds(partial(split_patients, large), min(runs, 3))
    return [*found, Row(f"three sides, {len(large):,} images", "", told(once))]
