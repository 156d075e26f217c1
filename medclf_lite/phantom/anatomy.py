"""Who is on the table: some 45 anatomy values a patient, and the small changes of each pose.

One unit of length is half the height of a square film; x grows to the right of the image (the
patient's left), y downwards.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from medclf_lite.phantom.draws import ANATOMY, POSE, Array, between, uniforms

Values = dict[str, Array]  # name -> one value a row, shape (n,) or (n, ...)

# name: (lowest, highest, shift for a child)
RANGES: dict[str, tuple[float, float, float]] = {
    "body_width": (0.84, 0.99, -0.02),
    "neck": (0.22, 0.34, 0.03),
    "shoulder_slope": (0.20, 0.36, -0.05),
    "thickness": (0.85, 1.20, -0.05),
    "lung_width": (0.64, 0.76, 0.01),
    "lung_apex": (-0.80, -0.66, 0.02),
    "lung_taper": (1.9, 2.9, -0.3),
    "diaphragm": (0.30, 0.46, -0.06),
    "left_lower": (0.02, 0.09, -0.02),  # the left dome lies deeper: no liver under it
    "dome": (0.14, 0.27, -0.02),
    "mediastinum": (0.085, 0.13, 0.03),
    "heart_size": (0.85, 1.12, 0.08),
    "heart_x": (0.10, 0.17, -0.03),
    "heart_tilt": (0.45, 0.95, -0.10),
    "aortic_knob": (0.05, 0.085, -0.035),
    "scoliosis": (-0.05, 0.05, 0.0),
    "vertebra": (0.0, 6.3, 0.0),
    "rib_spacing": (0.118, 0.150, -0.006),
    "rib_phase": (0.0, 1.0, 0.0),
    "rib_slope": (0.26, 0.46, -0.16),  # a child's ribs lie flatter
    "rib_width": (0.024, 0.034, -0.002),
    "rib_density": (0.08, 0.14, -0.02),
    "clavicle_y": (-0.54, -0.42, 0.0),
    "clavicle_slope": (0.12, 0.36, -0.04),
    "clavicle_bend": (0.01, 0.045, 0.0),
    "trachea": (-0.025, 0.025, 0.0),
    "hilum": (0.5, 1.4, 0.0),
    "vessels": (0.6, 1.3, 0.0),
    "gas": (0.0, 1.0, 0.15),
    "gas_x": (0.28, 0.48, 0.0),
    "breast": (0.5, 1.2, 0.0),
    "scapula": (0.3, 1.2, 0.0),
    "mottle": (0.0, 20.0, 0.0),
}
VESSEL_VALUES = 16  # two sides x four orders x (phase, twist)

# name: (lowest, highest) of what differs from one study of a patient to the next
POSES: dict[str, tuple[float, float]] = {
    "tilt": (-0.035, 0.035),  # rad
    "shift_x": (-0.03, 0.03),
    "shift_y": (-0.035, 0.035),
    "zoom": (-0.035, 0.035),
    "inspiration": (-0.05, 0.04),  # below 0: shallow breath, diaphragm high
    "turn": (-0.022, 0.022),  # rotation about the long axis
    "exposure": (-0.06, 0.06),
    "contrast": (-0.10, 0.10),
    "film_gamma": (-0.09, 0.09),
}


def draw_anatomy(
    seed: int,
    patients: npt.NDArray[np.intp],
    child: npt.NDArray[np.bool_],
    female: npt.NDArray[np.bool_],
    mirrored: npt.NDArray[np.bool_],
) -> Values:
    """Draw the anatomy of each patient; every study of a patient shows the same one.

    Parameters
    ----------
    seed : int
    patients, child, female, mirrored : arrays of shape (n,)
        Number of the patient; and who is a child, a woman, and has dextrocardia.

    Returns
    -------
    dict of str to float32 array
        The values of ``RANGES``, ``mirror`` (1 or -1) and ``vessel_map`` of shape
        (n, 2 sides, 4 orders, 2).
    """
    u = uniforms(seed, ANATOMY, ((int(p),) for p in patients), len(RANGES) + VESSEL_VALUES)
    values: Values = {
        name: between(u[:, i], low, high) + np.float32(shift) * child
        for i, (name, (low, high, shift)) in enumerate(RANGES.items())
    }
    values["breast"] = values["breast"] * (female & ~child)
    values["mirror"] = np.where(mirrored, -1, 1).astype(np.float32)
    angles = between(u[:, len(RANGES) :], 0, 1).reshape(-1, 2, 4, 2)
    width, start = np.array([[6.28, 5], [0, 2.5]], np.float32)
    values["vessel_map"] = angles * width - start
    return values


def draw_poses(seed: int, studies: list[tuple[int, int]], scale: float) -> Values:
    """Draw the pose and exposure of each study (patient, follow-up), times ``scale``."""
    u = uniforms(seed, POSE, studies, len(POSES))
    return {
        name: between(u[:, i], low, high) * np.float32(scale)
        for i, (name, (low, high)) in enumerate(POSES.items())
    }
