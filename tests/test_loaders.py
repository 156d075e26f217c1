"""Loaders: every image once, in an order and with changes that can be repeated."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from medclf_lite import _torchvision
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.loaders import ImageSet, TrainOrder, make_loader, medical_augment


def cohort_of(labels) -> Cohort:
    ids = [f"i{i}" for i in range(len(labels))]
    table = pd.DataFrame({"image_id": ids, "patient_id": ids, "label": labels})
    return Cohort(table, None, "test", "CC0")


@pytest.fixture
def cohort() -> Cohort:
    return cohort_of([0] * 6 + [1] * 5)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 16, 16), dtype=np.uint8)


def all_rows(loader) -> list[int]:
    return [int(row) for _, _, rows in loader for row in rows]


def all_images(loader) -> torch.Tensor:
    """Images in the order of their rows, whatever the order they came in."""
    parts = [(rows, images) for images, _, rows in loader]
    rows = torch.cat([r for r, _ in parts])
    return torch.cat([i for _, i in parts])[rows.argsort()]


# --- the set -------------------------------------------------------------------------------


def test_item_is_image_in_unit_range_label_and_row(cohort, pixels):
    image, label, row = ImageSet(cohort, pixels)[7]
    assert image.shape == (1, 16, 16)
    assert image.dtype == torch.float32
    np.testing.assert_allclose(image[0].numpy(), pixels[7] / 255, atol=1e-7)
    assert (label.item(), label.dtype, row) == (1.0, torch.float32, 7)


def test_set_is_as_long_as_the_cohort(cohort, pixels):
    assert len(ImageSet(cohort, pixels)) == len(cohort)


def test_multi_label_cohort_gives_a_column_a_finding(pixels):
    table = pd.DataFrame({"image_id": range(11), "patient_id": range(11)})
    table["mass"], table["edema"] = [0, 1] * 5 + [1], [1] * 11
    cohort = Cohort(table, None, "test", "CC0", findings=("mass", "edema"))
    _, labels, _ = next(iter(make_loader(cohort, pixels, train=True, batch_size=5)))
    assert labels.shape == (5, 2)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((10, 8, 8), np.uint8), np.zeros((11, 8, 8)), np.zeros((11, 8, 8, 3), np.uint8)],
)
def test_pixels_that_do_not_match_are_refused(cohort, wrong):
    with pytest.raises(MedclfError, match=r"uint8 of shape \(11, size, size\)"):
        ImageSet(cohort, wrong)


# --- order ---------------------------------------------------------------------------------


def test_evaluation_loader_keeps_order_and_yields_every_image(cohort, pixels):
    loader = make_loader(cohort, pixels, train=False, batch_size=5)
    assert all_rows(loader) == list(range(11))


@given(st.integers(1, 70), st.integers(1, 16), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_training_order_shows_each_image_once_and_never_ends_with_a_batch_of_one(n, size, epoch):
    order = TrainOrder(np.zeros(n, np.int64), size)
    order.set_epoch(epoch)
    rows = list(order)
    assert len(rows) == len(order) == len(set(rows))
    assert n - len(rows) == order.left_out <= 1
    if size > 1 and n > 1:
        assert len(rows) % size != 1


def test_the_image_left_out_changes_from_epoch_to_epoch():
    order = TrainOrder(np.zeros(9, np.int64), batch_size=4)
    missing = set()
    for epoch in range(20):
        order.set_epoch(epoch)
        missing |= set(range(9)) - set(order)
    assert len(missing) > 4


def test_order_depends_on_seed_and_epoch_only():
    def rows(seed, epoch):
        order = TrainOrder(np.zeros(30, np.int64), 4, seed=seed)
        order.set_epoch(epoch)
        torch.manual_seed(np.random.default_rng().integers(1000))  # must not matter
        return list(order)

    assert rows(0, 3) == rows(0, 3)
    assert rows(0, 3) != rows(0, 4)
    assert rows(0, 3) != rows(1, 3)


def test_balanced_order_draws_both_classes_equally_often():
    labels = np.repeat([0, 1], [1900, 100])
    drawn = labels[list(TrainOrder(labels, 32, balanced=True))]
    assert len(drawn) == 2000
    assert 0.45 < drawn.mean() < 0.55


def test_balanced_order_reaches_rows_beyond_the_limit_of_torchs_weighted_sampler():
    n = 2**24 + 2
    with pytest.raises(RuntimeError, match="2\\^24"):
        torch.multinomial(torch.ones(n), 1)
    labels = np.zeros(n, np.int64)
    labels[-1] = 1
    order = TrainOrder(labels, 32, balanced=True)
    order.n = 100  # an epoch of 100 draws will do
    assert n - 1 in set(order)


@pytest.mark.parametrize("labels", [np.zeros(8, np.int64), np.zeros((8, 2), np.int64)])
def test_balanced_order_needs_one_label_and_both_classes(labels):
    with pytest.raises(MedclfError, match="balanced"):
        TrainOrder(labels, 4, balanced=True)


# --- augmentation --------------------------------------------------------------------------


def test_augmentation_repeats_with_its_generator_and_differs_without():
    augment, image = medical_augment(), torch.rand(1, 32, 32)
    first, again, other = (augment(image, np.random.default_rng(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1


def test_augmentation_of_nothing_changes_nothing():
    image = torch.rand(1, 16, 16)
    same = medical_augment(0, 0, 0, 0, 0)(image, np.random.default_rng(0))
    torch.testing.assert_close(same, image)


def test_shift_stays_within_its_limit():
    image = torch.zeros(1, 41, 41)
    image[0, 20, 20] = 1
    augment = medical_augment(0, 0.1, 0, 0, 0)
    moved = []
    for seed in range(100):
        spread = augment(image, np.random.default_rng(seed))[0]
        y, x = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
        total = spread.sum()
        moved.append(((y * spread).sum() / total - 20, (x * spread).sum() / total - 20))
    largest = np.abs(np.array(moved)).max()
    assert 3 < largest <= 4.2  # a tenth of 41 pixels, and it is used


def test_default_augmentation_never_mirrors_and_flip_mirrors_half():
    image = torch.zeros(1, 32, 32)
    image[..., :16] = 1  # bright on the left
    generators = [np.random.default_rng(s) for s in range(200)]
    left = [medical_augment()(image, g)[..., :16].mean() > 0.5 for g in generators]
    assert all(left)
    flipped = [medical_augment(flip=True)(image, g)[..., :16].mean() < 0.5 for g in generators]
    assert 0.35 < np.mean(flipped) < 0.65


@pytest.mark.parametrize("wrong", [{"rotation": -1}, {"scale": 1.0}, {"brightness": 2}])
def test_impossible_amounts_are_refused(wrong):
    with pytest.raises(MedclfError, match=next(iter(wrong))):
        medical_augment(**wrong)


def test_augmentation_differs_across_epochs_and_rows_and_can_be_repeated(cohort, pixels):
    same = np.repeat(pixels[:1], 11, axis=0)
    images = ImageSet(cohort, same, medical_augment(), seed=3)
    first = [images[i][0] for i in range(11)]
    assert not any(torch.equal(a, b) for a, b in pairwise(first))
    images.set_epoch(1)
    assert not torch.equal(images[0][0], first[0])
    images.set_epoch(0)
    assert torch.equal(images[0][0], first[0])


class StoredGenerator(Dataset):
    """The fault: a generator kept in the data set is copied into every worker."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __len__(self):
        return 8

    def __getitem__(self, row):
        return float(self.rng.random())


def test_workers_draw_what_one_process_draws_in_every_epoch(cohort, pixels):
    repeated = Counter(
        float(x) for x in torch.utils.data.DataLoader(StoredGenerator(), 1, num_workers=2)
    )
    assert set(repeated.values()) == {2}, "the fault that this test is about has gone"

    same = np.repeat(pixels[:1], 11, axis=0)
    alone, helped = (
        make_loader(cohort, same, train=True, batch_size=4, augment=medical_augment(), workers=w)
        for w in (0, 2)
    )
    seen = []
    for epoch in range(2):  # the workers live on, so they must be told of the new epoch
        for loader in (alone, helped):
            loader.sampler.set_epoch(epoch)
            loader.dataset.set_epoch(epoch)
        images = all_images(helped)
        assert torch.equal(images, all_images(alone))
        seen.append(images)
    everything = torch.cat(seen).flatten(1)
    assert len(everything.unique(dim=0)) == len(everything) == 22


# --- defaults and refusals -----------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"augment": medical_augment()}, {"balanced": True}])
def test_evaluation_images_are_never_changed_or_redrawn(cohort, pixels, fault):
    with pytest.raises(MedclfError, match="evaluation loader"):
        make_loader(cohort, pixels, train=False, **fault)


def test_two_passes_over_an_evaluation_loader_are_equal(cohort, pixels):
    loader = make_loader(cohort, pixels, train=False)
    assert torch.equal(all_images(loader), all_images(loader))


def test_defaults_suit_a_small_machine(cohort, pixels):
    loader = make_loader(cohort, pixels, train=True)
    assert loader.num_workers == 0
    assert loader.pin_memory == torch.cuda.is_available()


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"workers": -1}])
def test_impossible_sizes_are_refused(cohort, pixels, wrong):
    with pytest.raises(MedclfError, match="at least"):
        make_loader(cohort, pixels, train=True, **wrong)


# --- the guard around torchvision's import -------------------------------------------------


def test_torchvision_can_be_imported_and_its_missing_operators_say_so():
    code = (
        "from medclf_lite._torchvision import ensure_torchvision as e\n"
        "first = e(); import torchvision, torch; assert e() == 'loaded'\n"
        "from torchvision.transforms import v2\n"
        "try: torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5); print(first, 'runs')\n"
        "except (RuntimeError, NotImplementedError): print(first, 'refuses')\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() in (["native", "runs"], ["declared", "refuses"]), run.stderr


def test_guard_without_torchvision_says_absent(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(_torchvision, "_declared", [])
    monkeypatch.setattr(_torchvision.importlib.util, "find_spec", lambda _: None)
    assert _torchvision.ensure_torchvision() == "absent"
