"""Buttons to the repository, Colab and Binder: only where the repository has an address.

The address is written once, in pyproject.toml (`[project.urls] Repository`); without it the git
remote `origin` is used. With neither, the pages have no such buttons, hence no dead links.
"""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

BRANCH = "main"
COLAB = "https://colab.research.google.com"
BINDER = "https://mybinder.org"  # reads the folder binder/
HOSTS = ("github.com", "gitlab.com", "bitbucket.org")  # those whose page addresses are known
ADDRESS = re.compile(
    r"(?:(?:https?|ssh|git)://)?"
    r"(?:[^@/\s]+@)?"  # user, password or token: read over, never kept
    r"([\w.-]+)(?::\d+)?[:/]"
    r"((?:[\w.-]+/)+?[\w.-]+?)"  # nothing after ? or #, where a token may stand as well
    r"(?:\.git)?/?",
    re.ASCII,
)


def public_address(text: str) -> str | None:
    """Turn what git or pyproject.toml names into a https address, without any user or token.

    Examples
    --------
    >>> public_address("git@github.com:someone/course.git")
    'https://github.com/someone/course'
    >>> public_address("/home/someone/course") is None
    True
    """
    found = ADDRESS.fullmatch(text.strip())
    if not found or found[1].lower() not in HOSTS:
        return None
    return f"https://{found[1].lower()}/{found[2]}"


def written_address(root: Path, name: str) -> str | None:
    """Address that pyproject.toml gives under `[project.urls]`, as it is written."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address: str | None = project.get("urls", {}).get(name)
    return address


def book_address(root: Path) -> str | None:
    """Address of the published book (`Documentation`), ending in a slash, or None."""
    address = (written_address(root, "Documentation") or "").strip()
    plain = re.fullmatch(r"https?://[\w.-]+(?::\d+)?(?:/[\w./~-]*)?", address, re.ASCII)
    return address.rstrip("/") + "/" if plain else None


def repository_address(root: Path) -> str | None:
    """Address of the repository, or None where none is known."""
    written = written_address(root, "Repository")
    if written:
        return public_address(written)
    if not (root / ".git").exists():  # an archive, perhaps inside somebody's other repository
        return None
    command = ["git", "-C", str(root), "config", "--get", "remote.origin.url"]
    try:
        remote = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:  # no git on this machine
        return None
    return public_address(remote)


def set_buttons(app: Any, config: Any) -> None:
    """Write the address into the theme's options, or switch the buttons off."""
    address = repository_address(Path(app.srcdir))
    options = config.html_theme_options
    options.update(
        repository_url=address or "",
        repository_branch=BRANCH,
        use_repository_button=bool(address),
        use_issues_button=bool(address) and "bitbucket" not in (address or ""),
        use_edit_page_button=bool(address),
        launch_buttons={},
    )
    if address and "github.com" in address:
        options["launch_buttons"] = {
            "notebook_interface": "jupyterlab", "binderhub_url": BINDER, "colab_url": COLAB
        }  # fmt: skip


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", set_buttons, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
