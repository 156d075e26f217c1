"""Figures with intervals by patient, thresholds that know their origin, and calibration."""

from medclf_lite.metrics.calibration import calibration_table
from medclf_lite.metrics.compare import Difference, compare, delong_difference
from medclf_lite.metrics.delong import delong_interval
from medclf_lite.metrics.evaluation import auc_interval, confusion, evaluate
from medclf_lite.metrics.figures import FIGURES, figures
from medclf_lite.metrics.labels import suspect_labels
from medclf_lite.metrics.net_benefit import net_benefit
from medclf_lite.metrics.recalibration import (
    Temperature,
    calibration_line,
    fit_temperature,
    shift_prevalence,
)
from medclf_lite.metrics.subgroups import by_subgroup, report
from medclf_lite.metrics.thresholds import (
    Threshold,
    check_rule,
    choose_threshold,
    fixed_threshold,
)
from medclf_lite.resampling import Interval

__all__ = [
    "FIGURES",
    "Difference",
    "Interval",
    "Temperature",
    "Threshold",
    "auc_interval",
    "by_subgroup",
    "calibration_line",
    "calibration_table",
    "check_rule",
    "choose_threshold",
    "compare",
    "confusion",
    "delong_difference",
    "delong_interval",
    "evaluate",
    "figures",
    "fit_temperature",
    "fixed_threshold",
    "net_benefit",
    "report",
    "shift_prevalence",
    "suspect_labels",
]
