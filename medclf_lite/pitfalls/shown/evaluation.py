"""Faults of evaluation: thresholds, bare figures, prevalence, subgroups, probabilities."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)

from medclf_lite.audit.finding import CALIBRATION, EDA, EVALUATION
from medclf_lite.pitfalls.cohorts import (
    FAINT,
    data,
    linear,
    patients,
    pixels,
    scores,
)
from medclf_lite.pitfalls.registry import Outcome, fault
from medclf_lite.resampling import auc_with_interval


def threshold_on_test(val, test):
    y, score = test
    tried = np.linspace(0.05, 0.95, 91)
    return max(
        tried, key=lambda t: balanced_accuracy_score(y, score > t)
    )


def threshold_on_val(val, test):
    y, score = val
    tried = np.linspace(0.05, 0.95, 91)
    return max(
        tried, key=lambda t: balanced_accuracy_score(y, score > t)
    )


@fault(
    "F24", "The threshold is chosen on the test", EVALUATION, faulty=threshold_on_test,
    fixed=threshold_on_val, figure="balanced accuracy, 50 patients, mean of 10 tests",
    hurts="Of ninety thresholds the luckiest is taken, and its luck is reported. On new patients "
    "it is gone.",
    caught_by=("predictions.threshold", "code.test-threshold"),
)  # fmt: skip
def on_test(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    said, truth = [], []
    for _ in range(10):
        val, test, (new_y, new_score) = (
            scores(rng, n) for n in (50, 50, 2000)
        )
        chosen = threshold_on_test(val, test)
        said.append(balanced_accuracy_score(test[0], test[1] > chosen))
        truth.append(balanced_accuracy_score(new_y, new_score > chosen))
    return Outcome(float(np.mean(said)), float(np.mean(truth)))


def one_number(labels, score):
    return f"AUC = {roc_auc_score(labels, score):.4f}"


def with_its_interval(labels, score, patients):
    auc = auc_with_interval(labels, score, patients)
    return f"AUC {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f})"


@fault(
    "F25", "Four digits read off sixteen images", EVALUATION, faulty=one_number,
    fixed=with_its_interval, figure="ROC-AUC, read off 16 images and off 4,000", shows="spread",
    hurts="The same model on sixteen other patients gives another figure, above or below by "
    "several hundredths. Four digits say that it would not.",
    caught_by=("predictions.interval", "code.bare-figure"),
)  # fmt: skip
def bare(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    (y, score), (many_y, many) = (
        scores(rng, 16, gap=1.75),
        scores(rng, 4000, gap=1.75),
    )
    return Outcome(
        float(one_number(y, score).split()[-1]),
        roc_auc_score(many_y, many),
    )


def precision_curve_alone(labels, score):
    return average_precision_score(labels, score)


def with_the_prevalence(labels, score):
    area, chance = (
        average_precision_score(labels, score),
        np.mean(labels),
    )
    return f"AP {area:.2f}; by chance {chance:.2f}"


@fault(
    "F26", "A precision-recall curve without its prevalence", EVALUATION,
    faulty=precision_curve_alone, fixed=with_the_prevalence,
    figure="average precision, at 50 % and at 5 % ill",
    hurts="The same model, the same disease: where fewer are ill, precision falls. A curve "
    "without its area and its prevalence cannot be carried to another clinic.",
    caught_by=("predictions.figures", "code.pr-area"),
)  # fmt: skip
def prevalence(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    return Outcome(
        *(
            precision_curve_alone(*scores(rng, 3000, p))
            for p in (0.5, 0.05)
        )
    )


def choose_by_test(recipes, val, test):
    return max(recipes, key=lambda r: roc_auc_score(*test[r]))


def choose_by_val(recipes, val, test):
    return max(recipes, key=lambda r: roc_auc_score(*val[r]))


@fault(
    "F31", "The test side is looked at while choosing", EDA, faulty=choose_by_test,
    fixed=choose_by_val, figure="ROC-AUC of the recipe that was chosen, 100 patients",
    hurts="Thirty recipes of preprocessing that are equally good: the one that looks best on the "
    "test was lucky there. A plot of the test side is such a look.",
    caught_by=("code.test-looked-at",),
)  # fmt: skip
def peeked(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    val, test, new = (
        [scores(rng, n) for _ in range(30)] for n in (100, 100, 1000)
    )
    chosen = choose_by_test(range(30), val, test)
    return Outcome(
        *(float(roc_auc_score(*side[chosen])) for side in (test, new))
    )


def overall_sensitivity(called, subtype):
    return called.mean()


def sensitivity_of_each(called, subtype):
    return {s: called[subtype == s].mean() for s in set(subtype)}


@fault(
    "F39", "One figure for all who are ill", EVALUATION, faulty=overall_sensitivity,
    fixed=sensitivity_of_each, figure="sensitivity: of all, and of the worse subtype",
    hurts="The phantom has bacterial cases, in one place, and viral ones, all over the lung. A plain "
    "model finds one kind better than the other, and the mean does not show whom it misses.",
    caught_by=("predictions.subgroups", "predictions.figures"),
)  # fmt: skip
def subgroups(seed: int) -> Outcome:
    x, y = data(seed, 400, amplitude=(0.15, 0.32))
    new = patients(seed + 5000, 800, amplitude=(0.15, 0.32)).cohort
    ill = new.labels == 1
    called = linear(x, y).predict(pixels(new)[ill]).astype(float)
    subtype = new.table["subtype"].to_numpy()[ill]
    each = sensitivity_of_each(called, subtype)
    return Outcome(
        float(overall_sensitivity(called, subtype)),
        float(min(each.values())),
    )


def score_is_probability(score):
    return score  # "92 % sure"


def score_is_checked(score, labels):
    sure = score > 0.9
    return labels[sure].mean()  # what came true of it


@fault(
    "F40", "A score is taken for a probability", CALIBRATION, faulty=score_is_probability,
    fixed=score_is_checked, figure="risk of the images called above 0.9",
    hurts="A model with many parameters and few patients is too sure on new ones. What it calls "
    "99 % comes true far less often.",
    caught_by=("predictions.calibration", "predictions.figures"),
)  # fmt: skip
def too_sure(seed: int) -> Outcome:
    x, y = data(seed, 150, amplitude=FAINT)
    new_x, new_y = data(seed + 5000, 600, amplitude=FAINT)
    model = LogisticRegression(C=1e4, max_iter=300).fit(x - 0.5, y)
    score = model.predict_proba(new_x - 0.5)[:, 1]
    said = score_is_probability(score)[score > 0.9].mean()
    return Outcome(float(said), float(score_is_checked(score, new_y)))
