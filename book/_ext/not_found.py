"""404.html, which a web server shows for an address that does not exist.

It may be shown at any depth of addresses. So where the address of the published book is known, it
says in ``<base>`` from where its own links count.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

BODY = """<section><h1>This page does not exist</h1>
<p>The address may have changed, or it was copied with a letter missing.</p>
<ul><li><a href="book/index.html">Go to the start of the book</a></li>
<li><a href="search.html">Search the book</a></li></ul></section>"""


def add_page(_app: Any) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Add the page to those that Sphinx writes."""
    yield "404", {"title": "Page not found", "body": BODY}, "page.html"


def set_base(app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Put the base before every link of the page."""
    folder = urlsplit(app.config.html_baseurl).path
    if page == "404" and folder:
        context["metatags"] = f'<base href="{folder}">\n' + context.get("metatags", "")


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("html-collect-pages", add_page)
    app.connect("html-page-context", set_base, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
