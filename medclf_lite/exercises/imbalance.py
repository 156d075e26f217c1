"""Exercises of the chapter on class imbalance."""

from __future__ import annotations

from typing import Any

import numpy as np

from medclf_lite.exercises.answers import a_line, a_number, entries, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise
from medclf_lite.metrics import shift_prevalence

CHAPTER = "08_class_imbalance"


@exercise("imbalance-1", "predict", CHAPTER)
def score_under_a_weight(answer: Any) -> str:  # noqa: ANN401
    """Probability .1 of a calibrated model, trained again with pos_weight=9."""
    value = a_number(answer, 0, 1, "a probability")
    odds = 9 * 0.1 / 0.9
    near(
        value, odds / (1 + odds), 0.05,
        "Nine times as much weight for the ill is like nine times as many ill.",
        "The weight multiplies the odds, p / (1 - p), not the probability.",
    )  # fmt: skip
    return f"{odds / (1 + odds):.2f}: the odds are multiplied by nine, and nobody became more ill."


@exercise("imbalance-2", "find", CHAPTER)
def line_that_copies_too_early(answer: Any) -> str:  # noqa: ANN401
    """Find the line that stands too early."""
    a_line(
        answer, 3,
        {
            1: "Something must be read before it can be divided.",
            2: "This only looks at the ill; nothing is copied yet.",
            4: "What it divides has been changed before. By which line?",
            5: "Training comes after the split, as it should.",
            6: "The test comes last, as it should.",
        },
    )  # fmt: skip
    return "Line 3 copies the ill before line 4 divides, so copies of one image are on both sides."


@exercise("imbalance-3", "repair", CHAPTER)
def positive_weight(answer: Any) -> str:  # noqa: ANN401
    """Repair ``pos_weight(labels)``: the weight that makes both classes count alike."""
    for ill, well in ((10, 90), (300, 100), (1, 399), (50, 50)):
        labels = np.repeat([1, 0], [ill, well])
        value = a_number(tried(answer, labels), 0, 1e6, "a weight")
        if not np.isclose(ill * value, well, rtol=1e-3):
            raise NotYetError(
                f"With {ill} ill and {well} well images it gives {value:.3g}, so the ill count "
                f"{ill * value:.4g} in all and the well {well}.",
                "pos_weight multiplies the loss of the ill only; the others keep the weight 1.",
            )
    return "The ill count as much as the well, whichever class is the smaller one."


@exercise("imbalance-4", "build", CHAPTER)
def prevalence_put_back(answer: Any) -> str:  # noqa: ANN401
    """Build ``put_back(scores, old, new)``: probabilities for another prevalence."""
    scores = np.linspace(0.02, 0.98, 25)
    for old, new in ((0.5, 0.1), (0.5, 0.5), (0.2, 0.6), (0.74, 0.05)):
        found = entries(tried(answer, scores, old, new), "one probability per score")
        if len(found) != len(scores):
            raise NotYetError(f"Return one probability per score: {len(scores)}, not {len(found)}.")
        values = np.array([a_number(x, -np.inf, np.inf, "a probability") for x in found])
        if not ((values >= 0) & (values <= 1)).all():
            raise NotYetError("Some of what you return is no probability.",
                              "Multiply the odds, then go back to probabilities.")  # fmt: skip
        if old == new and not np.allclose(values, scores, atol=1e-6):
            raise NotYetError("Where the prevalence stays, the scores must stay.")
        error = np.abs(values - shift_prevalence(scores, old, new))
        worst = int(error.argmax())
        if error[worst] > 1e-3:
            raise NotYetError(
                f"From a prevalence of {old:g} to {new:g}, a score of {scores[worst]:.2f} becomes "
                f"{values[worst]:.3f}, which is not right.",
                "By which factor do the odds of the prevalence itself change?",
            )
    return "The odds of each score change as those of the prevalence do; the order stays."
