"""What one side of a project really yields: looked at within bounds, and never changed."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from medclf_lite.audit.declared import declared_labels, declared_names
from medclf_lite.audit.finding import visible
from medclf_lite.audit.item import Item, as_bytes, label_of, read_item
from medclf_lite.errors import MedclfError

MOST, SECONDS = 2000, 60.0  # items to look at, and time to spend on one side
MOST_INDICES = 5_000_000
STORED = 128  # pixels a side that are kept of each image


@dataclass(frozen=True)
class Problem:
    """An item that could not be had: its index and what went wrong, in words."""

    index: int
    what: str


@contextmanager
def kept_randomness() -> Generator[None]:
    """Give every global generator back in the state in which it was."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and torch, as a loader's worker does."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


@dataclass
class Side:
    """Train, val or test of a project: a data set, a loader, or anything that can be repeated.

    Parameters
    ----------
    name : str
    given : object
        A map-style or iterable data set, a ``DataLoader``, or an iterable of items or batches.
    most : int
        Items to look at; a longer side is looked at here and there.
    seconds : float
        Time to spend on fetching items.

    Raises
    ------
    MedclfError
        If it can be gone through only once, or not at all.
    """

    name: str
    given: Any
    most: int = MOST
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        given = self.given
        if isinstance(given, Iterator):
            raise MedclfError(
                f"{self.name} is an iterator, which looking at it would use up. Give the data "
                "set or the loader that it comes from."
            )
        if isinstance(given, str | Mapping | pd.DataFrame):
            raise MedclfError(
                f"{self.name} must be a data set or a loader; got {type(given).__name__}. A folder "
                "or table of images is audited by audit_cohort(sources.open_any(...))."
            )
        if not hasattr(given, "__getitem__") and not isinstance(given, Iterable):
            raise MedclfError(
                f"{self.name} must be a data set or a loader; got {type(given).__name__}."
            )

    @property
    def loader(self) -> DataLoader[Any] | None:
        """The loader, if one was given."""
        return self.given if isinstance(self.given, DataLoader) else None

    @property
    def source(self) -> Any:  # noqa: ANN401 - anybody's data set
        """The data set behind the loader, or what was given."""
        return self.loader.dataset if self.loader is not None else self.given

    @cached_property
    def length(self) -> int | None:
        """Length of the data set; None if it has none, as a stream."""
        if isinstance(self.source, IterableDataset) or not hasattr(self.source, "__getitem__"):
            return None
        try:
            return len(self.source)
        except Exception:  # anybody's __len__; loaders.raises reports what matters of it
            return None

    @cached_property
    def order(self) -> list[list[int]] | None:
        """Indices that one epoch of the loader asks for, batch by batch; None if not known."""
        if self.loader is None or self.length is None:
            return None
        batches: Iterable[Any] | None = self.loader.batch_sampler
        if batches is None:
            batches = ([i] for i in self.loader.sampler)
        order, seen = [], 0
        with kept_randomness(), _kept_generator(self.loader):
            for batch in batches:
                order.append([int(i) for i in batch])
                seen += len(order[-1])
                if seen > MOST_INDICES:
                    return None
        return order

    @cached_property
    def rows(self) -> Sequence[int]:
        """Items that the side is made of: those that its sampler chooses, or all.

        A sampler that draws with replacement chooses others in each epoch, so all count.
        """
        every = range(self.length or 0)
        if self.order is None:
            return every
        asked = [i for batch in self.order for i in batch]
        chosen = sorted(set(asked))
        return chosen if len(chosen) == len(asked) else every

    @cached_property
    def indices(self) -> list[int]:
        """Items that are looked at: all, or ``most`` of them, spread evenly."""
        rows = self.rows
        if len(rows) <= self.most:
            return list(rows)
        return [rows[i] for i in np.linspace(0, len(rows) - 1, self.most).astype(int)]

    @cached_property
    def _looked(self) -> tuple[dict[int, Item], list[Problem], bool]:
        started = time.monotonic()
        items: dict[int, Item] = {}
        problems: list[Problem] = []
        with kept_randomness():
            # Sides that draw at random must not draw alike because they start alike.
            seed_everything(zlib.crc32(self.name.encode()))
            for index, get in self._getters():
                if time.monotonic() - started > self.seconds:
                    return items, problems, False
                try:
                    given = get()
                except Exception as problem:  # whatever anybody's __getitem__ raises
                    problems.append(Problem(index, _said(problem)))
                    continue
                if given is None:
                    problems.append(Problem(index, "gives None"))
                    continue
                items[index] = _small(read_item(given))
        complete = self.length is not None or len(items) + len(problems) < self.most
        return items, problems, complete

    def _getters(self) -> Iterator[tuple[int, Callable[[], Any]]]:
        if self.length is not None:
            for i in self.indices:
                yield i, lambda i=i: self.source[i]  # type: ignore[misc]
            return
        try:
            for i, item in enumerate(islice(_single_items(self.source), self.most)):
                yield i, lambda item=item: item  # type: ignore[misc]
        except Exception as problem:  # a stream that breaks
            text = _said(problem)
            yield -1, lambda: _raise(text)

    @property
    def items(self) -> dict[int, Item]:
        """Items that were looked at, by index; images reduced to 8 bits."""
        return self._looked[0]

    @property
    def problems(self) -> list[Problem]:
        """Items that raised or gave nothing."""
        return self._looked[1]

    @property
    def complete(self) -> bool:
        """Whether the look came to an end within its bounds."""
        return self._looked[2]

    @cached_property
    def raw(self) -> dict[int, Item]:
        """The first items as they are, images not reduced."""
        found: dict[int, Item] = {}
        with kept_randomness():
            for index, get in islice(self._getters(), 64):
                try:
                    found[index] = read_item(get())
                except Exception:
                    continue
        return {i: item for i, item in found.items() if item.image is not None and item.image.size}

    @cached_property
    def labels(self) -> list[float | tuple[float, ...] | str | None]:
        """Labels of the items that were looked at."""
        return [label_of(item.label) for item in self.items.values()]

    @cached_property
    def declared_names(self) -> list[str] | None:
        """File names that the data set keeps, one an item, whatever its length says."""
        return declared_names(self.source)

    @cached_property
    def declared_labels(self) -> list[Any] | None:
        """Labels that the data set keeps, one an item, whatever its length says."""
        found = declared_labels(self.source)
        return None if found is None else [label_of(label) for label in found]

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of each item that is yielded, where it is known."""
        seen = {i: item.name for i, item in self.items.items() if item.name is not None}
        kept = self.declared_names
        if kept is None or self.length is None:
            return seen
        return {i: kept[i] for i in self.rows if i < len(kept)} | seen

    def where(self, index: int) -> str:
        """Say which item this is: the side, the index, and its name if it has one."""
        name = self.names.get(index)
        return f"{self.name}[{index}]" + (f" {visible(name)}" if name else "")


def _single_items(source: Any) -> Iterator[Any]:  # noqa: ANN401
    """Go through items; batches are taken apart."""
    for given in source:
        parts = list(given) if isinstance(given, list | tuple) else [given]
        first = next((p for p in parts if isinstance(p, torch.Tensor | np.ndarray)), None)
        if isinstance(source, IterableDataset) or first is None or first.ndim < 4:
            yield given
            continue
        for i in range(len(first)):
            yield tuple(part[i] for part in parts)


def _small(item: Item) -> Item:
    """Keep 8 bits and at most 128 pixels a side of an image, so that many can be kept."""
    if item.image is None or 0 in item.image.shape:
        return Item(None, item.label, item.name, item.patient, item.kind)
    pixels = as_bytes(item.image)
    if max(pixels.shape) > STORED:
        small = Image.fromarray(pixels).resize((STORED, STORED), Image.Resampling.BILINEAR)
        pixels = np.asarray(small)
    return Item(pixels, item.label, item.name, item.patient, item.kind)


@contextmanager
def _kept_generator(loader: DataLoader[Any]) -> Generator[None]:
    held = [g for x in (loader, loader.sampler) if (g := getattr(x, "generator", None)) is not None]
    states = [g.get_state() for g in held]
    try:
        yield
    finally:
        for generator, state in zip(held, states, strict=True):
            generator.set_state(state)


def _said(problem: Exception) -> str:
    return visible(f"raises {type(problem).__name__}: {problem}"[:300])


def _raise(text: str) -> None:
    raise RuntimeError(text)
