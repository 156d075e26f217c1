"""Predictions: whether the threshold was chosen on the images that it is judged on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.audit.finding import EVALUATION, Finding, Severity, number, of_images
from medclf_lite.audit.project import Project, needed
from medclf_lite.audit.registry import project_check

STEPS = (0.1, 0.05, 0.01)  # grids on which thresholds are tried
CONVENTION = 0.5
MOST_CUTS = 2000
Vector = npt.NDArray[np.float64]
WHY = (
    "Chosen where it is judged, a threshold makes the figure too good: with fifty patients by some "
    "five points of balanced accuracy (fault F24 of the gallery)."
)
DO = (
    "Choose it on validation patients: medclf_lite.metrics.choose_threshold carries its origin "
    "along. Or fix it before, for a reason."
)


@project_check(id="predictions.threshold", needs=("predictions", "threshold"))
def threshold(project: Project) -> Iterator[Finding]:
    """Thresholds that were chosen on test images, or are the best of all there."""
    test = needed(project.predictions)
    if project.chosen_on:  # it says itself where it comes from
        both = test["image_id"].astype(str).isin(list(project.chosen_on))
        if both.any():
            yield Finding(
                "predictions.threshold", "error", "The threshold was chosen on test images",
                f"{number(int(both.sum()), 'image')} of {len(test):,} took part in the choice.",
                int(both.sum()), of_images(test.loc[both, "image_id"]), WHY, DO, EVALUATION,
            )  # fmt: skip
        return
    value, scores = needed(project.threshold), test["score"].to_numpy(dtype=np.float64)
    if value == CONVENTION or set(test["label"]) != {0, 1} or not np.isfinite(scores).all():
        return  # predictions.values says what is wrong with the scores
    best = _best_for(test, value)
    if best:
        yield _suspected(project, value, best)


def _suspected(project: Project, value: float, best: list[str]) -> Finding:
    """Rate a threshold that is optimal on the test, by how it may have come to be so."""
    test, val = needed(project.predictions), project.val_predictions
    # A threshold from other patients is a score of theirs, and hardly ever one of the test's.
    read_off = _is_score(test, value) and not (val is not None and _is_score(val, value))
    unlike_val = val is not None and not set(best) & set(_best_for(val, value))
    severity: Severity = "error" if read_off else "warning" if unlike_val else "note"
    seen = f"{value:g} gives the highest {' and '.join(best)} of all thresholds on "
    seen += f"{number(len(test), 'test image')}{', and not on val' if unlike_val else ''}"
    seen += "; it is the score of one of them." if read_off else "; that may be chance."
    return Finding(
        "predictions.threshold", severity, "The threshold is the best one on the test images",
        seen, 1, (), WHY, DO, EVALUATION,
    )  # fmt: skip


def _is_score(table: pd.DataFrame, value: float) -> bool:
    return bool(np.isclose(table["score"].to_numpy(dtype=np.float64), value, atol=1e-9).any())


def _f1(labels: Vector, called: Vector) -> float:
    return float(2 * (labels * called).sum() / max(1.0, labels.sum() + called.sum()))


def _youden(labels: Vector, called: Vector) -> float:
    return float(called[labels == 1].mean() - called[labels == 0].mean())


def _accuracy(labels: Vector, called: Vector) -> float:
    return float((labels == called).mean())


CRITERIA: dict[str, Callable[[Vector, Vector], float]] = {
    "F1": _f1, "Youden": _youden, "accuracy": _accuracy,
}  # fmt: skip


def _best_for(table: pd.DataFrame, value: float) -> list[str]:
    """Criteria of which the threshold is the best, of all cut points or of a grid it lies on."""
    labels = table["label"].to_numpy(dtype=np.float64)
    scores = table["score"].to_numpy(dtype=np.float64)
    grids = [np.arange(s, 1, s) for s in STEPS if abs(value / s - round(value / s)) < 1e-6]
    found = []
    for rule, criterion in CRITERIA.items():
        now = criterion(labels, (scores >= value).astype(np.float64))
        for cuts in (np.unique(scores)[:MOST_CUTS], *grids):
            if now >= max(criterion(labels, (scores >= t).astype(float)) for t in cuts) - 1e-9:
                found.append(rule)
                break
    return found
