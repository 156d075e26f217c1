"""What predicts the label on the official test without the lungs, and how train and test differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from real_world import World, head
from sklearn.model_selection import cross_val_predict

from medclf_lite import splits
from medclf_lite.audit import probe_drift, probe_regions, probe_traits
from medclf_lite.resampling import auc_with_interval

SEED = 0


def shortcuts(world: World) -> dict[str, Any]:
    """Probe regions and traits on the official test, and the drift of each class."""
    cohort = world.cohort
    two = cohort.with_column("split", np.where(world.is_test, "test", "train"))
    regions = probe_regions(two, world.pixels, test="test", seed=SEED)
    traits = probe_traits(two, pixels=world.pixels, test="test", seed=SEED)
    return {
        "on_test": by_trait(pd.concat([traits, regions])),
        "in_train": by_trait(
            probe_regions(cohort.take(~world.is_test), world.pixels[~world.is_test], seed=SEED)
        ),
        "drift": {name: drift(world, label) for label, name in enumerate(("normal", "pneumonia"))},
        "detail_ratio": detail_ratio(world),
        "numbers": numbers(world),
    }


def by_trait(found: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Give value and interval of each trait."""
    rows = found.set_index("trait")[["auc", "low", "high"]]
    return {str(name): {k: float(v) for k, v in row.items()} for name, row in rows.iterrows()}


def drift(world: World, label: int) -> dict[str, Any]:
    """Tell the training images of a class from its official test images."""
    rows = [
        np.flatnonzero((world.cohort.labels == label) & (world.is_test == side))
        for side in (False, True)
    ]
    parts = [world.cohort.take(r) for r in rows]
    found = probe_drift(*parts, (world.pixels[rows[0]], world.pixels[rows[1]]), seed=SEED)
    every = np.concatenate(rows)
    side = world.is_test[every].astype(int)
    who = world.cohort.patients[every]
    model = head()
    scores = cross_val_predict(
        model, world.features[every], side, groups=who, cv=splits.PatientKFold(5, seed=SEED),
        method="predict_proba",
    )[:, 1]  # fmt: skip
    together = auc_with_interval(side, scores, who)
    return {"traits": by_trait(found.head(6)), "frozen": dict(together._asdict())}


def detail_ratio(world: World) -> dict[str, dict[str, float]]:
    """Mean and sd of detail across over detail along, by side and class."""
    found = {}
    for side, is_side in (("train", ~world.is_test), ("test", world.is_test)):
        for label, name in enumerate(("normal", "pneumonia")):
            images = world.pixels[is_side & (world.cohort.labels == label)].astype(np.int16)
            ratio = np.abs(np.diff(images, axis=2)).mean((1, 2)) / np.abs(
                np.diff(images, axis=1)
            ).mean((1, 2))
            found[f"{side}_{name}"] = {"mean": float(ratio.mean()), "sd": float(ratio.std(ddof=1))}
    return found


def numbers(world: World) -> dict[str, Any]:
    """Where the numbers in the names of the test's normals lie, and how their neighbours score.

    The names of the normals carry a running number. The frozen head, cross-validated by patient
    on the training folder, calls most of the normals with the lowest numbers there normal.
    """
    table = world.cohort.table
    number = table["image_id"].str.extract(r"IM-(\d+)")[0].astype(float)
    series = np.where(table["image_id"].str.contains("NORMAL2"), "NORMAL2", "IM")
    normal = world.cohort.labels == 0
    train = np.flatnonzero(~world.is_test)
    model = head()
    y = world.cohort.labels
    scores = np.full(len(y), np.nan)
    scores[train] = cross_val_predict(
        model, world.features[train], y[train], groups=world.cohort.patients[train],
        cv=splits.PatientKFold(5, seed=SEED), method="predict_proba",
    )[:, 1]  # fmt: skip
    scores[world.is_test] = model.fit(world.features[train], y[train]).predict_proba(
        world.features[world.is_test]
    )[:, 1]
    found: dict[str, Any] = {}
    for name in ("IM", "NORMAL2"):
        here = normal & (series == name)
        test, rest = here & world.is_test, here & ~world.is_test
        near = rest & (number <= np.quantile(number[rest], 1 / 6)).to_numpy()
        found[name] = {
            "test_least": float(number[test].min()), "test_most": float(number[test].max()),
            "train_least": float(number[rest].min()),
            "specificity_test": float((scores[test] < 0.5).mean()),
            "specificity_nearest_sixth_of_train": float((scores[near] < 0.5).mean()),
            "specificity_train": float((scores[rest] < 0.5).mean()),
        }  # fmt: skip
    return found
