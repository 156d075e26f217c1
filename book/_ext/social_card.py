"""What a link to a page shows elsewhere: title, description and, where it can be found, a picture.

sphinxext-opengraph writes the tags. Addresses in them must be absolute, so those of the page and
of its picture stand there only where the address of the published book is known.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from course_repository import book_address

CARD = "_static/social_card.png"
CARD_ALT = "Two lungs, one of them measured, beside the title of the course."


def set_address(app: Any, config: Any) -> None:
    """Hand the book's address, if there is one, to Sphinx and to the tags."""
    address = book_address(Path(app.srcdir))
    config.html_baseurl = config.ogp_site_url = address or ""
    config.ogp_image, config.ogp_image_alt = (CARD, CARD_ALT) if address else (None, False)


def without_relative(tags: str) -> str:
    """Leave out the tags whose address is relative.

    Examples
    --------
    >>> without_relative('<meta property="og:url" content="one.html" /><meta name="x" />')
    '<meta name="x" />'
    """
    relative = r'<meta property="og:(?:url|image)" content="(?!https?://)[^"]*" />\n?'
    return re.sub(relative, "", tags)


def clean(_app: Any, _page: str, _template: str, context: dict[str, Any], doctree: Any) -> None:
    """Clean the tags of one page, once they are written."""
    if doctree is not None:
        context["metatags"] = without_relative(context["metatags"])


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx, the cleaning after the extension that writes the tags."""
    app.setup_extension("sphinxext.opengraph")
    app.connect("config-inited", set_address)
    app.connect("html-page-context", clean, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
