"""Fine-tune on the real set under three augmentations, and ask the official test of each.

Slow: a run takes about a quarter of an hour on one core. Finished runs are kept in the cache.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from real_world import World
from sklearn.metrics import roc_auc_score

from medclf_lite import metrics
from medclf_lite.augment import acquisition_augment
from medclf_lite.cohort import Cohort
from medclf_lite.images import load_pixels
from medclf_lite.loaders import ImageSet
from medclf_lite.predictions import Predictions
from medclf_lite.runs import RUN_FILE, RunConfig, evaluate_run, train_run
from medclf_lite.training import load_weights

SEEDS = {"acquisition": (0, 1, 2), "pose": (0,), "none": (0, 1)}
DRAWS = 3  # random changes of each validation image
SETTINGS = {"mode": "finetune", "size": 160, "epochs": 5, "lr": 5e-4, "layer_decay": 0.8}


def fine_tuning(world: World) -> dict[str, Any]:
    """Train all runs that are not there yet, and sum them up; the first one in full."""
    found = {name: [one_run(world, name, seed) for seed in seeds] for name, seeds in SEEDS.items()}
    main = found["acquisition"][0]
    return {
        "settings": {k: v for k, v in asdict(config("acquisition", 0)).items() if k != "seed"},
        "by_augmentation": {name: summed_up(runs) for name, runs in found.items()},
        **main,
    }


def config(augment: str, seed: int) -> RunConfig:
    """Give the settings of a run; nothing but augmentation and seed differs between runs."""
    return RunConfig(augment=augment, seed=seed, **SETTINGS)  # type: ignore[arg-type]


def one_run(world: World, augment: str, seed: int) -> dict[str, Any]:
    """Train a run, unless it is there, and evaluate it."""
    out = world.cache / "runs" / f"{augment}-{seed}"
    if not (out / RUN_FILE).exists():
        train_run(world.cohort, out, config(augment, seed), cache=world.cache, jobs=world.jobs)
    predictions, figures = evaluate_run(
        out, world.cohort, resamples=10_000, cache=world.cache, jobs=world.jobs
    )
    val = Predictions.from_csv(out / "validation_predictions.csv")
    history = pd.read_csv(out / "history.csv")
    columns = ["epoch", "train_loss", "val_loss", "val_auc", "grad_norm", "seconds"]
    value, low, high = figures.loc["roc_auc", ["value", "low", "high"]]
    return {
        "val": float(roc_auc_score(val.labels, val.scores)),
        "val_changed": validation_elsewhere(out, world.cohort, world.cache, seed),
        "test": float(value), "test_low": float(low), "test_high": float(high),
        "test_images": len(predictions), "test_patients": predictions.n_patients,
        "specificity_at_half": float((predictions.scores[predictions.labels == 0] < 0.5).mean()),
        "minutes": float(history["seconds"].sum() / 60),
        "epochs": history[columns].to_dict("records"),
        "figures": {
            name: {k: float(row[k]) for k in ("value", "low", "high")}
            for name, row in figures.iterrows()
        },
        "subtypes": subtypes(predictions),
        "against_frozen": against_frozen(world, predictions),
    }  # fmt: skip


def subtypes(predictions: Predictions) -> dict[str, dict[str, float]]:
    """Give the ROC-AUC of bacterial and of viral pneumonia, each against all normals."""
    kind = predictions.table["subtype"]
    found = {}
    for name in ("bacteria", "virus"):
        part = predictions.where(((kind == name) | (kind == "normal")).to_numpy())
        found[name] = dict(metrics.auc_interval(part, resamples=2000)._asdict())
    return found


def against_frozen(world: World, predictions: Predictions) -> dict[str, float]:
    """Compare with the linear head on frozen features, on the same images."""
    found = metrics.compare(predictions, world.predictions("test"), resamples=10_000)
    return {name: float(found.loc["roc_auc", name]) for name in ("difference", "low", "high")}


def validation_elsewhere(out: Path, cohort: Cohort, cache: Path, seed: int) -> float:
    """Give the mean ROC-AUC of validation images under strong random acquisition changes."""
    known = pd.read_csv(out / "split.csv").set_index("image_id")["split"]
    val = cohort.take((cohort.table["image_id"].map(known) == "val").to_numpy())
    size = int(SETTINGS["size"])  # type: ignore[call-overload]
    images = ImageSet(val, load_pixels(val, size, cache=cache), acquisition_augment(), seed=seed)
    model = load_weights(out)
    areas = []
    for draw in range(DRAWS):
        images.set_epoch(draw)
        scores = []
        with torch.inference_mode():
            for start in range(0, len(images), 64):
                rows = range(start, min(start + 64, len(images)))
                scores.append(model(torch.stack([images[i][0] for i in rows])))
        areas.append(roc_auc_score(val.labels, torch.cat(scores).numpy()))
    return float(np.mean(areas))


def summed_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Give the mean over seeds of what the runs are compared in, and each test figure."""
    names = ("val", "val_changed", "test", "specificity_at_half", "minutes")
    found: dict[str, Any] = {name: float(np.mean([run[name] for run in runs])) for name in names}
    return found | {"seeds": len(runs), "tests": [run["test"] for run in runs]}
