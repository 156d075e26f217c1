"""Clean projects of many shapes: the audit must not cry wolf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from audit_cohorts import clean, write_clean
from audit_cohorts import opened as open_clean
from PIL import Image
from pipelines import (
    RULE,
    ArraySet,
    FolderSet,
    FrameSet,
    Stream,
    arrays,
    network,
    table,
    tensors,
    write_folder,
)
from sklearn.model_selection import GroupShuffleSplit
from torch import nn
from torch.utils.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    StackDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
)

from medclf_lite import loaders, splits
from medclf_lite.audit import assert_clean, audit_cohort, check
from medclf_lite.augment import medical_augment
from medclf_lite.backbones import build
from medclf_lite.cohort import Cohort, Files
from medclf_lite.phantom import PhantomSpec, generate
from medclf_lite.sources import from_folder, from_npz

SIDES = ("train", "val", "test")
Project = dict[str, Any]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("clean"))


def shifted(image: torch.Tensor) -> torch.Tensor:
    return torch.roll(image, int(torch.randint(-2, 3, ())), -1) * (0.9 + 0.2 * torch.rand(()))


def in_memory(root: Path) -> Project:
    return {s: TensorDataset(*tensors(s)) for s in SIDES} | {"model": network()}


def in_loaders(root: Path) -> Project:
    return {s: DataLoader(TensorDataset(*tensors(s)), batch_size=8, shuffle=s == "train")
            for s in SIDES} | {"model": network(), "loss": nn.BCEWithLogitsLoss()}  # fmt: skip


def own_folder_class(root: Path) -> Project:
    return {s: FolderSet(root / s) for s in SIDES} | {"patients": RULE}


def torchvision_folder(root: Path) -> Project:
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = [v2.Grayscale(), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
    turned = v2.Compose([*steps, v2.RandomRotation(5)])
    made = {s: ImageFolder(str(root / s), turned if s == "train" else v2.Compose(steps))
            for s in SIDES}  # fmt: skip
    return {**made, "patients": RULE, "model": network(2), "loss": nn.CrossEntropyLoss()}


def torchvision_colour(root: Path) -> Project:
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    steps = v2.Compose([
        v2.ToImage(), v2.Resize((32, 32)), v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ])  # fmt: skip
    return {s: DataLoader(ImageFolder(str(root / s), steps), batch_size=10, shuffle=True)
            for s in SIDES} | {"model": network(channels=3)}  # fmt: skip


def table_and_dictionaries(root: Path) -> Project:
    parts = {s: table().query("split == @s") for s in SIDES}
    return {s: FrameSet(df, root, shifted if s == "train" else None) for s, df in parts.items()}


def subsets_by_patient(root: Path) -> Project:
    whole = FolderSet(root)
    patients = [Path(p).name.split("_")[0] for p, _ in whole.samples]
    cut = GroupShuffleSplit(1, test_size=0.3, random_state=0)
    train, test = next(cut.split(patients, groups=patients))
    return {"train": Subset(whole, train.tolist()), "test": Subset(whole, test.tolist()),
            "patients": RULE}  # fmt: skip


def two_hospitals(root: Path) -> Project:
    both = ConcatDataset([TensorDataset(*tensors("train")), TensorDataset(*tensors("val"))])
    return {"train": DataLoader(both, batch_size=16, shuffle=True),
            "test": ConcatDataset([ArraySet(*arrays("test"))])}  # fmt: skip


def streams(root: Path) -> Project:
    return {"train": DataLoader(Stream(*tensors("train")), batch_size=8),
            "val": ChainDataset([Stream(*tensors("val")), Stream(*tensors("test"))])}  # fmt: skip


def endless_training(root: Path) -> Project:
    return {"train": Stream(*tensors("train"), forever=True), "val": Stream(*tensors("val")),
            "most": 150}  # fmt: skip


def batches_in_a_list(root: Path) -> Project:
    return {s: [(x, y) for x, y in DataLoader(TensorDataset(*tensors(s)), batch_size=8)]
            for s in ("train", "val")}  # fmt: skip


def lists_of_pairs(root: Path) -> Project:
    return {s: list(zip(*tensors(s), strict=True)) for s in SIDES}


def several_classes(root: Path) -> Project:
    # As many files of each class on each side; the classes are told by the image alone.
    return {s: TensorDataset(tensors(s)[0], torch.arange(len(tensors(s)[0])) % 4)
            for s in SIDES} | {"model": network(4), "loss": nn.CrossEntropyLoss()}  # fmt: skip


def several_findings(root: Path) -> Project:
    def wide(side: str) -> TensorDataset:
        x, y = tensors(side)
        return TensorDataset(x, torch.stack([y, 1 - y, torch.ones_like(y)], 1))

    return {s: wide(s) for s in SIDES} | {"model": network(3), "loss": nn.BCEWithLogitsLoss()}


def files_of_several_classes(root: Path) -> Project:
    class Quarters(FolderSet):
        def __init__(self, place: Path) -> None:
            super().__init__(place)
            self.samples = [(p, i // 2 % 4) for i, (p, _) in enumerate(self.samples)]

    return {s: Quarters(root / s) for s in SIDES} | {"patients": RULE}


def balanced_sampler(root: Path) -> Project:
    x, y = tensors("train")
    rare = TensorDataset(x[(y == 0) | (torch.arange(len(y)) % 4 == 2)], y[(y == 0) | (
        torch.arange(len(y)) % 4 == 2)])  # fmt: skip
    labels = rare.tensors[1]
    weights = torch.where(labels == 1, 1 / labels.sum(), 1 / (1 - labels).sum())
    sampler = WeightedRandomSampler(weights, len(labels))
    return {"train": DataLoader(rare, batch_size=8, sampler=sampler, drop_last=True),
            "val": TensorDataset(*tensors("val")), "loss": nn.BCEWithLogitsLoss()}  # fmt: skip


def weighted_loss(root: Path) -> Project:
    y = tensors("train")[1]
    loss = nn.BCEWithLogitsLoss(pos_weight=(y == 0).sum() / (y == 1).sum())
    return {"train": DataLoader(TensorDataset(*tensors("train")), shuffle=True, batch_size=8),
            "loss": loss, "model": network()}  # fmt: skip


class Named(NamedTuple):
    """An item with names for its parts."""

    pixel_values: torch.Tensor
    label: int
    patient_id: str


def named_items(root: Path) -> Project:
    class Items(Dataset):
        def __init__(self, side: str) -> None:
            self.x, self.y = tensors(side)
            self.side = side

        def __len__(self) -> int:
            return len(self.x)

        def __getitem__(self, i: int) -> Named:
            if i >= len(self.x):
                raise IndexError(i)
            return Named(self.x[i], int(self.y[i]), f"{self.side}{i // 2}")

    return {s: Items(s) for s in SIDES}


def own_collate(root: Path) -> Project:
    def together(items):
        return {"x": default_collate([i["image"] for i in items]),
                "y": default_collate([i["label"] for i in items])}  # fmt: skip

    sets = {s: FrameSet(table().query("split == @s"), root) for s in SIDES}
    return {s: DataLoader(d, batch_size=6, collate_fn=together) for s, d in sets.items()} | {
        "model": network()}  # fmt: skip


def stacked(root: Path) -> Project:
    return {s: StackDataset(image=tensors(s)[0], label=tensors(s)[1]) for s in SIDES}


def volumes(root: Path) -> Project:
    def deep(side: str) -> TensorDataset:
        x, y = tensors(side)
        return TensorDataset(x[:, :, None].repeat(1, 1, 6, 1, 1), y)

    return {s: deep(s) for s in SIDES}


def the_course(root: Path) -> Project:
    spec = PhantomSpec(n_patients=150, images_per_patient=1, size=48, seed=9, file_confounding=0.0)
    cohort = splits.split_patients(generate(spec).cohort, seed=0)
    parts = {s: cohort.part(s) for s in SIDES}
    made = {s: loaders.make_loader(p, p.images.pixels, train=s == "train",
                                   augment=medical_augment() if s == "train" else None)
            for s, p in parts.items()}  # fmt: skip
    return {**made, "cohort": cohort, "model": build("tiny_cnn"), "loss": nn.BCEWithLogitsLoss()}


def scores_alone(root: Path) -> Project:
    rng = np.random.default_rng(5)
    score = rng.random(300)
    label = (rng.random(300) < score).astype(int)
    return {"predictions": (label, score), "figures": {"accuracy": (0.7, 0.6, 0.8)}}


CLEAN: tuple[Callable[[Path], Project], ...] = (
    in_memory, in_loaders, own_folder_class, torchvision_folder, torchvision_colour,
    table_and_dictionaries, subsets_by_patient, two_hospitals, streams, endless_training,
    batches_in_a_list, lists_of_pairs, several_classes, several_findings,
    files_of_several_classes, balanced_sampler, weighted_loss, named_items, own_collate, stacked,
    volumes, the_course, scores_alone,
)  # fmt: skip


@pytest.mark.parametrize("make", CLEAN, ids=lambda f: f.__name__)
def test_a_clean_project_has_no_error(make, root) -> None:
    report = check(**make(root))
    errors = [f"{f.id}: {f.seen}" for f in report.findings if f.severity == "error"]
    assert not errors, errors
    assert len(report.ran) > 5
    assert_clean(report)


def test_there_are_twenty_shapes_of_clean_projects() -> None:
    assert len(CLEAN) >= 20


# Cohorts of other shapes


def from_archive(tmp_path: Path) -> Cohort:
    parts = {f"{s}_images": arrays(s)[0] for s in SIDES} | {
        f"{s}_labels": arrays(s)[1][:, None] for s in SIDES}  # fmt: skip
    np.savez(tmp_path / "made.npz", **parts)
    return from_npz(tmp_path / "made.npz", patients=table()["patient_id"].tolist())


def from_class_folders(tmp_path: Path) -> Cohort:
    return from_folder(write_folder(tmp_path), patients=RULE, classes=("well", "ill"))


def of_findings(tmp_path: Path) -> Cohort:
    given = clean()
    columns = given.table.drop(columns="label").assign(
        mass=given.labels, nodule=np.arange(len(given)) % 3 == 0)  # fmt: skip
    return Cohort(columns, given.images, "made", "CC0", findings=("mass", "nodule"))


def without_images(tmp_path: Path) -> Cohort:
    return Cohort(clean().table, None, "a table", "CC0")


def as_tiff(tmp_path: Path) -> Cohort:
    rows = table()
    for row in rows.itertuples():
        path = (tmp_path / row.image_id).with_suffix(".tiff")
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(row.seed).integers(0, 255, (40, 40), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    names = rows["image_id"].str.replace(".png", ".tiff")
    given = rows.drop(columns="seed").assign(image_id=names)
    return Cohort(given, Files(tmp_path, tuple(names)), "made", "CC0")


COHORTS: tuple[Callable[[Path], Cohort], ...] = (
    from_archive, from_class_folders, of_findings, without_images, as_tiff,
    lambda _: clean(), lambda place: open_clean(write_clean(place)),
)  # fmt: skip


@pytest.mark.parametrize("make", COHORTS)
def test_a_clean_cohort_has_no_error(make, tmp_path) -> None:
    report = audit_cohort(make(tmp_path))
    assert report.exit_code("error") == 0, report.to_markdown()
    assert isinstance(report.cohort.table, pd.DataFrame)
