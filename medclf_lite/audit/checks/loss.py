"""Losses: weights against the class counts, and weights together with a balanced sampler."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from medclf_lite.audit.finding import IMBALANCE, Finding, Severity
from medclf_lite.audit.project import Project
from medclf_lite.audit.registry import project_check

CLOSE = 0.05  # relative difference up to which two weights are taken to be the same
FAR = 0.25
BALANCED = 0.1  # by how much a sampler must move the share of a class
Vector = npt.NDArray[np.float64]


def _weights(project: Project, name: str) -> Vector:
    found = getattr(project.loss, name, None)
    if not isinstance(found, torch.Tensor):
        return np.empty(0)
    return np.atleast_1d(np.asarray(found.detach().cpu(), dtype=np.float64))


@project_check(id="loss.pos-weight", needs=("train", "loss"))
def pos_weight(project: Project) -> Iterator[Finding]:
    """Class weights that are not what the class counts ask for."""
    labels = project.labels("train")
    given, ratio, expected = _weights(project, "pos_weight"), "n_neg / n_pos", np.empty(0)
    if given.size and labels.size:
        rows = labels.reshape(len(labels), -1)
        positive = rows.sum(axis=0)
        expected = (len(rows) - positive) / np.maximum(positive, 1)
    elif (by_class := _weights(project, "weight")).size == 2 and labels.ndim == 1:
        given, ratio = by_class[1:] / by_class[:1], "n_neg / n_pos, as weight[1] / weight[0]"
        expected = np.array([(labels == 0).sum() / max(1, (labels == 1).sum())])
    if not given.size or given.size != expected.size or (given == 1).all() or not expected.all():
        return
    off = np.abs(np.log(given / expected))
    worst = int(off.argmax())
    if off[worst] <= np.log1p(FAR):
        return
    share = 1 / (1 + expected[worst])  # of label 1
    of_softmax = np.isclose(given[worst], 1 / (2 * share), rtol=CLOSE)
    upside_down = np.isclose(given[worst], 1 / expected[worst], rtol=FAR)
    severity: Severity = "error" if of_softmax or upside_down else "warning"
    guess = ""
    if of_softmax:
        guess = " It is n / (2 n_pos), which belongs to weights of two classes side by side."
    elif upside_down:
        guess = " It is the inverse."
    yield Finding(
        "loss.pos-weight", severity, "The class weight does not balance the classes",
        f"Weight of label 1: {given[worst]:.3g}; {ratio} is {expected[worst]:.3g}.{guess}",
        int((off > np.log1p(FAR)).sum()), (),
        "The weight moves the decision by an amount that nobody chose, and every probability with "
        "it.",
        "pos_weight = n_neg / n_pos balances; better still, leave the loss alone and choose the "
        "threshold (medclf_lite.metrics.choose_threshold).", IMBALANCE,
    )  # fmt: skip


@project_check(id="loss.twice", needs=("train", "loss"))
def twice(project: Project) -> Iterator[Finding]:
    """Weights in the loss on top of a sampler that balances already."""
    side = project.sides["train"]
    weights = [w for name in ("pos_weight", "weight") if (w := _weights(project, name)).size]
    labels = project.labels("train")
    weighted = any(w.max() / w.min() > 1 + CLOSE if w.size > 1 else abs(w[0] - 1) > CLOSE
                   for w in weights)  # fmt: skip
    if not weighted or labels.ndim != 1 or len(labels) != side.length:
        return
    kept, drawn = _shares(project, labels)
    if abs(drawn - kept) > BALANCED:
        yield Finding(
            "loss.twice", "error", "Imbalance is corrected twice",
            f"Label 1 is {kept:.1%} of the training images and {drawn:.1%} of those that an epoch "
            "shows; the loss is weighted as well.", 1, (),
            "Each correction alone shifts the scores; both together overshoot. In chapter 8 the "
            "calibration error is more than twice that of either.",
            "Keep one of them, or none, and choose the threshold.", IMBALANCE,
        )  # fmt: skip


def _shares(project: Project, labels: Vector) -> tuple[float, float]:
    """Share of label 1 among the different images, and among those that an epoch shows."""
    side = project.sides["train"]
    drawn = [i for batch in side.order for i in batch] if side.order else list(range(len(labels)))
    names = side.names
    first = {names.get(i, str(i)): i for i in range(len(labels))}  # copies count once
    kept = [i for i in first.values()]
    return float((labels[kept] == 1).mean()), float((labels[drawn] == 1).mean())
