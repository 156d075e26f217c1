"""Training: the weights that were kept, NaN that stops nothing, means of means."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import binary_cross_entropy

from medclf_lite.audit.finding import TRAINING, Finding, number
from medclf_lite.audit.forward import Scored
from medclf_lite.audit.project import Project, needed
from medclf_lite.audit.registry import project_check
from medclf_lite.errors import MedclfError

SAME, WORSE = 0.01, 0.005  # a figure is that of an epoch; it is worse than the best
PATIENCE = 300  # NaN that are fed to a stopper
STOPPED = ("early_stop", "should_stop", "stop", "stopped", "stop_training", "done")
CALLS = ("step", "update", "check", "should_stop", "on_epoch_end")


@project_check(id="training.kept", needs=("val", "model", "history"))
def kept(project: Project) -> Iterator[Finding]:
    """Weights that are not those of the best epoch."""
    scored = project.val_scored
    name, values = _column(needed(project.history))
    now = _figure(name, scored)
    near = int(np.abs(values - now).argmin())
    if abs(values[near] - now) > SAME:
        raise MedclfError(
            f"the model reads {now:.4g} on val, which is {name} of no epoch; give the model and "
            "the history of one run"
        )
    best = int(values.argmin() if "loss" in name else values.argmax())
    if abs(values[best] - now) > WORSE:
        yield Finding(
            "training.kept", "warning", "The weights are not those of the best epoch",
            f"{name} of this model is {now:.4g}, as in epoch {near + 1} of {len(values)}; the best "
            f"is {values[best]:.4g}, in epoch {best + 1}.", 1, (),
            "state_dict() returns references that training goes on changing, and saving after the "
            "loop saves the last epoch, whatever the file is called.",
            "Save inside the loop, when the figure has improved, a copy: "
            "copy.deepcopy(model.state_dict()), or a file.", TRAINING,
        )  # fmt: skip


def _column(history: pd.DataFrame) -> tuple[str, np.ndarray[Any, np.dtype[np.float64]]]:
    for word in ("auc", "auroc", "loss", "acc"):
        for name in map(str, history.columns):
            if word in name.lower() and "val" in name.lower():
                values = history[name].to_numpy(dtype=np.float64)
                if np.isfinite(values).all():
                    return name.lower(), values
    raise MedclfError("needs a history with a column such as val_auc, val_loss or val_acc")


def _figure(name: str, scored: Scored) -> float:
    labels, scores = np.asarray(torch.cat(scored.labels)), scored.probabilities
    if "auc" in name or "auroc" in name:
        if len(set(labels.tolist())) < 2:
            raise MedclfError("needs both classes in val")
        return float(roc_auc_score(labels, scores))
    if "loss" in name:
        return float(_losses(scored).mean())
    return float(((scores >= 0.5) == labels).mean())


def _losses(scored: Scored) -> torch.Tensor:
    labels = torch.cat(scored.labels).double()
    return binary_cross_entropy(torch.tensor(scored.probabilities), labels, reduction="none")


@project_check(id="training.batch-means", needs=("val", "model", "history"))
def batch_means(project: Project) -> Iterator[Finding]:
    """Losses of an epoch that are the mean of the means of its batches."""
    history = needed(project.history)
    columns = [c for c in map(str, history.columns) if "val" in c.lower() and "loss" in c]
    if not columns:
        raise MedclfError("needs a history with a column val_loss")
    scored = project.val_scored
    each = _losses(scored)
    parts = torch.split(each, [len(batch) for batch in scored.labels])
    by_image = float(each.mean())
    by_batch = float(torch.stack([part.mean() for part in parts]).mean())
    told = history[columns[0]].to_numpy(dtype=np.float64)
    tolerance = 0.2 * abs(by_batch - by_image)
    if (
        tolerance > 1e-6
        and np.abs(told - by_batch).min() < tolerance < np.abs(told - by_image).min()
    ):
        yield Finding(
            "training.batch-means", "note", "The loss of an epoch is a mean of means",
            f"{columns[0]} is {by_batch:.5g}, the mean over {len(parts)} batches; over "
            f"{number(len(each), 'image')} it is {by_image:.5g}.", 1, (),
            "The images of a short last batch count more than others, so the figure depends on "
            "the batch size.",
            "Add up loss * len(batch) and divide by the number of images.", TRAINING,
        )  # fmt: skip


@project_check(id="training.nan", needs=("stopper",))
def nan(project: Project) -> Iterator[Finding]:
    """Early stopping that takes NaN for an improvement."""
    call = _caller(copy.deepcopy(project.stopper))
    try:
        call(0.7)
        stopped = any(call(float("nan")) for _ in range(PATIENCE))
    except (ValueError, ArithmeticError, RuntimeError, MedclfError):
        return  # it raises, which nobody can overlook
    if not stopped:
        yield Finding(
            "training.nan", "error", "A NaN loss stops nothing",
            f"After {PATIENCE} losses of NaN, {type(project.stopper).__name__} still goes on.",
            PATIENCE, (),
            "Every comparison with NaN is false: `score < best` says that it did not get worse, so "
            "the counter is set back, and NaN may even become the best score.",
            "Raise when the loss is not finite: if not math.isfinite(loss).", TRAINING,
        )  # fmt: skip


def _caller(stopper: Any) -> Callable[[float], bool]:  # noqa: ANN401 - anybody's stopper
    """Return a function that hands over one validation loss and tells whether to stop."""
    if inspect.isfunction(stopper):
        names = [p for p in inspect.signature(stopper).parameters.values()
                 if p.default is p.empty]  # fmt: skip
        if len(names) == 2:  # improved(new, best): NaN must not improve on anything
            return lambda value: not stopper(value, 0.7) if value != value else False
        return lambda value: bool(stopper(value))
    method = stopper if callable(stopper) else None
    method = method or next((m for n in CALLS if callable(m := getattr(stopper, n, None))), None)
    if method is None:
        raise MedclfError(f"stopper has none of the methods __call__, {', '.join(CALLS)}")
    wanted = [p for p in inspect.signature(method).parameters.values() if _is_asked(p)]

    def call(value: float) -> bool:
        answer = method(value, *[torch.nn.Identity()] * (len(wanted) - 1))
        flags = [getattr(stopper, name, False) for name in STOPPED]
        return answer is True or any(flag is True for flag in flags)

    return call


def _is_asked(parameter: inspect.Parameter) -> bool:
    given = (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind in given


@project_check(id="training.went-on", needs=("history",))
def went_on(project: Project) -> Iterator[Finding]:
    """Figures that are not finite, and epochs that followed."""
    numbers = needed(project.history).select_dtypes("number")
    bad = ~np.isfinite(numbers.to_numpy(dtype=np.float64))
    # A column of NaN throughout was never measured, which is another matter.
    bad[:, bad.all(axis=0)] = False
    rows = np.flatnonzero(bad.any(axis=1))
    if len(rows):
        names = numbers.columns[bad.any(axis=0)]
        after = len(numbers) - 1 - int(rows[0])
        yield Finding(
            "training.went-on", "error" if after else "warning", "Figures that are not finite",
            f"{', '.join(map(str, names))} in epoch {rows[0] + 1} of {len(numbers)}; "
            f"{number(after, 'epoch')} followed.", len(rows), (),
            "Weights that are NaN once stay NaN; the epochs that follow are wasted, and the last "
            "weights are worthless.",
            "Stop when the loss is not finite, go back to the last good weights, and lower the "
            "learning rate or clip gradients.", TRAINING,
        )  # fmt: skip
