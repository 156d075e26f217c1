"""Findings that a project knows of and lives with, each with a reason, in a small file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from medclf_lite.audit.finding import Finding, visible
from medclf_lite.audit.registry import known_checks
from medclf_lite.audit.report import Report
from medclf_lite.errors import MedclfError

FILE = "medclf-audit.toml"
_EXAMPLE = '[[acknowledged]] check = "splits.sites" reason = "All sites are ours."'


@dataclass(frozen=True)
class Acknowledgement:
    """A finding that may stay, for a reason.

    Parameters
    ----------
    check : str
        ID of the check.
    reason : str
        Why the project lives with it; never empty.
    most : int, optional
        The acknowledgement holds for up to so many images, patients or traits; a finding that
        has grown beyond counts again.
    until : datetime.date, optional
        The last day on which it holds.

    Raises
    ------
    MedclfError
        If the check is not known, the reason is empty, or a limit is not what it must be.

    Examples
    --------
    >>> Acknowledgement("patients.several-images", "We split by patient.").most is None
    True
    """

    check: str
    reason: str
    most: int | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        if self.check not in {c.id for c in known_checks()}:
            raise MedclfError(
                f"There is no check {self.check!r} to acknowledge; a finding shows its check's "
                "ID, such as splits.patients."
            )
        if not isinstance(self.reason, str) or not self.reason.strip():
            raise MedclfError(f"Say why {self.check} is acknowledged: reason must not be empty.")
        if self.most is not None and (type(self.most) is not int or self.most < 1):
            raise MedclfError(f"most must be a whole number from 1; got {self.most!r}.")
        if self.until is not None and type(self.until) is not date:
            raise MedclfError(f"until must be a date such as 2030-12-31; got {self.until!r}.")

    def holds_for(self, finding: Finding, today: date) -> bool:
        """Tell whether this finding is the one meant, and still within the limits."""
        return (
            finding.id == self.check
            and (self.most is None or finding.count <= self.most)
            and (self.until is None or today <= self.until)
        )


def read_acknowledged(path: str | Path | None = None) -> list[Acknowledgement]:
    r"""Read acknowledgements from a TOML file.

    Parameters
    ----------
    path : str or pathlib.Path, optional
        A file of tables ``[[acknowledged]]`` with ``check``, ``reason`` and perhaps ``most``
        and ``until``. If not given, ``medclf-audit.toml`` here, should there be one.

    Raises
    ------
    MedclfError
        If the file cannot be read, is not TOML, or holds anything else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "medclf-audit.toml"
    >>> _ = path.write_text('[[acknowledged]]\ncheck = "splits.sites"\nreason = "All ours."')
    >>> read_acknowledged(path)[0].reason
    'All ours.'
    """
    if path is None and not Path(FILE).is_file():
        return []
    path = Path(FILE if path is None else path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise MedclfError(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise MedclfError(
            f"{path} is not TOML: {problem}. Write for example {_EXAMPLE}"
        ) from problem
    entries = content.pop("acknowledged", [])
    if content or not isinstance(entries, list):
        raise MedclfError(
            f"{path} may hold tables [[acknowledged]] and nothing else; it has "
            f"{', '.join(content) or 'a single one'}."
        )
    return [_entry(path, entry) for entry in entries]


def _entry(path: Path, entry: Any) -> Acknowledgement:  # noqa: ANN401 - TOML
    known = {"check", "reason", "most", "until"}
    if not isinstance(entry, dict) or not {"check", "reason"} <= entry.keys() <= known:
        got = ", ".join(entry) if isinstance(entry, dict) else repr(entry)
        raise MedclfError(
            f"An acknowledgement in {path} needs check and reason, and may have most and until; "
            f"it has {got}."
        )
    return Acknowledgement(**entry)


def acknowledge(
    report: Report, acknowledged: Iterable[Acknowledgement], *, today: date | None = None
) -> Report:
    """Mark the findings that a project lives with; they no longer decide the exit code.

    Parameters
    ----------
    report : Report
    acknowledged : iterable of Acknowledgement
    today : datetime.date, optional
        The day for ``until``; today if not given.

    Returns
    -------
    Report
        Nothing is dropped: the findings stay, with their reason. Acknowledgements that met no
        finding are named among what did not run, so that a stale one does not go unseen.
    """
    day = today or date.today()
    given = list(acknowledged)
    findings = []
    used: set[int] = set()
    for finding in report.findings:
        holds = [i for i, a in enumerate(given) if a.holds_for(finding, day)]
        used.update(holds)
        findings.append(replace(finding, accepted=given[holds[0]].reason if holds else ""))
    stale = {
        f"acknowledged {a.check}": visible(_why_not(a, report, day))
        for i, a in enumerate(given)
        if i not in used
    }
    return replace(report, findings=tuple(findings), skipped=report.skipped | stale)


def _why_not(given: Acknowledgement, report: Report, day: date) -> str:
    found = [f for f in report.findings if f.id == given.check]
    if not found:
        return "nothing to acknowledge, remove it"
    if given.until is not None and day > given.until:
        return f"was good until {given.until}"
    return f"was good up to {given.most}, and now it is {max(f.count for f in found)}"
