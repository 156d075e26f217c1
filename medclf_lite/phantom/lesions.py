"""The disease: a dense patch in one lobe (bacteria), or fine clouds on both sides (virus)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medclf_lite.phantom.anatomy import Values
from medclf_lite.phantom.draws import LESION, Array, between, uniforms
from medclf_lite.phantom.projection import Chest, chest_wall

PATCHES = 2  # at most, in a bacterial pneumonia
CLOUDS = 3  # on each side, in a viral one
MASK_LEVEL = 0.25  # opacity from which a pixel counts as lesion

_BLOB_VALUES = 6


def draw_lesions(
    seed: int,
    patients: npt.NDArray[np.intp],
    viral: npt.NDArray[np.bool_],
    anatomy: Values,
) -> Values:
    """Draw where a patient's lesions are or would be, the same in every study.

    Parameters
    ----------
    seed : int
    patients : array of shape (n,)
        Numbers of the patients.
    viral : bool array of shape (n,)
        Pattern of each patient.
    anatomy : dict
        From :func:`medclf_lite.phantom.anatomy.draw_anatomy`, same rows.

    Returns
    -------
    dict of str to float32 array
        ``viral`` (n,), and for each of 2 * CLOUDS blobs ``x, y, a, b, angle, weight``:
        centre, half axes, direction and density, shape (n, 2 * CLOUDS).
    """
    blobs = 2 * CLOUDS
    u = uniforms(seed, LESION, ((int(p),) for p in patients), blobs * _BLOB_VALUES + 2)
    v = u[:, 2:].reshape(len(u), blobs, _BLOB_VALUES)
    is_viral = viral[:, None]
    order = np.arange(blobs)
    # A lobar patch lies on the side of the first draw, a cloud on both sides in turn.
    one_side = np.where(u[:, :1] < 0.5, -1, 1)
    side = np.where(is_viral, np.where(order % 2, 1, -1), one_side)
    y = np.where(is_viral, between(v[..., 1], -0.36, 0.30), between(v[..., 1], -0.40, 0.32))
    y = y.astype(np.float32)
    a = {k: anatomy[k][:, None] for k in ("lung_apex", "lung_width", "lung_taper", "mediastinum")}
    wall = chest_wall(y, a)
    x = side * (a["mediastinum"] + between(v[..., 2], 0.22, 0.80) * (wall - a["mediastinum"]))
    patches = 1 + (u[:, 1:2] < 0.35)
    present = np.where(is_viral, True, order < patches)
    return {
        "viral": viral.astype(np.float32),
        "x": x.astype(np.float32),
        "y": y,
        "a": np.where(is_viral, between(v[..., 3], 0.07, 0.14), between(v[..., 3], 0.12, 0.22)),
        "b": np.where(is_viral, between(v[..., 4], 0.07, 0.14), between(v[..., 4], 0.10, 0.17)),
        "angle": between(v[..., 5], 0, np.pi),
        "weight": np.where(present, between(v[..., 0], 0.75, 1), 0).astype(np.float32),
    }


def opacity(chest: Chest, lesions: Values, extent: Array) -> Array:
    """Share of the lesion's full density at each pixel, in [0, 1], for a sick patient.

    Parameters
    ----------
    chest : Chest
    lesions : dict
        From :func:`draw_lesions`, one row an image.
    extent : float32 array of shape (n,)
        Factor on the half axes: a lesion grows and shrinks from study to study.

    Returns
    -------
    float32 array of shape (n, height, width)
    """
    found = np.zeros_like(chest.x)
    for i in np.flatnonzero((extent > 0) & (lesions["weight"].max(1) > 0)):
        _draw(found[i], chest.x[i], chest.y[i], {k: v[i] for k, v in lesions.items()}, extent[i])
    # The heart covers what lies behind it, but not wholly.
    found *= chest.air * (1 - 0.5 * chest.heart)
    return found


def _draw(out: Array, x: Array, y: Array, blob: Values, extent: np.float32) -> None:
    """Draw one patient's blobs; ``out``, ``x`` and ``y`` are (height, width)."""
    ragged = np.sin(x * 31 + blob["angle"][0] * 9) * np.sin(y * 27 + blob["angle"][0] * 5)
    uneven = 1 + 0.35 * ragged
    for k in np.flatnonzero(blob["weight"]):
        c, s = np.cos(blob["angle"][k]), np.sin(blob["angle"][k])
        dx, dy = x - blob["x"][k], y - blob["y"][k]
        q = ((dx * c + dy * s) / (blob["a"][k] * extent)) ** 2
        q += ((dy * c - dx * s) / (blob["b"][k] * extent)) ** 2
        np.maximum(out, np.exp(q * uneven * -1.1) * blob["weight"][k], out=out)
    if blob["viral"]:
        # Fine meshes: thickened walls between the air sacs instead of a filled lobe.
        mesh = np.abs(np.sin(x * 23 + y * 17)) * np.abs(np.sin(x * 19 - y * 29))
        out *= 0.55 + 0.45 * (1 - mesh)
