"""Intervals: how fast 10,000 resamples of patients are, and how often 95 % is 95 %."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from measure import Row, seconds, told
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from medclf_lite import metrics
from medclf_lite.metrics import delong_interval, evaluate, fixed_threshold
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import Ranking, patient_weights

RESAMPLES, LOOPED = 10_000, 200  # the loop is timed on 200 and multiplied
COHORTS, PATIENTS = 1000, 200
# Score of an image: of its label, of its patient and of chance. The true AUC follows.
EFFECT, OF_PATIENT, OF_IMAGE = 0.9, 0.9, 0.6
TRUTH = norm.cdf(EFFECT / np.sqrt(2 * (OF_PATIENT**2 + OF_IMAGE**2)))


def cohort(seed: int, patients: int = PATIENTS) -> Predictions:
    """Draw scored images, 3.3 a patient on average, that look alike within a patient."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(patients), rng.geometric(0.3, patients))
    label = (rng.random(patients) < 0.3).astype(int)[person]
    z = EFFECT * label + rng.normal(0, OF_PATIENT, patients)[person]
    z += rng.normal(0, OF_IMAGE, len(person))
    table = {"image_id": np.arange(len(person)), "patient_id": person, "label": label}
    return Predictions(pd.DataFrame(table | {"score": norm.cdf(z)}))


def by_loop(predictions: Predictions, weights: np.ndarray) -> np.ndarray:
    """ROC-AUC of each resample with scikit-learn, one resample after the other."""
    y, s = predictions.labels, predictions.scores
    rows = [np.repeat(np.arange(len(y)), w.astype(int)) for w in weights]
    return np.array([roc_auc_score(y[r], s[r]) for r in rows])


def speed(runs: int) -> list[Row]:
    """Compare the weighted bootstrap with a loop over scikit-learn, on the same resamples."""
    scored = cohort(0, patients=515)
    (weights,) = patient_weights(scored.patients, LOOPED, seed=0)
    slow = seconds(partial(by_loop, scored, weights), runs) * RESAMPLES / LOOPED
    fast = seconds(partial(metrics.auc_interval, scored, resamples=RESAMPLES), runs)
    cut = fixed_threshold(0.5, "a benchmark")
    every = seconds(partial(evaluate, scored, cut, resamples=RESAMPLES), runs)
    ours = Ranking.of(scored.labels, scored.scores).auc(weights)
    gap = np.abs(ours - by_loop(scored, weights)).max()
    what = f"{RESAMPLES:,} resamples of patients, {len(scored):,} images"
    return [
        Row(f"{what}: AUC", f"scikit-learn in a loop: {told(slow)} (from {LOOPED})", told(fast)),
        Row("the same: largest difference of an AUC", "", f"{gap:.0e}"),
        Row("the same: all 12 figures of `evaluate`", "", told(every)),
    ]


def coverage(seeds: range) -> pd.Series:
    """Share of simulated cohorts whose interval holds the true AUC, for four intervals."""
    held = []
    for seed in seeds:
        by_patient = cohort(seed)
        images = by_patient.table.assign(patient_id=by_patient.table["image_id"])
        by_image = Predictions(images)
        intervals = {
            "bootstrap by image": metrics.auc_interval(by_image, resamples=1000, seed=seed),
            "DeLong by image": delong_interval(by_patient, by_patient=False),
            "bootstrap by patient": metrics.auc_interval(by_patient, resamples=1000, seed=seed),
            "DeLong by patient": delong_interval(by_patient),
        }
        held.append({name: i.low <= TRUTH <= i.high for name, i in intervals.items()})
    return pd.DataFrame(held).mean()


def rows(runs: int) -> list[Row]:
    """Compare speed and coverage."""
    held = coverage(range(1, COHORTS + 1))
    error = np.sqrt(0.95 * 0.05 / COHORTS)
    found = [
        Row(
            f"{kind}: share of {COHORTS} simulated cohorts whose 95 % interval holds the true "
            f"AUC of {TRUTH:.3f} (±{error:.3f})",
            f"by image: {held[f'{kind} by image']:.3f}",
            f"by patient: {held[f'{kind} by patient']:.3f}",
        )
        for kind in ("bootstrap", "DeLong")
    ]
    return speed(runs) + found
