"""Execute the notebooks that the cache does not hold, several at a time, before Sphinx reads.

MyST-NB executes a notebook when it comes to its page, one after the other. Here all that must be
executed is executed first, each in a kernel of its own, and put into the same cache. A notebook
that fails is left out of the cache: MyST-NB meets it again, and reports it with its traceback.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
MOST = 4  # a kernel with torch takes about a gigabyte


def workers() -> int:
    """Notebooks to execute at a time: one a core, MEDCLF_BOOK_JOBS if given, never above 4."""
    wanted = os.environ.get("MEDCLF_BOOK_JOBS") or os.cpu_count() or 1
    return max(1, min(MOST, int(wanted)))


def missing(app: Any, env: Any, cache: Any, docnames: list[str]) -> list[tuple[Path, Any]]:
    """Read the notebooks among these pages, and return those that the cache does not hold."""
    found = []
    for name in docnames:
        path = Path(env.doc2path(name))
        source = [path.read_text(encoding="utf-8")]
        app.emit("source-read", name, source)  # other extensions rewrite pages here
        text = source[0]
        reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
        if reader is None:
            continue
        notebook = reader.read(text)
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            found.append((path, notebook))
    return found


def execute(app: Any, env: Any, docnames: list[str]) -> None:
    """Execute what is missing and put what succeeds into the cache."""
    config = env.mystnb_config
    if config.execution_mode != "cache":
        return
    cache = get_cache(config.execution_cache_path)
    todo = missing(app, env, cache, docnames)

    def run(item: tuple[Path, Any]) -> Any:
        path, notebook = item
        LOGGER.info("executing %s", path.name)
        return single_nb_execution(
            notebook, cwd=str(path.parent), timeout=config.execution_timeout, allow_errors=False
        )

    with ThreadPoolExecutor(workers()) as pool:
        for (path, _), result in zip(todo, pool.map(run, todo), strict=True):
            if result.err is not None:
                continue
            LOGGER.info("executed %s in %.1f s", path.name, result.time)
            bundle = CacheBundleIn(result.nb, str(path), data={"execution_seconds": result.time})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("env-before-read-docs", execute)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
