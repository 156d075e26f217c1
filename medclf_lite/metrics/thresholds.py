"""Thresholds that carry their origin, so that none is judged on the images it was chosen on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions

Rule = Literal["youden", "f1", "sensitivity", "specificity", "cost"]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Threshold:
    """A score from which an image is called ill, and how this number came about.

    Made by :func:`choose_threshold` or :func:`fixed_threshold`.

    Parameters
    ----------
    value : float
        Scores at or above it are called ill.
    rule : str
        One of youden, f1, sensitivity, specificity and cost; or the reason of a fixed threshold.
    target : float, optional
        What the rules sensitivity and specificity had to reach, or what a miss costs.
    images, patients : frozenset of str
        Whom it was chosen on; empty for a fixed threshold.
    """

    value: float
    rule: str
    target: float | None = None
    images: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()

    def check(self, predictions: Predictions) -> None:
        """Raise if the threshold was chosen on one of these images or patients.

        Raises
        ------
        MedclfError
            It says how many they are.
        """
        table = predictions.table[["image_id", "patient_id"]].astype(str)
        rows = table["image_id"].isin(list(self.images))
        rows |= table["patient_id"].isin(list(self.patients))
        if not rows.any():
            return
        raise MedclfError(
            f"This threshold was chosen on {int(table.loc[rows, 'patient_id'].nunique())} of the "
            f"{predictions.n_patients} patients that it is to be evaluated on (the first image is "
            f"{table.loc[rows, 'image_id'].iloc[0]!r}), so its figures would be too good. Choose "
            "it on validation images and evaluate it on patients who took no part."
        )

    def decide(self, scores: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Say for each score, shape (n,), whether the image is called ill."""
        return np.asarray(scores, dtype=np.float64) >= self.value

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and text, for JSON."""
        return {
            "value": self.value,
            "rule": self.rule,
            "target": self.target,
            "images": sorted(self.images),
            "patients": sorted(self.patients),
        }

    @classmethod
    def from_dict(cls, known: Mapping[str, Any]) -> Threshold:
        """Rebuild what :meth:`to_dict` returned.

        Raises
        ------
        MedclfError
            If a part of it is missing: without its origin a threshold cannot be checked.
        """
        parts = ("value", "rule", "target", "images", "patients")
        if missing := [p for p in parts if p not in known]:
            raise MedclfError(
                f"A stored threshold needs {', '.join(parts)}; {', '.join(missing)} is missing. "
                "Choose it anew on the validation predictions."
            )
        return cls(
            float(known["value"]), str(known["rule"]), known["target"],
            frozenset(map(str, known["images"])), frozenset(map(str, known["patients"])),
        )  # fmt: skip


def fixed_threshold(value: float, reason: str) -> Threshold:
    """Make a threshold that was fixed before any of the data were seen.

    Parameters
    ----------
    value : float
    reason : str
        Where the number comes from, for whoever reads the result.

    Raises
    ------
    MedclfError
        If the value is not in [0, 1] or no reason is given.

    Examples
    --------
    >>> fixed_threshold(0.5, "set in the study protocol").value
    0.5
    """
    if not 0 <= value <= 1 or not reason.strip():
        raise MedclfError(
            f"A fixed threshold needs a value in [0, 1] and a reason; got {value!r} and "
            f"{reason!r}. To find one from data, use choose_threshold on validation images."
        )
    return Threshold(float(value), f"fixed: {reason.strip()}")


def choose_threshold(
    predictions: Predictions, rule: str = "youden", *, target: float | None = None
) -> Threshold:
    """Choose a threshold on validation images.

    Parameters
    ----------
    predictions : Predictions
        Of validation images, with both classes. They are written into the result, and
        :func:`medclf_lite.metrics.evaluate` refuses them and their patients afterwards.
    rule : {"youden", "f1", "sensitivity", "specificity", "cost"}, default "youden"
        ``youden``: the largest sensitivity + specificity - 1 (Youden 1950,
        doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3). ``f1``: the largest
        F1, which depends on the prevalence. ``sensitivity``: the largest specificity among
        thresholds with at least this sensitivity; ``specificity``: the other way round.
        ``cost``: the least cost, where a miss costs ``target`` false alarms, at the prevalence
        of these images; the largest net benefit is at the same threshold (Vickers & Elkin
        2006, doi:10.1177/0272989X06295361).
    target : float, optional
        In (0, 1] for the rules sensitivity and specificity, above 0 for the rule cost.

    Returns
    -------
    Threshold
        Half-way between two scores of the validation images; of several that are equally good
        the lowest, which misses the fewest. A target reached here can be missed elsewhere.

    Raises
    ------
    MedclfError
        If the rule is unknown, a target is missing or has no use, or a class is absent.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"),
    ...                       "label": [0, 0, 1, 1], "score": [0.1, 0.2, 0.6, 0.9]})
    >>> choose_threshold(Predictions(table)).value
    0.4
    """
    check_rule(rule, target)
    labels, scores = predictions.labels, predictions.scores
    if len(set(labels)) < 2:
        raise MedclfError(
            f"All {len(labels)} images have label {labels[0]}, so no threshold can be chosen on "
            "them. Take a validation part with both classes."
        )
    cuts, sensitivity, specificity, ppv = _sweep(labels, scores)
    odds = labels.sum() / (labels == 0).sum()
    score = _criterion(cast(Rule, rule), target, odds)(sensitivity, specificity, ppv)
    return Threshold(
        float(cuts[int(np.argmax(score))]), rule, target,
        frozenset(predictions.table["image_id"].astype(str)), frozenset(predictions.patients),
    )  # fmt: skip


def check_rule(rule: str, target: float | None) -> None:
    """Raise if :func:`choose_threshold` does not know this rule, or not with this target."""
    if rule not in get_args(Rule):
        raise MedclfError(f"rule is {rule!r}; expected one of {', '.join(get_args(Rule))}.")
    if rule in ("youden", "f1") and target is not None:
        raise MedclfError(f"The rule {rule} takes no target; got {target}.")
    if rule in ("sensitivity", "specificity") and not (target and 0 < target <= 1):
        raise MedclfError(f"The rule {rule} needs a target in (0, 1]; got {target}.")
    if rule == "cost" and not (target and 0 < target < math.inf):
        raise MedclfError(
            "The rule cost needs a target above 0, the number of false alarms that one miss is "
            f"as bad as; got {target}."
        )


def _sweep(labels: npt.NDArray[np.int64], scores: Vector) -> tuple[Vector, Vector, Vector, Vector]:
    """Give every cut that decides differently, from low to high, and what it reaches there."""
    values, place = np.unique(scores, return_inverse=True)
    middle = values[:-1] + np.diff(values) / 2
    # Between two neighbours of the number line there is no middle: cut at the upper one.
    middle = np.where(middle > values[:-1], middle, values[1:])
    above = math.nextafter(1.0, 2.0) if values[-1] == 1 else (values[-1] + 1) / 2
    cuts = np.r_[0.0, middle, above]
    ill = np.bincount(place, weights=labels)
    well = np.bincount(place) - ill
    missed, spared = np.r_[0, ill.cumsum()], np.r_[0, well.cumsum()]
    sensitivity, specificity = 1 - missed / ill.sum(), spared / well.sum()
    called = len(labels) - missed - spared
    found = ill.sum() - missed
    ppv = np.divide(found, called, out=np.zeros(len(cuts)), where=called > 0)
    return cuts, sensitivity, specificity, ppv


def _criterion(
    rule: Rule, target: float | None, odds: float
) -> Callable[[Vector, Vector, Vector], Vector]:
    """Return what is to be as large as possible; odds are ill images to one well image."""
    goal = (target or 0.0) - 1e-12  # 9 of 10 is .9, whatever the last bit says

    def f1(sensitivity: Vector, specificity: Vector, ppv: Vector) -> Vector:
        both = sensitivity + ppv
        return np.divide(2 * sensitivity * ppv, both, out=np.zeros(len(both)), where=both > 0)

    rules: dict[Rule, Callable[[Vector, Vector, Vector], Vector]] = {
        "youden": lambda sensitivity, specificity, _: sensitivity + specificity - 1,
        "f1": f1,
        "sensitivity": lambda sensitivity, specificity, _: np.where(
            sensitivity >= goal, specificity, -1
        ),
        "specificity": lambda sensitivity, specificity, _: np.where(
            specificity >= goal, sensitivity, -1
        ),
        "cost": lambda sensitivity, specificity, _: (
            specificity + (target or 0.0) * odds * sensitivity
        ),
    }
    return rules[rule]
