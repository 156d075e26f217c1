"""Figures against scikit-learn, with and without weights; calibration against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored import SCORES, predictions, scored
from sklearn import metrics as sk

from medclf_lite import metrics
from medclf_lite.errors import MedclfError
from medclf_lite.metrics.figures import DECISIONS, RANKING, Sample
from medclf_lite.resampling import Ranking, patient_weights, percentiles, resample


def by_sklearn(y, s, threshold: float, weights=None) -> dict[str, float]:
    d = (s >= threshold).astype(int)
    w = {"sample_weight": weights}
    nan = {"zero_division": np.nan} | w
    return {
        "roc_auc": sk.roc_auc_score(y, s, **w),
        "pr_auc": sk.average_precision_score(y, s, **w),
        "sensitivity": sk.recall_score(y, d, **nan),
        "specificity": sk.recall_score(y, d, pos_label=0, **nan),
        "ppv": sk.precision_score(y, d, **nan),
        "npv": sk.precision_score(y, d, pos_label=0, **nan),
        "f1": sk.f1_score(y, d, **nan),
        "balanced_accuracy": sk.balanced_accuracy_score(y, d, **w),
        "accuracy": sk.accuracy_score(y, d, **w),
        "brier": sk.brier_score_loss(y, s, **w),
        "prevalence": float(np.average(y, weights=weights)),
    }


@given(scored(), SCORES)
@settings(deadline=None)
def test_every_figure_is_that_of_scikit_learn(sample, threshold) -> None:
    y, s = sample
    found = metrics.figures(y, s, threshold)
    expected = by_sklearn(y, s, threshold)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, nan_ok=True), name
    assert set(found.index) == {*expected, "ece"} == set(metrics.FIGURES)


@given(scored(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_weights_mean_the_same_as_repeating_the_images(sample, seed) -> None:
    y, s = sample
    weights = np.random.default_rng(seed).integers(0, 4, len(y))
    weights[:2] += 1  # keep one image of each class
    under = Sample.of(y, s, 0.5).under(weights[None].astype(float))[0]
    repeated = metrics.figures(np.repeat(y, weights), np.repeat(s, weights), 0.5)
    assert under == pytest.approx(repeated.to_numpy(), nan_ok=True)
    assert under[0] == pytest.approx(sk.roc_auc_score(y, s, sample_weight=weights))


@given(scored(both_classes=False))
def test_the_calibration_error_is_that_of_brute_force(sample) -> None:
    y, s = sample
    expected = 0.0
    for k in range(10):
        inside = (s * 10 >= k) & ((s * 10 < k + 1) | (k == 9))
        if inside.any():
            expected += inside.mean() * abs(s[inside].mean() - y[inside].mean())
    assert metrics.figures(y, s)["ece"] == pytest.approx(expected)
    table = metrics.calibration_table(predictions(y, s))
    gaps = (table["mean_score"] - table["observed"]).abs()
    assert np.average(gaps, weights=table["n"]) == pytest.approx(expected)
    assert table["n"].sum() == len(y)


@given(scored(both_classes=False, least=3))
def test_the_area_of_one_class_is_undefined_and_never_a_guess(sample) -> None:
    _, s = sample
    for label in (0, 1):
        found = metrics.figures(np.full(len(s), label), s, 0.5)
        assert np.isnan(found["roc_auc"])
        assert np.isnan(found["specificity" if label else "sensitivity"])
        assert np.isnan(found["balanced_accuracy"])


@given(scored())
def test_turning_labels_and_scores_over_changes_the_names_only(sample) -> None:
    y, s = sample
    s = np.round(s, 6)  # so that 1 - s keeps ties and order
    one, other = metrics.figures(y, s, 0.5), metrics.figures(1 - y, 1 - s, np.nextafter(0.5, 1))
    assert other["roc_auc"] == pytest.approx(one["roc_auc"])
    assert other["brier"] == pytest.approx(one["brier"])
    assert other["sensitivity"] == pytest.approx(one["specificity"])
    assert other["ppv"] == pytest.approx(one["npv"], nan_ok=True)


def test_without_a_threshold_there_is_no_decision() -> None:
    found = metrics.figures([0, 1], [0.2, 0.8])
    assert tuple(found.index) == RANKING
    assert not set(found.index) & set(DECISIONS)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([], []), ([0, 1], [0.5]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1, np.nan]), ([0, 1], [0, 3])],
)
def test_wrong_labels_and_scores_are_refused(labels, scores) -> None:
    with pytest.raises(MedclfError):
        metrics.figures(labels, scores)


# --- resampling ----------------------------------------------------------------------------


@given(st.lists(st.sampled_from("pqrst"), min_size=1, max_size=30), st.integers(0, 99))
def test_a_resample_draws_as_many_patients_as_there_are_and_whole_ones(patients, seed) -> None:
    people = np.array(patients)
    weights = np.concatenate(list(patient_weights(people, 7, seed)))
    assert weights.shape == (7, len(people))
    for row in weights:
        once = {p: set(row[people == p]) for p in set(patients)}
        assert all(len(values) == 1 for values in once.values())
        assert sum(next(iter(v)) for v in once.values()) == len(once)


def test_chunks_change_nothing_and_the_order_of_rows_neither(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    y, s, people = rng.integers(0, 2, 60), rng.random(60), rng.integers(0, 20, 60)
    whole = resample(Ranking.of(y, s).auc, people, resamples=50, seed=1)
    monkeypatch.setattr("medclf_lite.resampling._CHUNK_VALUES", 130)
    assert resample(Ranking.of(y, s).auc, people, resamples=50, seed=1) == pytest.approx(
        whole, nan_ok=True
    )
    turned = rng.permutation(60)
    again = resample(Ranking.of(y[turned], s[turned]).auc, people[turned], resamples=50, seed=1)
    assert again == pytest.approx(whole, nan_ok=True)


def test_resampled_areas_are_those_of_an_ordinary_patient_bootstrap() -> None:
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(60), 3)
    y = np.repeat(rng.integers(0, 2, 60), 3)
    s = 1 / (1 + np.exp(-(y + np.repeat(rng.normal(0, 1, 60), 3))))
    mine = resample(Ranking.of(y, s).auc, people, resamples=3000, seed=0)
    rows = [np.flatnonzero(people == p) for p in range(60)]
    plain = []
    for _ in range(1500):
        drawn = np.concatenate([rows[p] for p in rng.integers(0, 60, 60)])
        plain.append(sk.roc_auc_score(y[drawn], s[drawn]))
    assert np.std(mine) == pytest.approx(np.std(plain), rel=0.1)
    assert np.mean(mine) == pytest.approx(np.mean(plain), abs=0.01)


def test_percentiles_leave_undefined_resamples_out() -> None:
    values = np.array([[0.0, np.nan], [1.0, np.nan], [np.nan, np.nan]])
    low, high = percentiles(values, level=1 - 1e-9)
    assert low[0] == pytest.approx(0, abs=1e-6)
    assert high[0] == pytest.approx(1)
    assert np.isnan([low[1], high[1]]).all()
