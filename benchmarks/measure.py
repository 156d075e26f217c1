"""What the comparisons share: a row of the table, and how a time is told."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from phantom_speed import seconds

__all__ = ["Row", "as_table", "seconds", "told"]


class Row(NamedTuple):
    """One comparison: what is asked, the usual way's answer, and ours."""

    question: str
    usual: str
    here: str


def told(taken: np.ndarray) -> str:
    """Give the median of some times and the least of them, to three digits."""
    median, least = np.median(taken), taken.min()
    return f"{_short(median)} s (least {_short(least)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def as_table(rows: list[Row]) -> str:
    """Write Markdown."""
    lines = ["| question | the usual way | here |", "|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
