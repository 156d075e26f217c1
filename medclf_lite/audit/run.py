"""Run the checks on a cohort."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.finding import Finding, visible
from medclf_lite.audit.registry import Check, Subject, known_checks
from medclf_lite.audit.report import Report
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

Found = tuple[list[Finding], list[str], dict[str, str]]


def audit_cohort(
    cohort: Cohort,
    *,
    pixels: npt.NDArray[np.uint8] | None = None,
    only: Iterable[str] | None = None,
    cache: Path | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Report:
    """Look for faults in a cohort.

    Parameters
    ----------
    cohort : Cohort
    pixels : ndarray of uint8, shape (n, height, width), optional
        The cohort's pixels if they are loaded already.
    only : iterable of str, optional
        Groups or IDs of checks; all of them if not given.
    cache : pathlib.Path, optional
        Folder for decoded pixels.
    jobs : int, default 1
        Threads that decode.
    progress : bool, default False
        Show progress bars.

    Returns
    -------
    Report
        Findings, the worst first, and which checks ran.

    Raises
    ------
    MedclfError
        If ``only`` names no check, or the pixels do not match the cohort.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": ["a", "b"], "patient_id": ["p", "p"], "label": [0, 1]})
    >>> audit_cohort(Cohort(table, None, "example", "CC0"), only=["patients"]).worst
    'warning'
    """
    audit = AuditInput(cohort, pixels, cache, jobs, progress)
    findings, ran, skipped = run_checks(audit, known_checks(only, "cohort"), progress=progress)
    return Report(tuple(findings), cohort, tuple(ran), skipped)


def run_checks(subject: Subject, checks: list[Check], *, progress: bool = False) -> Found:
    """Run checks that look at one subject: their findings, which ran, which could not and why."""
    findings: list[Finding] = []
    ran: list[str] = []
    skipped: dict[str, str] = {}
    for each in tqdm(checks, desc="audit", unit="check", disable=not progress):
        if missing := subject.lacks(each.needs):
            skipped[each.id] = f"needs {', '.join(missing)}"
            continue
        try:
            findings += _run(each, subject)
            ran.append(each.id)
        except MedclfError as problem:
            skipped[each.id] = visible(str(problem))
        except Exception as problem:
            if each.kind == "cohort":
                raise
            # Anybody's objects: one that a check did not foresee must not hide the others.
            what = f"{type(problem).__name__}: {problem}"
            skipped[each.id] = visible(f"could not look at this: {what}"[:200])
    return findings, ran, skipped


def _run(each: Check, subject: Subject) -> list[Finding]:
    found = list(each.run(subject))
    for finding in found:
        if finding.id != each.id:
            raise RuntimeError(f"The check {each.id} gave a finding called {finding.id}.")
    return found
