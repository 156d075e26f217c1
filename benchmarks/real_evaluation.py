"""Figures, thresholds, subgroups and a comparison on the official test part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from real_world import World
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medclf_lite import metrics
from medclf_lite.predictions import Predictions

RESAMPLES, SEED = 4000, 0
RAW = 28  # side of the raw pixels that the other model sees
# A miss is said to be as bad as five false alarms, to have a number; it is not a finding.
RULES: dict[str, tuple[str, float | None]] = {
    "youden": ("youden", None),
    "f1": ("f1", None),
    "sensitivity_95": ("sensitivity", 0.95),
    "cost_5": ("cost", 5.0),
}
AT_THRESHOLD = ("sensitivity", "specificity", "ppv", "npv", "balanced_accuracy")


def raw_pixel_scores(world: World) -> np.ndarray:
    """Score every image by logistic regression on 28 x 28 grey values, C chosen on side val."""
    side = world.pixels.shape[1] // RAW
    x = np.asarray(world.pixels).reshape(-1, RAW, side, RAW, side).mean((2, 4))
    x = x.reshape(len(x), -1)
    train = world.rows("train")
    best, kept = -1.0, np.empty(0)
    for strength in (1e-4, 1e-3, 1e-2):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        model.fit(x[train], world.cohort.labels[train])
        scores = model.predict_proba(x)[:, 1]
        val = world.predictions("val", scores)
        if (auc := metrics.figures(val.labels, val.scores)["roc_auc"]) > best:
            best, kept = auc, scores
    return kept


def told(found: pd.DataFrame, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Keep value, low and high of some figures."""
    return {
        n: {c: round(float(found.loc[n, c]), 5) for c in ("value", "low", "high")} for n in names
    }


def widths(test: Predictions) -> dict[str, float]:
    """Width of intervals by patient, and when every image counts as a patient."""
    alone = Predictions(test.table.assign(patient_id=test.table["image_id"]))
    at = metrics.fixed_threshold(0.5, "a comparison of widths")
    found = {}
    for by, part in (("patient", test), ("image", alone)):
        bacteria = part.where((test.table["subtype"] != "virus").to_numpy())
        for name, these in (("", part), ("bacteria_", bacteria)):
            table = metrics.evaluate(these, at, resamples=RESAMPLES, seed=SEED)
            for figure in ("roc_auc", "sensitivity"):
                low, high = table.loc[figure, ["low", "high"]]
                found[f"{name}{figure}_by_{by}"] = round(float(high - low), 5)
    return found


def evaluation(world: World) -> dict[str, Any]:
    """Evaluate the head on frozen features: rules, intervals, subtypes, against raw pixels."""
    val, test = world.predictions("val"), world.predictions("test")
    options: dict[str, Any] = {"resamples": RESAMPLES, "seed": SEED}
    at_half = metrics.evaluate(test, metrics.fixed_threshold(0.5, "the usual cut"), **options)
    found: dict[str, Any] = {
        "val_images": len(val), "val_patients": val.n_patients,
        "val_prevalence": float(val.labels.mean()),
        "test_images": len(test), "test_patients": test.n_patients,
        "val_auc": float(metrics.auc_interval(val, **options).value),
        "test": told(at_half, ("roc_auc", "pr_auc", "prevalence")),
        "at_half": told(at_half, AT_THRESHOLD),
        "width": widths(test),
        "rules": {},
    }  # fmt: skip
    for name, (rule, target) in RULES.items():
        cut = metrics.choose_threshold(val, rule, target=target)
        on_val = metrics.figures(val.labels, val.scores, cut.value)
        found["rules"][name] = {
            "threshold": cut.value,
            "val_sensitivity": float(on_val["sensitivity"]),
            "val_specificity": float(on_val["specificity"]),
            **told(metrics.evaluate(test, cut, **options), AT_THRESHOLD),
        }
    found["limit_on_test"] = limit(test)
    youden = metrics.choose_threshold(val)
    groups = metrics.by_subgroup(test, "subtype", youden, against="normals", **options)
    found["subtypes"] = {
        kind: told(groups.loc[kind], ("roc_auc", "sensitivity"))
        | {"patients": int(groups.loc[(kind, "sensitivity"), "patients"])}
        for kind in ("bacteria", "virus")
    }
    found["raw_pixels"] = against_raw_pixels(world, test, options)
    return found


def limit(test: Predictions) -> dict[str, float]:
    """Choose on the test images themselves: not a result, only what no threshold can beat."""
    own = metrics.choose_threshold(test)
    at = metrics.figures(test.labels, test.scores, own.value)
    return {"threshold": own.value, "balanced_accuracy": float(at["balanced_accuracy"])}


def against_raw_pixels(world: World, test: Predictions, options: dict[str, Any]) -> dict[str, Any]:
    """Compare the head with the raw pixels: apart, and paired."""
    raw = world.predictions("test", raw_pixel_scores(world))
    alone = metrics.auc_interval(raw, **options)
    pair = metrics.compare(test, raw, **options).loc["roc_auc"]
    delong = metrics.delong_difference(test, raw)
    return {
        "side": RAW, "auc": alone.value, "auc_low": alone.low, "auc_high": alone.high,
        "difference": float(pair["difference"]), "low": float(pair["low"]),
        "high": float(pair["high"]), "delong_low": delong.low, "delong_high": delong.high,
        "delong_p": delong.p,
    }  # fmt: skip
