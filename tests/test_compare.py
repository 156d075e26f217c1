"""Two models on the same patients: against pairs, loops and simulation; never against itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scored import predictions, scored
from sklearn import metrics as sk

from medclf_lite import metrics
from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import patient_weights


def twins(seed: int, patients: int, gain: float = 0.0) -> tuple[Predictions, Predictions]:
    """Two models that see the same patients; what is hard about a patient is hard for both."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(patients), rng.geometric(0.35, patients))
    label = (rng.random(patients) < 0.4).astype(int)[person]
    shared = rng.normal(0, 0.9, patients)[person]
    z = [
        (1.2 + extra) * label + shared
        + rng.normal(0, 0.5, patients)[person] + rng.normal(0, 0.4, len(person))
        for extra in (gain, 0)
    ]  # fmt: skip
    first, second = (predictions(label, expit(k), person.astype(str)) for k in z)
    return first, second


def half() -> metrics.Threshold:
    return metrics.fixed_threshold(0.6, "a test")


# --- the bootstrap -------------------------------------------------------------------------


def test_each_difference_is_that_of_two_separate_evaluations() -> None:
    first, second = twins(0, 60)
    found = metrics.compare(first, second, (half(), half()), resamples=50)
    for name in metrics.FIGURES:
        one, other = (metrics.figures(p.labels, p.scores, 0.6)[name] for p in (first, second))
        assert found.loc[name, "first"] == pytest.approx(one)
        assert found.loc[name, "second"] == pytest.approx(other)
        assert found.loc[name, "difference"] == pytest.approx(one - other, abs=1e-12)


def test_the_interval_is_that_of_a_loop_over_the_same_patients_for_both() -> None:
    first, second = twins(1, 40)
    found = metrics.compare(first, second, resamples=200, seed=3).loc["roc_auc"]
    (weights,) = patient_weights(first.patients, 200, 3)
    looped = [
        sk.roc_auc_score(first.labels, first.scores, sample_weight=w)
        - sk.roc_auc_score(second.labels, second.scores, sample_weight=w)
        for w in weights
    ]
    assert [found["low"], found["high"]] == pytest.approx(np.quantile(looped, [0.025, 0.975]))


@given(scored(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_the_order_of_the_rows_does_not_matter(sample, random) -> None:
    y, s = sample
    first, second = predictions(y, s), predictions(y, 1 - s)
    rows = list(range(len(y)))
    random.shuffle(rows)
    mixed = Predictions(second.table.iloc[rows])
    one, other = (metrics.compare(first, p, resamples=20) for p in (second, mixed))
    assert other.to_numpy() == pytest.approx(one.to_numpy(), nan_ok=True)
    same = metrics.delong_difference if min(np.bincount(y)) > 1 else None
    if same:
        assert same(first, mixed) == pytest.approx(same(first, second), nan_ok=True)


def test_a_model_does_not_differ_from_itself() -> None:
    first, _ = twins(2, 40)
    found = metrics.compare(first, first, (half(), half()), resamples=50)
    assert (found[["difference", "low", "high"]] == 0).all(axis=None)
    assert np.isnan(metrics.delong_difference(first, first).p)


def test_turning_the_two_round_turns_the_sign() -> None:
    first, second = twins(3, 50, gain=0.5)
    there, back = metrics.compare(first, second), metrics.compare(second, first)
    for name in ("roc_auc", "brier"):
        assert there.loc[name, "low"] == pytest.approx(-back.loc[name, "high"])
    one, other = metrics.delong_difference(first, second), metrics.delong_difference(second, first)
    assert (one.value, one.low, one.p) == pytest.approx((-other.value, -other.high, other.p))


# --- DeLong --------------------------------------------------------------------------------


def paired_by_pairs(y, a, b) -> tuple[float, float]:
    """DeLong's paired test from its definition: both covariance matrices, over all pairs."""
    psi = [
        (s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in (a, b)
    ]
    ill = np.cov([p.mean(axis=1) for p in psi]) / (y == 1).sum()
    well = np.cov([p.mean(axis=0) for p in psi]) / (y == 0).sum()
    one_less = np.array([1, -1])
    return psi[0].mean() - psi[1].mean(), float(one_less @ (ill + well) @ one_less)


@given(scored(least=6), st.integers(0, 999))
@settings(deadline=None)
def test_delong_is_that_of_its_definition(sample, seed) -> None:
    y, s = sample
    y[:4] = [0, 1, 0, 1]
    other = np.random.default_rng(seed).random(len(y))
    value, variance = paired_by_pairs(y, s, other)
    found = metrics.delong_difference(predictions(y, s), predictions(y, other))
    assert found.value == pytest.approx(value, abs=1e-12)
    if variance > 1e-12:
        assert found.high - found.low == pytest.approx(2 * 1.959964 * variance**0.5, rel=1e-4)


def test_copies_of_every_image_are_no_new_evidence() -> None:
    first, second = (p.where(~p.table["patient_id"].duplicated()) for p in twins(4, 80))
    y, people = np.tile(first.labels, 10), np.tile(first.patients, 10)
    ten = [predictions(y, np.tile(p.scores, 10), people) for p in (first, second)]
    once = metrics.delong_difference(first, second)
    assert metrics.delong_difference(*ten) == pytest.approx(once, rel=1e-6)
    by_image = metrics.delong_difference(*ten, by_patient=False)
    assert by_image.high - by_image.low < 0.5 * (once.high - once.low)
    assert by_image.p < once.p


def test_equal_models_are_told_apart_in_one_of_twenty_by_patient_and_oftener_by_image() -> None:
    rounds = 200
    p = {"patient": 0, "image": 0, "bootstrap": 0}
    for seed in range(500, 500 + rounds):
        pair = twins(seed, 80)
        p["patient"] += metrics.delong_difference(*pair).p < 0.05
        p["image"] += metrics.delong_difference(*pair, by_patient=False).p < 0.05
        found = metrics.compare(*pair, resamples=200).loc["roc_auc"]
        p["bootstrap"] += not found["low"] <= 0 <= found["high"]
    assert p["patient"] <= 0.12 * rounds
    assert p["bootstrap"] <= 0.13 * rounds
    assert p["image"] >= 0.15 * rounds


def test_pairing_sees_what_two_separate_intervals_do_not() -> None:
    first, second = twins(6, 400, gain=0.4)
    one, other = metrics.delong_interval(first), metrics.delong_interval(second)
    assert one.low < other.high, "the two intervals overlap"
    assert metrics.compare(first, second).loc["roc_auc", "low"] > 0
    assert metrics.delong_difference(first, second).p < 0.05


# --- what cannot be compared ---------------------------------------------------------------


def test_what_is_not_the_same_is_refused() -> None:
    first, second = twins(7, 30)
    fewer = second.where(np.arange(len(second)) > 0)
    turned = Predictions(second.table.assign(label=1 - second.table["label"]))
    moved = Predictions(second.table.assign(patient_id="p"))
    for other, message in (
        (fewer, "1 are only in the first and 0 only in the second, such as 'i0'"),
        (turned, "another label"),
        (moved, "another patient_id"),
    ):
        for judge in (metrics.compare, metrics.delong_difference):
            with pytest.raises(MedclfError, match=message):
                judge(first, other)


def test_a_threshold_chosen_on_these_patients_is_refused_for_either_model() -> None:
    first, second = twins(8, 30)
    own = metrics.choose_threshold(second)
    for pair in ((own, half()), (half(), own)):
        with pytest.raises(MedclfError, match="chosen on 30 of the 30 patients"):
            metrics.compare(first, second, pair)
    for lonely in (half(), (half(),)):
        with pytest.raises(MedclfError, match="expected a pair"):
            metrics.compare(first, second, lonely)  # type: ignore[arg-type]
    with pytest.raises(MedclfError, match="a number without an origin"):
        metrics.compare(first, second, (half(), 0.5))  # type: ignore[arg-type]


def test_one_class_has_no_area_to_compare() -> None:
    one = predictions([1, 1, 1], [0.1, 0.2, 0.3])
    assert metrics.compare(one, one, resamples=10).loc["roc_auc", "undefined"] == 1
    with pytest.raises(MedclfError, match="a variance needs two"):
        metrics.delong_difference(one, one)
