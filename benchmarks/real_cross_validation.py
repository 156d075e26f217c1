"""Cross-validation on the real set: folds, repeats, and what it promises against the test."""

from __future__ import annotations

from typing import Any

import numpy as np
from real_world import World, head
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from medclf_lite import metrics, splits
from medclf_lite.crossval import cross_predict
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import Ranking, percentiles, resample

SEEDS = range(5)
RESAMPLES = 5000


def cross_validation(world: World) -> dict[str, Any]:
    """Repeat five folds by patient and by image, and compare with the official test."""
    train = world.cohort.take(~world.is_test)
    x = world.features[~world.is_test]

    def fit_and_score(rows: np.ndarray, held: np.ndarray) -> np.ndarray:
        return head().fit(x[rows], train.labels[rows]).predict_proba(x[held])[:, 1]

    repeats: dict[str, list[Predictions]] = {"patient": [], "image": []}
    for seed in SEEDS:
        by_image = StratifiedKFold(5, shuffle=True, random_state=seed)
        by_patient = splits.PatientKFold(5, seed)
        for name, folds in (
            ("patient", by_patient.split(None, train.labels, train.patients)),
            ("image", by_image.split(x, train.labels)),
        ):
            repeats[name].append(
                cross_predict(train, folds, fit_and_score, jobs=world.jobs, leaks=name == "image")
            )
    test = world.cohort.take(world.is_test)
    scores = head().fit(x, train.labels).predict_proba(world.features[world.is_test])[:, 1]
    pooled, official = repeats["patient"][0], Predictions.of(test, scores)
    return {
        **{name: summed_up(found) for name, found in repeats.items()},
        "pooled": dict(metrics.auc_interval(pooled, resamples=RESAMPLES)._asdict()),
        "test": dict(metrics.auc_interval(official, resamples=RESAMPLES)._asdict()),
        "difference": difference(pooled, official),
    }


def summed_up(repeats: list[Predictions]) -> dict[str, float]:
    """Mean over folds and repeats, spread over folds, spread over repeats."""
    folds = np.array([
        [roc_auc_score(part["label"], part["score"]) for _, part in found.table.groupby("fold")]
        for found in repeats
    ])  # fmt: skip
    return {
        "mean": float(folds.mean()), "sd_of_folds": float(folds.std(axis=1, ddof=1).mean()),
        "sd_of_repeats": float(folds.mean(axis=1).std(ddof=1)), "best_fold": float(folds.max()),
        "worst_fold": float(folds.min()), "repeats": len(repeats),
    }  # fmt: skip


def difference(first: Predictions, second: Predictions) -> dict[str, float]:
    """Give the difference of two ROC-AUCs on different patients, with an interval."""
    drawn = [
        resample(
            Ranking.of(p.labels, p.scores).auc, p.patients, resamples=RESAMPLES, seed=seed
        )
        for seed, p in enumerate((first, second))
    ]  # fmt: skip
    low, high = percentiles(drawn[0] - drawn[1])
    value = roc_auc_score(first.labels, first.scores) - roc_auc_score(second.labels, second.scores)
    return {"value": float(value), "low": float(low), "high": float(high)}
