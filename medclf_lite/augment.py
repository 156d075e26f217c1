"""Random changes of pose and exposure that keep the medical content of a radiograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.errors import MedclfError

ensure_torchvision()

from torchvision.transforms.v2 import InterpolationMode  # noqa: E402
from torchvision.transforms.v2 import functional as transform  # noqa: E402


@dataclass(frozen=True)
class MedicalAugment:
    """A small random change of pose and exposure; see :func:`medical_augment`."""

    rotation: float
    translation: float
    scale: float
    brightness: float
    contrast: float
    flip: bool

    def __call__(self, image: Tensor, rng: np.random.Generator) -> Tensor:
        """Change one image, float32 (1, s, s) in [0, 1], by draws from ``rng``."""
        turn, right, down, zoom, light, spread = rng.uniform(-1.0, 1.0, size=6)
        size = image.shape[-1]
        image = transform.affine(
            image,
            angle=self.rotation * turn,
            translate=[self.translation * size * right, self.translation * size * down],
            scale=1 + self.scale * zoom,
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        image = transform.adjust_brightness(image, 1 + self.brightness * light)
        image = transform.adjust_contrast(image, 1 + self.contrast * spread)
        if self.flip and rng.random() < 0.5:
            image = transform.horizontal_flip(image)
        return image


def medical_augment(
    rotation: float = 7.0,
    translation: float = 0.05,
    scale: float = 0.05,
    brightness: float = 0.1,
    contrast: float = 0.1,
    *,
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
    >>> import torch
    >>> augment = medical_augment(rotation=5)
    >>> image = torch.rand(1, 16, 16)
    >>> augment(image, np.random.default_rng(0)).shape
    torch.Size([1, 16, 16])
    """
    limits = {"rotation": (rotation, 180), "translation": (translation, 1), "scale": (scale, 1)}
    limits |= {"brightness": (brightness, 1), "contrast": (contrast, 1)}
    for name, (value, limit) in limits.items():
        if not 0 <= value < limit:
            raise MedclfError(f"{name} must lie in [0, {limit}); got {value}.")
    return MedicalAugment(rotation, translation, scale, brightness, contrast, flip)
