"""A report as text: for a terminal, and as Markdown for a pull request."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from medclf_lite.audit.finding import Finding, Severity

if TYPE_CHECKING:
    from medclf_lite.audit.report import Report

STYLES: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
SHOWN = 3  # examples at a terminal


def print_report(report: Report, console: Console) -> None:
    """Print a report for a reader at a terminal; nothing in it is taken for markup."""
    console.print(Text(report.headline, style="bold"))
    for finding in report.findings:
        console.print()
        console.print(_headed(finding))
        console.print(Padding(_details(finding), (0, 0, 0, 2)))
    console.print()
    for line in report.coverage:
        console.print(Text(line, style="dim"))


def _headed(finding: Finding) -> Text:
    level = "KNOWN" if finding.accepted else finding.severity.upper()
    style = "dim" if finding.accepted else STYLES[finding.severity]
    return Text.assemble((f"{level:8}", style), (finding.title, "bold"))


def _details(finding: Finding) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    rows = [("seen", finding.seen), ("why", finding.why), ("do", finding.do)]
    if finding.accepted:
        rows = [("seen", finding.seen), ("because", finding.accepted)]
    elif finding.severity == "note":  # the files have the rest
        rows = [("seen", finding.seen), ("do", finding.do)]
    rows += [("e.g." if not i else "", e.text) for i, e in enumerate(finding.examples[:SHOWN])]
    for name, text in [*rows, ("read", f"{finding.chapter}  [{finding.id}]")]:
        grid.add_row(name, Text(text))
    return grid


def markdown(report: Report) -> str:
    """Write a report as Markdown: a table of what was found, then each finding in full."""
    lines = ["# Audit", "", plain(report.headline), ""]
    if report.findings:
        lines += ["| severity | finding | count |", "|---|---|---:|"]
        lines += [f"| {_level(f)} | {plain(f.title)} | {f.count:,} |" for f in report.findings]
        lines += [""]
    for f in report.findings:
        lines += [f"## {_level(f).capitalize()}: {plain(f.title)}", "", plain(f.seen), ""]
        lines += [f"- {plain(example.text)}" for example in f.examples]
        lines += [""] if f.examples else []
        lines += [f"**Why it matters.** {plain(f.why)}", "", f"**What to do.** {plain(f.do)}"]
        lines += ["", f"**Acknowledged.** {plain(f.accepted)}"] if f.accepted else []
        lines += ["", f"Chapter: `{f.chapter}`. Check: `{f.id}`.", ""]
    return "\n".join([*lines, *map(plain, report.coverage), ""])


def _level(finding: Finding) -> str:
    return f"{finding.severity}, acknowledged" if finding.accepted else finding.severity


def plain(text: str) -> str:
    """Escape what Markdown, or HTML inside it, would act upon."""
    return re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", html.escape(text, quote=False))
