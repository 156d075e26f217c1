"""Mend what the theme, Sphinx and Jupyter Book leave wrong on every page.

tests/browser finds each of these faults again when its mend is taken away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bs4 import BeautifulSoup

# Without a mode the theme logs an error on a reader's first page. Set by a script, not by the
# theme's option: that would leave a browser without scripts with no colours.
MODE = 'document.documentElement.dataset.mode ||= "auto"'

REPLACED = {
    # Works of a bibliography are items of a list; ARIA has withdrawn their other role.
    'role="doc-biblioentry"': 'role="listitem"',
    # A fold has words of its own, such as "Show the solution", which a label would hide.
    '<summary aria-label="Toggle hidden content">': "<summary>",
}


def named_folds(tree: BeautifulSoup) -> BeautifulSoup:
    """Give each fold of the sidebar a name: it shows an arrow, and a screen reader reads nothing.

    Examples
    --------
    >>> li = "<li><a href='#'>Splits</a><details><summary></summary></details></li>"
    >>> print(named_folds(BeautifulSoup(li, "html.parser")).summary)
    <summary aria-label="Pages below Splits"></summary>
    """
    for summary in tree.select("li > a + details > summary"):
        link = summary.parent.find_previous_sibling("a")
        summary["aria-label"] = f"Pages below {link.get_text(strip=True)}"
    return tree


def mended_text(body: str) -> str:
    """Replace in the text of a page what confuses screen readers.

    Examples
    --------
    >>> mended_text('<summary aria-label="Toggle hidden content"><p>Show the solution</p>')
    '<summary><p>Show the solution</p>'
    """
    for wrong, right in REPLACED.items():
        body = body.replace(wrong, right)
    return body


def mend_page(_app: Any, _page: str, _template: str, context: dict, _doctree: Any) -> None:
    """Mend the sidebar and the text of one page."""
    sidebar: Callable[..., Any] = context["generate_toctree_html"]
    context["generate_toctree_html"] = lambda *args, **kwargs: named_folds(sidebar(*args, **kwargs))
    if "body" in context:
        context["body"] = mended_text(context["body"])


def without_thebe(app: Any, _config: Any) -> None:
    """Keep thebe off the pages: Jupyter Book brings it, also switched off, and twice on a page."""
    for event in ("env-before-read-docs", "doctree-resolved"):
        for listener in list(app.events.listeners[event]):
            if listener.handler.__module__ == "sphinx_thebe":
                app.disconnect(listener.id)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx; late, so that the theme's sidebar is there already."""
    app.add_js_file(None, body=MODE)
    app.connect("config-inited", without_thebe)
    app.connect("html-page-context", mend_page, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
