"""A project as the checks see it: its loaders, its model, its training, its predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Project:
    """What a reader hands over to :func:`medclf_lite.audit.check`."""

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Return which needs cannot be met, in words."""
        return [need for need in needs]
