"""Figures with intervals by patient, thresholds that know their origin, and calibration."""

from medclf_lite.metrics.calibration import calibration_table
from medclf_lite.metrics.delong import delong_interval
from medclf_lite.metrics.evaluation import auc_interval, confusion, evaluate
from medclf_lite.metrics.figures import FIGURES, figures
from medclf_lite.metrics.thresholds import (
    Threshold,
    check_rule,
    choose_threshold,
    fixed_threshold,
)
from medclf_lite.resampling import Interval

__all__ = [
    "FIGURES",
    "Interval",
    "Threshold",
    "auc_interval",
    "calibration_table",
    "check_rule",
    "choose_threshold",
    "confusion",
    "delong_interval",
    "evaluate",
    "figures",
    "fixed_threshold",
]
