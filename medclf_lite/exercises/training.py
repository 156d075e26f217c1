"""Exercises of the chapter on training."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medclf_lite.exercises.answers import a_line, a_number, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise

CHAPTER = "05_training"


@exercise("training-1", "predict", CHAPTER)
def mean_of_batch_means(answer: Any) -> str:  # noqa: ANN401
    """How many times too large: batches of 16, 16 and 1; losses .5 each, the last one 5.5."""
    value = a_number(answer, 0, 100, "a number")
    losses = np.repeat([0.5, 5.5], [32, 1])
    by_batch = float(np.mean([losses[:16].mean(), losses[16:32].mean(), losses[32:].mean()]))
    ratio = by_batch / float(losses.mean())
    near(
        value, ratio, 0.4,
        "The last batch counts as much as the two others, though it holds one image.",
        "Add the three means and divide by three; then the 33 losses, divided by 33.",
    )  # fmt: skip
    return f"{by_batch:.2f} in place of {losses.mean():.2f}: {ratio:.1f} times as much."


@exercise("training-2", "find", CHAPTER)
def line_that_keeps_a_reference(answer: Any) -> str:  # noqa: ANN401
    """Find the line for which the weights at the end are not the best ones."""
    a_line(
        answer, 6,
        {
            1: "A ROC-AUC is above 0, so the first epoch is kept, as it should be.",
            2: "Twenty epochs are a choice, not a fault.",
            3: "The model learns here. Which of its weights are kept later?",
            4: "Validation is the right side to choose an epoch by.",
            5: "A higher AUC is better, so this comparison is right.",
            7: "This loads what was kept. What is that by now?",
        },
    )  # fmt: skip
    return "state_dict() refers to the weights themselves, and training goes on changing them."


def _epochs_until_stop(losses: list[float], patience: int) -> int:
    """Count the epochs that are run, with a loss of NaN as one that brings no improvement."""
    best, waited = math.inf, 0
    for epoch, loss in enumerate(losses, start=1):
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == patience:
            return epoch
    return len(losses)


@exercise("training-3", "repair", CHAPTER)
def stopper(answer: Any) -> str:  # noqa: ANN401
    """Repair ``epochs_run(losses, patience)``, which goes on for ever when a loss is NaN."""
    nan, rng = math.nan, np.random.default_rng(2)
    tries = [
        ([0.9, 0.95, 0.7, 0.8, 0.75, 0.6], 3, "It waits for the wrong number of epochs.",
         "The patience begins anew with each new lowest loss."),
        ([0.5, 0.6, 0.55, 0.7, 0.6], 2, "It waits for the wrong number of epochs.",
         "Count the epochs since the lowest loss."),
        ([0.5, 0.4, 0.3, 0.2], 2, "A run that improves in every epoch is stopped.", ""),
        ([0.6, nan, nan, nan, nan, nan], 2,
         "Where losses become NaN it stops in another epoch than it should.",
         "An epoch whose loss is NaN brings no new lowest loss, and does nothing else. Every "
         "comparison with NaN is false."),
        ([0.6, nan, 0.5, 0.4, 0.3, 0.2], 2, "One NaN stops it at once.",
         "It is only one epoch without a new lowest loss."),
        ([nan] * 8, 3, "Where losses are NaN from the start it stops in another epoch "
         "than it should.", "What is the lowest loss before the first epoch?"),
        ([7.5, 7.0, 6.4, 6.0, 5.9], 2, "A run that improves in every epoch is stopped.",
         "A loss may be above 1. What is the lowest loss before the first epoch?"),
        ([0.5, 0.49999, 0.49998, 0.49997], 2, "A run that improves in every epoch is stopped.",
         "A new lowest loss is new however little it is lower."),
        ([0.5, 0.5, 0.5, 0.5, 0.5], 2, "Losses that stay the same do not stop it.", ""),
    ]  # fmt: skip
    tries += [(np.round(rng.random(30), 2).tolist(), 4, "It stops in another epoch than it should.",
               "Count on paper: ten losses, patience 2.") for _ in range(20)]  # fmt: skip
    for losses, patience, says, hint in tries:
        value = a_number(tried(answer, losses, patience), 0, 1000, "a number of epochs")
        if value != _epochs_until_stop(losses, patience):
            raise NotYetError(says, hint)
    return "It stops after as many epochs without a new lowest loss, whatever they hold."


class _Network(nn.Module):
    """A backbone with BatchNorm, and a head with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x: Tensor) -> Tensor:
        """From features, shape (n, 6), to logits, shape (n, 1)."""
        found: Tensor = self.head(self.backbone(x))
        return found


@exercise("training-4", "build", CHAPTER)
def frozen_backbone(answer: Any) -> str:  # noqa: ANN401
    """Build ``start_epoch(model)``: train mode for the head, a backbone that stays as it is."""
    torch.manual_seed(0)
    model = tried(answer, _Network().train())
    if not isinstance(model, _Network):
        raise NotYetError("Return the model that was given.")
    before = copy.deepcopy(model.state_dict())
    learns = [p for p in model.parameters() if p.requires_grad]
    if not learns:
        raise NotYetError("Nothing of the model can learn.", "The head must.")
    optimizer = torch.optim.SGD(learns, lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(16, 6) * 3 + 1).pow(2).mean().backward()
        optimizer.step()
    moved = {name for name, now in model.state_dict().items()
             if not torch.equal(now, before[name]) and "num_batches" not in name}  # fmt: skip
    if any(name.startswith("backbone") and "running" in name for name in moved):
        raise NotYetError(
            "The statistics of the backbone's BatchNorm drift.",
            "They are no parameters, so requires_grad does not hold them. Which mode does?",
        )
    if any(name.startswith("backbone") for name in moved):
        raise NotYetError("Weights of the backbone change.", "Which of them have a gradient?")
    if not any(name.startswith("head") for name in moved):
        raise NotYetError("The head does not learn.", "Only the backbone is to stay.")
    if not (model.head.training and model.head[0].training and model.head[0].p == 0.5):
        raise NotYetError("The head's dropout is off.", "The head trains, so its mode is train.")
    if not {"head.1.weight", "head.1.bias"} <= moved:
        raise NotYetError("A part of the head does not learn.", "Only the backbone is to stay.")
    return "Weights and statistics of the backbone stay; the head trains, with its dropout."
