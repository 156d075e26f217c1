"""Train, val and test by patient: what is kept apart, how well it balances, and repeats."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold
from split_cohorts import (
    assert_apart,
    attempt,
    cohort_of,
    cohorts,
    enough_patients,
    linked_by_force,
    multilabel_cohort,
    random_cohort,
)

from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.splits import (
    balance,
    linked_patients,
    split_patients,
    split_train_val,
)

SIDES = {"train", "val", "test"}
each = settings(deadline=None, max_examples=60)


def side_of_image(cohort: Cohort) -> dict[str, str]:
    return dict(zip(cohort.table["image_id"], cohort.table["split"], strict=True))


@given(cohorts(), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.15, 0.3]))
@each
def test_patients_and_copies_stay_on_one_side_or_the_division_is_refused(drawn, seed, share):
    cohort, groups = drawn
    possible = enough_patients(cohort.labels, linked_by_force(cohort, groups), 3)
    divided, refusal = attempt(
        lambda: split_patients(cohort, val=share, test=share, seed=seed, duplicates=groups)
    )
    if divided is None:
        assert not possible, refusal
        return
    assert possible is not False
    assert_apart(cohort, groups, divided.table["split"].to_numpy(), SIDES)
    pd.testing.assert_frame_equal(divided.table.drop(columns="split"), cohort.table)


@given(cohorts())
@each
def test_linked_patients_agree_with_joining_copy_by_copy(drawn):
    cohort, groups = drawn
    rows = [np.flatnonzero(cohort.table["image_id"].isin(g)).tolist() for g in groups]
    expected = linked_by_force(cohort, groups)
    assert linked_patients(cohort, groups).tolist() == expected
    assert linked_patients(cohort, rows).tolist() == expected


def test_links_chain_over_copies_of_both_kinds():
    cohort = cohort_of({"c": [0], "b": [0, 1], "a": [1], "d": [1]}, sha256=list("xxyzw"))
    assert linked_patients(cohort, [("i2", "i3")]).tolist() == ["a", "a", "a", "a", "d"]


@pytest.mark.parametrize("cohort", [random_cohort(60), multilabel_cohort(150, rarest=9)])
@given(order=st.randoms(use_true_random=False), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_a_seed_gives_one_division_whatever_the_order_of_rows(cohort, order, seed):
    rows = list(range(len(cohort)))
    order.shuffle(rows)
    shuffled = split_patients(cohort.take(rows), seed=seed)
    assert side_of_image(shuffled) == side_of_image(split_patients(cohort, seed=seed))


@pytest.mark.parametrize("cohort", [random_cohort(100), multilabel_cohort(150, rarest=9)])
def test_other_seeds_give_other_divisions(cohort):
    made = {tuple(split_patients(cohort, seed=s).table["split"]) for s in range(6)}
    assert len(made) == 6


SCRIPT = """
from split_cohorts import multilabel_cohort, random_cohort
from medclf_lite.splits import PatientKFold, split_patients
for cohort in (random_cohort(80, ids="beyond ASCII"), multilabel_cohort(150, rarest=9)):
    print(split_patients(cohort, duplicates=[("i0001", "i0030")]).table["split"].tolist())
    folds = PatientKFold(3).split(None, cohort.labels, cohort.patients)
    print([test.tolist() for _, test in folds])
"""


def test_a_seed_gives_one_division_under_any_hash_seed():
    def run(hash_seed: str) -> str:
        here = str(Path(__file__).parent)
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": here}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout

    first = run("1")
    assert first.count("\n") == 4
    assert run("2") == first


@pytest.mark.parametrize(("val", "test"), [(0.15, 0.15), (0.1, 0.3), (0.4, 0.5)])
def test_shares_of_patients_are_met_within_one_a_stratum(val, test):
    cohort = random_cohort(400, mixed=0.2)
    found = balance(split_patients(cohort, val=val, test=test))["patients"]
    wanted = pd.Series({"train": 1 - val - test, "val": val, "test": test}) * 400
    assert ((found - wanted).abs() <= 3).all()


def off_by(cohort: Cohort, test: np.ndarray) -> tuple[float, float]:
    """How far the prevalence of a test side, and its share of images from 20 %, are off."""
    prevalence = abs(cohort.labels[test].mean() - cohort.labels.mean())
    return float(prevalence), abs(len(test) / len(cohort) - 0.2)


def test_sides_balance_like_stratified_group_folds_and_better_than_chance():
    found = []
    for seed in range(40):
        cohort = random_cohort(150, seed, most=20)
        y, groups = cohort.labels, cohort.patients
        ours = split_patients(cohort, test=0.2, seed=seed).table["split"] == "test"
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(y, y, groups)
        chance = GroupShuffleSplit(1, test_size=0.2, random_state=seed).split(y, y, groups)
        tests = (np.flatnonzero(ours), next(folds)[1], next(chance)[1])
        found.append([off_by(cohort, test) for test in tests])
    ours, folds, chance = np.mean(found, axis=0)
    assert (ours < chance * 0.8).all()
    assert (ours < folds + 0.03).all()


def test_each_of_14_findings_is_spread_like_the_patients():
    cohort = multilabel_cohort()
    ever = split_patients(cohort).table.groupby("patient_id")[["split", *cohort.findings]].max()
    patients = ever.groupby("split").sum()
    assert ((patients / patients.sum()).loc[["val", "test"]] - 0.15).abs().max(axis=None) < 0.1


def test_findings_balance_better_than_by_chance():
    ours, chance = [], []
    for seed in range(10):
        cohort = multilabel_cohort(300, seed)
        y, n = cohort.labels, cohort.labels.sum(axis=0)
        test = (split_patients(cohort, seed=seed).table["split"] == "test").to_numpy()
        drawn = GroupShuffleSplit(1, test_size=0.15, random_state=seed).split(y, y, cohort.patients)
        ours.append(np.abs(y[test].sum(axis=0) / n - 0.15).mean())
        chance.append(np.abs(y[next(drawn)[1]].sum(axis=0) / n - 0.15).mean())
    assert np.mean(ours) < 0.7 * np.mean(chance)


def test_few_patients_with_both_classes_help_the_rarer_class():
    # One patient is never ill and two are both: each side can still have a normal image.
    labels = {"w": [0], "b1": [0, 1], "b2": [0, 1]} | {f"s{i}": [1] for i in range(12)}
    for seed in range(20):
        divided = split_patients(cohort_of(labels), seed=seed)
        assert_apart(divided, [], divided.table["split"].to_numpy(), SIDES)


OFFICIAL = random_cohort(60, 3)
PATIENT = pd.factorize(OFFICIAL.patients)[0]
OFFICIAL = OFFICIAL.with_column(
    "split", np.where(PATIENT < 40, "train", np.where(PATIENT < 42, "val", "test"))
)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.2, 0.5]))
@settings(deadline=None, max_examples=20)
def test_train_and_val_are_divided_anew_and_test_is_left_untouched(seed, share):
    divided = split_train_val(OFFICIAL, val=share, seed=seed)
    given, made = OFFICIAL.table["split"], divided.table["split"]
    assert ((made == "test") == (given == "test")).all()
    assert_apart(divided, [], made.to_numpy(), SIDES)
    patients = divided.part("val").n_patients
    assert abs(patients - share * 42) <= 3


def test_the_tiny_official_val_side_goes_back():
    once_val = OFFICIAL.table["split"] == "val"
    sides = set()
    for seed in range(10):
        sides |= set(split_train_val(OFFICIAL, seed=seed).table["split"][once_val])
    assert sides == {"train", "val"}


def test_a_cohort_without_a_test_side_gets_train_and_val():
    development = OFFICIAL.take((OFFICIAL.table["split"] != "test").to_numpy())
    assert set(split_train_val(development).table["split"]) == {"train", "val"}


def test_a_given_test_side_that_leaks_is_refused():
    first_test = OFFICIAL.part("test").table["image_id"].iloc[0]
    shared = OFFICIAL.table["patient_id"].where(OFFICIAL.table["image_id"] != first_test, "p000")
    with pytest.raises(MedclfError, match=r"1 patient\(s\) are on more than one side.*'p000'"):
        split_train_val(OFFICIAL.with_column("patient_id", shared))
    with pytest.raises(MedclfError, match=r"1 copies.*'i0000'"):
        split_train_val(OFFICIAL, duplicates=[("i0000", first_test)])


def test_pixels_stay_with_their_rows_and_an_older_mark_is_dropped():
    cohort = random_cohort(30).with_column("split_moved", True)
    pixels = np.arange(len(cohort), dtype=np.uint8)[:, None, None]
    divided = split_patients(replace(cohort, images=Arrays(pixels)))
    assert divided.images.pixels is pixels
    assert "split_moved" not in divided.table


BINARY = random_cohort(30)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_patients(BINARY, val=0.5, test=0.5), "below 1; got val=0.5 and test=0.5"),
        (lambda: split_patients(BINARY, val=-0.1), "above 0.*val=-0.1"),
        (lambda: split_patients(BINARY, test=0), "above 0.*test=0"),
        (lambda: split_patients(BINARY, test=float("nan")), "test=nan"),
        (lambda: split_train_val(OFFICIAL, val=1), "got val=1"),
        (lambda: split_train_val(BINARY), "no 'split' column; divide it with split_patients"),
        (lambda: split_train_val(OFFICIAL.part("test")), "No image has split 'train' or 'val'"),
        (lambda: split_train_val(OFFICIAL.with_column("split", "dev")), "No image has split"),
        (lambda: split_patients(BINARY.with_column("label", 0)), "PNEUMONIA is seen in 0 of 30"),
        (lambda: split_patients(cohort_of({"p": [0], "q": [1]})), "NORMAL is seen in 1 of 2"),
        (lambda: split_patients(cohort_of({"p": [0, 1] * 9})), "NORMAL is seen in 1 of 1"),
        (lambda: split_patients(BINARY.with_column("sha256", "x")), "joined by copies"),
        (lambda: cohort_of({"p": [0, 1], None: [1]}), "patient_id is empty in row 2"),
        (lambda: split_patients(multilabel_cohort(60, rarest=2)), "finding00 present is seen in 2"),
    ],
)
def test_bad_input_says_what_was_found(call, message):
    with pytest.raises(MedclfError, match=message):
        call()
