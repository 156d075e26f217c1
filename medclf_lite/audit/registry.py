"""The register of checks, and what each of them may look at.

A check is one small function in a module of :mod:`medclf_lite.audit.checks`::

    @check(id="counts.one-class", needs=("label",))
    def one_class(audit: AuditInput) -> Iterator[Finding]:
        ...
        yield Finding("counts.one-class", "error", ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.audit.copies import Groups, exact_groups, near_copies, same_pixels
from medclf_lite.audit.facts import file_facts
from medclf_lite.audit.finding import Finding
from medclf_lite.audit.traits import Trait, compute_traits
from medclf_lite.cohort import Arrays, Cohort, Files
from medclf_lite.errors import MedclfError
from medclf_lite.images import load_pixels

SIZE = 224  # side in pixels at which images are compared and probed
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AuditInput:
    """What checks look at; all that is slow is computed once, when first asked for.

    Parameters
    ----------
    cohort : Cohort
    given_pixels : ndarray of uint8, shape (n, height, width), optional
        Pixels that the caller has already; loaded as 224 x 224 otherwise. Images are squashed,
        since the bars of a letterbox would pass the aspect ratio on to every pixel probe.
    cache : pathlib.Path, optional
        Folder for decoded pixels.
    jobs : int
        Threads that decode.
    progress : bool
        Show progress bars.
    extras : mapping
        Further objects by name (predictions, a loader, a model) for checks that need them.

    Raises
    ------
    MedclfError
        If the given pixels are not one grey image for each row.
    """

    cohort: Cohort
    given_pixels: Pixels | None = None
    cache: Path | None = None
    jobs: int = 1
    progress: bool = False
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.given_pixels is None:
            return
        given = Arrays(self.given_pixels)  # refuses what is not uint8 of shape (n, h, w)
        if len(given) != len(self.cohort):
            raise MedclfError(
                f"Got {len(given)} images of pixels for {len(self.cohort)} rows; load them from "
                "this very cohort."
            )

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Return which needs cannot be met, in words."""
        return [_WORDS.get(need, need) for need in needs if not self._has(need)]

    def _has(self, need: str) -> bool:
        if need == "files":
            return isinstance(self.cohort.images, Files)
        if need == "images":
            return self.cohort.images is not None or self.given_pixels is not None
        if need == "label":
            return not self.cohort.findings
        return need in self.extras or need in self.cohort.table

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What decoding every file told, one row an image; without columns if not files."""
        if isinstance(self.cohort.images, Files):
            return file_facts(self.cohort.images, jobs=self.jobs, progress=self.progress)
        return pd.DataFrame(index=range(len(self.cohort)))

    @cached_property
    def rows(self) -> npt.NDArray[np.intp]:
        """Rows of the cohort whose image can be decoded."""
        if self.given_pixels is None and "problem" in self.facts:
            return np.flatnonzero(self.facts["problem"] == "")
        return np.arange(len(self.cohort))

    @cached_property
    def readable(self) -> Cohort:
        """The images that can be decoded."""
        if not len(self.rows):
            raise MedclfError("no image can be decoded, see files.unreadable")
        return self.cohort.take(self.rows)

    @cached_property
    def pixels(self) -> Pixels:
        """Pixels of the readable images: uint8, shape (len(rows), height, width)."""
        if self.given_pixels is not None:
            return self.given_pixels
        return load_pixels(
            self.readable, SIZE, fit="squash", cache=self.cache, jobs=self.jobs,
            progress=self.progress,
        )  # fmt: skip

    @cached_property
    def same_bytes(self) -> Groups:
        """Groups of rows of the cohort with the same bytes."""
        return exact_groups(self.cohort)

    @cached_property
    def same_pixels(self) -> Groups:
        """Groups of rows of the cohort with the same pixels."""
        return self._in_cohort(same_pixels(self.pixels))

    @cached_property
    def near_copies(self) -> Groups:
        """Groups of rows of the cohort that show nearly the same picture."""
        return self._in_cohort(near_copies(self.pixels))

    @cached_property
    def traits(self) -> list[Trait]:
        """Traits of the readable images that say nothing about the disease."""
        return compute_traits(self)

    def ids(self, rows: Sequence[int] | npt.NDArray[Any]) -> list[str]:
        """Return the image IDs of these rows (positions or a mask)."""
        chosen: list[str] = (
            self.cohort.table["image_id"].to_numpy(dtype=str)[np.asarray(rows)].tolist()
        )
        return chosen

    def _in_cohort(self, groups: Groups) -> Groups:
        return [tuple(int(self.rows[i]) for i in group) for group in groups]


_WORDS = {"files": "image files", "images": "images", "label": "one label an image"}
Run = Callable[[AuditInput], Iterable[Finding]]


@dataclass(frozen=True)
class Check:
    """A registered check: its ID, what it needs, its function and that function's first line."""

    id: str
    needs: tuple[str, ...]
    run: Run
    about: str


_REGISTER: dict[str, Check] = {}


def check(*, id: str, needs: tuple[str, ...] = ()) -> Callable[[Run], Run]:
    """Register a check.

    Parameters
    ----------
    id : str
        ``group.name``, unique; findings of the check carry it.
    needs : tuple of str
        ``"files"``, ``"images"``, ``"label"`` (a binary cohort), or names of columns or extras.
        Where one is missing the check does not run, and the report says so.

    Raises
    ------
    MedclfError
        If the ID is taken or has no group.
    """

    def register(run: Run) -> Run:
        if id in _REGISTER or "." not in id:
            raise MedclfError(f"A check's ID must be new and read group.name; got {id!r}.")
        about = (run.__doc__ or id).strip().splitlines()[0]
        _REGISTER[id] = Check(id, needs, run, about)
        return run

    return register


def known_checks(only: Iterable[str] | None = None) -> list[Check]:
    """Return the registered checks, or those of some groups or IDs.

    Parameters
    ----------
    only : iterable of str, optional
        Groups (``"files"``) or IDs (``"files.unreadable"``).

    Raises
    ------
    MedclfError
        If a name is neither.

    Examples
    --------
    >>> [c.id for c in known_checks(["files.unreadable"])]
    ['files.unreadable']
    """
    import_module("medclf_lite.audit.checks")
    if only is None:
        return list(_REGISTER.values())
    wanted = [only] if isinstance(only, str) else list(only)
    groups = {id.split(".")[0] for id in _REGISTER}
    if unknown := [w for w in wanted if w not in groups and w not in _REGISTER]:
        raise MedclfError(
            f"There is no check or group {unknown[0]!r}; groups are {', '.join(sorted(groups))}."
        )
    return [c for c in _REGISTER.values() if c.id in wanted or c.id.split(".")[0] in wanted]
