"""Copies: the search misses no pair, and small changes are found where other images are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import imagehash
import numpy as np
import pytest
from audit_cohorts import clean
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from medclf_lite.audit import audit_cohort
from medclf_lite.audit.checks.duplicates import unlike
from medclf_lite.audit.copies import (
    DISTANCE,
    close_pairs,
    exact_groups,
    near_copies,
    perceptual_hashes,
    same_pixels,
)
from medclf_lite.cohort import Cohort


def radiograph(seed: int, size: int = 96) -> np.ndarray:
    """Draw two dark fields on a bright ground, alike in all images, with detail of their own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / size
    image = np.full((size, size), 160.0)
    for middle in (0.3, 0.7):
        image -= 90 * np.exp(-(((x - middle) / 0.13) ** 2) - ((y - 0.5) / 0.28) ** 2)
    image += 150 * gaussian_filter(rng.normal(size=(size, size)), 3)
    return np.clip(image, 0, 255).astype(np.uint8)


IMAGES = np.stack([radiograph(seed) for seed in range(60)])


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(0, 30), st.sampled_from([1, 4]),
)  # fmt: skip
def test_the_search_finds_exactly_the_pairs_of_brute_force(seed, n, distance, words) -> None:
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, (n, words), dtype=np.uint64)
    for row in range(1, n, 2):  # plant pairs around the limit
        bits = np.unpackbits(hashes[row - 1].view(np.uint8))
        bits[rng.choice(len(bits), min(len(bits), distance + row % 3), replace=False)] ^= 1
        hashes[row] = np.packbits(bits).view(np.uint64)
    apart = np.bitwise_count(hashes[:, None] ^ hashes[None]).sum(2)
    expected = np.argwhere(np.triu(apart <= distance, 1))
    assert close_pairs(hashes, distance).tolist() == expected.tolist()


def test_hashes_are_those_of_the_library() -> None:
    (hashed,) = perceptual_hashes(IMAGES[:1])
    said = str(imagehash.phash(Image.fromarray(IMAGES[0]), hash_size=16))
    assert hashed.tobytes().hex() == said


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "jpeg": jpeg,
    "size": lambda i: i.resize((64, 64)),
    "brightness": lambda i: ImageEnhance.Brightness(i).enhance(1.15),
    "contrast": lambda i: ImageEnhance.Contrast(i).enhance(1.2),
    "crop": lambda i: i.crop((1, 1, 95, 95)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_small_change_is_found_and_look_alikes_are_not(change: str) -> None:
    changed = CHANGES[change](Image.fromarray(IMAGES[7])).resize((96, 96))
    pixels = np.concatenate([IMAGES, np.asarray(changed)[None]])
    assert near_copies(pixels) == [(7, 60)]
    assert same_pixels([p.tobytes() for p in pixels]) == []


def test_alike_in_the_large_is_not_enough_where_the_detail_differs() -> None:
    rng = np.random.default_rng(0)
    coarse = gaussian_filter(IMAGES[0].astype(float), 3)
    fine = rng.normal(0, 25, (2, 96, 96)) + rng.normal(0, 25, (96, 96))
    fine -= gaussian_filter(fine, (0, 1, 1))  # waves that the hash does not look at
    pixels = np.clip(coarse + fine, 0, 255).astype(np.uint8)
    assert len(close_pairs(perceptual_hashes(pixels), DISTANCE)) == 1
    assert near_copies(pixels) == []


def test_flat_images_are_near_copies_of_nothing() -> None:
    flat = np.full((400, 96, 96), 7, np.uint8)
    flat[:, 0, 0] = np.arange(400) % 256
    assert near_copies(flat[:, 1:, 1:]) == []


def test_a_thousand_copies_are_one_group_and_take_no_time() -> None:
    pixels = np.repeat(IMAGES[:1], 1000, axis=0)
    assert near_copies(pixels) == [tuple(range(1000))]


def test_near_copies_become_one_finding_with_their_contradiction() -> None:
    cohort = clean()
    pixels = np.stack([radiograph(seed, 48) for seed in range(len(cohort))])
    pixels[14] = np.clip(pixels[1] * 1.1, 0, 255)
    report = audit_cohort(cohort, pixels=pixels, only=["duplicates.near", "splits.copies"])
    assert [(f.id, f.severity) for f in report.findings] == [
        ("duplicates.near", "error"), ("splits.copies", "error"),
    ]  # fmt: skip
    assert report.findings[0].examples[0].images == ("i0001", "i0014")


def test_no_image_and_one_image_have_no_copy() -> None:
    assert near_copies(IMAGES[:1]) == []
    assert exact_groups(Cohort(clean().table, None, "a table", "CC0")) == []


def test_a_group_is_new_unless_it_lies_within_a_known_one() -> None:
    assert unlike([(0, 1), (2, 3), (3, 4)], [(0, 1, 5), (2, 3)]) == [(3, 4)]
