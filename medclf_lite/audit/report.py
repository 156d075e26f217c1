"""Run the checks and report: on the terminal, as JSON, as Markdown, as one HTML page."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from tqdm.auto import tqdm

from medclf_lite.audit.finding import SEVERITIES, Finding, Severity, number, visible
from medclf_lite.audit.registry import AuditInput, Check, known_checks
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

FailOn = Literal["error", "warning", "note", "never"]
STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}


def audit_cohort(
    cohort: Cohort,
    *,
    pixels: npt.NDArray[np.uint8] | None = None,
    only: Iterable[str] | None = None,
    cache: Path | None = None,
    jobs: int = 1,
    progress: bool = False,
    extras: Mapping[str, Any] | None = None,
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
    extras : mapping, optional
        Further objects by name for checks that need them.

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
    audit = AuditInput(cohort, pixels, cache, jobs, progress, extras or {})
    ran: list[str] = []
    skipped: dict[str, str] = {}
    findings: list[Finding] = []
    checks = known_checks(only)
    for each in tqdm(checks, desc="audit", unit="check", disable=not progress):
        if missing := audit.lacks(each.needs):
            skipped[each.id] = f"needs {', '.join(missing)}"
            continue
        try:
            findings += _run(each, audit)
            ran.append(each.id)
        except MedclfError as problem:
            skipped[each.id] = visible(str(problem))
    findings.sort(key=lambda f: SEVERITIES.index(f.severity))
    return Report(tuple(findings), cohort, tuple(ran), skipped)


def _run(each: Check, audit: AuditInput) -> list[Finding]:
    found = list(each.run(audit))
    for finding in found:
        if finding.id != each.id:
            raise RuntimeError(f"The check {each.id} gave a finding called {finding.id}.")
    return found


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Parameters
    ----------
    findings : tuple of Finding
        The worst first.
    cohort : Cohort
        What was audited.
    ran : tuple of str
        IDs of the checks that ran.
    skipped : dict
        Checks that could not run, each with the reason.
    """

    findings: tuple[Finding, ...]
    cohort: Cohort
    ran: tuple[str, ...]
    skipped: dict[str, str]

    @property
    def worst(self) -> Severity | None:
        """Severity of the worst finding, None if there is none."""
        return self.findings[0].severity if self.findings else None

    def exit_code(self, fail_on: str = "error") -> int:
        """Return 1 if a finding is at least as bad as ``fail_on``, else 0; ``never``: 0.

        Raises
        ------
        MedclfError
            If ``fail_on`` is not a severity and not ``never``.
        """
        limit = read_fail_on(fail_on)
        if limit == "never" or self.worst is None:
            return 0
        return int(SEVERITIES.index(self.worst) <= SEVERITIES.index(limit))

    @property
    def headline(self) -> str:
        """What was audited and how many findings there are, in a line."""
        tally = [
            number(n, severity)
            for severity in SEVERITIES
            if (n := sum(f.severity == severity for f in self.findings))
        ]
        return visible(
            f"{self.cohort.source}: {number(len(self.cohort), 'image')} of "
            f"{number(self.cohort.n_patients, 'patient')}; {', '.join(tally) or 'no findings'}"
        )

    @property
    def coverage(self) -> list[str]:
        """Which checks ran and which could not, in lines."""
        lines = [f"{number(len(self.ran), 'check')} ran."]
        return lines + [f"Not run: {id} ({why})." for id, why in self.skipped.items()]

    def print(self, console: Console | None = None) -> None:
        """Print the report for a reader at a terminal."""
        console = console or Console()
        console.print(Text(self.headline, style="bold"))
        for finding in self.findings:
            console.print()
            console.print(_headed(finding))
            console.print(Padding(_details(finding), (0, 0, 0, 2)))
        console.print()
        for line in self.coverage:
            console.print(Text(line, style="dim"))

    def to_json(self) -> str:
        """Return the report as JSON; the same cohort gives the same text."""
        content = {
            "source": self.cohort.source,
            "licence": self.cohort.licence,
            "fingerprint": self.cohort.fingerprint,
            "images": len(self.cohort),
            "patients": self.cohort.n_patients,
            "worst": self.worst,
            "findings": [asdict(f) | {"bars": [b._asdict() for b in f.bars]}
                         for f in self.findings],
            "ran": list(self.ran),
            "skipped": self.skipped,
        }  # fmt: skip
        return json.dumps(content, indent=1, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Return the report as Markdown; names of files are escaped."""
        lines = ["# Audit", "", _plain(self.headline), ""]
        for f in self.findings:
            lines += [f"## {f.severity.capitalize()}: {_plain(f.title)}", "", _plain(f.seen), ""]
            lines += [f"- {_plain(example.text)}" for example in f.examples]
            lines += [""] if f.examples else []
            lines += [f"**Why it matters.** {_plain(f.why)}", "", f"**What to do.** {_plain(f.do)}"]
            lines += ["", f"Chapter: `{f.chapter}`. Check: `{f.id}`.", ""]
        return "\n".join([*lines, *map(_plain, self.coverage), ""])

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one HTML file with pictures, which asks nothing of a network.

        Raises
        ------
        MedclfError
            If the file cannot be written: no such folder, read-only, disk full.
        """
        from medclf_lite.audit.html import render

        path, page = Path(path), render(self)
        try:
            path.write_text(page, encoding="utf-8")
        except OSError as problem:
            raise MedclfError(
                f"The report cannot be written to {path}: {problem.strerror or problem}. Choose a "
                "folder that exists, can be written and has space."
            ) from problem
        return path

    def __repr__(self) -> str:
        return f"Report({self.headline})"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def read_fail_on(text: str) -> FailOn:
    """Read the severity from which an audit counts as failed.

    Raises
    ------
    MedclfError
        If it is not error, warning, note or never.

    Examples
    --------
    >>> read_fail_on("warning")
    'warning'
    """
    known: tuple[FailOn, ...] = get_args(FailOn)
    for name in known:
        if text == name:
            return name
    raise MedclfError(f"fail_on is {text!r}; expected one of {', '.join(known)}.")


def _headed(finding: Finding) -> Text:
    style = STYLES[finding.severity]
    return Text.assemble((f"{finding.severity.upper():8}", style), (finding.title, "bold"))


def _details(finding: Finding) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    rows = [("seen", finding.seen), ("why", finding.why), ("do", finding.do)]
    if finding.severity == "note":  # the files have the rest
        rows = [("seen", finding.seen), ("do", finding.do)]
    rows += [("e.g." if not i else "", e.text) for i, e in enumerate(finding.examples[:3])]
    for name, text in [*rows, ("read", f"{finding.chapter}  [{finding.id}]")]:
        grid.add_row(name, Text(text))
    return grid


def _plain(text: str) -> str:
    """Escape what Markdown, or HTML inside it, would act upon."""
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", html.escape(text, quote=False))
