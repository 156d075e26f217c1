"""Predictions: one row an image, scores that are scores, figures that can be held against them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from medclf_lite.audit.finding import (
    EVALUATION,
    LABELS,
    SPLITS,
    Example,
    Finding,
    number,
    of_images,
)
from medclf_lite.audit.project import Project, needed
from medclf_lite.audit.registry import project_check
from medclf_lite.metrics import suspect_labels
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import auc_with_interval

RESAMPLES = 500
SUSPECT = 0.02  # share of doubtful labels from which a second reading is worth while


@project_check(id="predictions.rows", needs=("predictions", "test"))
def rows(project: Project) -> Iterator[Finding]:
    """Predictions that are more or fewer than the test images."""
    side, table = project.sides["test"], needed(project.predictions)
    kept = len(side.declared_names or side.declared_labels or ()) or side.length
    if kept is not None and len(table) != kept:
        yield Finding(
            "predictions.rows", "error", "Predictions and test images differ in number",
            f"{number(len(table), 'prediction')} for {number(kept, 'test image')}.",
            abs(len(table) - kept), (),
            "A short length, a dropped last batch or a sampler leaves images out; several "
            "processes fill up the last batch and count some twice.",
            "Predict each image once, in the order of the table, and carry its ID with the score.",
            EVALUATION,
        )  # fmt: skip


@project_check(id="predictions.repeats", needs=("predictions",))
def repeats(project: Project) -> Iterator[Finding]:
    """Images with several predictions."""
    table = needed(project.predictions)
    twice = table["image_id"].duplicated()
    if twice.any():
        yield Finding(
            "predictions.repeats", "error", "Images with several predictions",
            f"{number(int(twice.sum()), 'row')} of {len(table):,} repeat an image.",
            int(twice.sum()), of_images(table.loc[twice, "image_id"].astype(str)),
            "Images that count twice move every figure, and intervals come out too narrow.",
            "Keep one row an image; average the scores of several views of it first.", EVALUATION,
        )  # fmt: skip


@project_check(id="predictions.values", needs=("predictions",))
def values(project: Project) -> Iterator[Finding]:
    """Scores that are not finite, hard decisions, or all the same."""
    table = needed(project.predictions)
    scores = table["score"].to_numpy(dtype=np.float64)
    lost = ~np.isfinite(scores)
    seen = set(scores[~lost].tolist())
    told = ""
    if lost.any():
        told = f"{number(int(lost.sum()), 'score')} of {len(scores):,} not finite"
    elif len(seen) == 1:
        told = f"all {len(scores):,} scores are {scores[0]:g}"
    elif seen <= {0.0, 1.0}:
        told = "all scores are 0 or 1: decisions, not scores"
    if told:
        yield Finding(
            "predictions.values", "error", "Scores that cannot be ranked", f"{told}.",
            int(lost.sum()) or len(scores),
            of_images(table.loc[lost, "image_id"].astype(str)),
            "A ROC-AUC of decisions is the balanced accuracy at one threshold under another name; "
            "NaN are dropped or ranked anywhere.",
            "Keep the probability, and apply a threshold at the very end.", EVALUATION,
        )  # fmt: skip


def auc_of(table: pd.DataFrame) -> tuple[float, float, float] | None:
    """Return the ROC-AUC with its interval by patient; None where it is not defined."""
    sound = table[np.isfinite(table["score"].to_numpy(dtype=np.float64))]
    if set(sound["label"]) != {0, 1}:
        return None
    found = auc_with_interval(
        sound["label"], sound["score"], sound["patient_id"], resamples=RESAMPLES
    )
    return found.value, found.low, found.high


@project_check(id="predictions.reversed", needs=("predictions",))
def reversed_scores(project: Project) -> Iterator[Finding]:
    """Scores that rank the healthy above the diseased."""
    found = auc_of(needed(project.predictions))
    if found is not None and found[2] < 0.5:
        yield Finding(
            "predictions.reversed", "error", "The scores are the wrong way round",
            f"ROC-AUC {found[0]:.3f} ({found[1]:.3f} to {found[2]:.3f} by patient).", 1, (),
            "The column of the other class was taken, or labels are swapped on one side.",
            "Take the probability of label 1, and check the numbers of the classes.", EVALUATION,
        )  # fmt: skip


@project_check(id="predictions.folds", needs=("cv_predictions",))
def folds(project: Project) -> Iterator[Finding]:
    """Patients whose images lie in several folds."""
    table = needed(project.cv_predictions)
    if "fold" not in table:
        return
    homes = table.groupby("patient_id")["fold"].nunique()
    both = homes.index[homes > 1]
    if len(both):
        yield Finding(
            "predictions.folds", "error", "Patients in several folds",
            f"{number(len(both), 'patient')} of {len(homes):,}.", len(both),
            tuple(Example(str(patient)) for patient in both[:5]),
            "Each fold is judged by a model that has seen other images of the same people.",
            "Fold by patient: medclf_lite.splits.PatientKFold, or StratifiedGroupKFold with "
            "groups=patients.", SPLITS,
        )  # fmt: skip


@project_check(id="predictions.suspect", needs=("cv_predictions",))
def suspect(project: Project) -> Iterator[Finding]:
    """Labels that models which never saw the patient doubt."""
    table = needed(project.cv_predictions)
    found = suspect_labels(Predictions(table.drop_duplicates("image_id")))
    doubtful = found[found["suspect"]]
    if len(doubtful) >= SUSPECT * len(found):
        yield Finding(
            "predictions.suspect", "note", "Labels worth a second reading",
            f"{number(len(doubtful), 'image')} of {len(found):,} where the model is sure of the "
            "other class.", len(doubtful),
            tuple(
                Example(f"{row.image_id}: label {row.label}, score {row.score:.2f}",
                        (str(row.image_id),))
                for row in doubtful.head(5).itertuples()
            ),
            "Hard images and wrong labels look alike to a model; a reader can tell them apart.",
            "Have the first of them read again, blind to the label. Correct none by the score.",
            LABELS,
        )  # fmt: skip
