"""Thresholds with an origin, and intervals that cover what they promise to cover."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from scored import predictions, scored
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score, roc_curve

from medclf_lite import metrics
from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions


def clustered(seed: int, n_patients: int, shift: float = 0.9) -> Predictions:
    """Patients with one to many images that resemble each other; half of them on average ill."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(n_patients), rng.geometric(0.3, n_patients))
    y = rng.integers(0, 2, n_patients)[people]
    x = y * shift + rng.normal(0, 0.9, n_patients)[people] + rng.normal(0, 0.6, len(people))
    return predictions(y, 1 / (1 + np.exp(-x)), people.astype(str))


# --- thresholds ----------------------------------------------------------------------------


def best_by_brute_force(y, s, score) -> float:
    cuts = [*np.unique(s), 1.1]
    return max(score(y, (s >= c).astype(int)) for c in cuts)


def youden_of(y, d) -> float:
    return d[y == 1].mean() - d[y == 0].mean()


@given(scored())
@settings(deadline=None)
def test_youden_and_f1_reach_what_brute_force_reaches(sample) -> None:
    y, s = sample
    made = predictions(y, s)
    for rule, score in (
        ("youden", youden_of),
        ("f1", lambda a, b: f1_score(a, b, zero_division=0.0)),
    ):
        d = metrics.choose_threshold(made, rule).decide(s).astype(int)
        assert score(y, d) == pytest.approx(best_by_brute_force(y, s, score)), rule


@given(scored(), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
@settings(deadline=None)
def test_a_target_is_reached_at_the_least_cost(sample, target) -> None:
    y, s = sample
    made = predictions(y, s)
    rate, sensitivity, _ = roc_curve(y, s, drop_intermediate=False)
    for rule, reached, cost in (
        ("sensitivity", sensitivity, rate),
        ("specificity", 1 - rate, 1 - sensitivity),
    ):
        d = metrics.choose_threshold(made, rule, target=target).decide(s)
        own = {"sensitivity": d[y == 1].mean(), "specificity": 1 - d[y == 0].mean()}
        assert own[rule] >= target - 1e-9
        other = own["specificity" if rule == "sensitivity" else "sensitivity"]
        assert 1 - other == pytest.approx(min(cost[reached >= target - 1e-9])), rule


@given(scored(), st.sampled_from([0.2, 1.0, 3.0, 10.0, 99.0]))
@settings(deadline=None)
def test_the_cost_is_least_and_the_net_benefit_greatest(sample, worth) -> None:
    y, s = sample

    def saved(y, d) -> float:
        return -(worth * (y * (1 - d)).sum() + ((1 - y) * d).sum())

    def benefit(y, d) -> float:  # of Vickers and Elkin, at the odds of 1 to `worth`
        return ((y * d).sum() - ((1 - y) * d).sum() / worth) / len(y)

    d = metrics.choose_threshold(predictions(y, s), "cost", target=worth).decide(s).astype(int)
    for score in (saved, benefit):
        assert score(y, d) == pytest.approx(best_by_brute_force(y, s, score))


@given(scored())
def test_a_threshold_lies_between_two_scores_even_if_they_are_neighbours(sample) -> None:
    y, s = sample
    s[0], s[1] = 0.5, np.nextafter(0.5, 1)
    value = metrics.choose_threshold(predictions(y, s)).value
    assert value == 0 or (s < value).any() or value <= s.min()
    assert metrics.figures(y, s, value)["sensitivity"] >= 0


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    # .15 and .65 both have a Youden index of one half.
    made = predictions([0, 1, 0, 1], [0.1, 0.2, 0.6, 0.7])
    assert metrics.choose_threshold(made).value == pytest.approx(0.15)


def test_a_threshold_is_refused_on_the_images_and_patients_it_was_chosen_on() -> None:
    y, s = [0, 1, 0, 1], [0.1, 0.8, 0.3, 0.9]
    val = predictions(y, s, ["p", "q", "r", "s"])
    threshold = metrics.choose_threshold(val)
    same_patient = predictions(y, s, ["p", "w", "x", "y"], image_id=list("wxyz"))
    others = predictions(y, s, ["a", "b", "c", "d"], image_id=list("wxyz"))
    for judge in (metrics.evaluate, metrics.confusion):
        with pytest.raises(MedclfError, match="chosen on 4 of the 4 patients"):
            judge(val, threshold)
        with pytest.raises(MedclfError, match="chosen on 1 of the 4 patients"):
            judge(same_patient, threshold)
        judge(others, threshold)


def test_numbers_as_ids_are_refused_too() -> None:
    val = predictions([0, 1], [0.1, 0.9], [7, 8], image_id=[1, 2])
    test = predictions([0, 1], [0.1, 0.9], [8, 9], image_id=[3, 4])
    with pytest.raises(MedclfError, match="chosen on 1 of the 2 patients"):
        metrics.evaluate(test, metrics.choose_threshold(val))


def test_a_threshold_keeps_its_origin_through_json() -> None:
    made = metrics.choose_threshold(clustered(0, 20), "sensitivity", target=0.9)
    again = metrics.Threshold.from_dict(json.loads(json.dumps(made.to_dict())))
    assert again == made
    assert made.images
    without = {k: v for k, v in made.to_dict().items() if k != "images"}
    with pytest.raises(MedclfError, match="images is missing"):
        metrics.Threshold.from_dict(without)


@pytest.mark.parametrize(
    ("rule", "target", "message"),
    [
        ("best", None, "expected one of youden"),
        ("youden", 0.9, "takes no target"),
        ("sensitivity", None, "needs a target"),
        ("specificity", 1.5, "needs a target"),
        ("cost", None, "number of false alarms"),
        ("cost", float("inf"), "number of false alarms"),
    ],
)
def test_an_impossible_rule_is_refused(rule, target, message) -> None:
    with pytest.raises(MedclfError, match=message):
        metrics.choose_threshold(clustered(0, 20), rule, target=target)


def test_a_threshold_needs_both_classes_and_a_fixed_one_a_reason() -> None:
    with pytest.raises(MedclfError, match="All 2 images have label 1"):
        metrics.choose_threshold(predictions([1, 1], [0.1, 0.2]))
    for value, reason in ((0.5, " "), (1.5, "protocol"), (float("nan"), "protocol")):
        with pytest.raises(MedclfError, match="needs a value"):
            metrics.fixed_threshold(value, reason)
    with pytest.raises(MedclfError, match="a number without an origin"):
        metrics.evaluate(predictions([0, 1], [0.1, 0.9]), 0.5)  # type: ignore[arg-type]


def test_the_confusion_matrix_is_that_of_scikit_learn() -> None:
    made = clustered(4, 50)
    expected = confusion_matrix(made.labels, made.scores >= 0.6)
    half = metrics.fixed_threshold(0.6, "a test")
    assert (metrics.confusion(made, half) == expected).all()


# --- intervals -----------------------------------------------------------------------------


def test_evaluation_gives_each_figure_once_with_what_it_rests_on() -> None:
    made = clustered(1, 80)
    found = metrics.evaluate(made, metrics.fixed_threshold(0.5, "a test"), resamples=300)
    point = metrics.figures(made.labels, made.scores, 0.5)
    assert found["value"].to_dict() == pytest.approx(point.to_dict())
    assert (found["low"] <= found["value"]).all()
    assert (found["value"] <= found["high"]).all()
    assert found.loc["sensitivity", "n"] == made.labels.sum()
    ill = set(made.patients[made.labels == 1])
    assert found.loc["sensitivity", "patients"] == len(ill)
    again = metrics.evaluate(made, metrics.fixed_threshold(0.5, "a test"), resamples=300)
    pd.testing.assert_frame_equal(found, again)


def test_a_figure_that_does_not_exist_is_reported_as_such() -> None:
    made = predictions([1] * 6, np.linspace(0.3, 0.9, 6))
    found = metrics.evaluate(made, metrics.fixed_threshold(0.5, "a test"), resamples=50)
    assert found.loc["specificity", "undefined"] == 1
    assert np.isnan(found.loc["roc_auc", ["value", "low", "high"]].astype(float)).all()
    assert found.loc["sensitivity", "undefined"] == 0


def test_undefined_resamples_are_counted_and_not_hidden() -> None:
    # One ill patient of eight is absent from a third of all resamples.
    made = predictions([1] + [0] * 7, [0.9, *np.linspace(0.1, 0.8, 7)])
    found = metrics.evaluate(made, resamples=2000)
    assert found.loc["roc_auc", "undefined"] == pytest.approx((7 / 8) ** 8, abs=0.05)


@given(st.integers(1, 60))
@settings(deadline=None, max_examples=20)
def test_a_perfect_share_gets_the_exact_interval_and_no_false_certainty(n) -> None:
    made = predictions([1] * n + [0] * n, [0.9] * n + [0.1] * n)
    found = metrics.evaluate(made, metrics.fixed_threshold(0.5, "a test"), resamples=20)
    row = found.loc["sensitivity"]
    assert row["value"] == row["high"] == 1
    assert row["low"] == pytest.approx(beta.ppf(0.025, n, 1))
    # An area of 1 has no spread either, and no exact interval: it says that it has none.
    assert np.isnan(found.loc["roc_auc", ["low", "high"]].astype(float)).all()


@pytest.mark.parametrize("options", [{"resamples": 0}, {"level": 1.0}, {"level": 0}])
def test_impossible_options_are_refused(options) -> None:
    with pytest.raises(MedclfError, match="resamples must be"):
        metrics.evaluate(clustered(0, 20), **options)


def test_an_area_needs_both_classes() -> None:
    made = predictions([1, 1], [0.1, 0.2])
    with pytest.raises(MedclfError, match="both classes"):
        metrics.auc_interval(made)
    with pytest.raises(MedclfError, match="a variance needs two"):
        metrics.delong_interval(made)


def test_intervals_by_patient_cover_and_those_by_image_do_not() -> None:
    """Nominal 95 %: by image far less, by patient about that (fresh cohorts, seeds 100 on)."""
    many = clustered(99, 40_000)
    true = roc_auc_score(many.labels, many.scores)
    inside = {"bootstrap": 0, "patient": 0, "image": 0}
    rounds = 120
    for seed in range(100, 100 + rounds):
        made = clustered(seed, 120)
        found = {
            "bootstrap": metrics.auc_interval(made, resamples=300),
            "patient": metrics.delong_interval(made),
            "image": metrics.delong_interval(made, by_patient=False),
        }
        for name, (_, low, high) in found.items():
            inside[name] += low <= true <= high
    assert inside["image"] < 0.85 * rounds
    assert inside["bootstrap"] > 0.87 * rounds
    assert inside["patient"] > 0.87 * rounds


def delong_by_pairs(y, s) -> tuple[float, float]:
    """DeLong's variance from its definition, over all pairs."""
    ill, well = s[y == 1], s[y == 0]
    psi = (ill[:, None] > well) + 0.5 * (ill[:, None] == well)
    variance = psi.mean(1).var(ddof=1) / len(ill) + psi.mean(0).var(ddof=1) / len(well)
    return psi.mean(), variance


@given(scored(least=6))
@settings(deadline=None)
def test_delong_is_that_of_its_definition(sample) -> None:
    y, s = sample
    y[:4] = [0, 1, 0, 1]
    area, variance = delong_by_pairs(y, s)
    found = metrics.delong_interval(predictions(y, s))
    assert found.value == pytest.approx(area)
    if variance > 1e-12 and 1e-9 < area < 1 - 1e-9:
        scale = area * (1 - area)
        logit = np.log(np.array(found[1:]) / (1 - np.array(found[1:])))
        assert np.diff(logit)[0] == pytest.approx(2 * 1.959964 * variance**0.5 / scale, rel=1e-4)
    else:
        assert np.isnan(found.low)


def test_copies_of_every_image_widen_nothing_by_patient() -> None:
    """Ten copies a patient are no new evidence: by patient the interval stays."""
    y, s = np.arange(60) % 2, np.random.default_rng(5).random(60)
    s = np.clip(s + 0.2 * y, 0, 1)
    once = metrics.delong_interval(predictions(y, s))
    ten = predictions(np.tile(y, 10), np.tile(s, 10), np.tile(np.arange(60), 10).astype(str))
    clustered_, naive = (metrics.delong_interval(ten, by_patient=b) for b in (True, False))
    assert clustered_ == pytest.approx(once, rel=1e-6)
    assert naive.high - naive.low < 0.5 * (once.high - once.low)
