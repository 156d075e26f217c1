"""Folds by patient and by site, in scikit-learn's loops and nested in each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold, cross_validate
from split_cohorts import (
    assert_apart,
    attempt,
    cohort_of,
    cohorts,
    enough_patients,
    multilabel_cohort,
    random_cohort,
)

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.splits import PatientKFold, SiteOut, folds, linked_patients, nested

each = settings(deadline=None, max_examples=40)
both_ways = pytest.mark.parametrize("many", [20_000, 0])  # 0: the way of very large cohorts


def number(found: list, n: int) -> np.ndarray:
    """Turn folds into the fold of each row; asserts that they partition the rows."""
    fold = np.full(n, -1)
    for i, (train, test) in enumerate(found):
        assert (fold[test] == -1).all()
        assert np.array_equal(np.setdiff1d(np.arange(n), test), train)
        fold[test] = i
    assert (fold >= 0).all()
    return fold


def folds_of(cohort: Cohort, splitter: PatientKFold, many: int = 20_000) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "MANY_PATIENTS", many)
        found = list(splitter.split(None, cohort.labels, cohort.patients))
    return number(found, len(cohort))


@both_ways
@given(drawn=cohorts(), n=st.integers(2, 5), seed=st.integers(0, 999))
@each
def test_each_patient_is_in_one_test_fold_or_the_folds_are_refused(many, drawn, n, seed):
    cohort, groups = drawn
    linked = linked_patients(cohort, groups)
    possible = enough_patients(cohort.labels, linked.tolist(), n)
    joined = cohort.with_column("patient_id", linked)
    fold, refusal = attempt(lambda: folds_of(joined, PatientKFold(n, seed), many))
    if fold is None:
        assert not possible or "has no image of" in refusal
        return
    assert possible is not False
    assert_apart(cohort, groups, fold, set(range(n)))


@both_ways
def test_folds_that_are_possible_are_not_refused(many):
    for seed in range(40):
        cohort = random_cohort(60, seed, ill=0.25, most=20)
        assert_apart(cohort, [], folds_of(cohort, PatientKFold(5, seed), many), set(range(5)))


def test_prevalence_of_folds_is_as_even_as_with_scikit_learn():
    found = []
    for seed in range(20):
        cohort = random_cohort(150, seed, most=8)
        y, groups = cohort.labels, cohort.patients
        peer = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(y, y, groups)
        chance = GroupKFold(5, shuffle=True, random_state=seed).split(y, y, groups)
        fold = folds_of(cohort, PatientKFold(5, seed))
        tests = ([fold == i for i in range(5)], *([t for _, t in f] for f in (peer, chance)))
        found.append([np.std([y[test].mean() for test in each]) for each in tests])
    ours, peers, by_chance = np.mean(found, axis=0)
    assert ours < peers + 0.005
    assert ours < 0.3 * by_chance


def test_very_large_cohorts_get_even_folds_without_looking_at_each_image():
    cohort = random_cohort(folds.MANY_PATIENTS + 1, mixed=0.02)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folds, "StratifiedGroupKFold", None)  # slow here, so not to be called
        fold = folds_of(cohort, PatientKFold(5))
    assert_apart(cohort, [], fold, set(range(5)))
    by_fold = cohort.table.groupby(fold).agg({"patient_id": "nunique", "label": ["mean", "size"]})
    assert np.ptp(by_fold["patient_id", "nunique"]) <= 3  # at most one for each stratum
    assert np.ptp(by_fold["label", "mean"]) < 0.02
    assert np.ptp(by_fold["label", "size"]) < 0.03 * len(cohort) / 5


def test_folds_of_findings_are_apart_and_rare_findings_spread():
    cohort = multilabel_cohort()
    fold = folds_of(cohort, PatientKFold(5))
    assert_apart(cohort, [], fold, set(range(5)))
    ever = cohort.table[["patient_id", *cohort.findings]].assign(fold=fold)
    patients = ever.groupby("patient_id").max().groupby("fold").sum()
    assert ((patients / patients.sum() - 0.2).abs() < 0.1).all(axis=None)


@both_ways
@pytest.mark.parametrize("cohort", [random_cohort(60), multilabel_cohort(150, rarest=9)])
@given(order=st.randoms(use_true_random=False), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=10)
def test_a_seed_gives_one_set_of_folds_whatever_the_order_of_rows(many, cohort, order, seed):
    rows = list(range(len(cohort)))
    order.shuffle(rows)
    fold = folds_of(cohort, PatientKFold(3, seed), many)
    assert (folds_of(cohort.take(rows), PatientKFold(3, seed), many) == fold[rows]).all()


@both_ways
def test_other_seeds_and_repeats_give_other_folds(many):
    cohort = random_cohort(80)
    made = {tuple(folds_of(cohort, PatientKFold(3, s), many)) for s in range(6)}
    assert len(made) == 6
    repeated = PatientKFold(3, seed=1, repeats=4)
    found = list(repeated.split(None, cohort.labels, cohort.patients))
    assert len(found) == repeated.get_n_splits() == 12
    again = [tuple(number(found[i : i + 3], len(cohort))) for i in range(0, 12, 3)]
    assert again == [tuple(folds_of(cohort, PatientKFold(3, s))) for s in range(1, 5)]


SITES = random_cohort(90, 5)
SITES = SITES.with_column("site", np.array(["north", "south", "Zürich"])[
    pd.factorize(SITES.patients)[0] % 3])  # fmt: skip
BOTH = SITES.table[["site", "patient_id"]]
X = np.random.default_rng(0).normal(size=(len(SITES), 3)) + SITES.labels[:, None]


@pytest.mark.parametrize(
    ("cv", "groups", "n", "apart"),
    [
        (PatientKFold(4), SITES.patients, 4, "patient_id"),
        (PatientKFold(2, repeats=3), SITES.table["patient_id"], 6, "patient_id"),
        (SiteOut(), BOTH, 3, "site"),
        (SiteOut(), SITES.table["site"], 3, "site"),
    ],
)
def test_scikit_learn_takes_the_splitters(cv, groups, n, apart):
    y, column = SITES.labels, SITES.table[apart].to_numpy()
    found = cross_validate(
        LogisticRegression(), X, y, groups=groups, cv=cv, scoring="roc_auc",
        error_score="raise", return_indices=True,
    )  # fmt: skip
    assert len(found["test_score"]) == cv.get_n_splits(X, y, groups) == n
    for train, test in zip(*found["indices"].values(), strict=True):
        assert not set(column[train]) & set(column[test])
    search = clone(GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=cv))
    assert search.cv == cv
    assert search.fit(X, y, groups=groups).n_splits_ == n


def test_each_site_is_held_out_once_in_the_order_of_names():
    found = list(SiteOut().split(None, SITES.labels, BOTH))
    fold = number(found, len(SITES))
    assert [set(SITES.table["site"][fold == i]) for i in range(3)] == [
        {"Zürich"}, {"north"}, {"south"}
    ]  # fmt: skip


def test_a_patient_at_two_sites_is_refused_where_patients_are_given():
    moved = SITES.table["site"].copy()
    moved[SITES.table.index[SITES.table["patient_id"] == "p001"][:1]] = "north"
    assert (moved != SITES.table["site"]).any()
    with pytest.raises(MedclfError, match=r"'p001'.*hold_out_site"):
        SiteOut().split(None, SITES.labels, BOTH.assign(site=moved))


@given(cohorts(fewest=30), st.integers(2, 3), st.integers(2, 3), st.integers(0, 99))
@each
def test_nested_folds_never_show_an_outer_test_patient_to_the_inner_loop(drawn, outer, inner, seed):
    cohort, groups = drawn
    found, refusal = attempt(
        lambda: list(nested(cohort, outer, inner, seed=seed, duplicates=groups))
    )
    if found is None:
        assert "is seen in" in refusal or "has no image of" in refusal
        return
    linked = linked_patients(cohort, groups)
    number([(f.train, f.test) for f in found], len(cohort))
    assert len(found) == outer
    for fold in found:
        held = set(linked[fold.test])
        assert len(fold.inner) == inner
        assert sorted(np.concatenate([val for _, val in fold.inner])) == fold.train.tolist()
        for fit, val in fold.inner:
            assert not held & set(linked[fit]) | held & set(linked[val])
            assert not set(linked[fit]) & set(linked[val])
            assert sorted([*fit, *val]) == fold.train.tolist()
            assert len(set(cohort.labels[val])) == 2


def test_a_site_can_be_held_out_around_folds_of_patients():
    found = list(nested(SITES, SiteOut(), PatientKFold(3, repeats=2)))
    assert [len(f.inner) for f in found] == [6, 6, 6]
    for fold in found:
        assert len(set(SITES.table["site"].iloc[fold.test])) == 1
        assert not set(SITES.table["site"].iloc[fold.test]) & set(SITES.table["site"][fold.train])
    inside = next(nested(SITES, 2, SiteOut())).inner
    assert [set(SITES.table["site"][val]) for _, val in inside] == [
        {"Zürich"},
        {"north"},
        {"south"},
    ]


def test_a_copy_at_another_site_stops_nested_folds():
    first = [SITES.table.index[SITES.table["site"] == s][0] for s in ("north", "south")]
    with pytest.raises(MedclfError, match="at two sites"):
        next(nested(SITES, SiteOut(), 2, duplicates=[first]))


Y, PATIENTS = SITES.labels, SITES.patients


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PatientKFold(1), "n_splits of at least 2"),
        (lambda: PatientKFold(3, repeats=0), "repeats of at least 1"),
        (lambda: PatientKFold().split(X, Y), "needs groups.*recognise the person"),
        (lambda: SiteOut().split(X, Y), r"SiteOut needs groups.*\[\[\"site\", \"patient_id\"\]\]"),
        (lambda: SiteOut().get_n_splits(X, Y), "SiteOut needs groups"),
        (lambda: PatientKFold().split(X, None, PATIENTS), "needs labels y"),
        (lambda: PatientKFold().split(X, [], []), "Labels must be 0 or 1"),
        (lambda: PatientKFold().split(X, Y + 1, PATIENTS), "Labels must be 0 or 1"),
        (lambda: PatientKFold().split(X, list("ab"), list("pq")), "got <U1 of shape"),
        (lambda: PatientKFold().split(X, Y[1:], PATIENTS), "labels, but groups of shape"),
        (lambda: SiteOut().split(X, Y[1:], BOTH), "labels, but groups of shape"),
        (lambda: PatientKFold().split(X, Y, "patient_id"), r"groups of shape \(\)"),
        (lambda: PatientKFold().split(X, Y, BOTH), "one patient ID an image"),
        (lambda: PatientKFold().split(X, [0, 1], ["p", None]), "1 of 2 images have no patient ID"),
        (lambda: PatientKFold(2).split(X, [0, 1], ["p", "q"]), "Label 0 of column 0 is seen in 1"),
        (lambda: PatientKFold(2).split(X, [0, 0], ["p", "q"]), "Label 1 of column 0 is seen in 0"),
        (lambda: SiteOut().split(X, [0, 1], ["a", "a"]), "two sites or more.*'a'"),
        (lambda: SiteOut().split(X, [0, 1], ["a", float("nan")]), "1 of 2 images have no site"),
        (lambda: SiteOut().split(X, [0, 1, 1], list("aab")), "Site 'b' has no image of Label 0"),
        (lambda: next(nested(random_cohort(9), SiteOut(), 2)), "no 'site' column"),
        (lambda: next(nested(cohort_of({"p": [0, 1], "q": [0]}), 2, 2)), "is seen in 1 of 2"),
    ],
)
def test_bad_input_says_what_was_found(call, message):
    with pytest.raises(MedclfError, match=message):
        call()
