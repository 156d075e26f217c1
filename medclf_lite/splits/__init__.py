"""Divide a cohort by patient, by date or by site, and prove that nothing leaks."""

from medclf_lite.splits.checks import SIDES, balance, check_split
from medclf_lite.splits.folds import PatientKFold, SiteOut
from medclf_lite.splits.nests import OuterFold, nested
from medclf_lite.splits.shifts import hold_out_site, split_by_date
from medclf_lite.splits.sides import split_patients, split_train_val
from medclf_lite.splits.units import linked_patients

__all__ = [
    "SIDES",
    "OuterFold",
    "PatientKFold",
    "SiteOut",
    "balance",
    "check_split",
    "hold_out_site",
    "linked_patients",
    "nested",
    "split_by_date",
    "split_patients",
    "split_train_val",
]
