"""Loaders: types, values and labels of the items, within a side and between sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from medclf_lite.audit.finding import EDA, LOADING, Example, Finding, Severity, number
from medclf_lite.audit.item import Array, label_of
from medclf_lite.audit.project import Project
from medclf_lite.audit.registry import project_check
from medclf_lite.audit.side import Side

APART = 1.0  # difference of means, in standard deviations, that no patients explain
RATIO = 3.0  # of standard deviations
EQUAL = 0.9999  # correlation of channels that hold one picture, whatever their scale


@project_check(id="loaders.types", needs=("sides",))
def types(project: Project) -> Iterator[Finding]:
    """Items that change their type, or have no image or no label."""
    for side in project.sides.values():
        kinds = Counter(item.kind for item in side.items.values())
        labels = Counter(_type(label) for label in side.labels)
        told = []
        if len(kinds) > 1:
            told.append("images are " + ", ".join(f"{n} {kind}" for kind, n in kinds.items()))
        if empty := sum(item.image is None for item in side.items.values()):
            told.append(f"{empty} have no image")
        if len(labels) > 1:
            told.append("labels are " + ", ".join(f"{n} {kind}" for kind, n in labels.items()))
        if told:
            odd = [i for i, item in side.items.items() if item.kind != kinds.most_common(1)[0][0]]
            yield Finding(
                "loaders.types", "error", f"Items of {side.name!r} change their type",
                f"Of {number(len(side.items), 'item')}, {'; '.join(told)}.", len(odd) or len(told),
                tuple(Example(side.where(i)) for i in odd),
                "A batch of different types cannot be made, or is made by a rule that nobody "
                "chose. Often one branch of the loading code forgets a step for rare files.",
                "Return the same types in every branch of __getitem__.", LOADING,
            )  # fmt: skip


def _type(label: object) -> str:
    if label is None:
        return "missing"
    if isinstance(label, tuple):
        return f"{len(label)} numbers"
    return "words" if isinstance(label, str) else "numbers"


@project_check(id="loaders.values", needs=("sides",))
def values(project: Project) -> Iterator[Finding]:
    """Images that are not numbers, hold nothing, or are scaled differently between sides."""
    for side in project.sides.values():
        images = [(i, np.asarray(item.image, dtype=np.float64)) for i, item in side.raw.items()]
        wrong = [i for i, x in images if not np.isfinite(x).all()]
        flat = [i for i, x in images if i not in wrong and np.ptp(x) == 0]
        if wrong:
            yield _odd_values(side, wrong, "error", "not a number")
        if flat:
            yield _odd_values(side, flat, "warning", "flat")
    yield from _scaled_apart(project)


def _odd_values(side: Side, rows: list[int], severity: Severity, what: str) -> Finding:
    return Finding(
        "loaders.values", severity, f"Images of {side.name!r} that are {what}",
        f"{number(len(rows), 'image')} of {len(side.raw)} looked at closely.", len(rows),
        tuple(Example(side.where(i)) for i in rows),
        "One NaN in a batch makes every weight NaN. A flat image is a failed decoding or crop, and "
        "its label teaches nothing.",
        "Find the step that makes them: a division by a zero spread, an empty crop, a window that "
        "is too narrow.", EDA,
    )  # fmt: skip


def _scaled_apart(project: Project) -> Iterator[Finding]:
    train = project.sides.get("train")
    if train is None or not train.raw:
        return
    of_train = _pooled(train)
    for side in project.held_out:
        if not side.raw:
            continue
        (mean, sd), (other_mean, other_sd) = of_train, _pooled(side)
        apart = abs(mean - other_mean) > APART * max(sd, other_sd)
        ratio = max(sd, other_sd) / max(min(sd, other_sd), 1e-9)
        if apart or ratio > RATIO:
            yield Finding(
                "loaders.values", "error", f"Train and {side.name!r} are scaled differently",
                f"Mean and standard deviation of the pixels: train {mean:.3g} and {sd:.3g}, "
                f"{side.name} {other_mean:.3g} and {other_sd:.3g}.", 1, (),
                "The network sees other values than it has learnt on, and fails for a reason that "
                "has nothing to do with patients.",
                "Use one normalisation, with the numbers of the training side, on every side.",
                EDA,
            )  # fmt: skip


def _pooled(side: Side) -> tuple[float, float]:
    images = [np.asarray(item.image, dtype=np.float64) for item in side.raw.values()]
    means, squares = [x.mean() for x in images], [(x**2).mean() for x in images]
    mean = float(np.mean(means))
    return mean, float(np.sqrt(max(np.mean(squares) - mean**2, 0)))


@project_check(id="loaders.grey", needs=("sides",))
def grey_as_colour(project: Project) -> Iterator[Finding]:
    """Grey images that are handed over as three equal channels."""
    for side in project.sides.values():
        images = [item.image for item in side.raw.values() if item.image is not None]
        if images and all(map(_one_picture, images)):
            yield Finding(
                "loaders.grey", "note", f"Grey images as three channels in {side.name!r}",
                f"All {number(len(images), 'image')} looked at have three channels that hold one "
                "picture.", len(images), (),
                "They take three times the memory and the time of loading, and tell nothing more.",
                "Load one channel and match the network's input to it: with timm, in_chans=1 sums "
                "the first weights.", EDA,
            )  # fmt: skip
            return


def _one_picture(image: Array) -> bool:
    """Tell whether three channels are one picture, each scaled in its own way or not."""
    if image.ndim != 3:
        return False
    channels = image if image.shape[0] == 3 else np.moveaxis(image, -1, 0)
    if len(channels) != 3 or np.ptp(channels[0]) == 0:
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.corrcoef(channels.reshape(3, -1)).min() >= EQUAL)


@project_check(id="loaders.labels", needs=("sides",))
def labels(project: Project) -> Iterator[Finding]:
    """Labels that a loss would take wrongly."""
    for name, side in project.sides.items():
        found = side.labels
        numbers = [v for x in found for v in (x if isinstance(x, tuple) else (x,))
                   if isinstance(v, float)]  # fmt: skip
        if not numbers:
            continue
        values = np.unique(np.array(numbers))
        told = _wrong_labels(values, multi=any(isinstance(x, tuple) for x in found))
        if told:
            yield Finding(
                "loaders.labels", "error", f"Labels of {name!r} that a loss takes wrongly",
                f"{told}: {', '.join(f'{v:g}' for v in values[:8])}.", len(found), (),
                "BCEWithLogitsLoss takes any number for a probability, and CrossEntropyLoss counts "
                "classes from 0. Neither says a word about labels 1 and 2, or -1 and 1.",
                "Map labels to 0 and 1, or 0 to k - 1, in one place; leave out what has no label.",
                LOADING,
            )  # fmt: skip


def _wrong_labels(values: np.ndarray, *, multi: bool) -> str:
    if not np.isfinite(values).all():
        return "Some are not a number"
    if multi:
        return "" if np.isin(values, (0, 1)).all() else "Findings must be 0 or 1"
    if (values != np.round(values)).any() or values.min() < 0:
        return "Whole numbers from 0 on are expected"
    if values.min() > 0 and len(values) > 1:
        return f"The smallest is {values.min():g}, as if classes were counted from there"
    return ""


@project_check(id="loaders.classes", needs=("sides",))
def classes(project: Project) -> Iterator[Finding]:
    """Sides that number or know their classes differently."""
    maps = {n: m for n, s in project.sides.items() if (m := _class_map(s.source))}
    first = next(iter(maps.values()), None)
    unlike = {name: found for name, found in maps.items() if found != first}
    if unlike:
        told = "; ".join(f"{name}: {found}" for name, found in maps.items())
        yield Finding(
            "loaders.classes", "error", "Sides number their classes differently", f"{told}.",
            len(unlike), (),
            "Folder data sets number the folders that they find, in the order of the alphabet. "
            "Where a folder is missing or misspelt on one side, the same number means another "
            "class there.",
            "Give every side the same folders, or set the numbers yourself and check them.",
            LOADING,
        )  # fmt: skip
        return
    train = {label for label in map(label_of, _all_labels(project, "train")) if label is not None}
    for side in project.held_out:
        new = {x for x in side.labels if x is not None and not isinstance(x, tuple)} - train
        if train and new and not any(isinstance(x, tuple) for x in train):
            yield Finding(
                "loaders.classes", "error", f"{side.name!r} has classes that train has not",
                f"Labels {', '.join(sorted(map(str, new))[:5])} occur in {side.name} only.",
                len(new), (),
                "What was never learnt cannot be found; or the two sides number their classes "
                "differently.",
                "Divide again, stratified by class, and make the numbers in one place.", LOADING,
            )  # fmt: skip


def _class_map(source: object) -> dict[str, int]:
    while hasattr(source, "dataset") and not hasattr(source, "class_to_idx"):
        source = source.dataset
    found = getattr(source, "class_to_idx", None)
    return dict(found) if isinstance(found, dict) else {}


def _all_labels(project: Project, name: str) -> list[object]:
    if name not in project.sides:
        return []
    side = project.sides[name]
    return list(side.declared_labels or side.labels)
