"""Net benefit against counts by hand, its bounds, and its picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from medclf_lite import plots
from medclf_lite.errors import MedclfError
from medclf_lite.metrics import choose_threshold, net_benefit
from medclf_lite.predictions import Predictions


def predictions(labels, scores, patients=None) -> Predictions:
    names = [f"i{k}" for k in range(len(labels))]
    return Predictions(
        pd.DataFrame({
            "image_id": names, "patient_id": names if patients is None else patients,
            "label": labels, "score": scores,
        })
    )  # fmt: skip


scored = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=40)
cut = st.floats(0.01, 0.99)


@given(scored, cut)
def test_it_is_true_positives_less_priced_false_ones(rows, threshold):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = net_benefit(predictions(labels, scores), [threshold]).iloc[0]
    odds = threshold / (1 - threshold)
    for name, acted in (("model", scores >= threshold), ("treat_all", scores >= 0)):
        _, fp, _, tp = confusion_matrix(labels, acted, labels=[0, 1]).ravel()
        assert found[name] == pytest.approx(tp / len(labels) - fp / len(labels) * odds)
    assert found["treat_none"] == 0


@given(scored)
def test_it_is_never_above_the_prevalence(rows):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = net_benefit(predictions(labels, scores))
    assert len(found) == 99
    assert (found[["model", "treat_all"]] <= labels.mean() + 1e-12).all(axis=None)


def test_perfect_scores_reach_the_prevalence_everywhere():
    labels = np.array([0, 1, 1, 0])
    found = net_benefit(predictions(labels, labels.astype(float)))
    assert found["model"].to_numpy() == pytest.approx(0.5)


def test_the_cost_rule_and_net_benefit_choose_the_same_decisions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    known = predictions(labels, 1 / (1 + np.exp(-rng.normal(2 * labels - 1))))
    t = 0.2  # a miss costs (1 - t) / t = 4 false alarms
    chosen = choose_threshold(known, "cost", target=(1 - t) / t).value
    worth = np.where(labels == 1, 1.0, -t / (1 - t))

    def benefit(at: float) -> float:
        return float((worth * (known.scores >= at)).mean())

    best = max(benefit(at) for at in [*known.scores, 0, 1.1])
    assert benefit(chosen) == pytest.approx(best)


def test_the_interval_is_by_patient_and_holds_the_value():
    rng = np.random.default_rng(1)
    labels = np.repeat(rng.integers(0, 2, 60), 5)
    scores = np.clip(np.repeat(rng.random(60), 5) * 0.5 + 0.4 * labels, 0, 1)
    by_patient = net_benefit(
        predictions(labels, scores, np.repeat(np.arange(60), 5)), [0.3], resamples=1000
    ).iloc[0]
    by_image = net_benefit(predictions(labels, scores), [0.3], resamples=1000).iloc[0]
    assert by_patient["low"] < by_patient["model"] < by_patient["high"]
    width = by_patient["high"] - by_patient["low"]
    assert width > 1.5 * (by_image["high"] - by_image["low"])


@pytest.mark.parametrize("wrong", [[0.0], [1.0], [], [np.nan], [[0.5]]])
def test_impossible_thresholds_are_refused(wrong):
    with pytest.raises(MedclfError, match="between 0 and 1"):
        net_benefit(predictions([0, 1], [0.2, 0.9]), wrong)


def test_the_picture_shows_each_model_and_both_simple_strategies():
    known = predictions([0, 1, 0, 1], [0.1, 0.8, 0.6, 0.9])
    tables = [net_benefit(known), net_benefit(known, resamples=50)]
    figure = plots.decision_curve(*tables, names=("one", "two"))
    (axes,) = figure.axes
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    shown = [text.get_text() for text in axes.get_legend().get_texts()]
    assert shown == ["one", "two", "act on everybody", "act on nobody"]
    plt.close(figure)
