"""Exercises of the chapters on preprocessing and on transfer learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from medclf_lite.exercises.answers import a_line, a_number, described, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise

EDA, TRANSFER = "02_eda_and_preprocessing", "04_transfer_learning"
SIDE = 64


@exercise("eda-1", "repair", EDA)
def whole_and_not_squashed(answer: Any) -> str:  # noqa: ANN401
    """Repair ``square(image)``: 64 by 64 pixels, the whole image, its aspect kept."""
    for height, width in ((120, 60), (60, 120), (90, 90), (100, 80)):
        found = _picture(tried(answer, _framed(height, width)))
        scale = SIDE / max(height, width)
        whole, inside = _extent(found > 50), _extent(found > 150)
        kept = inside[0] * width / (inside[1] * height) if min(inside) else 0.0
        told = f"An image of {height} by {width} pixels"
        if not 0.85 <= kept <= 1.18:
            raise NotYetError(f"{told} comes out squashed.",
                              "Both sides must be divided by the same number.")  # fmt: skip
        if abs(inside[0] - height / 2 * scale) > 3:
            raise NotYetError(f"{told} is not shown whole, or smaller than it could be.",
                              "The longer side fills the square; nothing is cut off.")  # fmt: skip
        if abs(whole[0] - height * scale) > 2 or abs(whole[1] - width * scale) > 2:
            raise NotYetError(f"{told} does not end where it should.", "Fill the rest with 0.")
    return "The whole image, its proportions kept; the rest is black."


def _framed(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Make a grey image with a lighter part of half its height and width in the middle."""
    image = np.full((height, width), 100, dtype=np.uint8)
    image[height // 4 : -(height // 4), width // 4 : -(width // 4)] = 200
    return image


def _picture(answer: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    shape = getattr(answer, "shape", None)
    size = getattr(answer, "size", None)
    if type(answer).__name__ not in ("ndarray", "Tensor", "Image") or (
        (SIDE, SIDE) not in (shape, size) and shape != (SIDE, SIDE)
    ):
        raise NotYetError(f"Return a grey image of {SIDE} by {SIDE} pixels, not "
                          f"{described(answer)}.")  # fmt: skip
    return np.asarray(answer, dtype=np.float64)


def _extent(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Height and width of what is True."""
    return int(mask.any(axis=1).sum()), int(mask.any(axis=0).sum())


@exercise("eda-2", "build", EDA)
def probe_of_one_property(answer: Any) -> str:  # noqa: ANN401
    """Build ``probe(values, labels)``: how well one property of the files tells the label."""
    rng = np.random.default_rng(4)
    labels = rng.permutation([0, 1] * 40)
    for sign, noise, digits in ((1, 1.0, 6), (-1, 0.5, 6), (1, 0.7, 0), (-1, 0.0, 6)):
        values = np.round(sign * labels + rng.normal(0, 1, 80) * noise, digits)
        auc = float(roc_auc_score(labels, values))
        truth = max(auc, 1 - auc)
        value = a_number(tried(answer, values, labels), 0, 1, "a ROC-AUC")
        if sign < 0 and np.isclose(value, auc):
            raise NotYetError(
                f"Where the ill have the smaller values you say {value:.2f}.",
                "A property that tells the label the other way round tells it just as well.",
            )
        if not np.isclose(value, truth, atol=1e-6):
            raise NotYetError(
                f"You say {value:.3f} and the pairs say {truth:.3f}.",
                "Count pairs of an ill and a well image; equal values count one half."
                if digits == 0 else "The measure is the ROC-AUC, from .5 to 1.",
            )  # fmt: skip
    return "From .5, it tells nothing, to 1, it tells all; in whichever direction."


@exercise("transfer-1", "find", TRANSFER)
def line_that_lets_statistics_drift(answer: Any) -> str:  # noqa: ANN401
    """Find the line after which a frozen backbone changes all the same."""
    a_line(
        answer, 4,
        {
            1: "The network is loaded with its weights and its statistics, as it should be.",
            2: "This holds all weights; a running mean is not a weight.",
            3: "The head is new and is to learn.",
            5: "Only the head is handed to the optimizer, as it should be.",
            6: "Images pass through the network here. What have they been allowed to change?",
        },
    )  # fmt: skip
    return "Line 4 puts BatchNorm into train mode, so its running statistics follow each batch."


@exercise("transfer-2", "predict", TRANSFER)
def numbers_that_are_trained(answer: Any) -> str:  # noqa: ANN401
    """How many numbers a head of 512 features and one output trains."""
    value = a_number(answer, 0, 1e9, "a count")
    near(
        value, 513, 0.5,
        "One weight a feature, and one number more. Which?",
        "The backbone is frozen: of its millions none counts. One output, not two.",
    )  # fmt: skip
    return "513: a weight for each feature, and the bias."
