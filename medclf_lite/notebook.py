"""What the chapters need beside the science: numbers in prose, claims, real-data results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medclf_lite.errors import MedclfError

RESULTS = Path("book") / "real_results.json"


def glue(name: str, value: object, spec: str = "") -> None:
    """Store a number under a name, so that the text of the page shows this very number.

    Outside a book build, where MyST-NB is not installed, nothing happens.

    Parameters
    ----------
    name : str
        Name used in the text.
    value : object
        Number or text to show.
    spec : str
        Format specification, as in :func:`format`: ``".3f"``, ``","``.
    """
    try:
        from myst_nb import glue as store
    except ModuleNotFoundError:
        return
    # As text: the page would read bare digits as Python, 5,216 as a pair and 0.90 as 0.9.
    store(name, format(value, spec), display=False)


def claim(holds: object, statement: str) -> None:
    """Fail the notebook if a statement that its text makes does not hold.

    Parameters
    ----------
    holds : object
        True where the numbers just computed support the statement; a NumPy bool will do.
    statement : str
        The statement, in words.

    Raises
    ------
    AssertionError
        If it does not hold.

    Examples
    --------
    >>> claim(0.9 > 0.5, "the network is better than guessing")
    """
    if not bool(holds):
        raise AssertionError(f"The text says: {statement}. This run does not support it.")


def real_results(*keys: str, start: Path | None = None) -> Any:  # noqa: ANN401 - JSON
    """Read figures that were computed on the real data set, with their provenance.

    Parameters
    ----------
    *keys : str
        Path into the results, for example ``"patients", "train"``.
    start : pathlib.Path, optional
        Where to begin the search upwards for ``book/real_results.json``.

    Returns
    -------
    object
        A number, list or dictionary.

    Raises
    ------
    MedclfError
        If there is no results file above ``start``, or no such key in it.
    """
    here = (start or Path.cwd()).resolve()
    found = next((p / RESULTS for p in (here, *here.parents) if (p / RESULTS).is_file()), None)
    if found is None:
        raise MedclfError(
            f"No {RESULTS} above {here}. Run the notebook inside a clone of the course."
        )
    node: Any = json.loads(found.read_text(encoding="utf-8"))
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            known = ", ".join(node) if isinstance(node, Mapping) else "a plain value"
            raise MedclfError(f"No {' / '.join(keys)} in {RESULTS}: {key!r} is not in {known}.")
        node = node[key]
    return node
