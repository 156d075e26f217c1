"""Models: BatchNorm that drifts, heads that do not match, parameters that nobody trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medclf_lite.audit.finding import TRAINING, TRANSFER, Example, Finding, number
from medclf_lite.audit.forward import are_probabilities, batch_of, copied, outputs_of, wild
from medclf_lite.audit.project import Project, needed
from medclf_lite.audit.registry import project_check
from medclf_lite.errors import MedclfError

PROBED = 6  # images in a batch


def _images(project: Project) -> Tensor:
    """Take a batch from the first side that there is."""
    return batch_of(next(iter(project.sides.values())), PROBED)


def _answer(project: Project, images: Tensor) -> Tensor:
    if project.model is None:
        raise MedclfError("needs model")
    try:
        return outputs_of(copied(project.model).eval(), images)
    except (RuntimeError, ValueError, TypeError, IndexError) as problem:
        raise MedclfError(f"the model does not take the batch, see model.raises: {problem}") from (
            problem
        )


@project_check(id="model.raises", needs=("sides", "model"))
def raises(project: Project) -> Iterator[Finding]:
    """Models that do not take a batch of the loaders."""
    images = _images(project)
    try:
        outputs_of(copied(needed(project.model)).eval(), images)
    except (RuntimeError, ValueError, TypeError, IndexError) as problem:
        yield Finding(
            "model.raises", "error", "The model does not take a batch of the loader",
            f"A batch of shape {tuple(images.shape)} raises {type(problem).__name__}: "
            f"{str(problem)[:200]}", 1, (),
            "Input channels or size do not match what the network was built for.",
            "Match the first layer to the images: in_chans=1 for grey ones.", TRANSFER,
        )  # fmt: skip


@project_check(id="model.batchnorm", needs=("sides", "model"))
def batchnorm(project: Project) -> Iterator[Finding]:
    """Frozen layers whose BatchNorm goes on learning."""
    model, images = needed(project.model), _images(project)
    # As a loop starts an epoch; and as it stands, if it was handed over from within a loop.
    tried = [copied(model).train()]
    if model.training:
        tried.append(copied(model))
    moved = min((_moved(model, images) for model in tried), key=len)
    if moved:
        yield Finding(
            "model.batchnorm", "error", "Frozen layers drift",
            f"{number(len(moved), 'BatchNorm layer')} with frozen weights changed the running "
            "statistics in one training batch.", len(moved), tuple(map(Example, moved)),
            "requires_grad=False stops the optimizer, not BatchNorm, which keeps taking means from "
            "each batch. The features that were to stay drift away from the pretrained ones.",
            "Set these layers to .eval() again after each model.train(), best in a train() of your "
            "own: medclf_lite.backbones.Classifier does.", TRANSFER,
        )  # fmt: skip


def _moved(model: nn.Module, images: Tensor) -> list[str]:
    """Names of the frozen BatchNorm layers whose statistics a batch changes."""
    frozen = {n: m for n, m in model.named_modules() if isinstance(m, _BatchNorm) and _frozen(m)}
    before = {n: m.running_mean.clone() for n, m in frozen.items() if m.running_mean is not None}
    try:
        outputs_of(model, images)
    except (RuntimeError, ValueError, TypeError, IndexError) as problem:
        raise MedclfError(f"the model does not take a training batch: {problem}") from problem
    return [n for n, old in before.items()
            if not torch.equal(old, frozen[n].running_mean)]  # type: ignore[arg-type]  # fmt: skip


def _frozen(layer: _BatchNorm) -> bool:
    weights = list(layer.parameters(recurse=False))
    return bool(weights) and not any(w.requires_grad for w in weights)


@project_check(id="model.one-image", needs=("sides", "model"))
def one_image(project: Project) -> Iterator[Finding]:
    """Models whose answer to one image has another shape than to two."""
    images = _images(project)
    if len(images) < 2:
        return
    two, one = _answer(project, images[:2]), _answer(project, images[:1])
    if one.ndim != two.ndim or one.shape[1:] != two.shape[1:]:
        yield Finding(
            "model.one-image", "error", "A batch of one image changes the shape of the output",
            f"Two images give {tuple(two.shape)}, one image gives {tuple(one.shape)}.", 1, (),
            "squeeze() without a dimension takes away the batch too. The last batch of an epoch "
            "may hold one image: a score is lost, or the loss broadcasts.",
            "Name the dimension: squeeze(1), or flatten(1).", TRAINING,
        )  # fmt: skip


@project_check(id="model.untrained", needs=("model",))
def untrained(project: Project) -> Iterator[Finding]:
    """Parameters that nobody trains: all frozen, or not in the optimizer."""
    model = needed(project.model)
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    told, shown = "", list[str]()
    if not trainable and any(True for _ in model.parameters()):
        told = "No parameter has requires_grad=True."
    elif project.optimizer is not None:
        held = {id(p) for group in project.optimizer.param_groups for p in group["params"]}
        shown = [n for n, p in trainable.items() if id(p) not in held]
        if shown:
            told = (
                f"{number(len(shown), 'trainable tensor')} of {len(trainable)} are not in the "
                "optimizer."
            )
    if told:
        yield Finding(
            "model.untrained", "error", "Parameters that are never trained", told,
            len(shown) or 1, tuple(map(Example, shown)),
            "A head that was replaced, or a model that was built again, after the optimizer was "
            "made keeps its first random values, and no error says so.",
            "Make the optimizer last, from model.parameters().", TRAINING,
        )  # fmt: skip


@project_check(id="model.head", needs=("train", "model", "loss"))
def head(project: Project) -> Iterator[Finding]:
    """Heads that do not match the loss and the labels."""
    images = _images(project)
    found = _answer(project, images)
    columns = 1 if found.ndim == 1 else found.shape[1]
    labels = project.sides["train"].labels
    told = _mismatch(project.loss, columns, labels) or _twice(project, images)
    if told:
        yield Finding(
            "model.head", "error", "Head, loss and labels do not match", told, 1, (),
            "Such pairs run without an error. A softmax over one output is always 1, and a "
            "sigmoid before a loss that has its own flattens the gradient.",
            "One output and BCEWithLogitsLoss for two classes or for several findings (one output "
            "each); k outputs and CrossEntropyLoss for one of k classes; no activation before "
            "either.", TRAINING,
        )  # fmt: skip


def _mismatch(loss: object, columns: int, labels: Sequence[object]) -> str:
    findings = [x for x in labels if isinstance(x, tuple)]
    numbers = {x for x in labels if isinstance(x, float)}
    if isinstance(loss, nn.CrossEntropyLoss):
        several = any(sum(x) > 1 for x in findings)  # one-hot rows are allowed as soft labels
        if several:
            return "CrossEntropyLoss (a softmax) with several findings an image."
        if columns == 1:
            return "CrossEntropyLoss with one output: its loss is always 0."
        if numbers and max(numbers) >= columns:
            return f"{columns} outputs for labels up to {max(numbers):g}."
    if isinstance(loss, nn.BCEWithLogitsLoss | nn.BCELoss):
        name = type(loss).__name__
        if numbers - {0.0, 1.0} and not findings:
            return f"{name} with labels {', '.join(f'{x:g}' for x in sorted(numbers)[:6])}."
        if findings and len(findings[0]) != columns:
            return f"{columns} outputs for {len(findings[0])} findings."
        if numbers and not findings and columns > 1:
            return f"{name} with {columns} outputs and one label an image."
    return ""


def _twice(project: Project, images: Tensor) -> str:
    """Tell whether an activation stands before a loss that has its own."""
    found = _answer(project, wild(images))
    inside = are_probabilities(found)
    rows = found.ndim == 2 and found.shape[1] > 1 and _sum_to_one(found)
    if isinstance(project.loss, nn.BCEWithLogitsLoss) and inside:
        return "The outputs are probabilities already, and BCEWithLogitsLoss takes a sigmoid again."
    if isinstance(project.loss, nn.CrossEntropyLoss) and inside and rows:
        return "The outputs are softmax already, and CrossEntropyLoss takes it again."
    if isinstance(project.loss, nn.BCELoss) and not inside:
        return "BCELoss needs probabilities, and the outputs are not within 0 and 1."
    return ""


def _sum_to_one(rows: Tensor) -> bool:
    return bool((rows.sum(dim=1) - 1).abs().max() < 1e-4)
