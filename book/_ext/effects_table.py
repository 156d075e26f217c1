"""The directive ``effects``: one table of what all chapters have measured.

``medclf_lite.notebook.effect`` stores each effect with the outputs of its chapter. The table is
made from these when all pages have been read, so that no figure in it is older than its chapter.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from myst_nb.ext.glue.crossref import read_glue_cache

PREFIX = "effect:"
HEAD = ("chapter", "what was measured", "figure", "first: mean (sd)", "second: mean (sd)",
        "difference (sd)", "seeds in which the first is larger")  # fmt: skip


class effects(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes in lower case
    """Holds the place of the table until all chapters are known."""


class EffectsDirective(Directive):
    """Put the table here."""

    def run(self) -> list[nodes.Node]:
        """Leave a node in the page, and remember the page."""
        env = self.state.document.settings.env
        env.effects_pages = {*getattr(env, "effects_pages", ()), env.docname}
        return [effects("")]


def collected(env: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each effect with its chapter, in the order of the chapters."""
    folder = env.mystnb_config.output_folder
    for docname in sorted(env.found_docs):
        known = getattr(env, "nb_metadata", {}).get(docname, {}).get("glue", ())
        names = [name for name in known if name.startswith(PREFIX)]
        stored = read_glue_cache(str(folder), docname) if names else {}
        for name in names:
            text = ast.literal_eval(stored[name]["data"]["text/plain"])  # glued text, as Python
            yield docname, json.loads(text)


def shown(mean: float, sd: float) -> str:
    """Write a mean with its standard deviation; without one where there was one seed."""
    return f"{mean:.3f}" if math.isnan(sd) else f"{mean:.3f} ({sd:.3f})"


def cells(effect: dict[str, Any]) -> list[str]:
    """Write what stands beside the chapter in one row."""
    first, second = effect["names"]
    return [
        effect["statement"],
        effect["figure"],
        f"{first}: {shown(effect['first'], effect['first_sd'])}",
        f"{second}: {shown(effect['second'], effect['second_sd'])}",
        shown(effect["difference"], effect["difference_sd"]),
        f"{round(effect['share'] * effect['seeds'])} of {effect['seeds']}",
    ]


def row(entries: list[nodes.Node]) -> nodes.row:
    """Make a row of a table."""
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", e)) for e in entries))


def table(app: Any, page: str) -> nodes.Node:
    """Make the whole table, each row with a link to its chapter."""
    body = nodes.tbody()
    for docname, effect in collected(app.env):
        address = app.builder.get_relative_uri(page, docname)
        title = app.env.titles[docname].astext()
        link = nodes.reference("", title, internal=True, refuri=address)
        body += row([link, *map(nodes.Text, cells(effect))])
    group = nodes.tgroup("", cols=len(HEAD))
    group += [nodes.colspec(colwidth=1) for _ in HEAD]
    group += [nodes.thead("", row([nodes.Text(title) for title in HEAD])), body]
    return nodes.table("", group, classes=["effects"])


def replace(app: Any, doctree: nodes.document, docname: str) -> None:
    """Put the table in the place of the node."""
    for node in list(doctree.findall(effects)):
        node.replace_self(table(app, docname))


def write_again(_: Any, env: Any) -> list[str]:
    """Have the pages with the table written whenever anything was read."""
    return [page for page in getattr(env, "effects_pages", ()) if page in env.found_docs]


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_node(effects)
    app.add_directive("effects", EffectsDirective)
    app.connect("doctree-resolved", replace)
    app.connect("env-updated", write_again)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
