"""A project as the checks see it: its loaders, its model, its training, its predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor, nn

from medclf_lite.audit.forward import Scored, score_side
from medclf_lite.audit.identify import identify
from medclf_lite.audit.side import Side
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

SIDES = ("train", "val", "test")
Labels = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Project:
    """What a reader hands over to :func:`medclf_lite.audit.check`; its arguments are these."""

    sides: Mapping[str, Side] = field(default_factory=dict)
    cohort: Cohort | None = None
    patients: Callable[[str], str | None] | None = None
    model: nn.Module | None = None
    loss: Callable[..., Tensor] | None = None
    optimizer: Any = None
    history: pd.DataFrame | None = None
    stopper: Any = None
    predictions: pd.DataFrame | None = None
    val_predictions: pd.DataFrame | None = None
    cv_predictions: pd.DataFrame | None = None
    threshold: float | None = None
    chosen_on: frozenset[str] = frozenset()  # images that the threshold was chosen on, if known
    figures: pd.DataFrame | None = None
    split: Callable[[], Any] | None = None

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Return which needs cannot be met, in words."""
        return [_WORDS.get(need, need) for need in needs if not self._has(need)]

    def _has(self, need: str) -> bool:
        if need == "sides":
            return bool(self.sides)
        if need in SIDES:
            return need in self.sides
        return getattr(self, need) is not None

    @property
    def empty(self) -> bool:
        """Whether nothing was handed over."""
        given = [getattr(self, f.name) for f in fields(self)]
        return all(x is None or (isinstance(x, Mapping | frozenset) and not x) for x in given)

    @property
    def held_out(self) -> list[Side]:
        """The sides that are not for training."""
        return [side for name, side in self.sides.items() if name != "train"]

    def labels(self, name: str) -> Labels:
        """Return the labels of a side as numbers, all of them where the data set keeps them.

        Shape (n,), or (n, findings); empty where labels are no numbers.
        """
        side = self.sides[name]
        kept = side.declared_labels
        whole = kept is not None and len(kept) == side.length
        try:
            found = np.array(kept if whole else side.labels, dtype=float)
        except (TypeError, ValueError):
            return np.empty(0)
        return found if found.size and np.isfinite(found).all() else np.empty(0)

    @cached_property
    def val_scored(self) -> Scored:
        """What the model says to the whole of val."""
        return score_side(needed(self.model), self.sides["val"])

    @cached_property
    def identified(self) -> dict[str, dict[int, int]]:
        """Row of the cohort that each item of each side shows."""
        return {name: identify(side, needed(self.cohort)) for name, side in self.sides.items()}

    @cached_property
    def patients_of(self) -> dict[str, dict[int, str]]:
        """Patient of each item of each side, where it is known."""
        return {name: self._patients(side) for name, side in self.sides.items()}

    def _patients(self, side: Side) -> dict[int, str]:
        told = {i: item.patient for i, item in side.items.items() if item.patient is not None}
        if self.patients is None:
            return told
        by_name = {i: self.patients(name) for i, name in side.names.items()}
        return told | {i: patient for i, patient in by_name.items() if patient is not None}


def needed(value: T | None) -> T:
    """Return what is among a check's needs; the runner has asked for it."""
    if value is None:
        raise MedclfError("needs something that was not given")
    return value


_WORDS = {"sides": "train, val or test"}
