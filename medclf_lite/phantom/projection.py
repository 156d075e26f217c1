"""The physics: what each organ adds to the attenuation along a ray, and the film behind it.

Attenuations add up along the ray and one film curve turns the sum into grey at the end. So the
heart is not painted white: it takes away the air. Ribs are one periodic function of a bent
coordinate (the posterior parts) and a fainter one that slopes the other way (the anterior parts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medclf_lite.phantom.anatomy import Values
from medclf_lite.phantom.draws import Array

LUNG_BASE = 0.35  # y at which the chest wall is widest


@dataclass(frozen=True)
class Grid:
    """Size of the film in pixels and the part of the chest that it shows.

    ``half_width`` and ``half_height`` are 1 for a square film; ``centre`` is the y in its
    middle.
    """

    height: int
    width: int
    half_height: float = 1.0
    half_width: float = 1.0
    centre: float = 0.0

    @classmethod
    def with_aspect(cls, height: int, width: int) -> Grid:
        """Return a film with square pixels and about the area of a square one."""
        root = float(np.sqrt(width / height))
        # A wide film cuts neck and belly; the lungs, a little above the middle, stay on it.
        return cls(height, width, 1 / root, root, centre=-0.15 * max(0.0, 1 - 1 / root))


@dataclass(frozen=True)
class Chest:
    """Attenuation without disease, and where it is; arrays (n, height, width) of float32.

    ``x`` and ``y`` are the coordinates of the patient; ``air`` is 1 in the free lung and 0
    outside; ``heart`` is 1 in the middle of the heart.
    """

    attenuation: Array
    air: Array
    heart: Array
    x: Array
    y: Array


def step(x: Array, width: float) -> Array:
    """Rise smoothly from 0 at ``-width`` to 1 at ``+width``."""
    t = x * (0.5 / width)
    t += 0.5
    np.clip(t, 0, 1, out=t)
    rest = t * -2
    rest += 3
    t *= t
    t *= rest
    return t


def tube(u: Array) -> Array:
    """Path length through a round rod: 1 in the middle, 0 where ``|u|`` is 1 and beyond."""
    return np.sqrt(np.clip(1 - u * u, 0, 1))


def chest_wall(y: Array, a: Values) -> Array:
    """Half width of the rib cage at height ``y``: an arch from the apex to the base."""
    q = np.clip((LUNG_BASE - y) / (LUNG_BASE - a["lung_apex"]), 0, 1)
    arch = a["lung_width"] * np.sqrt(1 - q ** a["lung_taper"])
    arch -= 0.02 * np.clip(y - LUNG_BASE, 0, 1)
    return arch


def project(anatomy: Values, pose: Values, ap: Array, grid: Grid) -> Chest:
    """Add up the attenuation of a healthy chest.

    Parameters
    ----------
    anatomy, pose : dict of str to float32 array, one value a row
    ap : float32 array of shape (n,)
        1 for an anterior-posterior view (tube in front, larger heart, shallow breath), else 0.
    grid : Grid

    Returns
    -------
    Chest
    """
    a = {k: v.reshape(-1, 1, 1) for k, v in (anatomy | pose | {"ap": ap}).items() if v.ndim == 1}
    a["inspiration"] = a["inspiration"] - 0.05 * a["ap"]
    x, y = _coordinates(a, grid)
    middle = x - a["turn"]  # heart and vessels move when the patient turns
    r = np.abs(x)  # distance from the midline
    left = step(x, 0.02)
    wall = chest_wall(y, a)
    dome = a["diaphragm"] + a["inspiration"] + left * a["left_lower"]
    floor = dome + a["dome"] * ((r - 0.36) / 0.36) ** 2 * np.where(r > 0.36, 1.15, 0.45).astype(
        np.float32
    )
    heart = _heart(middle, y, a)
    body, mu = _soft_tissue(r, y, a)
    field = step(wall - r, 0.025)
    inner = a["mediastinum"] + 0.06 * step(-(y + 0.40), 0.25) + 0.05 * step(y - 0.05, 0.4)
    field *= step(r - inner, 0.03)
    lung = field * step(floor - y, 0.018)
    mu -= _air(r, inner, wall, lung, a) * (1 - 0.86 * heart)
    mu -= field * step(floor + 0.10 - y, 0.06) * (1 - heart) * 0.065  # recess behind the dome
    below = step(y - floor, 0.02) * step(wall + 0.05 - r, 0.05)
    mu += body * (heart * 0.07 + below * (0.055 - 0.03 * left))
    mu -= _gas(middle, y, dome, left, a)
    bone = _spine(middle, y, a) * (1 - 0.35 * heart)
    bone += _ribs(r, y, wall, a) * (1 - 0.35 * heart) * (1 - 0.45 * below)
    bone += _shoulder_girdle(x, r, y, a)
    mu += bone * body
    mu -= _trachea(middle, y, a)
    mu += _vessels(middle, y, left, a, anatomy["vessel_map"]) * lung * (1 - 0.7 * heart)
    # With a shallow breath the vessels at the bases lie close together.
    mu += lung * np.exp(np.clip(floor - y, 0, 2) * -9) * np.clip(-a["inspiration"], 0, 1) * 1.3
    return Chest(mu, lung, heart, x, y)


def _coordinates(a: Values, grid: Grid) -> tuple[Array, Array]:
    """Where in the patient each pixel looks: film coordinates, tilted, zoomed and shifted."""
    columns = (np.arange(grid.width, dtype=np.float32) + 0.5) / grid.width * 2 - 1
    rows = (np.arange(grid.height, dtype=np.float32) + 0.5) / grid.height * 2 - 1
    u = (columns * grid.half_width)[None, None, :]
    v = (rows * grid.half_height + grid.centre)[None, :, None]
    c, s, zoom = np.cos(a["tilt"]), np.sin(a["tilt"]), 1 + a["zoom"]
    x = (c * u - s * v) / zoom - a["shift_x"]
    y = (s * u + c * v) / zoom - a["shift_y"]
    return x * a["mirror"], y


def _soft_tissue(r: Array, y: Array, a: Values) -> tuple[Array, Array]:
    """Trunk, neck, arms and breasts."""
    shoulder = a["shoulder_slope"] * np.clip((r - a["neck"]) / 0.75, 0, 2) ** 1.25 - 1.02
    side = a["body_width"] + 0.22 * step(-(y + 0.42), 0.30)
    body = step(y - shoulder, 0.03) * step(side - r, 0.025)
    through = tube(np.clip(r / (side + 0.01), 0, 1))
    mu = body * (0.26 + 0.42 * through * a["thickness"])
    mu *= 1 - 0.10 * step(y - 0.75, 0.35)
    arm = tube((r - side - 0.20) / 0.17) * step(y + 0.25, 0.3)
    mu += arm * 0.42
    u = ((r - 0.44) / 0.30) ** 2 + ((y - 0.30) / 0.30) ** 2
    mu += np.sqrt(np.clip(1 - u, 0, 1)) * a["breast"] * body * 0.10
    # Faint low-frequency mottle, so that no region is perfectly smooth.
    m = a["mottle"]
    mu += body * 0.012 * (np.sin(x9 := r * 9 + m) * np.sin(y * 7 + m) + np.sin(x9 * 2 - y * 13))
    return body, mu


def _air(r: Array, inner: Array, wall: Array, lung: Array, a: Values) -> Array:
    """Air in the lungs: deepest half way between mediastinum and chest wall."""
    across = (r - inner) / (wall - inner + 0.05) * 1.7 - 0.85
    depth = np.sqrt(np.clip(1 - across * across, 0.12, 1))
    air: Array = lung * depth * (0.40 * a["thickness"] ** 0.3)
    return air


def _heart(x: Array, y: Array, a: Values) -> Array:
    """Ventricles, right atrium, outflow tract, aortic knob and the great vessels, 0 to 1."""
    size = a["heart_size"] * (1 + 0.13 * a["ap"]) * (1 - 0.6 * a["inspiration"])
    level = 0.20 + 0.6 * a["inspiration"]
    c, s = np.cos(a["heart_tilt"]), np.sin(a["heart_tilt"])
    dx, dy = x - a["heart_x"], y - level
    q = ((dx * c + dy * s) / (0.36 * size)) ** 2 + ((dy * c - dx * s) / (0.25 * size)) ** 2
    q = np.minimum(q, ((x + 0.07) / (0.15 * size)) ** 2 + ((dy + 0.02) / (0.24 * size)) ** 2)
    heart = np.clip(1 - q, 0, 1)
    trunk = ((x - 0.06) / (0.12 * size)) ** 2 + ((y + 0.22) / 0.20) ** 2
    knob = a["aortic_knob"]
    arch = ((x - 0.10) / (knob * 1.1)) ** 2 + ((y + 0.38) / knob) ** 2
    heart = np.maximum(heart, np.clip(0.6 - 0.6 * np.minimum(trunk, arch), 0, 1))
    heart **= 0.3
    great = step(0.13 - np.abs(x - 0.015), 0.05)
    great *= step(0.35 - y, 0.3) * step(y + 0.85, 0.15) * 0.8
    both: Array = np.maximum(heart, great)
    return both


def _gas(x: Array, y: Array, dome: Array, left: Array, a: Values) -> Array:
    """Gas in the stomach under the left dome; one patient in two or so."""
    q = ((x - a["gas_x"]) / 0.15) ** 2 + ((y - dome - 0.16) / 0.08) ** 2
    return step(1 - q, 0.5) * left * step(a["gas"] - 0.45, 0.1) * 0.22


def _spine(x: Array, y: Array, a: Values) -> Array:
    """Vertebral bodies with darker discs between them, and the spinous processes."""
    bent = x - a["scoliosis"] * np.sin(y * 2.2 + 1)
    beat = np.sin(y * 24 + a["vertebra"])
    spine: Array = step(0.085 - np.abs(bent), 0.03) * (0.085 + 0.03 * beat)
    spine += np.clip(1 - (bent / 0.018) ** 2 - (beat - 0.2) ** 2 * 2, 0, 1) * 0.05
    return spine


def _ribs(r: Array, y: Array, wall: Array, a: Values) -> Array:
    """Posterior and anterior ribs, and the cage where rays run along the chest wall."""
    t = np.clip(r / (a["lung_width"] + 0.02), 0, 1.2)
    cage = step(wall + 0.045 - r, 0.02)
    spacing, width = a["rib_spacing"], a["rib_width"]
    bend = a["rib_slope"] * (1.6 * (t - 0.3) ** 2 - 0.144)
    phase = (y - bend + 0.78) / (spacing * (1 + 0.10 * y)) + a["rib_phase"]
    u = np.abs(phase - np.floor(phase) - 0.5) * spacing / width
    cortex = np.clip(1 - ((u - 0.85) / 0.22) ** 2, 0, 1)  # edges absorb more than marrow
    ribs = 0.65 * tube(u) + 0.5 * cortex
    ribs *= cage * step(r - 0.05, 0.04) * step(phase - 0.6, 0.1) * step(11.2 - phase, 0.3)
    phase = y - 0.34 + a["rib_slope"] * 1.15 * (t - 0.2) - 0.16 * t * t
    phase = phase / (spacing * 1.12) + a["rib_phase"] * 1.7
    u = np.abs(phase - np.floor(phase) - 0.5) * spacing / (width * 1.15)
    front = tube(u) * cage * step(t - 0.45, 0.12)
    front *= step(0.35 - y, 0.15) * step(y + 0.55, 0.2)
    along = np.clip(1 - np.abs(r - wall - 0.02) / 0.03, 0, 1)
    along *= step(y + 0.5, 0.3) * step(0.7 - y, 0.2) * 0.05
    return a["rib_density"] * (ribs + 0.5 * front) + along


def _shoulder_girdle(x: Array, r: Array, y: Array, a: Values) -> Array:
    """Clavicles, shoulder blades (further out in PA, arms forward) and heads of the humeri."""
    level = a["clavicle_y"] - 0.05 * a["ap"] + 0.5 * a["turn"] * np.sign(x)
    line = level - a["clavicle_slope"] * r - a["clavicle_bend"] * np.sin(r * 8)
    u = (y - line) / (0.034 + 0.10 * np.clip(0.15 - r, 0, 1))
    bone = tube(u) * step(r - 0.055, 0.02) * step(0.86 - r, 0.05) * 0.15
    blade = step(r - 0.64 + 0.07 * a["ap"] - 0.20 * (y + 0.25) ** 2, 0.02)
    blade *= step(0.88 - r, 0.06) * step(y + 0.72, 0.1) * step(r - 0.54 - y, 0.1)
    bone += blade * a["scapula"] * 0.055
    bone += step(1 - ((r - 0.97) / 0.14) ** 2 - ((y + 0.66) / 0.16) ** 2, 0.25) * 0.12
    return bone


def _trachea(x: Array, y: Array, a: Values) -> Array:
    """Air of the windpipe, which forks at the carina."""
    fork = np.clip(y + 0.27, 0, 1) * 0.9
    tube_ = step(0.034 - np.abs(np.abs(x - a["trachea"] - 0.01) - fork), 0.015)
    return tube_ * step(-0.10 - y, 0.06) * step(y + 1.1, 0.1) * 0.13


def _vessels(x: Array, y: Array, left: Array, a: Values, vessel_map: Array) -> Array:
    """Hila, and four orders of vessels that leave them like rays and thin out."""
    dx = np.abs(x) - 0.19
    dy = y + 0.02 + 0.04 * left  # the left hilum is higher
    r = np.sqrt(dx * dx + dy * dy) + 1e-3
    angle = np.arctan2(dy, dx)
    fade = np.exp(r * -2.6)
    right_side = 1 - left
    tree: Array = np.exp(-((dx / 0.055) ** 2) - (dy / 0.12) ** 2) * (0.75 * a["hilum"])
    for order, (rays, start, width) in enumerate(
        ((3, 0.0, 0.020), (5, 0.07, 0.015), (8, 0.14, 0.011), (13, 0.22, 0.009))
    ):
        m = vessel_map[:, :, order, :, None, None]
        phase = right_side * m[:, 0, 0] + left * m[:, 1, 0]
        twist = right_side * m[:, 0, 1] + left * m[:, 1, 1]
        away = np.abs(np.sin(angle * (rays / 2) + phase + twist * r * 1.4)) * r * (2 / rays)
        tree += np.clip(1 - away / width, 0, 1) * fade * step(r - start, 0.04)
    return tree * (a["vessels"] * 0.15)


def film(attenuation: Array, pose: Values) -> Array:
    """Turn attenuation into grey in [0, 1] by the S-shaped curve of a film."""
    p = {k: v.reshape(-1, 1, 1) for k, v in pose.items()}
    z = (attenuation - 0.45) * (1.20 * (1 + p["contrast"])) + p["exposure"]
    z = 1 / (1 + np.exp(z * -4 + 0.08))
    z = np.clip((z - 0.10) / 0.82, 0, 1)
    grey: Array = z ** (1 + p["film_gamma"])
    return grey
