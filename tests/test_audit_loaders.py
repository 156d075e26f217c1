"""The audit of loaders: each fault is planted in three pipelines, written in different ways."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from pipelines import (
    RULE,
    ArraySet,
    FolderSet,
    FrameSet,
    Stream,
    arrays,
    caught,
    found,
    network,
    silent,
    table,
    tensors,
    to_tensor,
    write_folder,
)
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    RandomSampler,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
)

from medclf_lite.audit import check
from medclf_lite.cohort import Cohort, Files
from medclf_lite.errors import MedclfError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def cohort(root: Path) -> Cohort:
    given = table().drop(columns="seed")
    return Cohort(given, Files(root, tuple(given["image_id"])), "made", "CC0")


def memory(side: str) -> TensorDataset:
    return TensorDataset(*tensors(side))


# F01: the length


class ShortFolder(FolderSet):
    def __len__(self) -> int:
        return len(self.samples[0:30])


class ShortFrame(FrameSet):
    def __len__(self) -> int:
        return min(30, len(self.df))


class ShortArrays(ArraySet):
    limit = 20

    def __len__(self) -> int:
        return self.limit


@pytest.mark.parametrize("plant", ["folder", "frame", "arrays"])
def test_f01_a_length_that_is_too_short(root, plant) -> None:
    data = {
        "folder": lambda: ShortFolder(root),
        "frame": lambda: ShortFrame(table(), root),
        "arrays": lambda: DataLoader(ShortArrays(*arrays("train")), batch_size=8),
    }[plant]()
    finding = caught("loaders.length", "error", train=data)
    assert "its length is" in finding.seen


def test_f01_sorted_samples_then_hold_one_class(root) -> None:
    finding = caught("loaders.one-class", "error", train=ShortFolder(root / "train"))
    assert "have the label 1; the data set keeps 2 classes" in finding.seen


def test_f01_the_full_length_is_fine(root) -> None:
    for data in (FolderSet(root), FrameSet(table(), root), ArraySet(*arrays("train"))):
        assert silent("loaders.length", train=data)
        assert silent("loaders.one-class", train=data)


# F06: the loaders and the split


def test_f06_a_split_that_the_loaders_do_not_follow(root, cohort) -> None:
    moved = cohort.table.assign(split=np.roll(cohort.table["split"].to_numpy(), 30))
    other = Cohort(moved, cohort.images, "made", "CC0")
    plants = (
        {"train": FolderSet(root / "train"), "val": FolderSet(root / "val")},
        {"train": FrameSet(table().query("split == 'train'"), root)},
        {"val": memory("val"), "test": DataLoader(memory("test"), batch_size=16)},
    )
    for plant in plants:
        finding = caught("sides.split", "error", cohort=other, **plant)
        assert "belong to another side" in finding.seen
        assert silent("sides.split", cohort=cohort, **plant)


def test_f06_images_that_are_never_yielded(root, cohort) -> None:
    half = Subset(FolderSet(root / "test"), range(20))
    assert "20 of the 40 images of test are never yielded" in (
        caught("sides.split", "error", cohort=cohort, test=half).seen
    )


def test_images_that_are_not_in_the_cohort_cannot_be_judged(cohort) -> None:
    report = check(only=["sides.split"], cohort=cohort, val=TensorDataset(*tensors("val", seed=5)))
    assert "could be found in the cohort" in report.skipped["sides.split"]


def test_labels_of_loaders_are_held_against_the_cohort(root, cohort) -> None:
    class Swapped(FolderSet):
        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return image, 1 - label

    assert caught("sides.labels", "error", cohort=cohort, val=Swapped(root / "val")).count == 40
    assert silent("sides.labels", cohort=cohort, val=FolderSet(root / "val"))


# F07: small sides


@pytest.mark.parametrize("plant", ["subset", "folder", "loader"])
def test_f07_a_validation_side_of_sixteen(root, plant) -> None:
    rows = [*range(8), *range(20, 28)]
    data = {
        "subset": lambda: Subset(memory("val"), range(16)),
        "folder": lambda: Subset(FolderSet(root / "val"), rows),
        "loader": lambda: DataLoader(ArraySet(*(a[:16] for a in arrays("val"))), batch_size=4),
    }[plant]()
    assert "8 and 8 images" in caught("loaders.small", "warning", val=data).seen


def test_f07_a_large_side_is_not_called_small() -> None:
    x, y = torch.rand(600, 1, 8, 8), torch.arange(600) % 2
    assert silent("loaders.small", val=TensorDataset(x, y))


# F08: flips


def flipped_pil(image: Image.Image) -> torch.Tensor:
    return to_tensor(ImageOps.mirror(image) if random.random() < 0.5 else image)


def flipped_torch(image: torch.Tensor) -> torch.Tensor:
    return image.flip(-1) if torch.rand(()) < 0.5 else image


def flipped_numpy(image: np.ndarray) -> np.ndarray:
    noisy = image + np.random.normal(0, 0.02, image.shape)  # noqa: NPY002
    return noisy[..., ::-1] if np.random.random() < 0.5 else noisy  # noqa: NPY002


@pytest.mark.parametrize("plant", ["pil", "torch", "numpy"])
def test_f08_flips_of_images_with_a_side(root, plant) -> None:
    data = {
        "pil": lambda: FolderSet(root / "train", flipped_pil),
        "torch": lambda: FrameSet(table(), root, flipped_torch),
        "numpy": lambda: DataLoader(ArraySet(*arrays("train"), flipped_numpy), batch_size=8),
    }[plant]()
    finding = caught("loaders.flip", "warning", train=data, val=memory("val"))
    assert "They have a left and a right" in finding.seen


def test_f08_noise_shift_and_brightness_are_no_flips(root) -> None:
    def jitter(image: torch.Tensor) -> torch.Tensor:
        shifted = torch.roll(image, int(torch.randint(-3, 4, ())), -1)
        return (shifted * (0.8 + 0.4 * torch.rand(()))) + 0.05 * torch.randn(image.shape)

    assert silent("loaders.flip", train=FrameSet(table(), root, jitter), val=memory("val"))
    assert silent("loaders.flip", train=FolderSet(root / "train"))


def test_f08_flips_of_images_without_a_side_are_noted() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (60, 12, 12)).repeat(4, 1).repeat(4, 2).astype(np.uint8)
    y = np.arange(60) % 2
    flipping = ArraySet(x, y, flipped_numpy)
    assert caught("loaders.flip", "note", train=flipping, val=ArraySet(x[::-1], y)).count >= 2


# F11: grey as colour


def test_f11_three_channels_that_hold_one_picture(root) -> None:
    scale = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x, y = tensors("train")
    plants = (
        FolderSet(root, lambda image: np.asarray(image.convert("RGB"), np.float32)),
        FrameSet(table(), root, lambda image: (image.repeat(3, 1, 1) - 0.45) / scale),
        DataLoader(TensorDataset(x.expand(-1, 3, -1, -1), y), batch_size=8),
    )
    for plant in plants:
        assert caught("loaders.grey", "note", train=plant)
    assert silent("loaders.grey", train=TensorDataset(x, y))
    assert silent("loaders.grey", train=TensorDataset(torch.rand(20, 3, 16, 16), y[:20]))


# F14: draws that repeat


class StoredGenerator(ArraySet):
    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.rng = np.random.default_rng(42)

    def __getitem__(self, i):
        image, label, row = super().__getitem__(i)
        return image + self.rng.normal(0, 0.1, image.shape).astype(np.float32), label, row


class Jitter:
    def __init__(self) -> None:
        self.random = random.Random(7)

    def __call__(self, image):
        return to_tensor(image) * self.random.uniform(0.5, 1.5)


def same_seed(worker: int) -> None:
    np.random.seed(42)  # noqa: NPY002


@pytest.mark.parametrize("plant", ["stored numpy", "stored python", "init"])
def test_f14_draws_that_repeat_in_every_worker(root, plant) -> None:
    jittered = ArraySet(*arrays("train"), flipped_numpy)
    data = {
        "stored numpy": lambda: DataLoader(StoredGenerator(*arrays("train")), num_workers=2),
        "stored python": lambda: FolderSet(root / "train", Jitter()),
        "init": lambda: DataLoader(jittered, num_workers=2, worker_init_fn=same_seed),
    }[plant]()
    assert caught("loaders.repeats", "warning", train=data).count >= 4


def test_f14_draws_from_seeded_generators_do_not_repeat(root) -> None:
    for data in (
        DataLoader(ArraySet(*arrays("train"), flipped_numpy), num_workers=2),
        FrameSet(table(), root, flipped_torch),
        DataLoader(StoredGenerator(*arrays("train")), num_workers=0),
        FolderSet(root / "train"),
    ):
        assert silent("loaders.repeats", train=data)


# F27: patients and images on several sides


@pytest.mark.parametrize("plant", ["rule", "items", "mapping"])
def test_f27_patients_on_several_sides(root, plant) -> None:
    everything = table().query("split == 'train'")
    even, odd = everything.iloc[::2], everything.iloc[1::2]
    project = {
        "rule": lambda: {"train": Subset(FolderSet(root / "train"), range(0, 72, 2)),
                         "val": Subset(FolderSet(root / "train"), range(1, 72, 2)),
                         "patients": RULE},
        "items": lambda: {"train": FrameSet(even, root),
                          "test": DataLoader(FrameSet(odd, root), batch_size=4)},
        "mapping": lambda: {"train": FolderSet(root / "val"), "val": FolderSet(root / "test"),
                            "patients": lambda name: Path(name).name[2:5]},
    }[plant]()  # fmt: skip
    assert caught("sides.patients", "error", **project).count >= 20


def test_f27_whole_patients_on_each_side_are_fine(root) -> None:
    sides = {name: FolderSet(root / name) for name in ("train", "val", "test")}
    assert silent("sides.patients", patients=RULE, **sides)
    assert silent("sides.images", **sides)


@pytest.mark.parametrize("plant", ["names", "content", "jpeg"])
def test_images_on_several_sides(root, tmp_path, plant) -> None:
    def copied() -> FolderSet:
        for path in sorted((root / "train" / "ill").iterdir())[:5]:
            place = tmp_path / "ill"
            place.mkdir(exist_ok=True)
            Image.open(path).resize((64, 64)).save(place / path.name)
        return FolderSet(tmp_path)

    project = {
        "names": lambda: {"train": FolderSet(root), "val": FolderSet(root / "val")},
        "content": lambda: {"train": memory("train"), "test": Subset(memory("train"), range(9))},
        "jpeg": lambda: {"train": FolderSet(root / "train"), "val": copied()},
    }[plant]()
    assert caught("sides.images", "error", **project).count >= 5


# F28: randomness on held-out sides


@pytest.mark.parametrize("plant", ["subset", "dict", "stream"])
def test_f28_augmented_validation_images(root, plant) -> None:
    class Noisy(Stream):
        def __iter__(self):
            return ((x + 0.1 * torch.randn(x.shape), y) for x, y in super().__iter__())

    whole = FolderSet(root, flipped_pil)
    project = {
        "subset": lambda: {"train": Subset(whole, range(80)), "val": Subset(whole, range(80, 152))},
        "dict": lambda: {"test": DataLoader(FrameSet(table(), root, flipped_torch))},
        "stream": lambda: {"val": Noisy(*tensors("val"))},
    }[plant]()
    assert caught("loaders.random", "error", **project)


def test_f28_still_images_are_fine_even_where_train_moves(root) -> None:
    project = {"train": FolderSet(root / "train", flipped_pil), "val": FolderSet(root / "val"),
               "test": Stream(*tensors("test"))}  # fmt: skip
    assert silent("loaders.random", **project)


# F37, F38: batches and workers


@pytest.mark.parametrize("plant", ["plain", "sampler", "lists"])
def test_f37_a_last_batch_of_one(plant) -> None:
    data = Subset(memory("train"), range(65))
    loader = {
        "plain": lambda: DataLoader(data, batch_size=16, shuffle=True),
        "sampler": lambda: DataLoader(data, batch_size=32, sampler=RandomSampler(data)),
        "lists": lambda: DataLoader(data, batch_sampler=[[*range(64)], [64]]),
    }[plant]()
    caught("loaders.last-batch", "error", train=loader, model=network())
    caught("loaders.last-batch", "warning", train=loader)


def test_f37_a_dropped_or_fuller_last_batch_is_fine() -> None:
    data = Subset(memory("train"), range(65))
    for options in ({"drop_last": True, "batch_size": 16}, {"batch_size": 13}):
        assert silent("loaders.last-batch", train=DataLoader(data, **options))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.skipif(torch.cuda.is_available(), reason="pinned memory is right beside a GPU")
def test_f38_workers_and_pinned_memory_that_do_not_suit() -> None:
    data = ArraySet(*arrays("train"))
    for options in (
        {"pin_memory": True},
        {"num_workers": 512},
        {"pin_memory": True, "num_workers": 4, "batch_size": 2},
    ):
        caught("loaders.workers", "note", train=DataLoader(data, **options))
    caught("loaders.workers", "note", val=DataLoader(memory("val"), num_workers=1))
    assert silent("loaders.workers", train=DataLoader(data))


# Loaders that lose or repeat images, and order


def test_held_out_loaders_show_each_image_once() -> None:
    data = memory("test")
    for loader in (
        DataLoader(data, batch_size=16, drop_last=True),
        DataLoader(data, sampler=WeightedRandomSampler(torch.ones(40), 40)),
        DataLoader(data, batch_sampler=[[0, 1, 2], [2, 3]]),
    ):
        caught("loaders.dropped", "error", test=loader)
    assert silent("loaders.dropped", test=DataLoader(data, batch_size=16, shuffle=True))


def test_batches_of_one_class_are_seen(root) -> None:
    x, y = tensors("train")
    in_order = TensorDataset(x[y.argsort()], y.sort().values)
    caught("loaders.order", "warning", train=DataLoader(in_order, batch_size=8))
    assert silent("loaders.order", train=DataLoader(in_order, batch_size=8, shuffle=True))


# Values, types, labels


def test_sides_that_are_scaled_differently() -> None:
    x, y = tensors("val")
    normalised = TensorDataset((x - 0.45) / 0.22, y)
    caught("loaders.values", "error", train=memory("train"), val=normalised)
    caught("loaders.values", "error", train=memory("train"), test=TensorDataset(x * 255, y))
    assert silent("loaders.values", train=memory("train"), val=memory("val"))


def test_images_that_are_not_a_number_or_flat() -> None:
    x, y = tensors("train")
    x[3, 0, 5, 5], x[7] = torch.nan, 0.5
    report = check(only=["loaders.values"], train=TensorDataset(x, y))
    assert [(f.severity, f.count) for f in found(report, "loaders.values")] == [
        ("error", 1), ("warning", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("labels", [[1, 2], [-1, 1], [0, 0.5], [0, float("nan")]])
def test_labels_that_a_loss_takes_wrongly(labels) -> None:
    x, _ = tensors("train")
    y = torch.tensor(labels * 36)
    caught("loaders.labels", "error", train=TensorDataset(x, y))


def test_sides_that_number_their_classes_differently(root) -> None:
    from torchvision.datasets import ImageFolder

    train, val = ImageFolder(str(root / "train")), ImageFolder(str(root / "val"))
    assert silent("loaders.classes", train=train, val=val)
    val.class_to_idx = {"well": 0}
    caught("loaders.classes", "error", train=train, val=Subset(val, range(20)))
    x, y = tensors("val")
    caught("loaders.classes", "error", train=memory("train"), val=TensorDataset(x, y + 1))


# Bad input


def odd_items(kind: str) -> ArraySet:
    class Odd(ArraySet):
        def __getitem__(self, i):
            item = super().__getitem__(i)
            if i % 10 != 3:
                return item
            if kind == "raises":
                raise OSError("<b>broken</b>\x1b[31m\nfile")
            if kind == "none":
                return None
            return (
                (item[0].tolist(), *item[1:]) if kind == "list" else (torch.tensor(item[0]), 1, 2)
            )

    return Odd(*arrays("train"))


@pytest.mark.parametrize("kind", ["raises", "none"])
def test_items_that_raise_or_give_nothing_are_counted(kind) -> None:
    finding = caught("loaders.raises", "error", train=odd_items(kind))
    assert finding.count == 7
    assert "\x1b" not in finding.examples[0].text


@pytest.mark.parametrize("kind", ["list", "tensor"])
def test_items_that_change_their_type_are_seen(kind) -> None:
    caught("loaders.types", "error", train=odd_items(kind))
    assert silent("loaders.types", train=ArraySet(*arrays("train")))


def test_every_check_survives_items_that_are_broken() -> None:
    for kind in ("raises", "none", "list", "tensor"):
        report = check(train=odd_items(kind), val=odd_items(kind), test=odd_items(kind),
                       model=network(), loss=torch.nn.BCEWithLogitsLoss())  # fmt: skip
        assert report.worst == "error"


def test_a_stream_that_never_ends_is_left_in_time() -> None:
    forever = Stream(*tensors("val"), forever=True)
    finding = caught("loaders.endless", "warning", val=DataLoader(forever, batch_size=4), most=100)
    assert finding.count == 100
    caught("loaders.endless", "note", train=forever, most=100)
    assert silent("loaders.endless", val=Stream(*tensors("val")))


def test_an_iterator_is_refused_before_it_is_used_up() -> None:
    stream = iter(memory("val"))
    with pytest.raises(MedclfError, match="would use up"):
        check(val=stream)
    assert len(list(stream)) == 40
    with pytest.raises(MedclfError, match="must be a data set or a loader; got int"):
        check(train=3)
    with pytest.raises(MedclfError, match="Nothing to look at"):
        check()


class Boom(Stream):
    def __iter__(self):
        yield self.x[0], self.y[0]
        raise RuntimeError("the disk went away")


class Rounds(Stream):
    """Draws its images at random, as a synthetic data set does."""

    def __iter__(self):
        return ((torch.rand(1, 24, 24), i % 2) for i in range(40))


ODD_SIDES = {
    "no pixels": lambda: TensorDataset(torch.zeros(9, 1, 0, 5), torch.arange(9) % 2),
    "bool": lambda: [(x > 0.4, int(y)) for x, y in zip(*tensors("val"), strict=True)],
    "empty": lambda: TensorDataset(torch.zeros(0, 1, 8, 8), torch.zeros(0)),
    "breaks": lambda: Boom(*tensors("val")),
    "words": lambda: [(x, ["cat", "dog"][int(y)]) for x, y in zip(*tensors("val"), strict=True)],
    "images alone": lambda: list(tensors("val")[0]),
    "array": lambda: tensors("val")[0].numpy(),
    "nested": lambda: [{"data": {"img": x}, "meta": {"y": 1}} for x in tensors("val")[0]],
}


@pytest.mark.parametrize("kind", ODD_SIDES)
def test_odd_sides_are_reported_and_never_a_crash(kind, tmp_path) -> None:
    report = check(train=ODD_SIDES[kind](), val=ODD_SIDES[kind](), model=network(),
                   loss=torch.nn.BCEWithLogitsLoss())  # fmt: skip
    assert "loaders.raises" in report.ran
    assert report.to_html(tmp_path / "r.html").stat().st_size > 1000


def test_sides_that_draw_at_random_are_not_taken_for_copies() -> None:
    assert silent("sides.images", train=Rounds(*tensors("val")), val=Rounds(*tensors("val")))


@pytest.mark.parametrize("given", ["folder", {"a": 1}, table()])
def test_what_is_no_side_is_refused_with_what_to_do(given) -> None:
    with pytest.raises(MedclfError, match="must be a data set or a loader"):
        check(train=given)


def test_a_check_that_fails_on_odd_objects_is_named_and_the_others_go_on() -> None:
    report = check(train=memory("train"), model=network(), optimizer=object())
    assert "could not look at this: AttributeError" in report.skipped["model.untrained"]
    assert "model.batchnorm" in report.ran


def test_looking_changes_nothing() -> None:
    augmented = ArraySet(*arrays("train"), flipped_numpy)
    loader = DataLoader(augmented, batch_size=8, shuffle=True,
                        generator=torch.Generator().manual_seed(3))  # fmt: skip
    torch.manual_seed(5)
    random.seed(5)
    before = torch.get_rng_state(), random.getstate(), loader.generator.get_state()
    check(train=loader, val=augmented)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert torch.equal(before[2], loader.generator.get_state())


def test_a_long_side_is_looked_at_here_and_there_and_the_report_says_so(root) -> None:
    report = check(train=ConcatDataset([memory("train"), memory("val")]), most=30)
    assert "train (30 of 112 items looked at)" in report.headline


def partial_transform(image: Image.Image, scale: float) -> torch.Tensor:
    return to_tensor(image) * scale


def test_files_behind_a_data_set_are_audited_too(root: Path) -> None:
    make: Callable = functools.partial(partial_transform, scale=1.0)
    report = check(train=FolderSet(root / "train", make), val=FolderSet(root / "val", make),
                   patients=RULE)  # fmt: skip
    assert {"files.unreadable", "shortcuts.files", "duplicates.near"} <= set(report.ran)
    assert report.cohort is not None
    assert report.cohort.n_patients == 56
    (root / "train" / "ill" / "lost.jpeg").write_bytes(b"no image")
    report = check(train=FolderSet(root / "train"), only=["files.left-out"])
    (root / "train" / "ill" / "lost.jpeg").unlink()
    assert "lost.jpeg" in report.findings[0].examples[0].text
