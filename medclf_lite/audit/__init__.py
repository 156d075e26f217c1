"""Findings on images, splits, loaders, models, predictions and code, with what to do."""

from medclf_lite.audit.acknowledge import Acknowledgement, acknowledge, read_acknowledged
from medclf_lite.audit.code_run import audit_code
from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.copies import exact_groups
from medclf_lite.audit.finding import Bar, Example, Finding, Severity
from medclf_lite.audit.probe import probe_traits
from medclf_lite.audit.regions import probe_drift, probe_regions
from medclf_lite.audit.registry import Check, code_check, cohort_check, known_checks, project_check
from medclf_lite.audit.report import Report, join, read_fail_on
from medclf_lite.audit.run import audit_cohort
from medclf_lite.audit.together import assert_clean, check

__all__ = [
    "Acknowledgement", "AuditInput", "Bar", "Check", "Example", "Finding", "Report", "Severity",
    "acknowledge", "assert_clean", "audit_code", "audit_cohort", "check", "code_check",
    "cohort_check",
    "exact_groups", "join", "known_checks", "probe_drift", "probe_regions", "probe_traits",
    "project_check", "read_acknowledged", "read_fail_on",
]  # fmt: skip
