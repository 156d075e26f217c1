"""Findings on a cohort: its files, counts, patients, copies, shortcuts and splits."""

from medclf_lite.audit.copies import exact_groups
from medclf_lite.audit.finding import Bar, Example, Finding, Severity
from medclf_lite.audit.probe import probe_traits
from medclf_lite.audit.regions import probe_drift, probe_regions
from medclf_lite.audit.registry import AuditInput, Check, check, known_checks
from medclf_lite.audit.report import Report, audit_cohort, read_fail_on

__all__ = [
    "AuditInput", "Bar", "Check", "Example", "Finding", "Report", "Severity", "audit_cohort",
    "check", "exact_groups", "known_checks", "probe_drift", "probe_regions", "probe_traits",
    "read_fail_on",
]  # fmt: skip
