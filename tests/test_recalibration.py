"""Recalibration undoes what was done to probabilities, and changes no ranking."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from medclf_lite.errors import MedclfError
from medclf_lite.metrics import calibration_line, fit_temperature, shift_prevalence
from medclf_lite.predictions import Predictions


def simulated(seed: int, *, sure: float = 1.0, shift: float = 0.0, n: int = 4000) -> Predictions:
    """Labels drawn from true probabilities, and scores that are too sure or shifted."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, n)
    return Predictions(
        pd.DataFrame({
            "image_id": [f"{seed}-{k}" for k in range(n)],
            "patient_id": [f"{seed}-{k}" for k in range(n)],
            "label": (rng.random(n) < expit(true)).astype(int), "score": expit(sure * true + shift),
        })
    )  # fmt: skip


@pytest.mark.parametrize("sure", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_temperature_is_how_much_too_sure_the_scores_are(sure, seed):
    assert fit_temperature(simulated(seed, sure=sure)).value == pytest.approx(sure, rel=0.12)


def test_the_temperature_has_the_least_log_loss_of_all():
    known = simulated(3, sure=2.0, n=500)
    best = fit_temperature(known).value

    def loss(temperature: float) -> float:
        return log_loss(known.labels, expit(logit(known.scores) / temperature))

    assert loss(best) <= min(loss(t) for t in np.exp(np.linspace(-2, 3, 400))) + 1e-9


def test_a_temperature_mends_calibration_on_other_patients_and_leaves_the_ranking():
    temperature = fit_temperature(simulated(0, sure=3.0))
    before = simulated(1, sure=3.0)
    after = temperature.apply(before)
    assert roc_auc_score(after.labels, after.scores) == roc_auc_score(before.labels, before.scores)
    assert log_loss(after.labels, after.scores) < log_loss(before.labels, before.scores) - 0.02
    assert calibration_line(after).slope == pytest.approx(1, abs=0.1)


def test_a_temperature_is_refused_on_the_patients_it_was_fitted_on():
    known = simulated(0, n=50)
    temperature = fit_temperature(known)
    with pytest.raises(MedclfError, match="fitted on 50 of the 50"):
        temperature.apply(known)
    other_images = Predictions(known.table.assign(image_id=[f"new {k}" for k in range(50)]))
    with pytest.raises(MedclfError, match="their patients"):
        temperature.apply(other_images)


def test_scores_of_exactly_0_and_1_have_a_temperature():
    table = simulated(0, n=200).table
    table.loc[:3, "score"] = [0.0, 1.0, 0.0, 1.0]
    assert np.isfinite(fit_temperature(Predictions(table)).value)


@pytest.mark.parametrize(("sure", "shift"), [(1.0, 0.0), (2.0, 0.0), (0.5, 0.0), (1.0, 1.0)])
def test_slope_and_intercept_say_what_is_wrong(sure, shift):
    line = calibration_line(simulated(5, sure=sure, shift=shift, n=20_000))
    assert line.slope == pytest.approx(1 / sure, rel=0.06)
    if sure == 1:
        assert line.intercept == pytest.approx(-shift, abs=0.08)


def test_the_intercept_makes_the_mean_score_the_prevalence():
    known = simulated(6, sure=1.7, shift=0.8, n=300)
    intercept = calibration_line(known).intercept
    assert expit(logit(known.scores) + intercept).mean() == pytest.approx(known.labels.mean())


scores = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=30)
share = st.floats(0.01, 0.99)


@given(scores, share, share)
def test_a_shift_there_and_back_changes_nothing_and_keeps_the_order(given_scores, old, new):
    shifted = shift_prevalence(given_scores, old, new)
    back = shift_prevalence(shifted, new, old)
    np.testing.assert_allclose(back, given_scores, rtol=1e-6)
    assert ((shifted >= 0) & (shifted <= 1)).all()
    if len(set(given_scores)) > 1:
        assert (np.argsort(shifted, kind="stable") == np.argsort(given_scores, kind="stable")).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_model_trained_on_half_is_right_at_a_twentieth_after_the_shift(seed):
    """Bayes' rule against a model that was fitted at the new prevalence."""
    rng = np.random.default_rng(seed)

    def drawn(prevalence: float, n: int) -> tuple[np.ndarray, np.ndarray]:
        y = (rng.random(n) < prevalence).astype(int)
        return rng.normal(y[:, None], 1.0), y

    x, y = drawn(0.5, 20_000)
    balanced = LogisticRegression(C=np.inf).fit(x, y)
    x, y = drawn(0.05, 40_000)
    native = LogisticRegression(C=np.inf).fit(x, y)
    at = np.linspace(-2, 3, 50)[:, None]
    shifted = shift_prevalence(balanced.predict_proba(at)[:, 1], old=0.5, new=0.05)
    np.testing.assert_allclose(shifted, native.predict_proba(at)[:, 1], atol=0.05)
    assert spearmanr(shifted, balanced.predict_proba(at)[:, 1]).statistic == pytest.approx(1)


@pytest.mark.parametrize("function", [fit_temperature, calibration_line])
def test_one_class_is_refused(function):
    table = simulated(0, n=20).table.assign(label=1)
    with pytest.raises(MedclfError, match="both classes"):
        function(Predictions(table))


@pytest.mark.parametrize(
    ("values", "old", "new", "said"),
    [([1.2], 0.5, 0.1, "probabilities"), ([np.nan], 0.5, 0.1, "probabilities"),
     ([0.5], 0.0, 0.1, "shares"), ([0.5], 0.5, 1.0, "shares")],
)  # fmt: skip
def test_impossible_shifts_are_refused(values, old, new, said):
    with pytest.raises(MedclfError, match=said):
        shift_prevalence(values, old, new)
