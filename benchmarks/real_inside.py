"""Where the head on frozen features looks on the official test images, and what covering does.

The real set has no lesion masks, so whether a map is true cannot be asked. What can be asked:
how much of it lies where no lung is, whether it changes when the network forgets its weights,
and what the scores do when a part of every image is covered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from real_world import SEED, SIZE, World

from medclf_lite import backbones, explain, metrics, training
from medclf_lite.predictions import Predictions
from medclf_lite.resampling import percentiles, resample

IMAGES = 240
FORGETTING = 60  # images whose maps are drawn again with random weights
DRAWS = 2
Masks = npt.NDArray[np.bool_]


def inside(world: World) -> dict[str, Any]:
    """Compute the section, on test images drawn at random."""
    rng = np.random.default_rng(SEED)
    rows = np.sort(rng.choice(world.rows("test"), IMAGES, replace=False))
    cohort, pixels = world.cohort.take(rows), np.asarray(world.pixels[rows])
    threshold = metrics.choose_threshold(world.predictions("val"), "youden")
    called = threshold.decide(world.scores[rows])
    maps = explain.grad_cam(world.model, pixels)
    found: dict[str, Any] = {
        "images": IMAGES, "patients": cohort.n_patients, "cells": 7,
        "threshold_from_validation": round(threshold.value, 4),
        "empty_maps": int((maps.max((1, 2)) == 0).sum()),
    }  # fmt: skip
    for name, label in (("true_alarms", 1), ("false_alarms", 0)):
        chosen = called & (cohort.labels == label)
        found[name] = {"images": int(chosen.sum())} | _places(maps[chosen], cohort.patients[chosen])
    found["area"] = _rounded(**{name: part.mean() for name, part in places().items()})
    found["forgetting"] = _forgetting(world.model, pixels[:FORGETTING], maps[:FORGETTING])
    found["covered"] = _covered(world, rows, pixels)
    return found


def places() -> dict[str, Masks]:
    """Parts of the image: the ring of a tenth on each side, and the corners of a fifth."""
    at = (np.arange(SIZE) + 0.5) / SIZE
    outside = np.minimum(at, 1 - at)  # distance from the nearer edge
    rows, columns = outside[:, None], outside[None, :]
    return {"ring": np.minimum(rows, columns) < 0.1, "corners": np.maximum(rows, columns) < 0.2}


def _places(maps: npt.NDArray[np.float32], patients: npt.NDArray[np.str_]) -> dict[str, Any]:
    """Share of the map in each place, and of maps with their highest point in the ring."""
    masks = {name: np.broadcast_to(part, maps.shape) for name, part in places().items()}
    grades = {f"{name}_energy": explain.energy_in_mask(maps, part) for name, part in masks.items()}
    grades["ring_highest"] = explain.pointing_game(maps, masks["ring"])
    return {name: _by_patient(values, patients) for name, values in grades.items()}


def _by_patient(
    values: npt.NDArray[np.float64], patients: npt.NDArray[np.str_]
) -> dict[str, float]:
    drawn = resample(lambda w: w @ values / w.sum(1), patients, resamples=2000, seed=SEED)
    low, high = percentiles(drawn)
    return _rounded(value=values.mean(), low=low, high=high)


def _rounded(**figures: Any) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in figures.items()}


def _forgetting(
    model: backbones.Classifier, pixels: npt.NDArray[np.uint8], maps: npt.NDArray[np.float32]
) -> dict[str, list[float]]:
    """Rank correlation of the maps with those after a part forgot its weights, each draw."""
    found = {}
    for name, stages in (("head", 0), ("everything", None)):
        found[name] = []
        for seed in range(DRAWS):
            again = explain.grad_cam(explain.randomised(model, stages, seed=seed), pixels)
            alike = np.nan_to_num(explain.similarity(maps, again))  # an empty map is like none
            found[name].append(round(float(alike.mean()), 4))
    return found


def _covered(
    world: World, rows: npt.NDArray[np.intp], pixels: npt.NDArray[np.uint8]
) -> dict[str, Any]:
    """Score the images again with the ring, or all but the ring, in the image's mean grey."""
    cohort = world.cohort.take(rows)
    ring = places()["ring"]
    found: dict[str, Any] = {"nothing": _auc(Predictions.of(cohort, world.scores[rows]))}
    for name, part in (("ring", ring), ("all_but_ring", ~ring)):
        grey = pixels.mean((1, 2)).round().astype(np.uint8)
        image = np.where(part, grey[:, None, None], pixels)
        seen = backbones.features(world.model, image)
        found[name] = _auc(Predictions.of(cohort, training.head_scores(world.model, seen)))
    return found


def _auc(predictions: Predictions) -> dict[str, float]:
    interval = metrics.auc_interval(predictions, seed=SEED)
    return _rounded(auc=interval.value, low=interval.low, high=interval.high)
