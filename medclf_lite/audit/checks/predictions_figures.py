"""Predictions: what the reported figures leave out, and for whom they hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.audit.checks.predictions import RESAMPLES, auc_of
from medclf_lite.audit.finding import (
    CALIBRATION,
    CROSS_VALIDATION,
    EVALUATION,
    Bar,
    Example,
    Finding,
    number,
)
from medclf_lite.audit.project import Project, needed
from medclf_lite.audit.registry import project_check
from medclf_lite.errors import MedclfError
from medclf_lite.metrics import figures
from medclf_lite.predictions import SUBGROUPS
from medclf_lite.resampling import percentiles, resample

CONVENTION = 0.5
CLAIM = 0.005  # difference of a reported ROC-AUC from that of the table
GAP, MISCALIBRATED, UNEQUAL = 0.02, 0.05, 0.05
FEWEST = 10  # patients of a subgroup
Vector = npt.NDArray[np.float64]


@project_check(id="predictions.interval", needs=("figures",))
def interval(project: Project) -> Iterator[Finding]:
    """Figures that are reported without an interval."""
    table = needed(project.figures)
    if {"low", "high"} <= set(table.columns) and table[["low", "high"]].notna().all(axis=None):
        return
    told = ""
    found = None if project.predictions is None else auc_of(project.predictions)
    if found is not None and project.predictions is not None:
        told = (
            f" From the predictions: ROC-AUC {found[0]:.3f}, {found[1]:.3f} to {found[2]:.3f} by "
            f"patient ({number(len(project.predictions), 'image')})."
        )
    yield Finding(
        "predictions.interval", "warning", "Figures without an interval",
        f"{number(len(table), 'figure')} reported as a bare number.{told}", len(table),
        tuple(Example(f"{name}: {row['value']:.4g}") for name, row in table.iterrows()),
        "A figure read off 16 images may be anything; without an interval nobody can tell.",
        "Report the interval that resamples patients: medclf_lite.metrics.evaluate.", EVALUATION,
    )  # fmt: skip


@project_check(id="predictions.claims", needs=("figures", "predictions"))
def claims(project: Project) -> Iterator[Finding]:
    """Figures that are reported and that the predictions do not give."""
    table, found = needed(project.figures), auc_of(needed(project.predictions))
    for name, row in table.iterrows():
        if found is None or _key(name) not in ("auc", "auroc", "rocauc", "aucroc"):
            continue
        if abs(row["value"] - found[0]) > CLAIM:
            yield Finding(
                "predictions.claims", "error", "A reported figure is not that of the predictions",
                f"{name} is reported as {row['value']:.4f}; the predictions give {found[0]:.4f}.",
                1, (),
                "It was computed on other images, by another rule, or typed by hand.",
                "Compute every figure from the saved table of predictions.", EVALUATION,
            )  # fmt: skip


def _key(name: object) -> str:
    return "".join(c for c in str(name).lower() if c.isalnum())


@project_check(id="predictions.figures", needs=("figures",))
def missing_figures(project: Project) -> Iterator[Finding]:
    """Figures that a reader needs and that are not reported."""
    told = {_key(name) for name in needed(project.figures).index}
    wanted = {
        "sensitivity": ("sensitivity", "recall", "tpr"), "specificity": ("specificity", "tnr"),
        "area under the precision-recall curve": ("ap", "prauc", "auprc", "averageprecision"),
        "prevalence": ("prevalence",),
        "calibration": ("ece", "brier", "calibrationslope", "slope"),
    }  # fmt: skip
    lacking = [name for name, keys in wanted.items() if not told & set(keys)]
    if lacking:
        yield Finding(
            "predictions.figures", "note", "Figures that a reader needs are not reported",
            f"Not among them: {', '.join(lacking)}.", len(lacking), (),
            "Clinicians read sensitivity and specificity; precision means nothing without the "
            "prevalence; a score of .9 is not 90 % unless somebody has looked.",
            "medclf_lite.metrics.evaluate gives them all, with intervals.", EVALUATION,
        )  # fmt: skip


@project_check(id="predictions.calibration", needs=("predictions",))
def calibration(project: Project) -> Iterator[Finding]:
    """Scores that cannot be read as probabilities."""
    table = needed(project.predictions)
    scores = table["score"].to_numpy(dtype=np.float64)
    if not ((scores >= 0) & (scores <= 1)).all() or set(table["label"]) != {0, 1}:
        raise MedclfError("needs scores in [0, 1] and labels of both classes")
    seen = float(figures(table["label"], scores)["ece"])
    rng = np.random.default_rng(0)
    # What the error would be if every score were right: it is never 0 with few images.
    drawn = [figures(rng.random(len(scores)) < scores, scores)["ece"] for _ in range(200)]
    limit = float(np.quantile(drawn, 0.975))
    if seen > max(limit, MISCALIBRATED):
        yield Finding(
            "predictions.calibration", "warning", "Scores are not probabilities",
            f"Expected calibration error {seen:.3f}; perfect scores would have at most "
            f"{limit:.3f} (97.5 %). Mean score {scores.mean():.2f}, share of label 1 "
            f"{table['label'].mean():.2f}.", len(table), (),
            "A threshold, a cost or a sentence such as 'ninety per cent sure' is then wrong. "
            "Class weights, samplers and other prevalence are the usual reasons.",
            "Recalibrate on validation patients (medclf_lite.metrics.fit_temperature, "
            "shift_prevalence), and report the calibration.", CALIBRATION,
        )  # fmt: skip


@project_check(id="predictions.subgroups", needs=("predictions",))
def subgroups(project: Project) -> Iterator[Finding]:
    """Subgroups in which disease is found less often."""
    table = needed(project.predictions)
    ill = table[table["label"] == 1]
    cut = CONVENTION if project.threshold is None else project.threshold
    apart: list[tuple[str, list[Bar]]] = []
    for column in (c for c in (*SUBGROUPS, "subgroup") if c in ill and c not in ("split", "date")):
        if not 2 <= ill[column].nunique() <= 8:
            continue
        bars = [_found(str(name), part, cut) for name, part in ill.groupby(column)
                if part["patient_id"].nunique() >= FEWEST]  # fmt: skip
        if len(bars) < 2:
            continue
        worst, best = min(bars, key=lambda b: b.value), max(bars, key=lambda b: b.value)
        if worst.high < best.low and best.value - worst.value > UNEQUAL:
            apart.append((column, bars))
    if apart:
        told = "; ".join(
            f"{column}: " + ", ".join(f"{b.name} {b.value:.2f} ({b.low:.2f} to {b.high:.2f})"
                                      for b in bars)
            for column, bars in apart
        )  # fmt: skip
        yield Finding(
            "predictions.subgroups", "warning", "Sensitivity differs between subgroups",
            f"At a threshold of {cut:g}, by patient: {told}.", len(apart), (),
            "An overall figure hides whom the model serves badly.",
            "Report each subgroup with its interval (medclf_lite.metrics.by_subgroup), and say "
            "for whom the model must not be used.", EVALUATION,
            tuple(bar for _, bars in apart for bar in bars),
        )  # fmt: skip


def _found(name: str, part: pd.DataFrame, cut: float) -> Bar:
    """Sensitivity of a subgroup with its interval by patient."""
    hit = (part["score"] >= cut).to_numpy(dtype=np.float64)
    drawn = resample(
        lambda w: w @ hit / w.sum(axis=1), part["patient_id"], resamples=RESAMPLES, seed=0
    )
    low, high = percentiles(drawn)
    return Bar(name, float(hit.mean()), float(low), float(high))


@project_check(id="predictions.gap", needs=("predictions", "cv_predictions"))
def gap(project: Project) -> Iterator[Finding]:
    """Cross-validated figures that the test does not confirm."""
    crossed, tested = auc_of(needed(project.cv_predictions)), auc_of(needed(project.predictions))
    if crossed is None or tested is None:
        raise MedclfError("needs both classes in predictions and cv_predictions")
    # Two independent intervals: their half-widths add like standard errors.
    spread = float(np.hypot(crossed[2] - crossed[1], tested[2] - tested[1])) / 2
    apart = crossed[0] - tested[0]
    if abs(apart) > max(GAP, spread):
        yield Finding(
            "predictions.gap", "warning", "Cross-validation and test disagree",
            f"ROC-AUC {crossed[0]:.3f} in cross-validation and {tested[0]:.3f} on the test: "
            f"{apart:+.3f}, {apart - spread:+.3f} to {apart + spread:+.3f}.", 1, (),
            "Either patients or choices leaked into the folds, or the test images come from "
            "elsewhere. The two need different answers, and leakage is not the answer to "
            "everything.",
            "Fold by patient; then compare both sides image by image "
            "(medclf_lite.audit.probe_drift on one class at a time).", CROSS_VALIDATION,
            (Bar("cross-validation", *crossed), Bar("test", *tested)),
        )  # fmt: skip
