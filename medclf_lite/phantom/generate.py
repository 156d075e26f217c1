"""From a specification to images, masks and the truth; and the same patients drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.phantom.anatomy import Values, draw_anatomy, draw_poses
from medclf_lite.phantom.draws import Array
from medclf_lite.phantom.lesions import MASK_LEVEL, draw_lesions, opacity
from medclf_lite.phantom.population import draw_population
from medclf_lite.phantom.projection import Chest, Grid, film, project
from medclf_lite.phantom.scanner import expose, scanner_of
from medclf_lite.phantom.spec import PhantomSpec

SOURCE = "Synthetic chest phantom (not real patients)"
COHORT_COLUMNS = [
    "image_id", "patient_id", "label", "subtype", "site", "view", "age", "sex", "date",
    "follow_up", "width", "height", "mode",
]  # fmt: skip
TRUTH_COLUMNS = [
    "image_id", "patient_id", "true_label", "true_subtype", "severity", "amplitude",
    "dextrocardia", "child", "marker", "jpeg_quality",
]  # fmt: skip
_CHUNK_PIXELS = 8 * 64 * 64  # a chunk's arrays of 128 kB stay in the cache of a core
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Phantom:
    """A synthetic cohort, with everything that is known about it.

    Parameters
    ----------
    spec : PhantomSpec
    cohort : Cohort
        With images in memory. ``width``, ``height`` and ``mode`` are those of the files that
        the phantom would write.
    truth : pandas.DataFrame
        One row an image, in the cohort's order: ``true_label``, ``true_subtype``,
        ``severity``, ``amplitude`` (0 without lesion), ``dextrocardia``, ``child``,
        ``marker``, ``jpeg_quality``.
    """

    spec: PhantomSpec
    cohort: Cohort
    truth: pd.DataFrame
    _artist: Artist

    def __len__(self) -> int:
        return len(self.truth)

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """Where the lesions are, bool (n, size, size); drawn when first asked for."""
        grid = Grid(self.spec.size, self.spec.size)
        return self._artist.masks(np.arange(len(self)), grid)

    def render(
        self,
        *,
        rows: Sequence[int] | Rows | None = None,
        size: int | None = None,
        lesions: bool = True,
        markers: bool | str = True,
        site: str | None = None,
        view: str | None = None,
        chunk: int | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Draw the same studies again, with one thing changed (a counterfactual).

        Anatomy, pose and noise stay as they are, so a difference between two renderings
        comes from the change and from nothing else.

        Parameters
        ----------
        rows : sequence of int, optional
            Rows of the cohort, or a mask; all if not given.
        size : int, optional
            Height and width in pixels; the specification's if not given.
        lesions : bool, default True
            False draws every patient without lesions.
        markers : bool or {"L", "R", "P"}, default True
            False leaves markers out, a letter puts this one in their place.
        site, view : str, optional
            Draw all at this site (A, B or C), in this view (AP or PA).
        chunk : int, optional
            Images drawn at a time; changes the speed only.

        Returns
        -------
        uint8 array of shape (rows, size, size)

        Raises
        ------
        MedclfError
            If the site, view, letter, size or a row does not exist.

        Examples
        --------
        >>> sick = generate(PhantomSpec(n_patients=2, images_per_patient=1, prevalence=1.0))
        >>> changed = sick.render(lesions=False) != sick.cohort.images.pixels
        >>> bool(changed.any(axis=(1, 2)).all())
        True
        """
        side = self.spec.size if size is None else size
        if side < 32:
            raise MedclfError(f"size is {side}; expected at least 32 pixels.")
        chosen = _check_rows(rows, len(self))
        artist = self._artist.changed(lesions=lesions, markers=markers, site=site, view=view)
        return artist.draw(chosen, Grid(side, side), chunk)


def generate(spec: PhantomSpec | None = None, *, chunk: int | None = None) -> Phantom:
    """Draw a synthetic cohort; the same specification gives the same bytes.

    Parameters
    ----------
    spec : PhantomSpec, optional
        The default specification if not given.
    chunk : int, optional
        Images drawn at a time; changes the speed only.

    Returns
    -------
    Phantom

    Examples
    --------
    >>> phantom = generate(PhantomSpec(n_patients=3, images_per_patient=2, seed=1))
    >>> phantom.cohort.images.pixels.shape
    (6, 64, 64)
    """
    spec = spec or PhantomSpec()
    table = draw_population(spec)
    artist = Artist.of(spec, table)
    pixels = artist.draw(np.arange(len(table)), Grid(spec.size, spec.size), chunk)
    cohort = Cohort(table[COHORT_COLUMNS], Arrays(pixels), SOURCE, "MIT")
    return Phantom(spec, cohort, table[TRUTH_COLUMNS], artist)


@dataclass(frozen=True)
class Artist:
    """Draws any rows of a population on any film; ``table`` says how each row is to look."""

    spec: PhantomSpec
    table: pd.DataFrame
    anatomy: Values  # one row an image, like all that follows
    pose: Values
    lesions: Values

    @classmethod
    def of(cls, spec: PhantomSpec, table: pd.DataFrame) -> Artist:
        """Draw the anatomy, lesions and poses of a population."""
        first = table.drop_duplicates("patient")
        patients = first["patient"].to_numpy()
        anatomy = draw_anatomy(
            spec.seed, patients, first["child"].to_numpy(), (first["sex"] == "F").to_numpy(),
            first["dextrocardia"].to_numpy(),
        )  # fmt: skip
        viral = (first["true_subtype"] == "virus").to_numpy()
        lesions = draw_lesions(spec.seed, patients, viral, anatomy)
        studies = list(zip(table["patient"], table["follow_up"], strict=True))
        which = np.searchsorted(patients, table["patient"].to_numpy())
        pose = draw_poses(spec.seed, studies, spec.pose)
        return cls(spec, table, _take(anatomy, which), pose, _take(lesions, which))

    def changed(
        self, *, lesions: bool, markers: bool | str, site: str | None, view: str | None
    ) -> Artist:
        """Return an artist who draws the same studies with these changes."""
        table = self.table.copy()
        if not lesions:
            table["amplitude"] = 0.0
        if site is not None:
            # A side marker belongs to the site; the letter of a portable machine stays.
            side = (table["marker"] != "P") & (table["marker"] != "")
            table.loc[side, "marker"] = scanner_of(site).marker
            table["site"] = site
        if view is not None:
            if view not in ("AP", "PA"):
                raise MedclfError(f"view is {view!r}; expected AP or PA.")
            table["view"] = view
        if markers is not True:
            if markers not in (False, "L", "R", "P"):
                raise MedclfError(f"markers is {markers!r}; expected True, False, L, R or P.")
            table["marker"] = markers or ""
        return Artist(self.spec, table, self.anatomy, self.pose, self.lesions)

    def draw(self, rows: Rows, grid: Grid, chunk: int | None = None) -> npt.NDArray[np.uint8]:
        """Draw these rows, uint8 (rows, height, width)."""
        out = np.empty((len(rows), grid.height, grid.width), np.uint8)
        site, marker = self.table["site"].to_numpy(), self.table["marker"].to_numpy()
        patient, study = self.table["patient"].to_numpy(), self.table["follow_up"].to_numpy()
        for start, part in _chunks(rows, grid, chunk):
            chest = self._project(part, grid)
            amplitude = self.table["amplitude"].to_numpy(np.float32)[part]
            mu = chest.attenuation
            if amplitude.any():
                mu = mu + self._opacity(chest, part, amplitude) * amplitude[:, None, None]
            grey = film(mu, _take(self.pose, part))
            for k, i in enumerate(part):
                address = (int(patient[i]), int(study[i]))
                out[start + k] = expose(grey[k], site[i], marker[i], self.spec.seed, address)
        return out

    def masks(self, rows: Rows, grid: Grid) -> npt.NDArray[np.bool_]:
        """Draw where the lesions of these rows are, bool (rows, height, width)."""
        out = np.zeros((len(rows), grid.height, grid.width), bool)
        sick = np.flatnonzero(self.table["true_label"].to_numpy()[rows])
        for start, part in _chunks(rows[sick], grid, None):
            ones = np.ones(len(part), np.float32)
            found = self._opacity(self._project(part, grid), part, ones)
            out[sick[start : start + len(part)]] = found > MASK_LEVEL
        return out

    def _project(self, part: Rows, grid: Grid) -> Chest:
        ap = (self.table["view"].to_numpy()[part] == "AP").astype(np.float32)
        return project(_take(self.anatomy, part), _take(self.pose, part), ap, grid)

    def _opacity(self, chest: Chest, part: Rows, amplitude: Array) -> Array:
        severity = self.table["severity"].to_numpy(np.float32)[part]
        extent = np.where(amplitude > 0, 0.85 + 0.3 * severity, 0).astype(np.float32)
        return opacity(chest, _take(self.lesions, part), extent)


def _take(values: Values, rows: Rows) -> Values:
    return {name: value[rows] for name, value in values.items()}


def _chunks(rows: Rows, grid: Grid, chunk: int | None) -> list[tuple[int, Rows]]:
    if chunk is not None and chunk < 1:
        raise MedclfError(f"chunk is {chunk}; expected the number of images to draw at a time.")
    step = chunk or max(1, _CHUNK_PIXELS // (grid.height * grid.width))
    return [(i, rows[i : i + step]) for i in range(0, len(rows), step)]


def _check_rows(rows: Sequence[int] | Rows | None, n: int) -> Rows:
    given = np.arange(n) if rows is None else np.asarray(rows)
    if given.dtype == bool and len(given) != n:
        raise MedclfError(f"The mask has {len(given)} entries for {n} rows.")
    chosen = np.flatnonzero(given) if given.dtype == bool else given.astype(np.intp)
    if len(chosen) and (chosen.min() < 0 or chosen.max() >= n):
        raise MedclfError(
            f"rows goes from {chosen.min()} to {chosen.max()}; expected 0 to {n - 1}."
        )
    return chosen
