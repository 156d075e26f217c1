"""Exercises of the chapter on evaluation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
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
        value, right / (right + false), 0.02,
        "Count in 1,000 people: how many of the ill are found?",
        "Count in 1,000 people: 10 are ill. How many of the 990 others get an alarm?",
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
def _many_images() -> tuple[pd.DataFrame, tuple[float, float], tuple[float, float]]:
    """Predictions of 40 patients with 15 images each; the interval by patient and by image."""
    rng = np.random.default_rng(3)
    label = np.repeat(rng.permutation([0, 1] * 20), 15)
    score = label + np.repeat(rng.normal(0, 1.2, 40), 15) + rng.normal(0, 0.2, 600)
    patient = np.repeat([f"p{i}" for i in range(40)], 15)
    table = pd.DataFrame({"patient_id": patient, "label": label, "score": score})
    ends = [auc_with_interval(label, score, by, resamples=2000) for by in (patient, range(600))]
    return table, (ends[0].low, ends[0].high), (ends[1].low, ends[1].high)


@exercise("evaluation-3", "repair", CHAPTER)
def interval_by_patient(answer: Any) -> str:  # noqa: ANN401
    """Repair ``interval(table, seed)``, which draws images: (low, high) of the ROC-AUC, 95 %."""
    table, by_patient, by_image = _many_images()
    found = entries(tried(answer, table, 0), "two numbers, the lower and the upper end")
    if len(found) != 2:
        raise NotYetError("Return two numbers: the lower and the upper end.")
    low, high = (a_number(x, 0, 1, "an end of the interval") for x in found)
    if low >= high:
        raise NotYetError("The lower end is not below the upper one.")
    width, wide, narrow = high - low, np.diff(by_patient)[0], np.diff(by_image)[0]
    if abs(width - narrow) < 0.3 * narrow:
        raise NotYetError(
            "The interval is as narrow as one that draws images.",
            "Fifteen images of a patient say little more than one. What must be drawn anew?",
        )
    if not 0.75 * wide <= width <= 1.25 * wide or abs(low - by_patient[0]) > 0.06:
        raise NotYetError(
            f"The interval is {low:.2f} to {high:.2f}, which is not that of 95 % by patient.",
            "Draw patients with replacement, take all images of each, as often as it was drawn; "
            "then the percentiles 2.5 and 97.5.",
        )
    return f"It is {width / narrow:.1f} times as wide as the one that takes images for people."


@exercise("evaluation-4", "build", CHAPTER)
def threshold_for_sensitivity(answer: Any) -> str:  # noqa: ANN401
    """Build ``choose(labels, scores, least)``: the highest threshold with that sensitivity."""
    for seed, least in ((1, 0.9), (2, 0.95), (3, 0.8), (4, 1.0)):
        rng = np.random.default_rng(seed)
        labels = (rng.random(150) < 0.4).astype(int)
        scores = np.round(1 / (1 + np.exp(-rng.normal(2 * labels - 1, 1.2))), 3)
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
                "Of all thresholds that reach it, take the highest.",
            )
    return "It reaches the sensitivity that was asked for, with the fewest false alarms."
