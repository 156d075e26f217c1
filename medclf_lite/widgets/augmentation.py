"""One radiograph under changes of growing strength, and what is left of its lesion."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.augment import medical_augment
from medclf_lite.errors import MedclfError
from medclf_lite.plots import COLOURS
from medclf_lite.widgets.plot import svg
from medclf_lite.widgets.states import Dial, Frame, States

ensure_torchvision()

from torchvision import tv_tensors  # noqa: E402 - beside any PyTorch, once that is ensured
from torchvision.transforms import v2  # noqa: E402

STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
FINE = tuple(k / 50 for k in range(51))
SHOWN = 250  # pixels a side on the page
Grey = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Place = tuple[float, float]  # shares, from the top and from the left
PLACE: Place = (0.3, 0.4)


class Pair(NamedTuple):
    """A patient with and without lesions, float (2, h, w) from 0 to 255, and their mask."""

    images: tv_tensors.Image
    mask: tv_tensors.Mask  # (1, h, w), 0 to 1


class Left(NamedTuple):
    """What a change leaves, as shares: of the lesion's area in [0, 1], and of its contrast."""

    area: float
    contrast: float


# Takes a strength from 0 to 1 and a place; returns the changed pair and what was done, in words.
Change = Callable[[Pair, float, Place], tuple[Pair, str]]


def _rotated(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    angle = 90 * strength
    return Pair(*(v2.functional.rotate(x, angle) for x in pair)), f"Turned by {angle:.0f} degrees"


def _cropped(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    kept = 1 - 0.92 * strength  # down to the 8 % of RandomResizedCrop
    box = _box(pair, kept, place)
    cut = Pair(*(v2.functional.crop(x, *box) for x in pair))
    return cut, f"Cropped to {kept:.0%} of the image"


def _erased(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    share = strength / 3  # up to the third of RandomErasing
    box, blank = _box(pair, share, place), torch.zeros(1)
    # As plain tensors: torchvision would not erase a Mask, as if nothing were hidden.
    images, mask = (v2.functional.erase(x.as_subclass(Tensor), *box, blank) for x in pair)
    changed = Pair(tv_tensors.Image(images), tv_tensors.Mask(mask))
    return changed, f"Erased {share:.0%} of the image"


def _box(pair: Pair, share: float, place: Place) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a box with this share of the image's area."""
    sides = pair.mask.shape[-2:]
    height, width = (round(n * share**0.5) for n in sides)
    top, left = round(place[0] * (sides[0] - height)), round(place[1] * (sides[1] - width))
    return top, left, height, width


def _flipped(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    if not strength:
        return pair, "Not flipped"
    changed = Pair(*(v2.functional.horizontal_flip(x) for x in pair))
    return changed, "Flipped, which has no strength: the heart has changed sides"


def _brighter(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    factor = 1 + 1.5 * strength
    return _lit(pair, pair.images * factor), f"Brightness times {factor:.1f}"


def _darker(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    levels = 160 * strength
    return _lit(pair, pair.images - levels), f"Darker by {levels:.0f} of 255 grey levels"


def _course(pair: Pair, strength: float, place: Place) -> tuple[Pair, str]:
    """Change pose and exposure as ``medical_augment`` does, up to twice its default amounts."""
    times = 2 * strength
    pose = partial(medical_augment, 7 * times, 0.05 * times, 0.0)
    whole = pose(brightness=0.1 * times, contrast=0.1 * times)
    posed = pose(brightness=0.0, contrast=0.0)  # a mask has no exposure

    def drawn(change: Callable[[Tensor, np.random.Generator], Tensor], x: Tensor) -> Tensor:
        return change(x.as_subclass(Tensor), np.random.default_rng(0))

    images = torch.cat([drawn(whole, x[None] / 255) for x in pair.images]) * 255
    changed = _lit(Pair(pair.images, tv_tensors.Mask(drawn(posed, pair.mask))), images)
    return changed, f"The course's augmentation, {times:.1f} times its default amounts"


def _lit(pair: Pair, images: Tensor) -> Pair:
    return Pair(tv_tensors.Image(images.clamp(0, 255)), pair.mask)


CHANGES: dict[str, Change] = {
    "rotate": _rotated,
    "crop": _cropped,
    "erase": _erased,
    "flip": _flipped,
    "brighten": _brighter,
    "darken": _darker,
    "course": _course,
}


def what_is_left(
    image: Grey, healthy: Grey, mask: Mask, change: str, strength: float, place: Place = PLACE
) -> Left:
    """Measure which shares of a lesion's area and contrast a change leaves.

    Parameters
    ----------
    image, healthy, mask, place
        As for :func:`augmentations`.
    change : str
        One of rotate, crop, erase, flip, brighten, darken and course.
    strength : float
        From 0, no change, to 1, the strongest.

    Returns
    -------
    Left
        The area of the mask, and the mean difference between the images with and without lesions
        inside the mask. The contrast is 0 where no lesion is left.

    Raises
    ------
    MedclfError
        As :func:`augmentations`, and if there is no such change.
    """
    if change not in CHANGES:
        raise MedclfError(f"There is no change {change!r}; choose one of {', '.join(CHANGES)}.")
    before = _pair(image, healthy, mask)
    return _left(before, CHANGES[change](before, strength, place)[0])


def _left(before: Pair, after: Pair) -> Left:
    area = float(after.mask.sum() / before.mask.sum())
    return Left(min(area, 1.0), _contrast(after) / _contrast(before))


def _contrast(pair: Pair) -> float:
    inside = pair.mask[0] > 0.5
    ill, well = pair.images.as_subclass(Tensor)
    return float((ill - well).abs()[inside].mean()) if inside.any() else 0.0


def augmentations(image: Grey, healthy: Grey, mask: Mask, *, place: Place = PLACE) -> States:
    """Show a radiograph under changes of growing strength, its lesion outlined and measured.

    Parameters
    ----------
    image, healthy : uint8 array of shape (h, w)
        The same study with and without its lesions: ``cohort.images.pixels`` and
        ``render(lesions=False)`` of a phantom.
    mask : bool array of shape (h, w)
        Where the lesions are.
    place : pair of float
        Where crops and erased rectangles lie, from top and left: (0, 0) is the upper left
        corner, (1, 1) the lower right one.

    Returns
    -------
    States
        Dials: the kind of the change, and its strength.

    Raises
    ------
    MedclfError
        If the shapes differ, or there is no lesion, or its contrast is none.

    Examples
    --------
    >>> from medclf_lite.phantom import PhantomSpec, generate
    >>> ill = generate(PhantomSpec(n_patients=1, images_per_patient=1, prevalence=1.0))
    >>> shown = augmentations(ill.cohort.images.pixels[0], ill.render(lesions=False)[0],
    ...                       ill.masks[0])
    >>> shown.frames[0].says
    'Turned by 0 degrees. Left of the lesion: 100% of its area, 100% of its contrast.'
    """
    before = _pair(image, healthy, mask)
    unchanged = _picture(before)

    def draw(kind: str, strength: float) -> Frame:
        after, done = CHANGES[kind](before, strength, place)
        left = _left(before, after)
        words = f"{left.area:.0%} of its area"
        words += f", {left.contrast:.0%} of its contrast" if left.area else ""
        html = (
            f'<div class="panels">\n<div>before\n{unchanged}\n</div>\n<div>after\n'
            f"{_picture(after)}\n</div>\n</div>"
        )
        return Frame(html, f"{done}. Left of the lesion: {words}.")

    kinds = tuple(CHANGES)
    dials = (
        Dial("change", kinds, kinds[0]),
        Dial("strength", STRENGTHS, STRENGTHS[0], ".0%", FINE),
    )
    return States("What does a change leave of the lesion?", dials, draw)


def _pair(image: Grey, healthy: Grey, mask: Mask) -> Pair:
    if not (image.ndim == 2 and image.shape == healthy.shape == mask.shape):
        raise MedclfError(
            "Give one image, the same without lesions and its mask, all of one shape (h, w); got "
            f"{image.shape}, {healthy.shape} and {mask.shape}."
        )
    both = torch.from_numpy(np.stack([image, healthy])).float()
    pair = Pair(tv_tensors.Image(both), tv_tensors.Mask(torch.from_numpy(mask[None]).float()))
    if not _contrast(pair):
        raise MedclfError("The image shows no lesion: its mask is empty, or nothing differs in it.")
    return pair


def _picture(pair: Pair) -> str:
    """Draw the image with its lesion outlined, a crop enlarged as a training step would."""
    grey = pair.images[0].round().byte().numpy()
    height, width = grey.shape
    image = (
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="{_as_jpeg(grey)}"/>'
    )
    outline = (
        f'<path d="{_outline((pair.mask[0] > 0.5).numpy())}" fill="none" '
        f'stroke="{COLOURS["highlight"]}" stroke-width="2" vector-effect="non-scaling-stroke"/>'
    )
    return svg(width, height, [image, outline], scale=SHOWN / max(width, height))


def _as_jpeg(grey: Grey) -> str:
    # A quarter of the bytes of PNG: noise does not compress without loss.
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _outline(mask: Mask) -> str:
    """Trace the edges between pixels inside and outside, as the data of an SVG path."""
    padded = np.pad(mask, 1)
    upright = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    level = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    return "".join([f"M{x} {y}v1" for y, x in upright] + [f"M{x} {y}h1" for y, x in level])
