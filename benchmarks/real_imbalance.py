"""Class counts, the tutorial's weights, and what corrections of the imbalance do to scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from real_world import World
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from medclf_lite import metrics, splits, training

SEEDS = range(3)  # of the drawn ways; the others draw nothing
FOLDS = 5
C = 0.01  # as in the section "frozen"
FIGURES = ("roc_auc", "ece", "sensitivity", "specificity")
Rows = np.ndarray


def weights(labels: np.ndarray) -> dict[str, float]:
    """Re-derive the tutorial's class weights, and what they make of the prevalence."""
    n, ill = len(labels), int((labels == 1).sum())
    well = n - ill
    right, wrong = training.positive_weight(labels), n / (2 * ill)
    return {
        "negatives": well, "positives": ill, "ratio": ill / well, "prevalence": ill / n,
        "tutorial_weight_normal": n / (2 * well), "tutorial_weight_pneumonia": wrong,
        "right_pos_weight": right,
        "effective_prevalence_wrong": wrong * ill / (wrong * ill + well),
        "effective_prevalence_right": right * ill / (right * ill + well),
    }  # fmt: skip


def drawn(y: np.ndarray, way: str, rng: np.random.Generator) -> Rows:
    """Choose the rows to fit on: all, or both classes equally often."""
    classes = [np.flatnonzero(y == value) for value in (0, 1)]
    sizes = [len(rows) for rows in classes]
    if way == "undersampled":
        return np.concatenate([rng.choice(rows, min(sizes), replace=False) for rows in classes])
    if way in ("oversampled", "both"):
        return np.concatenate([rng.choice(rows, max(sizes)) for rows in classes])
    return np.arange(len(y))


def out_of_fold(x: np.ndarray, world: World, rows: Rows, way: str, seed: int) -> np.ndarray:
    """Score each row by a model of other patients; weights are of the imbalance as published."""
    y, who = world.cohort.labels[rows], world.cohort.patients[rows]
    scores = np.empty(len(rows))
    for fit, val in splits.PatientKFold(FOLDS, seed=0).split(x, y, who):
        chosen = fit[drawn(y[fit], way, np.random.default_rng((seed, len(fit))))]
        weight = training.positive_weight(y[fit]) if way in ("weighted", "both") else 1.0
        scaler = StandardScaler().fit(x[fit])
        each = np.where(y[chosen] == 1, weight, 1)
        model = LogisticRegression(C=C, max_iter=2000)
        model.fit(scaler.transform(x[chosen]), y[chosen], sample_weight=each)
        scores[val] = model.predict_proba(scaler.transform(x[val]))[:, 1]
    return scores


def imbalance(world: World) -> dict[str, Any]:
    """Compare the ways by patient-grouped cross-validation in the official train part."""
    rows = np.flatnonzero(~world.is_test)
    official = (world.cohort.table["split"] == "train").to_numpy()
    found: dict[str, Any] = {"weights": weights(world.cohort.labels[official]), "ways": {}}
    y = world.cohort.labels[rows]
    x = np.asarray(world.features)[rows]
    share = float(y.mean())
    odds = (1 - share) / share
    # What the fitted model takes for the prevalence; drawn equally and weighted again: 1 - share.
    taken = {"plain": share, "weighted": 0.5, "oversampled": 0.5, "undersampled": 0.5,
             "both": odds / (1 + odds)}  # fmt: skip
    for way, prior in taken.items():
        runs = []
        for seed in SEEDS if way in ("oversampled", "undersampled", "both") else range(1):
            scores = out_of_fold(x, world, rows, way, seed)
            runs.append(dict(metrics.figures(y, scores, 0.5)[list(FIGURES)]))
            back = metrics.shift_prevalence(scores, prior, share)
            runs[-1]["ece_after_shift"] = metrics.figures(y, back)["ece"]
        found["ways"][way] = {k: float(np.mean([r[k] for r in runs])) for k in runs[0]}
        found["ways"][way]["seeds"] = len(runs)
        if way == "plain":  # the threshold that a weight of n_neg / n_pos amounts to
            at = metrics.figures(y, scores, share)[["sensitivity", "specificity"]]
            found["plain_at_prevalence"] = {"threshold": share, **at.astype(float)}
    return found
