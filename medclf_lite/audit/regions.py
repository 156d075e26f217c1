"""How much of the label lies in parts of the image where the disease is not, and in its texture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.looks import GRID
from medclf_lite.audit.probe import probe
from medclf_lite.audit.traits import Trait
from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.errors import MedclfError

Pixels = npt.NDArray[np.uint8]
# The lungs of a frontal radiograph, as shares of height and width; a rough box on purpose.
LUNGS = (0.12, 0.85, 0.10, 0.90)
THUMBNAIL = 8


def probe_regions(
    cohort: Cohort,
    pixels: Pixels,
    *,
    box: tuple[float, float, float, float] = LUNGS,
    test: str | None = None,
    seed: int = 0,
    resamples: int = 200,
) -> pd.DataFrame:
    """Measure how well parts of an image in which no disease can be read predict the label.

    A linear model sees the image with a central box blacked out, the box alone, a thumbnail of
    8 x 8 pixels, or two numbers of its texture (for blacked-out lungs see Maguolo & Nanni 2021,
    doi:10.1016/j.inffus.2021.04.008). What is predicted without the organ is no medicine.

    Parameters
    ----------
    cohort : Cohort
        With one label an image.
    pixels : numpy.ndarray
        uint8, shape (n, height, width), in the cohort's order.
    box : tuple of float
        Top, bottom, left and right of what is blacked out, as shares of height and width. By
        default a rough box around the lungs of a frontal radiograph.
    test, seed, resamples
        As for :func:`medclf_lite.audit.probe_traits`.

    Returns
    -------
    pandas.DataFrame
        As from :func:`medclf_lite.audit.probe_traits`. ``detail`` is the mean absolute
        difference of neighbouring pixels, ``detail ratio`` the one across the rows divided by
        the one along the columns: squashing a file to a square leaves its shape in it.

    Raises
    ------
    MedclfError
        If the box is not inside the image, or as for :func:`medclf_lite.audit.probe_traits`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> label = np.arange(40) % 2
    >>> pixels = rng.integers(0, 90, (40, 32, 32)).astype(np.uint8)
    >>> pixels[label == 1, :3, :3] = 255  # a marker in the corner
    >>> table = pd.DataFrame({"image_id": range(40), "patient_id": range(40), "label": label})
    >>> found = probe_regions(Cohort(table, None, "example", "CC0"), pixels).set_index("trait")
    >>> bool(found.loc["outside the box", "auc"] > found.loc["inside the box", "auc"])
    True
    """
    audit = AuditInput(cohort, pixels, None, 1, False)
    return probe(audit, _regions(pixels, box), test=test, seed=seed, resamples=resamples)


def probe_drift(
    first: Cohort,
    second: Cohort,
    pixels: tuple[Pixels, Pixels],
    *,
    seed: int = 0,
    resamples: int = 200,
) -> pd.DataFrame:
    """Ask whether the images of two cohorts can be told apart, and by what.

    The same probes, with the cohort in place of the label (a classifier two-sample test;
    Lopez-Paz & Oquab 2017, arXiv:1610.06545). Give images of one class: else a difference in
    prevalence shows as a difference of images.

    Parameters
    ----------
    first, second : Cohort
        For example the normals of the training side and those of the test side.
    pixels : pair of numpy.ndarray
        uint8 (n, height, width) of each, of the same height and width.
    seed, resamples
        As for :func:`medclf_lite.audit.probe_traits`.

    Returns
    -------
    pandas.DataFrame
        As from :func:`medclf_lite.audit.probe_traits`: 0.5 where a trait does not tell them
        apart. Traits come first that do so best.

    Raises
    ------
    MedclfError
        If the sizes of the images differ, or a cohort has fewer than two patients.
    """
    if pixels[0].shape[1:] != pixels[1].shape[1:]:
        raise MedclfError(
            f"Both sides need images of one size; got {pixels[0].shape[1:]} and "
            f"{pixels[1].shape[1:]}. Load both with images.load_pixels(cohort, size)."
        )
    tables = [
        cohort.table.drop(columns="split", errors="ignore").assign(
            image_id=f"{side} " + cohort.table["image_id"].astype(str), label=side
        )
        for side, cohort in enumerate((first, second))
    ]
    together = np.concatenate(pixels)
    cohort = Cohort(
        pd.concat(tables, ignore_index=True), Arrays(together), "two cohorts", "as theirs",
        classes=("first", "second"),
    )  # fmt: skip
    audit = AuditInput(cohort, together, None, 1, False)
    found = probe(
        audit, [*audit.traits, *_regions(together, LUNGS)], seed=seed, resamples=resamples
    )
    found["distance"] = (found["auc"] - 0.5).abs()
    ordered = found.sort_values("distance", ascending=False, kind="stable")
    return ordered.drop(columns="distance").reset_index(drop=True)


def _regions(pixels: Pixels, box: tuple[float, float, float, float]) -> list[Trait]:
    top, bottom, left, right = box
    if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
        raise MedclfError(
            f"box is {box}; expected top < bottom and left < right, as shares from 0 to 1."
        )
    across, along = np.empty(len(pixels)), np.empty(len(pixels))
    small = np.empty((len(pixels), GRID, GRID))
    thumbs = np.empty((len(pixels), THUMBNAIL, THUMBNAIL))
    for i, image in enumerate(pixels):
        signed = image.astype(np.int16)
        across[i], along[i] = (np.abs(np.diff(signed, axis=axis)).mean() for axis in (1, 0))
        for side, place in ((GRID, small), (THUMBNAIL, thumbs)):
            place[i] = np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX))
    inside = np.zeros((GRID, GRID), dtype=bool)
    rows, columns = (np.round(np.array(pair) * GRID).astype(int) for pair in (box[:2], box[2:]))
    inside[slice(*rows), slice(*columns)] = True
    if inside.all() or not inside.any():
        raise MedclfError(f"box is {box}; it must leave some of the image inside and outside.")
    return [
        Trait("detail", "image", ((across + along) / 2)[:, None]),
        Trait("detail ratio", "image", (across / np.maximum(along, 1e-6))[:, None]),
        Trait(f"{THUMBNAIL} x {THUMBNAIL} pixels", "image", _flat(thumbs), is_number=False),
        Trait("outside the box", "image", small[:, ~inside], is_number=False),
        Trait("inside the box", "image", small[:, inside], is_number=False),
    ]


def _flat(images: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return images.reshape(len(images), -1)
