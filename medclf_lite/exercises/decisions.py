"""Exercises of the chapters on calibration and on cross-validation."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from medclf_lite.exercises.answers import a_number, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise

CALIBRATION, CROSSVAL = "07_calibration_and_decisions", "09_cross_validation"


@exercise("calibration-1", "build", CALIBRATION)
def what_decisions_are_worth(answer: Any) -> str:  # noqa: ANN401
    """Build ``benefit(labels, scores, threshold)``: net benefit (Vickers & Elkin 2006)."""
    rng = np.random.default_rng(6)
    labels = np.repeat([1, 0], [30, 70])
    scores = np.round(np.clip(0.3 * labels + rng.uniform(0, 0.7, 100), 0, 1), 2)
    for t in (0.1, 0.5, 0.25, 0.8, float(scores[3])):
        value = a_number(tried(answer, labels, scores, t), -1000, 1000, "a net benefit")
        found = int(((scores >= t) & (labels == 1)).sum())
        false = int(((scores >= t) & (labels == 0)).sum())
        truth = found / 100 - false / 100 * t / (1 - t)
        if not np.isclose(value, truth, atol=1e-3):
            raise NotYetError(
                f"At the threshold {t:g}, with {found} hits and {false} false alarms among 100 "
                f"people, you say {value:.4g}.",
                "Divide by the number of people." if np.isclose(value, 100 * truth, atol=0.1)
                else "At .5 a false alarm costs as much as a hit is worth; at .1 one ninth of it. "
                "A score equal to the threshold is an alarm.",
            )  # fmt: skip
    return "Hits per person, minus the false alarms at their price."


@exercise("calibration-2", "predict", CALIBRATION)
def probability_after_temperature(answer: Any) -> str:  # noqa: ANN401
    """Give the probability .9 after division of the logit by a temperature of 2."""
    value = a_number(answer, 0, 1, "a probability")
    near(
        value, 0.75, 0.02,
        "The logit is halved, not the probability. Probability .5 has the logit 0.",
        "A temperature above 1 makes scores more cautious: they come nearer to .5.",
    )  # fmt: skip
    return ".75: odds of 9 to 1 become 3 to 1, the square root, since the logit is halved."


@exercise("crossval-1", "repair", CROSSVAL)
def nothing_learnt_outside_the_folds(answer: Any) -> str:  # noqa: ANN401
    """Repair ``mean_auc(features, labels, patients)``: all that learns stays in its fold."""
    outside, copies, signal = (
        float(np.mean([_mean_auc(answer, make(seed)) for seed in (1, 2, 3)]))
        for make in (_noise, _many_images, _signal)
    )
    if outside > 0.68:
        raise NotYetError(
            f"Where features are noise and labels are given by chance you find {outside:.2f}.",
            "Is it a ROC-AUC? If so, something has seen the labels of the fold that is judged. "
            "What learns from labels before the folds are made?",
        )
    if copies > 0.68:
        raise NotYetError(
            f"Four nearly equal images per patient, labels given by chance: you find {copies:.2f}.",
            "Whose images may be in training while another of theirs is judged? Do the folds, and "
            "the function that uses them, know the patients?",
        )
    if signal < 0.8:
        raise NotYetError(f"Where five features tell the label you find {signal:.2f} only.",
                          "Features must be chosen, and the model must learn.")  # fmt: skip
    return f"Noise {outside:.2f}, copies {copies:.2f}, a real signal {signal:.2f}."


Data = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]


def _noise(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(80, 2000)), rng.permutation([0, 0, 0, 1] * 20), np.arange(80)


def _many_images(seed: int) -> Data:
    rng = np.random.default_rng(seed)
    patients = np.repeat(np.arange(40), 4)
    features = rng.normal(size=(40, 60))[patients] + rng.normal(0, 0.1, (160, 60))
    return features, rng.permutation([0, 1] * 20)[patients], patients


def _signal(seed: int) -> Data:
    features, labels, patients = _noise(seed)
    features[:, :5] += 1.5 * labels[:, None]
    return features, labels, patients


def _mean_auc(answer: Any, data: Data) -> float:  # noqa: ANN401
    return a_number(tried(answer, *data), 0, 1, "a ROC-AUC")


@exercise("crossval-2", "predict", CROSSVAL)
def folds_without_the_ill(answer: Any) -> str:  # noqa: ANN401
    """Of five folds of 100 patients, 5 of them ill: how many have no ill patient, on average."""
    value = a_number(answer, 0, 5, "a number of folds")
    truth = 5 * comb(80, 5) / comb(100, 5)
    near(
        value, truth, 0.35,
        "Each of the five ill falls into one of five folds by chance. Is it likely that they take "
        "one fold each?",
        "A given fold stays without them if all five fall into the other four.",
    )  # fmt: skip
    return f"{truth:.1f} folds on average have no ill patient, so their ROC-AUC is not defined."
