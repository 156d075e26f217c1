"""Learning curves on the real set: features of photographs against raw pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image
from real_world import World
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEEDS = range(5)
SIZES = (50, 100, 400, 1200)
SIDE = 28


def transfer(world: World) -> dict[str, Any]:
    """Fit a linear model on one image of each of n training patients, for both inputs."""
    small = np.stack([
        np.asarray(Image.fromarray(np.asarray(image)).resize((SIDE, SIDE), Image.Resampling.BOX))
        for image in world.pixels
    ])  # fmt: skip
    inputs = {"frozen": world.features, "pixels": small.reshape(len(small), -1) / 255}
    strength = {"frozen": 0.01, "pixels": 0.001}
    rows = {side: world.rows(side) for side in ("train", "val", "test")}
    y = world.cohort.labels
    found: dict[str, Any] = {"sizes": list(SIZES), "seeds": len(SEEDS)}
    for name, x in inputs.items():
        found[name] = {}
        for n in SIZES:
            areas = []
            for seed in SEEDS:
                some = one_each(world.cohort.patients, rows["train"], n, seed)
                model = make_pipeline(
                    StandardScaler(), LogisticRegression(C=strength[name], max_iter=3000)
                ).fit(x[some], y[some])
                areas.append([
                    roc_auc_score(y[held], model.predict_proba(x[held])[:, 1])
                    for held in (rows["val"], rows["test"])
                ])  # fmt: skip
            mean, sd = np.mean(areas, axis=0), np.std(areas, axis=0, ddof=1)
            found[name][str(n)] = {
                "val": float(mean[0]), "val_sd": float(sd[0]),
                "test": float(mean[1]), "test_sd": float(sd[1]),
            }  # fmt: skip
    return found


def one_each(patients: np.ndarray, rows: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw n patients and one image of each."""
    order = np.random.default_rng(seed).permutation(rows)
    _, first = np.unique(patients[order], return_index=True)
    return order[np.sort(first)][:n]
