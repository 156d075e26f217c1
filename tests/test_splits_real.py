"""Splits of the real sets: what their own divisions leak, and that ours hold at their scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from split_cohorts import assert_apart

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.sources import from_folder, open_cohort
from medclf_lite.splits import PatientKFold, balance, check_split, split_patients, split_train_val

pytestmark = pytest.mark.real
SIDES = {"train", "val", "test"}


@pytest.fixture(scope="module")
def kaggle(real_data: Path) -> Cohort:
    return from_folder(real_data / "chest_xray_224")


@pytest.fixture(scope="module")
def nih(real_data: Path) -> Cohort:
    return open_cohort(real_data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz")


def test_the_official_split_is_sound_by_the_right_rule_and_leaks_by_the_wrong_one(
    kaggle: Cohort, real_data: Path
) -> None:
    check_split(kaggle)
    wrong = from_folder(real_data / "chest_xray_224", patients="tutorial")
    without_val = wrong.take((wrong.table["split"] != "val").to_numpy())
    with pytest.raises(MedclfError, match=r"170 patient\(s\) are on more than one side"):
        check_split(without_val, sides=("train", "test"))


def test_the_official_test_is_kept_and_val_becomes_large_enough(kaggle: Cohort) -> None:
    divided = split_train_val(kaggle)
    side, given = divided.table["split"].to_numpy(), kaggle.table["split"].to_numpy()
    assert_apart(kaggle, [], side, SIDES)
    assert ((side == "test") == (given == "test")).all()
    found = balance(divided)
    share = found.loc["val", "patients"] / found.loc[["train", "val"], "patients"].sum()
    assert abs(share - 0.15) < 0.001
    assert abs(found.loc["val", "prevalence"] - found.loc["train", "prevalence"]) < 0.02
    assert abs(found.loc["val", "images"] / (side != "test").sum() - 0.15) < 0.02


def test_folds_of_the_whole_set_are_even(kaggle: Cohort) -> None:
    fold = np.empty(len(kaggle), int)
    for i, (_, test) in enumerate(PatientKFold(5).split(None, kaggle.labels, kaggle.patients)):
        fold[test] = i
    assert kaggle.table.assign(fold=fold).groupby("patient_id")["fold"].nunique().max() == 1
    prevalence = kaggle.table["label"].groupby(fold).mean()
    assert np.ptp(prevalence) < 0.01


def test_medmnists_own_split_is_refused_and_a_division_of_patients_is_not(real_data: Path) -> None:
    matches = pd.read_csv(real_data / "pneumoniamnist" / "match_to_kaggle_names.csv")
    sure = matches[matches["corr"] > 0.97].reset_index(names="image_id")
    table = sure.rename(columns={"patient": "patient_id", "mnist_split": "split"})
    mnist = Cohort(table, None, "PneumoniaMNIST", "CC BY 4.0")
    sides = table.groupby("patient_id")["split"].nunique()
    with pytest.raises(MedclfError, match=rf"^{(sides > 1).sum()} patient\(s\).*train and val"):
        check_split(mnist)
    check_split(split_patients(mnist))
    check_split(split_train_val(mnist))


def test_14_findings_of_30805_patients_are_divided_evenly(nih: Cohort) -> None:
    divided = split_patients(nih)
    assert divided.table.groupby("patient_id")["split"].nunique().max() == 1
    found = balance(divided)
    assert (found["share_patients"] - [0.7, 0.15, 0.15]).abs().max() < 0.001
    assert (found["share_images"] - [0.7, 0.15, 0.15]).abs().max() < 0.01
    prevalence = found[list(nih.findings)] / nih.labels.mean(axis=0)
    assert prevalence.min(axis=None) > 0.75
    assert prevalence.max(axis=None) < 1.33
    ever = divided.table.groupby("patient_id")[["split", *nih.findings]].max().groupby("split")
    patients = ever.sum() / ever.sum().sum()
    assert (patients.loc[["val", "test"]] - 0.15).abs().max(axis=None) < 0.01


@pytest.mark.parametrize("findings", [True, False])
def test_folds_of_30805_patients_are_apart_and_even(nih: Cohort, findings: bool) -> None:
    labels = nih.labels if findings else nih.labels.any(axis=1, keepdims=True).astype(int)
    table = nih.table.assign(fold=-1)
    for i, (_, test) in enumerate(PatientKFold(5).split(None, labels, nih.patients)):
        table.loc[test, "fold"] = i
    assert table["fold"].min() == 0
    assert table.groupby("patient_id")["fold"].nunique().max() == 1
    prevalence = pd.DataFrame(labels).groupby(table["fold"]).mean() / labels.mean(axis=0)
    assert prevalence.min(axis=None) > 0.75
    assert prevalence.max(axis=None) < 1.33
