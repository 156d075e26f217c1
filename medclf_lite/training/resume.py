"""Where a training run stands, in a file from which it can go on as if never interrupted."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from accelerate.utils import gather_object
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from medclf_lite.backbones.classifier import Classifier
from medclf_lite.errors import MedclfError
from medclf_lite.training.checkpoints import (
    generator_states,
    load_state,
    restore_generators,
    save_state,
)
from medclf_lite.training.config import TrainConfig

# Settings that a resumed run may change; any other would make it a different run.
MAY_CHANGE = ("epochs", "patience")
_COUNTERS = ("epoch", "best_score", "best_epoch", "best_weights", "waited", "history")


@dataclass
class Run:
    """A training run between two epochs.

    Parameters
    ----------
    config : TrainConfig
    batches : int
        Batches an epoch; a resumed run must have as many.
    model, optimizer, plateau
        Their state is part of the run's.
    epoch : int
        Epochs finished.
    best_score : float
        The highest so far; a loss enters with its sign reversed.
    best_epoch : int
    best_weights : dict of torch.Tensor
        A copy of the weights after the best epoch.
    waited : int
        Epochs since the best one.
    history : list of dict
        One entry an epoch.
    """

    config: TrainConfig
    batches: int
    model: Classifier
    optimizer: Any
    plateau: ReduceLROnPlateau
    epoch: int = 0
    best_score: float = -math.inf
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    waited: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    def keep_weights(self) -> None:
        """Keep the weights of this epoch as the best.

        They are copied: ``state_dict()`` refers to the weights themselves, which the next
        epoch changes.
        """
        weights = self.model.state_dict()
        self.best_weights = {k: v.detach().cpu().clone() for k, v in weights.items()}

    def save(self, path: Path) -> None:
        """Write the whole state; each process calls this, the first one writes."""
        # Taken now, in every process: each draws its own dropout.
        generators = gather_object([generator_states()])
        if not PartialState().is_main_process:
            return
        state = {name: getattr(self, name) for name in _COUNTERS} | {
            "settings": self._settings(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(),
            "generators": generators,
        }
        save_state(path, state)

    def load(self, path: Path) -> None:
        """Take over the state that :meth:`save` wrote.

        Raises
        ------
        MedclfError
            If the file is missing or damaged, or belongs to a run with other settings.
        """
        state = load_state(path)
        now, then = self._settings(), state["settings"]
        changed = [k for k in now if k not in MAY_CHANGE and now[k] != then.get(k)]
        if changed:
            what = ", ".join(f"{k} was {then.get(k)!r} and is {now[k]!r}" for k in changed)
            raise MedclfError(f"{path} belongs to another run: {what}. Use the same settings.")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.plateau.load_state_dict(state["plateau"])
        for name in _COUNTERS:
            setattr(self, name, state[name])
        restore_generators(state["generators"][PartialState().process_index])

    def _settings(self) -> dict[str, Any]:
        processes = PartialState().num_processes
        backbone = self.model.name
        counted = {"batches": self.batches, "processes": processes, "backbone": backbone}
        return asdict(self.config) | counted
