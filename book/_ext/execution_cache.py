"""One cache of executed notebooks for each state of what they depend on.

jupyter-cache looks at a notebook's own code only. A change in `medclf_lite` would leave stale
figures on the pages. So the folder of the cache is named by a fingerprint of the package, of
the real-data results and of the profile; a new fingerprint executes every notebook again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

KEPT = 3  # states to keep, so that going back and forth between two costs nothing
VARIABLES = ("MEDCLF_PROFILE", "MEDCLF_DATA")


def fingerprint(root: Path) -> str:
    """Short hash of everything beside a notebook's own code that decides what it prints."""
    content = hashlib.sha256(str(sys.version_info[:2]).encode())
    for name in libraries(root):
        content.update(f"{name} {_version(name)}\0".encode())
    for name in VARIABLES:
        content.update(f"{name}={os.environ.get(name, '')}\0".encode())
    for path in [*sorted((root / "medclf_lite").rglob("*.py")), root / "book/real_results.json"]:
        if path.exists():
            content.update(f"{path.relative_to(root).as_posix()}\0".encode())
            content.update(hashlib.sha256(path.read_bytes()).digest())
    return content.hexdigest()[:12]


def libraries(root: Path) -> list[str]:
    """Names of the libraries that the package stands on, from pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [re.split(r"[^\w.-]", requirement)[0] for requirement in project["dependencies"]]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "absent"


def choose(caches: Path, root: Path) -> Path:
    """Folder for the present state; the oldest other states are removed."""
    chosen = caches / fingerprint(root)
    chosen.mkdir(parents=True, exist_ok=True)
    os.utime(chosen)
    by_age = sorted(caches.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_age[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return chosen


def set_cache(app: Any, config: Any) -> None:
    """Tell MyST-NB which cache to use, before it reads its configuration."""
    caches = Path(app.outdir).parent / ".jupyter_cache"
    config.nb_execution_cache_path = str(choose(caches, Path(app.srcdir)))


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", set_cache, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
