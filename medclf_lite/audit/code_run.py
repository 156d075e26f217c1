"""Run the checks that read source code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medclf_lite.audit.code import read_code
from medclf_lite.audit.registry import known_checks
from medclf_lite.audit.report import Report
from medclf_lite.audit.run import run_checks


def audit_code(
    paths: str | Path | Iterable[str | Path], *, only: Iterable[str] | None = None
) -> Report:
    r"""Read Python files and notebooks for silent faults; nothing in them is run.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, or folders of them.
    only : iterable of str, optional
        IDs of checks.

    Returns
    -------
    Report

    Raises
    ------
    MedclfError
        If a path does not exist or holds no code.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "data.py"
    >>> _ = path.write_text("class D:\n  def __len__(self):\n    return len(self.rows[:100])")
    >>> audit_code(path).findings[0].id
    'code.truncated-length'
    """
    code = read_code(paths)
    findings, ran, skipped = run_checks(code, known_checks(only, "code"))
    return Report(tuple(findings), None, tuple(ran), skipped, code.subject)
