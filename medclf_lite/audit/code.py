"""Source code as the checks see it: parsed, never run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """Files of Python, parsed."""

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Code lacks nothing."""
        return []
