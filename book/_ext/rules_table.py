"""The directive ``rules``: a table a group, made from one data file, ``book/rules.yml``.

Each rule names its verdict and the place of its evidence; the links are checked like any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

FILE = Path(__file__).resolve().parents[1] / "rules.yml"
KINDS = {"do": "do", "dont": "do not"}
VERDICTS = {
    "holds": "holds",
    "limits": "holds, with limits",
    "opposite": "we found the opposite",
    "not shown": "not shown",
}


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """Read the groups, each with its title and rules.

    Raises
    ------
    ValueError
        If a rule lacks a part, or names a kind or verdict that does not exist.
    """
    groups: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for group in groups:
        for rule in group["rules"]:
            missing = {"kind", "rule", "verdict", "found"} - rule.keys()
            known = rule.get("kind") in KINDS and rule.get("verdict") in VERDICTS
            if missing or not known:
                raise ValueError(f"{path.name}: a rule needs kind, rule, verdict, found: {rule}")
            if rule["verdict"] != "not shown" and "where" not in rule:
                raise ValueError(f"{path.name}: no place of evidence (where): {rule['rule']}")
    return groups


def place(where: str) -> str:
    """Write a link to ``chapter#heading``, from a page in the folder ``book``."""
    chapter, _, anchor = where.partition("#")
    number = chapter.split("_")[0]
    target = f"../chapters/{chapter}.md" + (f"#{anchor}" if anchor else "")
    return f"[chapter {int(number)}]({target})"


def markdown(groups: list[dict[str, Any]]) -> list[str]:
    """Write the tables as lines of MyST Markdown."""
    lines = []
    for group in groups:
        lines += ["", f"## {group['title']}", "", "| | rule | verdict | what we found | where |",
                  "|---|---|---|---|---|"]  # fmt: skip
        for rule in group["rules"]:
            links = ", ".join(map(place, str(rule.get("where", "")).split()))
            parts = (KINDS[rule["kind"]], rule["rule"], VERDICTS[rule["verdict"]], rule["found"])
            text = (" ".join(str(part).split()) for part in parts)  # one line a cell
            lines.append(f"| {' | '.join(text)} | {links} |")
    return [*lines, ""]


class RulesDirective(Directive):
    """Put the tables here."""

    def run(self) -> list[nodes.Node]:
        """Parse the tables as if they stood in the page."""
        self.state.document.settings.env.note_dependency(str(FILE))
        lines = StringList(markdown(read()), source=str(FILE))
        node = nodes.Element()
        self.state.nested_parse(lines, 0, node, match_titles=True)
        return list(node.children)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("rules", RulesDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
