"""Calibration on the real set: on validation patients, and on the official test."""

from __future__ import annotations

from typing import Any

from real_world import World

from medclf_lite import metrics
from medclf_lite.predictions import Predictions

THRESHOLDS = (0.1, 0.2, 0.5, 0.8)


def calibration(world: World) -> dict[str, Any]:
    """Fit a temperature on validation patients and look at the official test before and after."""
    val, test = world.predictions("val"), world.predictions("test")
    temperature = metrics.fit_temperature(val)
    after = temperature.apply(test)
    return {
        "temperature": temperature.value,
        "val": summary(val), "test": summary(test), "test_after": summary(after),
        "normals_above_half": float((test.scores[test.labels == 0] >= 0.5).mean()),
        "normals_above_nine_tenths": float((test.scores[test.labels == 0] >= 0.9).mean()),
        "net_benefit": metrics.net_benefit(test, THRESHOLDS).to_dict("records"),
    }  # fmt: skip


def summary(predictions: Predictions) -> dict[str, float]:
    """Give each calibration figure, those of the bootstrap with their interval by patient."""
    found = metrics.evaluate(predictions, resamples=2000)
    line = metrics.calibration_line(predictions)
    return {
        **{
            f"{name}{end}": float(found.loc[name, column])
            for name in ("roc_auc", "brier", "ece", "prevalence")
            for end, column in (("", "value"), ("_low", "low"), ("_high", "high"))
        },
        "slope": line.slope, "intercept": line.intercept,
        "mean_score": float(predictions.scores.mean()),
    }  # fmt: skip
