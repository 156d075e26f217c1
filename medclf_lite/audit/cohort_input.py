"""What the checks on a cohort look at; all that is slow is computed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.audit.copies import Groups, exact_groups, near_groups, same_pixels
from medclf_lite.audit.facts import file_facts
from medclf_lite.audit.looks import Looks, look_at
from medclf_lite.audit.traits import Trait, compute_traits
from medclf_lite.cohort import Arrays, Cohort, Files
from medclf_lite.errors import MedclfError
from medclf_lite.images import iter_pixels, load_pixels

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
        return need in self.cohort.table

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
    def looks(self) -> Looks:
        """What is kept of the pixels of the readable images, which are gone through once."""
        if self.given_pixels is not None:
            return look_at(self.given_pixels, len(self.given_pixels))
        if self.cache is not None:
            kept = load_pixels(
                self.readable, SIZE, fit="squash", cache=self.cache, jobs=self.jobs,
                progress=self.progress,
            )  # fmt: skip
            return look_at(kept, len(kept))
        images = iter_pixels(
            self.readable, SIZE, fit="squash", jobs=self.jobs, progress=self.progress
        )
        return look_at(images, len(self.rows))

    def image(self, row: int) -> Pixels:
        """Return the pixels of one readable image, decoded again: uint8 (side, side)."""
        if self.given_pixels is not None:
            image: Pixels = self.given_pixels[row]
            return image
        (decoded,) = load_pixels(self.readable.take([row]), SIZE, fit="squash")
        return np.asarray(decoded)

    @cached_property
    def same_bytes(self) -> Groups:
        """Groups of rows of the cohort with the same bytes."""
        return exact_groups(self.cohort)

    @cached_property
    def same_pixels(self) -> Groups:
        """Groups of rows of the cohort with the same pixels."""
        return self._in_cohort(same_pixels(self.looks.digests))

    @cached_property
    def near_copies(self) -> Groups:
        """Groups of rows of the cohort that show nearly the same picture."""
        return self._in_cohort(near_groups(self.looks.hashes, self.image))

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
