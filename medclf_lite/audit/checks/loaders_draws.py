"""Loaders: randomness where there must be none, draws that repeat, and flips."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medclf_lite.audit.finding import EDA, TRAINING, Example, Finding, Severity, number
from medclf_lite.audit.item import as_bytes, digest, read_item
from medclf_lite.audit.project import Project
from medclf_lite.audit.registry import project_check
from medclf_lite.audit.side import Side, kept_randomness, seed_everything

TRIED = 8  # items that are fetched again
DRAWS = 10  # times that each is drawn to look for flips
GRID = 32  # pixels a side at which pictures are compared
MIRRORED = 0.1  # by how much a mirror image must fit better
LARGE = 1_000_000  # bytes; what is larger is not copied


@project_check(id="loaders.random", needs=("sides",))
def random_items(project: Project) -> Iterator[Finding]:
    """Held-out images that differ from one look to the next."""
    for side in project.held_out:
        changed = [i for i, drawn in _draws(side, 3).items() if len(set(drawn)) > 1]
        if changed:
            yield Finding(
                "loaders.random", "error", f"The images of {side.name!r} change from look to look",
                f"{number(len(changed), 'image')} of {min(TRIED, len(side.items))} fetched three "
                "times differed.", len(changed),
                tuple(Example(side.where(i), (f"{side.name}[{i}]",)) for i in changed),
                "An augmented image is harder than the image itself, and another one each time: "
                "the figure is too low, and differs from run to run.",
                "Give held-out sides a data set of their own without augmentation; Subset shares "
                "the transform of the whole.", EDA,
            )  # fmt: skip


def _draws(side: Side, times: int) -> dict[int, list[str]]:
    """Fetch the first items several times, under other seeds; their digests."""
    found: dict[int, list[str]] = {}
    with kept_randomness():
        for draw in range(times):
            seed_everything(1000 + draw)
            for index, item in _first_items(side, side.source):
                found.setdefault(index, []).append(digest(item))
    return found


def _first_items(side: Side, source: Any) -> Iterator[tuple[int, npt.NDArray[Any]]]:  # noqa: ANN401
    if side.length is None:
        stream = enumerate(iter(source))
        pairs = ((i, given) for _, (i, given) in zip(range(TRIED), stream, strict=False))
    else:
        rows = [i for i in side.items if i >= 0]
        step = max(1, len(rows) // TRIED)
        pairs = ((i, source[i]) for i in rows[::step][:TRIED])
    for index, given in pairs:
        image = read_item(given).image
        if image is not None and image.size:
            yield index, image


@project_check(id="loaders.repeats", needs=("train",))
def repeats(project: Project) -> Iterator[Finding]:
    """Random draws that are the same in each worker and each epoch."""
    side = project.sides["train"]
    workers = 1 if side.loader is None else side.loader.num_workers
    if side.length is None or not workers:
        return
    here = _draws(side, 2)
    varied = [i for i, drawn in here.items() if len(set(drawn)) > 1]
    if not varied:
        return
    first, second = (_as_worker(side, worker) for worker in (0, 1))
    same = [i for i in varied if first.get(i) is not None and first.get(i) == second.get(i)]
    if len(same) > len(varied) / 2:
        yield Finding(
            "loaders.repeats", "warning", "Augmentation repeats in every worker and every epoch",
            f"{number(len(same), 'image')} of {len(varied)} were drawn alike by two workers with "
            "different seeds.", len(same), tuple(Example(side.where(i)) for i in same),
            "A generator that is kept in the data set is copied into every worker, with its state, "
            "and again at the start of each epoch. So is a fixed seed in worker_init_fn. The "
            "network sees far fewer different images than it seems.",
            "Draw from torch's global generator, which the loader seeds for each worker and epoch; "
            "or make the generator anew from seed, epoch and index (medclf_lite.loaders.ImageSet).",
            TRAINING,
        )  # fmt: skip


def _as_worker(side: Side, worker: int) -> dict[int, str]:
    """Fetch the first items as a worker would: from a copy, with a seed of its own."""
    start = None if side.loader is None else side.loader.worker_init_fn
    with kept_randomness():
        source = _copied(side.source)
        seed_everything(77 + worker)
        if start is not None:
            # It may ask for what only a real worker has.
            with contextlib.suppress(Exception):
                start(worker)
        return {i: digest(image) for i, image in _first_items(side, source)}


def _copied(source: Any) -> Any:  # noqa: ANN401
    """Copy a data set as a new process would have it, but not the images that it holds."""
    memo: dict[int, Any] = {}
    waiting, seen = [source], 0
    while waiting and seen < 100:
        seen += 1
        for value in vars(waiting.pop()).values():
            if _heavy(value):
                memo[id(value)] = value
            elif hasattr(value, "__dict__") and not isinstance(value, type):
                waiting.append(value)
    return copy.deepcopy(source, memo)


def _heavy(value: object) -> bool:
    size = getattr(value, "nbytes", None)
    if isinstance(size, int):
        return size > LARGE
    return isinstance(value, list | dict | tuple) and len(value) > 1000


@project_check(id="loaders.flip", needs=("train",))
def flip(project: Project) -> Iterator[Finding]:
    """Training images that are mirrored left to right now and then."""
    side = project.sides["train"]
    if side.length is None or not side.items:
        return
    flipped = {i: n for i, n in _mirrored(side).items() if n}
    if len(flipped) < max(2, TRIED // 4):
        return
    sided = _has_sides(project)
    severity: Severity = "note" if sided is False else "warning"
    told = {True: "They have a left and a right: the same parts are darker in most of them.",
            False: "They seem to have no left and right of their own.",
            None: "Whether they have a left and a right could not be told."}[sided]  # fmt: skip
    yield Finding(
        "loaders.flip", severity, "Training images are flipped left to right",
        f"{number(len(flipped), 'image')} of {min(TRIED, len(side.items))} drawn {DRAWS} times, "
        f"came out mirrored now and then. {told}",
        len(flipped), tuple(Example(side.where(i), (f"train[{i}]",)) for i in flipped),
        "A mirrored chest has its heart on the wrong side. Where the side carries meaning "
        "(dextrocardia, side markers, breast, hip), flips teach that it carries none.",
        "Leave the flip out, or show by a figure on new patients that it helps and harms no "
        "finding: medclf_lite.augment.medical_augment has none.", EDA,
    )  # fmt: skip


def _mirrored(side: Side) -> dict[int, int]:
    """Count for some items how often a draw fits the mirror image of the first draw better."""
    drawn: dict[int, list[npt.NDArray[np.float64]]] = {}
    with kept_randomness():
        for draw in range(DRAWS):
            seed_everything(2000 + draw)
            for index, image in _first_items(side, side.source):
                drawn.setdefault(index, []).append(_picture(image))
    return {i: _turns(pictures) for i, pictures in drawn.items()}


def _turns(pictures: list[npt.NDArray[np.float64]]) -> int:
    first = pictures[0]
    return sum(_fit(first, p[:, ::-1]) > _fit(first, p) + MIRRORED for p in pictures[1:] if p.any())


def _fit(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float((a * b).sum())


def _picture(image: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Reduce to 32 x 32, without mean, of length one."""
    small = Image.fromarray(as_bytes(image)).resize((GRID, GRID), Image.Resampling.BOX)
    values: npt.NDArray[np.float64] = np.asarray(small, dtype=np.float64)
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    return values / length if length > 0 else values


def _has_sides(project: Project) -> bool | None:
    """Tell whether images differ from their mirror image in the same way; None if not known."""
    sides = [s for s in project.held_out if len(s.items) >= TRIED]
    if not sides:
        return None
    items = [item.image for s in sides for item in s.items.values() if item.image is not None][:200]
    odd = np.array([(p := _picture(image)) - p[:, ::-1] for image in items])
    each = float((odd**2).sum(axis=(1, 2)).mean())
    if each == 0:
        return False
    # Were the differences without order, their mean would shrink with the number of images.
    agreement = float((odd.mean(axis=0) ** 2).sum()) * len(odd) / each
    return agreement > 3
