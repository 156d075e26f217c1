"""The directive ``gallery``: each fault with its code, wrong and mended, and how it is caught.

Text and code come from the register of :mod:`medclf_lite.pitfalls`, whose functions are those that
the page has just measured; the figures are glued by the page under ``gallery-ID-said``.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from medclf_lite.pitfalls import Fault, known_faults, source_of


def section(fault: Fault) -> list[str]:
    """Write one fault as lines of MyST Markdown."""
    number = int(fault.chapter.split("_")[0])
    lines = [
        "", f"### {fault.id}: {fault.title}", "", fault.hurts, "",
        "As people write it:", "", "```python", *source_of(fault.faulty).splitlines(), "```", "",
        "Mended:", "", "```python", *source_of(fault.fixed).splitlines(), "```", "",
    ]  # fmt: skip
    if fault.figure:
        said, truth = (f"{{glue:text}}`gallery-{fault.id}-{which}`" for which in ("said", "truth"))
        lines += [f"*{fault.figure[0].upper()}{fault.figure[1:]}.* With the fault: {said}. "
                  f"The truth: {truth}.", ""]  # fmt: skip
    else:
        lines += ["No number can show this one; its code does.", ""]
    caught = ", ".join(f"`{id}`" for id in fault.caught_by)
    chapter = f"[chapter {number}](../chapters/{fault.chapter}.md)"
    return [*lines, f"**Caught by** {caught}. **Read** {chapter}.", ""]


def markdown() -> list[str]:
    """Write the whole gallery."""
    return [line for fault in known_faults() for line in section(fault)]


class GalleryDirective(Directive):
    """Put the gallery here."""

    def run(self) -> list[nodes.Node]:
        """Parse the sections as if they stood in the page."""
        lines = StringList(markdown(), source="medclf_lite.pitfalls")
        node = nodes.Element()
        self.state.nested_parse(lines, 0, node, match_titles=True)
        return list(node.children)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("gallery", GalleryDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
