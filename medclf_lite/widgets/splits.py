"""Two ways to divide the same images, and which patients leak."""

from __future__ import annotations

from html import escape

import numpy as np
import numpy.typing as npt

from medclf_lite import splits
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.plots import COLOURS
from medclf_lite.widgets.plot import svg
from medclf_lite.widgets.states import Dial, Frame, States

WAYS = ("by image", "by patient")
SEEDS = tuple(range(10))
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
MOST_PATIENTS, MOST_IMAGES = 30, 12
CELL, NAMES = 22, 100  # pixels: a square with its gap, and the column of names
# Side: fill, and the letter that says the same without colour.
LOOKS = {
    "train": ("#BBBBBB", ""),
    "val": ("#56B4E9", "v"),
    "test": (COLOURS["disease"], "T"),
}
Sides = npt.NDArray[np.str_]


def divide(cohort: Cohort, way: str, seed: int) -> Sides:
    """Divide into 60 % train, 20 % val and 20 % test, by image (wrong) or by patient.

    Parameters
    ----------
    cohort : Cohort
    way : {"by image", "by patient"}
    seed : int

    Returns
    -------
    array of str, shape (n,)
        The side of each image.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"image_id": range(40), "patient_id": np.arange(40) // 4,
    ...                       "label": np.arange(40) // 20})
    >>> cohort = Cohort(table, None, "example", "CC0")
    >>> [leaking(cohort, divide(cohort, way, 0)).size for way in ("by image", "by patient")]
    [10, 0]
    """
    if way == "by image":
        draw = np.random.default_rng(seed)
        drawn: Sides = draw.choice(list(SHARES), len(cohort), p=list(SHARES.values()))
        return drawn
    if way != "by patient":
        raise MedclfError(f"There is no way {way!r} to divide; choose {' or '.join(WAYS)}.")
    divided = splits.split_patients(cohort, val=SHARES["val"], test=SHARES["test"], seed=seed)
    return divided.table["split"].to_numpy(dtype=np.str_)


def leaking(cohort: Cohort, sides: Sides) -> npt.NDArray[np.str_]:
    """Name the patients who have images on more than one side, sorted."""
    table = cohort.table.assign(split=sides)
    several = table.groupby("patient_id")["split"].nunique() > 1
    return several.index[several].to_numpy(dtype=np.str_)


def split_explorer(cohort: Cohort) -> States:
    """Show which patients leak when a small cohort is divided by image, and by patient.

    A row is a patient, a square an image; patients on several sides are outlined.

    Parameters
    ----------
    cohort : Cohort
        Of at most 30 patients with at most 12 images each, enough for a division by patient.

    Returns
    -------
    States
        Dials: the way of the division, and its seed.

    Raises
    ------
    MedclfError
        If there are too many patients or images to be seen, or too few to be divided.
    """
    images = cohort.table["patient_id"].value_counts()
    if len(images) > MOST_PATIENTS or images.max() > MOST_IMAGES:
        raise MedclfError(
            f"The explorer shows at most {MOST_PATIENTS} patients with {MOST_IMAGES} images each; "
            f"got {len(images)} patients, and {images.max()} images of one. Use cohort.take(rows)."
        )

    def draw(way: str, seed: int) -> Frame:
        return _frame(cohort, divide(cohort, way, seed))

    dials = (
        Dial("divided", WAYS, WAYS[0]),
        Dial("seed", SEEDS, 0, fine=tuple(range(100))),
    )
    return States("Who is on which side?", dials, draw)


def _frame(cohort: Cohort, sides: Sides) -> Frame:
    torn = leaking(cohort, sides)
    patients = list(dict.fromkeys(cohort.patients))
    widest = int(cohort.table["patient_id"].value_counts().max())
    rows = [
        _row(k, str(patient), sides[cohort.patients == patient], patient in torn)
        for k, patient in enumerate(patients)
    ]
    width = NAMES + max(widest, 9) * CELL + 8
    picture = svg(width, (len(rows) + 1) * CELL + 12, [*rows, _legend(len(rows))])
    tested = sides == "test"
    met = int((tested & _met(cohort, sides)).sum())
    says = (
        f"{len(torn)} of {len(patients)} patients are on more than one side. {met} of "
        f"{int(tested.sum())} test images show a patient whom training has seen."
    )
    return Frame(picture, says)


def _met(cohort: Cohort, sides: Sides) -> npt.NDArray[np.bool_]:
    """Say for each image whether its patient has an image in train."""
    return np.isin(cohort.patients, cohort.patients[sides == "train"])


def _row(k: int, patient: str, sides: Sides, torn: bool) -> str:
    y = k * CELL + 4
    name = patient if len(patient) <= 13 else "\u2026" + patient[-12:]
    parts = [f'<text x="{NAMES - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>']
    parts += [_square(NAMES + i * CELL, y, str(side)) for i, side in enumerate(sides)]
    if torn:
        parts.append(
            f'<rect x="{NAMES - 3}" y="{y - 2}" width="{len(sides) * CELL + 2}" '
            f'height="{CELL - 1}" rx="3" fill="none" stroke="currentColor" stroke-width="2"/>'
        )
    return "".join(parts)


def _square(x: int, y: int, side: str) -> str:
    fill, letter = LOOKS[side]
    square = f'<rect x="{x}" y="{y}" width="18" height="18" fill="{fill}"/>'
    if not letter:
        return square
    # Black letters: the squares keep their colours in dark mode.
    return (
        f'{square}<text x="{x + 9}" y="{y + 14}" text-anchor="middle" style="fill:#000">'
        f"{letter}</text>"
    )


def _legend(rows: int) -> str:
    y = rows * CELL + 12
    parts = []
    for i, side in enumerate(LOOKS):
        x = NAMES + i * 3 * CELL
        parts.append(_square(x, y, side) + f'<text x="{x + 22}" y="{y + 14}">{side}</text>')
    return "".join(parts)
