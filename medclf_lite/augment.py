"""Random changes that keep the medical content of a radiograph: pose, exposure, acquisition."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.errors import MedclfError

ensure_torchvision()  # whoever augments may want torchvision's transforms beside these

# Largest values that leave something of the image.
_LIMITS = {
    "rotation": 180.0, "translation": 1.0, "scale": 1.0, "aspect": 1.0, "blur": 1.0,
    "gamma": 2.0, "brightness": 1.0, "contrast": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class MedicalAugment:
    """A random change of pose, exposure and acquisition; see :func:`medical_augment`."""

    rotation: float
    translation: float
    scale: float
    brightness: float
    contrast: float
    aspect: float = 0.0
    blur: float = 0.0
    gamma: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            if not 0 <= value < limit:
                raise MedclfError(f"{name} must lie in [0, {limit:g}); got {value}.")

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Change one image, float32 (1, s, s) in [0, 1], by draws from ``rng``."""
        # All draws come first, so that one setting does not shift the draws of another.
        turn, right, down, zoom, light, spread, wide, dark = rng.uniform(-1.0, 1.0, size=8).tolist()
        loses_detail, across, along, mirror = rng.random(4).tolist()
        image = self._posed(image, turn, right, down, zoom, wide)
        if self.blur and loses_detail < 0.5:
            image = _coarsened(image, 1 - self.blur * across, 1 - self.blur * along)
        image = image ** math.exp(self.gamma * dark)
        image = image * (1 + self.brightness * light)
        mean = image.mean()
        image = ((image - mean) * (1 + self.contrast * spread) + mean).clamp(0, 1)
        return image.flip(-1) if self.flip and mirror < 0.5 else image

    def _posed(
        self, image: Tensor, turn: float, right: float, down: float, zoom: float, wide: float
    ) -> Tensor:
        """Turn, shift and stretch by shares of the largest change, each in [-1, 1]."""
        angle = math.radians(self.rotation * turn)
        stretch = math.exp(self.aspect * wide / 2)
        across, along = (1 + self.scale * zoom) * stretch, (1 + self.scale * zoom) / stretch
        moved = torch.tensor([[2 * self.translation * right], [2 * self.translation * down]])
        # The grid says for each pixel of the result where in the image it is taken from, so
        # the matrix is that of the inverse change.
        turned = torch.tensor(
            [[math.cos(angle) / across, math.sin(angle) / across],
             [-math.sin(angle) / along, math.cos(angle) / along]]
        )  # fmt: skip
        matrix = torch.cat([turned, -turned @ moved], dim=1)
        grid = affine_grid(matrix[None], [1, *image.shape], align_corners=False)
        return grid_sample(image[None], grid, align_corners=False)[0]


def _coarsened(image: Tensor, across: float, along: float) -> Tensor:
    """Reduce to a share of the width and of the height and enlarge again."""
    height, width = image.shape[-2:]
    size = max(2, round(height * along)), max(2, round(width * across))
    small = interpolate(image[None], size, mode="bilinear", antialias=True)
    return interpolate(small, (height, width), mode="bilinear")[0]


def medical_augment(
    rotation: float = 7.0,
    translation: float = 0.05,
    scale: float = 0.05,
    brightness: float = 0.1,
    contrast: float = 0.1,
    *,
    aspect: float = 0.0,
    blur: float = 0.0,
    gamma: float = 0.0,
    flip: bool = False,
) -> MedicalAugment:
    """Describe a random change that keeps the medical content of a radiograph.

    Parameters
    ----------
    rotation : float, default 7
        Largest turn in degrees, to either side.
    translation : float, default 0.05
        Largest shift, as a fraction of the image's side. What leaves the image is lost;
        what comes in is black.
    scale, brightness, contrast : float, default 0.05, 0.1, 0.1
        Largest relative change; 0.1 means a factor between 0.9 and 1.1.
    aspect : float, default 0
        Largest change of the logarithm of width / height: 0.25 means a factor from 0.78 to
        1.28. Images squashed to a square carry the shape of the file in their texture.
    blur : float, default 0
        Largest share of the resolution that half of the images lose, separately across and
        along: files of other sizes and compressions differ in it.
    gamma : float, default 0
        Largest logarithm of the exponent on the grey values: 0.4 means 0.67 to 1.49. Film
        curves and export windows differ in it.
    flip : bool, default False
        Mirror half of the images left to right. Off, because a chest has a side: the
        mirror image shows dextrocardia, a reversed side marker and, where the finding
        itself is a side, the opposite label. Turn it on only for organs without a side.

    Returns
    -------
    MedicalAugment
        A function of one image and a NumPy generator. The change is drawn from that
        generator alone, so that the same generator gives the same image.

    Raises
    ------
    MedclfError
        If an amount is negative or so large that nothing of the image may be left.

    Examples
    --------
    >>> augment = medical_augment(rotation=5)
    >>> image = torch.rand(1, 16, 16)
    >>> augment(image, np.random.default_rng(0)).shape
    torch.Size([1, 16, 16])
    """
    return MedicalAugment(
        rotation, translation, scale, brightness, contrast, aspect, blur, gamma, flip
    )


def acquisition_augment() -> MedicalAugment:
    """Describe strong random changes of what differs between machines, exports and hospitals.

    Shape, sharpness, film curve, contrast, pose: what a network could learn in place of the
    disease where it goes along with the label, and what differs elsewhere (the same idea for
    other medical images: Zhang et al. 2020, doi:10.1109/TMI.2020.2973595).

    Returns
    -------
    MedicalAugment

    Examples
    --------
    >>> acquisition_augment().flip
    False
    """
    return medical_augment(12, 0.08, 0.2, 0.12, 0.35, aspect=0.5, blur=0.6, gamma=0.4)
