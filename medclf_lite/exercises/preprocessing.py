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
        told = f"An image of {height} by {width} pixels"
        scale = SIDE / max(height, width)
        whole, inside = _extent(found > 50), _extent(found > 150)
        if not (found.min() >= 0 and 190 < found.max() <= 255):
            raise NotYetError(f"{told} comes out with other grey values.",
                              "The values from 0 to 255 stay; only the shape changes.")  # fmt: skip
        if found[[0, 0, -1, -1], [0, -1, 0, -1]].max() > 120:
            raise NotYetError(f"{told} has corners that are not black.",
                              "Where the image does not fill the square, fill with 0.")  # fmt: skip
        if height != width and all(abs(n - SIDE / 2) <= 2 for n in inside):
            raise NotYetError(f"{told} comes out squashed.",
                              "Divide both sides by the same number.")  # fmt: skip
        if any(abs(m - n * scale) > 2 for m, n in zip(whole, (height, width), strict=True)):
            raise NotYetError(f"{told} is not shown whole, or smaller than it could be.",
                              "The longer side fills the square; nothing is cut off.")  # fmt: skip
        _check_place(found, told)
    return "The whole image, its proportions kept; the rest is black."


def _check_place(found: npt.NDArray[np.float64], told: str) -> None:
    """Refuse an image that is not in the middle, or turned."""
    for axis in (0, 1):
        (filled,) = np.nonzero((found > 50).any(axis=axis))
        if abs(filled[0] - (SIDE - 1 - filled[-1])) > 1:
            raise NotYetError(f"{told} is not in the middle.", "Both margins are alike.")
    rows, columns = np.nonzero(found > 150)
    if rows.mean() > SIDE / 2 or columns.mean() > SIDE / 2:
        raise NotYetError(f"{told} is turned over.", "Left stays left, and up stays up.")


def _framed(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Make a grey image with a lighter part of half its height and width, up and to the left."""
    image = np.full((height, width), 100, dtype=np.uint8)
    image[height // 8 : height // 8 + height // 2, width // 8 : width // 8 + width // 2] = 200
    return image


def _picture(answer: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401
    shape = getattr(answer, "shape", None)
    size = getattr(answer, "size", None)
    known = type(answer).__name__ in ("ndarray", "Tensor", "Image")
    if not known or (SIDE, SIDE) not in (shape, size):
        raise NotYetError(f"Return a grey image of {SIDE} by {SIDE} pixels, not "
                          f"{described(answer)}.")  # fmt: skip
    return np.asarray(answer, dtype=np.float64)


def _extent(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """Height and width of what is True."""
    return int(mask.any(axis=1).sum()), int(mask.any(axis=0).sum())


def _properties() -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], str]]:
    """Values of a property, labels, and what to say to a wrong answer."""
    rng = np.random.default_rng(4)
    labels = rng.permutation([0, 1] * 40)
    auc = "The measure is the ROC-AUC, from .5 to 1. Do not round it inside the function."
    ties = "Count pairs of an ill and a well image; equal values count one half."
    found = [(np.round(sign * labels + rng.normal(0, 1, 80) * noise, digits), labels, why)
             for sign, noise, digits, why in ((1, 1.0, 6, auc), (-1, 0.5, 6, auc),
                                              (1, 0.7, 0, ties), (-1, 0.0, 6, auc))]  # fmt: skip
    odd = np.array([1.0, 2.0, 3.0, 4.0, -1000.0]), np.array([0, 0, 1, 1, 1])
    return [*found, (*odd, "One odd value may turn a mean round. It does not turn the pairs.")]


@exercise("eda-2", "build", EDA)
def probe_of_one_property(answer: Any) -> str:  # noqa: ANN401
    """Build ``probe(values, labels)``: how well one property of the files tells the label."""
    for values, labels, why in _properties():
        auc = float(roc_auc_score(labels, values))
        truth = max(auc, 1 - auc)
        value = a_number(tried(answer, values, labels), 0, 1, "a ROC-AUC")
        if auc < 0.5 and np.isclose(value, auc, atol=1e-3):
            raise NotYetError(
                f"Where the ill have the smaller values you say {value:.2f}.",
                "A property that tells the label the other way round tells it just as well.",
            )
        if not np.isclose(value, truth, atol=1e-3):
            raise NotYetError(f"You say {value:.3f} and the pairs say {truth:.3f}.", why)
    return "From .5 (it tells nothing) to 1 (it tells everything), in either direction."


@exercise("transfer-1", "find", TRANSFER)
def line_that_lets_statistics_drift(answer: Any) -> str:  # noqa: ANN401
    """Find the line after which a frozen backbone changes all the same."""
    a_line(
        answer, 4,
        {
            1: "The network is loaded with its weights and its statistics, as it should be.",
            2: "This keeps all weights as they are. Is there anything else in a network?",
            3: "The head is new and is to learn.",
            5: "Only the head is handed to the optimizer, as it should be.",
            6: "Images pass through the network here. What have they been allowed to change?",
        },
    )  # fmt: skip
    return "Line 4 puts BatchNorm into train mode, so its running statistics follow each batch."


@exercise("transfer-2", "predict", TRANSFER)
def numbers_that_are_trained(answer: Any) -> str:  # noqa: ANN401
    """How many numbers a head of 512 features and one output trains."""
    value = a_number(answer, 0, 1e12, "a count")
    near(
        value, 513, 0.4,
        "One weight per feature, and one number more. Which?",
        "The backbone is frozen: of its millions none counts. One output, not two.",
    )  # fmt: skip
    return "513: a weight for each feature, and the bias."
