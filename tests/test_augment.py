"""Augmentation changes what it says, by as much as it says, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.augment import MedicalAugment, acquisition_augment, medical_augment
from medclf_lite.errors import MedclfError

ensure_torchvision()

from torchvision.transforms.v2 import InterpolationMode  # noqa: E402
from torchvision.transforms.v2 import functional as transform  # noqa: E402

NOTHING = {"rotation": 0, "translation": 0, "scale": 0, "brightness": 0, "contrast": 0}
share = st.floats(-1, 1)


def only(**amount: float) -> MedicalAugment:
    return medical_augment(**(NOTHING | amount))


def smooth(size: int = 48) -> torch.Tensor:
    """Make an image without sharp edges, so that two ways to interpolate agree."""
    noise = torch.rand(1, size, size, generator=torch.Generator().manual_seed(0))
    return transform.gaussian_blur(noise, [9, 9])


def drawn(augment: MedicalAugment, image: torch.Tensor, times: int = 100) -> list[torch.Tensor]:
    return [augment(image, np.random.default_rng(seed)) for seed in range(times)]


@given(share, share, share, share)
def test_pose_is_the_affine_change_of_torchvision(turn, right, down, zoom):
    image = smooth()
    augment = only(rotation=20, translation=0.2, scale=0.3)
    expected = transform.affine(
        image,
        angle=20 * turn,
        translate=[0.2 * 48 * right, 0.2 * 48 * down],
        scale=1 + 0.3 * zoom,
        shear=[0.0, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )
    found = augment._posed(image, turn, right, down, zoom, 0.0)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def extent(image: torch.Tensor) -> tuple[float, float]:
    """Width and height of what is bright: twice the standard deviation along each axis."""
    total = image.sum()
    place = torch.arange(image.shape[-1], dtype=torch.float32)
    sizes = []
    for weights in (image[0].sum(dim=0), image[0].sum(dim=1)):
        mean = (weights * place).sum() / total
        sizes.append(float(2 * ((weights * (place - mean) ** 2).sum() / total).sqrt()))
    return sizes[0], sizes[1]


def test_aspect_changes_width_against_height_within_its_limit_and_keeps_the_area():
    image = torch.zeros(1, 81, 81)
    image[0, 30:51, 30:51] = 1
    logs, areas = [], []
    for changed in drawn(only(aspect=0.5), image):
        width, height = extent(changed)
        logs.append(np.log(width / height))
        areas.append(changed.sum() / image.sum())
    assert 0.4 < np.abs(logs).max() <= 0.51
    assert 0.3 < np.mean(np.array(logs) > 0) < 0.7
    np.testing.assert_allclose(areas, 1, atol=0.03)


def test_blur_takes_detail_from_about_half_of_the_images_and_keeps_the_brightness():
    image = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1))
    results = drawn(only(blur=0.6), image, times=200)
    touched = [bool((r - image).abs().max() > 1e-3) for r in results]  # more than rounding
    assert 0.35 < np.mean(touched) < 0.65
    for result in results:
        assert result.std() <= image.std() + 1e-4
        assert result.mean() == pytest.approx(float(image.mean()), abs=0.02)


def test_blur_across_and_along_differ():
    image = torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(2))
    ratios = [
        float(r.diff(dim=2).abs().mean() / r.diff(dim=1).abs().mean())
        for r in drawn(only(blur=0.7), image)
    ]
    assert min(ratios) < 0.8
    assert max(ratios) > 1.25


def test_gamma_keeps_black_white_and_the_order_of_greys():
    ramp = torch.linspace(0, 1, 64).repeat(64, 1)[None]
    middles = []
    for changed in drawn(only(gamma=0.4), ramp):
        assert changed[0, 0, 0] == 0
        assert changed[0, 0, -1] == 1
        assert (changed[0, 0].diff() > 0).all()
        middles.append(float(changed[0, 0, 32]))
    assert min(middles) < 0.40 < 0.60 < max(middles)


@given(st.integers(0, 10_000))
def test_the_strongest_changes_stay_an_image(seed):
    image = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(seed))
    changed = acquisition_augment()(image, np.random.default_rng(seed))
    assert changed.shape == image.shape
    assert changed.dtype == torch.float32
    assert bool(((changed >= 0) & (changed <= 1)).all())


@given(st.sampled_from(["aspect", "blur", "gamma", "brightness"]), st.integers(0, 1000))
def test_one_setting_does_not_shift_the_draws_of_another(name, seed):
    image = torch.zeros(1, 32, 32)
    image[0, 10:20, 10:20] = 0.5
    turned = medical_augment(**(NOTHING | {"rotation": 90}))
    both = medical_augment(**(NOTHING | {"rotation": 90, name: 0.0}))
    rng = np.random.default_rng
    torch.testing.assert_close(turned(image, rng(seed)), both(image, rng(seed)))
    # The generator is left in the same place, so what is drawn next does not change either.
    first, second = rng(seed), rng(seed)
    turned(image, first)
    only(**{name: 0.3})(image, second)
    assert first.random() == second.random()


def test_acquisition_augment_never_mirrors():
    image = torch.zeros(1, 32, 32)
    image[..., :16] = 1
    assert all(r[..., :16].mean() > r[..., 16:].mean() for r in drawn(acquisition_augment(), image))


@pytest.mark.parametrize("wrong", [{"aspect": -0.1}, {"blur": 1.0}, {"gamma": 2}, {"blur": np.nan}])
def test_impossible_amounts_of_acquisition_are_refused(wrong):
    with pytest.raises(MedclfError, match=next(iter(wrong))):
        only(**wrong)


def test_torchvision_loads_once_the_loaders_are_imported():
    program = "import medclf_lite.loaders\nfrom torchvision.transforms import v2"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
