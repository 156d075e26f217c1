"""Loaders: what each side yields, against what it should."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sized

import torch
from torch import nn
from torch.utils.data import TensorDataset

from medclf_lite.audit.checks.counts import too_small
from medclf_lite.audit.finding import LOADING, TRAINING, Example, Finding, number
from medclf_lite.audit.project import Project
from medclf_lite.audit.registry import project_check
from medclf_lite.audit.side import Problem, Side

ONE_CLASS_BATCHES = 0.5  # share of batches with one class from which an order is no shuffle
ENOUGH = 8  # items, or images in a batch, from which a single class is not chance


@project_check(id="loaders.raises", needs=("sides",))
def raises(project: Project) -> Iterator[Finding]:
    """Items that cannot be had: the data set raises, or gives nothing."""
    bad = [(side, problem) for side in project.sides.values() for problem in side.problems]
    if bad:
        yield Finding(
            "loaders.raises", "error", "Items that cannot be loaded",
            f"{number(len(bad), 'item')} of those looked at: "
            f"{', '.join(f'{n} of {name}' for name, n in _tally(bad).items())}.",
            len(bad), tuple(Example(f"{s.where(p.index)} {p.what}") for s, p in bad),
            "Training stops when the item's turn comes; or the error is caught somewhere, and the "
            "image is missing without a word.",
            "Find out what is wrong with these images; leave them out on purpose, before the "
            "split, and say so.", LOADING,
        )  # fmt: skip


def _tally(bad: list[tuple[Side, Problem]]) -> Counter[str]:
    return Counter(side.name for side, _ in bad)


@project_check(id="loaders.endless", needs=("sides",))
def endless(project: Project) -> Iterator[Finding]:
    """Sides that did not come to an end."""
    for side in project.sides.values():
        if side.complete:
            continue
        held_out = side.name != "train"
        yield Finding(
            "loaders.endless", "warning" if held_out and side.length is None else "note",
            f"The side {side.name!r} did not come to an end",
            f"{number(len(side.items), 'item')} looked at, in at most {side.seconds:g} s.",
            len(side.items), (),
            "A figure needs each image once. A stream that never ends repeats some and may never "
            "reach others; this audit has seen only its beginning.",
            "Give held-out sides as a data set with a length, or a stream that ends; to look "
            "longer: audit.check(..., seconds=...).", LOADING,
        )  # fmt: skip


@project_check(id="loaders.length", needs=("sides",))
def length(project: Project) -> Iterator[Finding]:
    """Lengths that are smaller than what the data set keeps."""
    short = []
    for side in project.sides.values():
        kept = _kept(side)
        if side.length is not None and kept > side.length:
            short.append((side.name, kept, side.length))
    if short:
        told = "; ".join(f"{name} keeps {kept:,}, its length is {n:,}" for name, kept, n in short)
        yield Finding(
            "loaders.length", "error", "A data set is shorter than what it holds",
            f"{told}.", sum(kept - n for _, kept, n in short), (),
            "Images beyond the length are never seen. Samples are often sorted by class, so that "
            "a whole class may be missing while the loss falls and the accuracy rises.",
            "Return the full length in __len__: len(self.samples).", LOADING,
        )  # fmt: skip


def _kept(side: Side) -> int:
    """Count what the data set keeps: names, labels, or anything it can still be asked for."""
    told = max(len(side.declared_names or ()), len(side.declared_labels or ()))
    if told or side.length is None or type(side.source).__module__.startswith("torch."):
        return told
    try:
        held = [len(v) for v in vars(side.source).values() if isinstance(v, Sized)]
        longer = max((n for n in held if n > side.length), default=0)
        if longer:
            side.source[side.length]  # there is an image after the last one
    except Exception:  # anybody's __getitem__, which should raise here
        return 0
    return longer


@project_check(id="loaders.one-class", needs=("sides",))
def one_class(project: Project) -> Iterator[Finding]:
    """Sides that yield images of one class only."""
    for name, side in project.sides.items():
        seen = {label for label in side.labels if label is not None}
        if len(seen) != 1 or len(side.items) < ENOUGH or isinstance(next(iter(seen)), tuple):
            continue
        others = set(side.declared_labels or ()) - seen
        kept = f"; the data set keeps {len(others) + 1} classes" if others else ""
        yield Finding(
            "loaders.one-class", "error", f"The side {name!r} yields one class",
            f"All {number(len(side.items), 'item')} that were looked at have the label "
            f"{_short(next(iter(seen)))}{kept}.", len(side.items), _first(side),
            "A model that always says the same is right every time, and has learnt nothing. "
            "ROC-AUC is not defined.",
            "Look for the other class: a short length, a misspelt folder, a lost extension.",
            LOADING,
        )  # fmt: skip


def _short(label: object) -> str:
    return f"{label:g}" if isinstance(label, float) else repr(label)


def _first(side: Side) -> tuple[Example, ...]:
    return tuple(Example(side.where(i), (f"{side.name}[{i}]",)) for i in list(side.items)[:5])


@project_check(id="loaders.dropped", needs=("sides",))
def dropped(project: Project) -> Iterator[Finding]:
    """Held-out loaders that leave images out or show some twice."""
    for side in project.held_out:
        if side.order is None or side.length is None:
            continue
        asked = Counter(i for batch in side.order for i in batch)
        lost = [i for i in range(side.length) if i not in asked]
        again = sum(n - 1 for n in asked.values())
        if lost or again:
            yield Finding(
                "loaders.dropped", "error", f"The loader of {side.name!r} does not show each "
                "image once",
                f"Of {number(side.length, 'image')}, {len(lost):,} are left out and {again:,} "
                "are shown again.", len(lost) + again,
                tuple(Example(side.where(i)) for i in lost[:5]),
                "A figure is then about other images than those it claims to be about; with a "
                "random sampler, about others each time.",
                "For held-out sides: no sampler, shuffle=False, drop_last=False.", LOADING,
            )  # fmt: skip


@project_check(id="loaders.order", needs=("train",))
def order(project: Project) -> Iterator[Finding]:
    """Training batches that hold one class, since nothing is shuffled."""
    side, labels = project.sides["train"], project.labels("train")
    if side.order is None or labels.ndim != 1 or len(labels) != side.length:
        return
    batches = [labels[batch] for batch in side.order if len(batch) >= ENOUGH]
    single = sum(len(set(batch.tolist())) == 1 for batch in batches)
    common = max(Counter(labels.tolist()).values()) / len(labels)
    if batches and single / len(batches) >= ONE_CLASS_BATCHES and common < 0.9:
        yield Finding(
            "loaders.order", "warning", "Training batches hold one class",
            f"{single:,} of {number(len(batches), 'batch', 'batches')} hold one class only.",
            single, (),
            "The network learns one class, then forgets it for the other; BatchNorm takes its "
            "statistics from one class at a time.",
            "Shuffle the training side: DataLoader(..., shuffle=True).", TRAINING,
        )  # fmt: skip


@project_check(id="loaders.small", needs=("sides",))
def small(project: Project) -> Iterator[Finding]:
    """Held-out sides that are too small for what they decide."""
    if project.cohort is not None and "split" in project.cohort.table:
        return  # counts.small-side says so, by patient
    for side in project.held_out:
        labels = project.labels(side.name)
        if labels.ndim != 1 or set(labels.tolist()) != {0.0, 1.0}:
            continue
        positive, negative = int((labels == 1).sum()), int((labels == 0).sum())
        found = too_small("loaders.small", side.name, positive, negative, "images", len(labels))
        if found is not None:
            yield found


@project_check(id="loaders.last-batch", needs=("train",))
def last_batch(project: Project) -> Iterator[Finding]:
    """Training batches of one image, at the end of an epoch."""
    side = project.sides["train"]
    if side.order is None or not side.order or len(side.order) < 2 or len(side.order[-1]) != 1:
        return
    normed = project.model is not None and any(
        isinstance(m, nn.modules.batchnorm._BatchNorm) for m in project.model.modules()
    )
    yield Finding(
        "loaders.last-batch", "error" if normed else "warning", "The last training batch is one "
        "image",
        f"{number(sum(map(len, side.order)), 'image')} in batches of {len(side.order[0])} leave "
        f"one over{', and the model has BatchNorm' if normed else ''}.", 1, (),
        "BatchNorm cannot train on one value a channel and raises, at the end of the first epoch; "
        "`squeeze()` turns the batch into a number without dimensions.",
        "DataLoader(..., drop_last=True) for training, or another batch size.", TRAINING,
    )  # fmt: skip


@project_check(id="loaders.workers", needs=("sides",))
def workers(project: Project) -> Iterator[Finding]:
    """Workers and pinned memory that do not suit this machine."""
    odd = []
    for side in project.sides.values():
        loader = side.loader
        if loader is None:
            continue
        if loader.pin_memory and not torch.cuda.is_available():
            odd.append(f"{side.name}: pin_memory=True without a CUDA device")
        if loader.num_workers > (os.cpu_count() or 1):
            odd.append(f"{side.name}: {loader.num_workers} workers on {os.cpu_count()} cores")
        if loader.num_workers and isinstance(loader.dataset, TensorDataset):
            odd.append(f"{side.name}: {loader.num_workers} workers for data in memory")
    if odd:
        yield Finding(
            "loaders.workers", "note", "Workers or pinned memory that do not suit this machine",
            f"{'; '.join(odd)}.", len(odd), (),
            "Each worker is a process with its own copy; on a small machine, and on Windows, it "
            "costs more than it gives. Pinned memory serves copies to a GPU only.",
            "num_workers=0 or the number of free cores; pin_memory=torch.cuda.is_available().",
            TRAINING,
        )  # fmt: skip
