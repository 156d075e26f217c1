"""What an audit found, and what follows from it: an exit code, a text, a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from rich.console import Console

from medclf_lite.audit.finding import SEVERITIES, Finding, Severity, number, visible
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

FailOn = Literal["error", "warning", "note", "never"]


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Parameters
    ----------
    findings : tuple of Finding
        In any order; kept with those that count first, the worst of them first.
    cohort : Cohort or None
        The cohort that was audited, if one was.
    ran : tuple of str
        IDs of the checks that ran.
    skipped : dict
        Checks that could not run, each with the reason.
    subject : str
        What else was looked at, in a few words: loaders, a model, files of code.
    pictures : mapping
        Images by the ID that examples use, uint8 of shape (height, width), for images that
        are not in the cohort.
    """

    findings: tuple[Finding, ...]
    cohort: Cohort | None
    ran: tuple[str, ...]
    skipped: dict[str, str]
    subject: str = ""
    pictures: Mapping[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ordered = sorted(self.findings, key=lambda f: (f.accepted != "", _rank(f.severity)))
        object.__setattr__(self, "findings", tuple(ordered))

    @property
    def open(self) -> tuple[Finding, ...]:
        """Findings that nobody has acknowledged, the worst first."""
        return tuple(f for f in self.findings if not f.accepted)

    @property
    def worst(self) -> Severity | None:
        """Severity of the worst finding that is not acknowledged, None if there is none."""
        return self.open[0].severity if self.open else None

    def at_least(self, fail_on: str) -> tuple[Finding, ...]:
        """Return the open findings that are at least as bad as ``fail_on``.

        Raises
        ------
        MedclfError
            If ``fail_on`` is not a severity and not ``never``.
        """
        limit = read_fail_on(fail_on)
        if limit == "never":
            return ()
        return tuple(f for f in self.open if _rank(f.severity) <= _rank(limit))

    def exit_code(self, fail_on: str = "error") -> int:
        """Return 1 if an open finding is at least as bad as ``fail_on``, else 0; ``never``: 0.

        Raises
        ------
        MedclfError
            If ``fail_on`` is not a severity and not ``never``.
        """
        return int(bool(self.at_least(fail_on)))

    @property
    def name(self) -> str:
        """What was audited: the source of the cohort, loaders, files of code."""
        cohort = "" if self.cohort is None else self.cohort.source
        return visible("; ".join(filter(None, (cohort, self.subject))))

    @property
    def headline(self) -> str:
        """What was audited and how many findings there are, in a line."""
        size = ""
        if self.cohort is not None:
            images = number(len(self.cohort), "image")
            size = f"{images} of {number(self.cohort.n_patients, 'patient')}; "
        tally = [
            number(n, severity)
            for severity in SEVERITIES
            if (n := sum(f.severity == severity for f in self.open))
        ]
        if n := len(self.findings) - len(self.open):
            tally.append(f"{n} acknowledged")
        return f"{self.name}: {size}{', '.join(tally) or 'no findings'}"

    @property
    def coverage(self) -> list[str]:
        """Which checks ran and which could not, in lines."""
        by_reason: dict[str, list[str]] = {}
        for id, why in self.skipped.items():
            by_reason.setdefault(why, []).append(id)
        lines = [f"{number(len(self.ran), 'check')} ran."]
        return lines + [f"Not run: {', '.join(ids)} ({why})." for why, ids in by_reason.items()]

    def print(self, console: Console | None = None) -> None:
        """Print the report for a reader at a terminal."""
        from medclf_lite.audit.text import print_report

        print_report(self, console or Console())

    def to_json(self) -> str:
        """Return the report as JSON; the same input gives the same text."""
        cohort = self.cohort
        content = {
            "subject": self.name,
            "source": cohort and cohort.source,
            "licence": cohort and cohort.licence,
            "fingerprint": cohort and cohort.fingerprint,
            "images": cohort and len(cohort),
            "patients": cohort and cohort.n_patients,
            "worst": self.worst,
            "findings": [asdict(f) | {"bars": [b._asdict() for b in f.bars]}
                         for f in self.findings],
            "ran": list(self.ran),
            "skipped": self.skipped,
        }  # fmt: skip
        return json.dumps(content, indent=1, ensure_ascii=False)

    def to_markdown(self) -> str:
        """Return the report as Markdown; names of files are escaped."""
        from medclf_lite.audit.text import markdown

        return markdown(self)

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


def join(reports: Iterable[Report]) -> Report:
    """Make one report of several: of a cohort, of a project, of code."""
    parts = list(reports)
    return Report(
        tuple(f for part in parts for f in part.findings),
        next((part.cohort for part in parts if part.cohort is not None), None),
        tuple(id for part in parts for id in part.ran),
        {id: why for part in parts for id, why in part.skipped.items()},
        "; ".join(part.subject for part in parts if part.subject),
        {i: picture for part in parts for i, picture in part.pictures.items()},
    )


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


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
