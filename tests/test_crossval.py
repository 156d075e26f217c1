"""Out-of-fold scores are those of scikit-learn, in any number of processes, and leaks are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

from medclf_lite.cohort import Cohort
from medclf_lite.crossval import cross_predict
from medclf_lite.errors import MedclfError
from medclf_lite.splits import PatientKFold, SiteOut

N = 60


def cohort() -> Cohort:
    patients = np.repeat(np.arange(N // 2), 2)
    table = pd.DataFrame({
        "image_id": [f"i{k}" for k in range(N)], "patient_id": [f"p{k}" for k in patients],
        "label": patients % 2, "site": np.where(patients < N // 4, "A", "B"),
    })  # fmt: skip
    return Cohort(table, None, "example", "CC0")


KNOWN = cohort()
X = np.random.default_rng(0).normal(size=(N, 3)) + KNOWN.labels[:, None]


def fit_and_score(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    model = LogisticRegression().fit(X[train], KNOWN.labels[train])
    return model.predict_proba(X[test])[:, 1]


def by_patient(seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(PatientKFold(3, seed).split(None, KNOWN.labels, KNOWN.patients))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("jobs", [1, 2])
def test_scores_are_those_of_scikit_learn_with_one_process_or_two(seed, jobs):
    found = cross_predict(KNOWN, by_patient(seed), fit_and_score, jobs=jobs)
    expected = cross_val_predict(
        LogisticRegression(), X, KNOWN.labels, groups=KNOWN.patients,
        cv=PatientKFold(3, seed), method="predict_proba",
    )[:, 1]  # fmt: skip
    np.testing.assert_allclose(found.scores, expected)


def test_the_table_is_in_the_order_of_the_cohort_and_names_each_fold():
    folds = by_patient()
    found = cross_predict(KNOWN, folds, fit_and_score).table
    assert found["image_id"].tolist() == KNOWN.table["image_id"].tolist()
    for number, (_, test) in enumerate(folds):
        assert (found["fold"].iloc[test] == number).all()
    assert found["site"].tolist() == KNOWN.table["site"].tolist()


def test_sites_can_be_held_out():
    folds = SiteOut().split(None, KNOWN.labels, KNOWN.table[["site", "patient_id"]])
    found = cross_predict(KNOWN, folds, fit_and_score).table
    assert found.groupby("fold")["site"].unique().map(list).tolist() == [["A"], ["B"]]


def test_a_patient_on_both_sides_is_told_unless_leaks_are_wanted():
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, KNOWN.labels))
    with pytest.raises(MedclfError, match="both sides of fold 0"):
        cross_predict(KNOWN, folds, fit_and_score)
    assert len(cross_predict(KNOWN, folds, fit_and_score, leaks=True)) == N


def test_nothing_is_fitted_before_the_folds_are_checked():
    def never(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        raise AssertionError("fitted")

    with pytest.raises(MedclfError):
        cross_predict(KNOWN, list(KFold(7).split(X)), never)


@pytest.mark.parametrize("times", [2, 0])
def test_an_image_held_out_twice_or_never_is_told(times):
    folds = by_patient()
    folds = [*folds, folds[0]] if times else folds[1:]
    with pytest.raises(MedclfError, match=f"held out {times} times"):
        cross_predict(KNOWN, folds, fit_and_score)


def test_a_fold_whose_training_has_one_class_is_told():
    ill, well = np.flatnonzero(KNOWN.labels == 1), np.flatnonzero(KNOWN.labels == 0)
    with pytest.raises(MedclfError, match="fold 0 have one label"):
        cross_predict(KNOWN, [(ill, well), (well, ill)], fit_and_score)


@pytest.mark.parametrize(
    "wrong", [lambda test: np.zeros((len(test), 2)), lambda test: np.zeros(len(test) - 1)]
)
def test_scores_of_another_shape_are_told(wrong):
    with pytest.raises(MedclfError, match=r"one score for each"):
        cross_predict(KNOWN, by_patient(), lambda train, test: wrong(test))


def test_scores_that_are_no_probabilities_are_told():
    with pytest.raises(MedclfError, match=r"not numbers in \[0, 1\]"):
        cross_predict(KNOWN, by_patient(), lambda train, test: np.full(len(test), np.nan))


def test_a_cohort_of_findings_is_told_to_take_one():
    table = KNOWN.table.assign(Mass=KNOWN.labels).drop(columns="label")
    several = Cohort(table, None, "example", "CC0", findings=("Mass",))
    with pytest.raises(MedclfError, match=r"cohort\.finding"):
        cross_predict(several, by_patient(), fit_and_score)
