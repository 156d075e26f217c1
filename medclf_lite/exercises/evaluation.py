"""Exercises of the chapter on evaluation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.exercises.answers import a_line, a_number, entries, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise
from medclf_lite.resampling import auc_with_interval

CHAPTER = "06_evaluation"


@exercise("evaluation-1", "predict", CHAPTER)
def ill_among_alarms(answer: Any) -> str:  # noqa: ANN401
    """Share of alarms that are right: sensitivity .9, specificity .9, prevalence .01."""
    value = a_number(answer, 0, 1, "a share")
    right, false = 0.9 * 0.01, (1 - 0.9) * (1 - 0.01)
    near(
        value, right / (right + false), 0.006,
        "Count in 1,000 people: how many of the ill are found?",
        "Count in 1,000 people: 10 are ill. How many of the 990 others get an alarm? Then divide "
        "the right alarms by all alarms.",
    )  # fmt: skip
    return f"{right / (right + false):.3f}: of twelve alarms, one is right."


@exercise("evaluation-2", "find", CHAPTER)
def line_that_chooses_on_test(answer: Any) -> str:  # noqa: ANN401
    """Find the line that makes the test figure too good."""
    a_line(
        answer, 5,
        {
            1: "Scores on validation are what a threshold may be chosen on.",
            2: "Scoring the test once is what it is there for.",
            3: "These are the thresholds to try; none is chosen yet.",
            4: "A function that rates a threshold; ask what it is given later.",
            6: "The figure itself is computed as it should be. What threshold does it get?",
        },
    )  # fmt: skip
    return "Line 5 chooses the threshold on the very images on which line 6 judges it."


@cache
def _few_patients() -> tuple[pd.DataFrame, tuple[float, float], tuple[float, float]]:
    """Predictions of 24 patients with 8 to 19 images; the interval by patient and by image."""
    rng = np.random.default_rng(3)
    patient = np.repeat(np.arange(24), rng.integers(8, 20, 24))
    label = (patient % 2).astype(np.int64)
    score = label + rng.normal(0, 1, 24)[patient] + rng.normal(0, 0.8, len(patient))
    names = np.array([f"p{i}" for i in patient])
    table = pd.DataFrame({"patient_id": names, "label": label, "score": score})
    ends = [auc_with_interval(label, score, by, resamples=4000)
            for by in (names, np.arange(len(names)))]  # fmt: skip
    return table, (ends[0].low, ends[0].high), (ends[1].low, ends[1].high)


def _interval(answer: Any, table: pd.DataFrame, seed: int) -> tuple[float, float]:  # noqa: ANN401
    found = entries(tried(answer, table, seed), "two numbers, the lower and the upper end")
    if len(found) != 2:
        raise NotYetError("Return two numbers: the lower and the upper end.")
    low, high = (a_number(x, 0, 1, "an end of the interval") for x in found)
    if low >= high:
        raise NotYetError("The lower end is not below the upper one.")
    return low, high


@exercise("evaluation-3", "repair", CHAPTER)
def interval_by_patient(answer: Any) -> str:  # noqa: ANN401
    """Repair ``interval(table, seed)``, which draws images: (low, high) of the ROC-AUC, 95 %."""
    table, by_patient, by_image = _few_patients()
    found = [_interval(answer, table, seed) for seed in (0, 0, 1, 2)]
    if found[0] != found[1]:
        raise NotYetError("The same seed gives two different intervals.", "Is the seed used?")
    low, high = np.mean(found[1:], axis=0)
    width, wide, narrow = high - low, np.diff(by_patient)[0], np.diff(by_image)[0]
    if abs(width - narrow) < 0.12 * narrow:
        raise NotYetError(
            "The interval is as narrow as one that draws images.",
            "Many images of a patient say little more than one. What must be drawn anew?",
        )
    far = abs((low + high) / 2 - np.mean(by_patient)) > 0.12 * wide
    if far or not 0.87 * wide <= width <= 1.13 * wide:
        raise NotYetError(
            f"The interval is {low:.2f} to {high:.2f}, which is not that of 95 % by patient.",
            "Is a patient who is drawn twice counted twice, with all images? Which percentiles "
            "leave 95 % between them?",
        )
    return f"It is {width / narrow:.1f} times as wide as the one that takes images for people."


def _scores(seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Labels and scores of 150 images."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(150) < 0.4).astype(np.int64)
    return labels, np.round(1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.2))), 3)


@exercise("evaluation-4", "build", CHAPTER)
def threshold_for_sensitivity(answer: Any) -> str:  # noqa: ANN401
    """Build ``choose(labels, scores, least)``: the highest threshold with that sensitivity."""
    few = np.array([0, 0, 1, 1, 1]), np.array([0.1, 0.6, 0.5, 0.7, 0.9])
    even = np.array([0, 0, 1, 1, 1, 1]), np.array([0.1, 0.65, 0.6, 0.7, 0.8, 0.9])
    tries = [(*few, 0.6), (*even, 0.5), (*even, 0.75), (*even, 0.8)]
    tries += [(*_scores(seed), least) for seed, least in ((1, 0.9), (2, 0.95), (3, 0.8), (4, 1.0))]
    for labels, scores, least in tries:
        ill = np.sort(scores[labels == 1])
        truth = max(t for t in ill if (ill >= t).mean() >= least)
        value = a_number(tried(answer, labels, scores, least), -1, 2, "a threshold")
        reached = float((ill >= value).mean())
        if reached < least:
            raise NotYetError(
                f"Asked for a sensitivity of {least:g}, yours reaches {reached:.3f}.",
                "Sensitivity counts among the ill alone. A score at the threshold is called ill.",
            )
        if ((scores >= value) & (labels == 0)).sum() > ((scores >= truth) & (labels == 0)).sum():
            raise NotYetError(
                f"The sensitivity of {least:g} is reached, with more false alarms than needed.",
                "Is a score at the threshold called ill? Has every score been tried as one?",
            )
    return "It reaches the sensitivity that was asked for, with the fewest false alarms."
