"""An entry for Kaggle beside Colab's in the theme's launch menu, which has none of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote


def kaggle_address(repository: str, branch: str, notebook: str) -> str:
    """Address that opens a notebook of a GitHub repository as a new Kaggle notebook."""
    source = quote(f"{repository}/blob/{branch}/{notebook}", safe="")
    return f"https://kaggle.com/kernels/welcome?src={source}"


def add_button(app: Any, pagename: str, _template: str, context: dict, doctree: Any) -> None:
    """Add the entry where the theme has made a launch menu and the page has a notebook."""
    groups = [g for g in context.get("header_buttons", []) if g.get("label") == "launch-buttons"]
    notebook = Path(app.srcdir, pagename).with_suffix(".ipynb")
    if doctree is None or not groups or not notebook.exists():
        return
    options = app.config.html_theme_options
    address = kaggle_address(
        options["repository_url"], options["repository_branch"], f"{pagename}.ipynb"
    )
    entry = {"type": "link", "text": "Kaggle", "tooltip": "Launch on Kaggle", "url": address}
    groups[0]["buttons"].append({**entry, "icon": "fab fa-kaggle"})


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx; late, so that the theme's menu is there already."""
    app.connect("html-page-context", add_button, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
