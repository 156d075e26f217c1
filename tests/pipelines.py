"""Projects as people write them, whole and small, for the tests of the audit to damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.audit import Finding, Report, check

ensure_torchvision()  # for the tests that import it

SIZE = 48
SPLIT = {"train": 72, "val": 40, "test": 40}
RULE = r"(?P<patient>p\d+)_"


def picture(seed: int, label: int) -> np.ndarray:
    """A picture with a left and a right, of its own for each seed: uint8 (48, 48)."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 1, (12, 12)).repeat(4, 0).repeat(4, 1)
    side = np.linspace(60, -60, SIZE)[None, :]
    image = 120 + side + 18 * coarse + rng.normal(0, 6, (SIZE, SIZE))
    image[20:26, 30:36] += 25 * label * rng.random()
    return image.clip(0, 255).astype(np.uint8)


def table(seed: int = 0) -> pd.DataFrame:
    """Two images a patient, whole patients on each side, half of them ill."""
    rows = []
    for s, (side, n) in enumerate(SPLIT.items()):
        for i in range(n):
            patient = i // 2
            label = patient % 2
            name = f"{side}/{'ill' if label else 'well'}/p{s}{patient:03d}_{i % 2}.png"
            rows.append((name, f"p{s}{patient:03d}", side, label, 10_000 * seed + 1000 * s + i))
    return pd.DataFrame(rows, columns=["image_id", "patient_id", "split", "label", "seed"])


def arrays(side: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 48, 48) uint8 and labels (n,) of one side."""
    part = table(seed).query("split == @side")
    images = [picture(s, y) for s, y in zip(part["seed"], part["label"], strict=True)]
    return np.stack(images), part["label"].to_numpy()


def tensors(side: str, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images (n, 1, 48, 48) float and labels (n,) float of one side."""
    images, labels = arrays(side, seed)
    return torch.tensor(images[:, None] / 255, dtype=torch.float32), torch.tensor(labels).float()


def write_folder(root: Path, seed: int = 0) -> Path:
    """Write split/class/patient_number.png."""
    for row in table(seed).itertuples():
        path = root / row.image_id
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(row.seed, row.label)).save(path)
    return root


def to_tensor(image: Image.Image | np.ndarray) -> Tensor:
    return torch.tensor(np.asarray(image, dtype=np.float32)[None] / 255)


class FolderSet(Dataset):
    """Paths and labels in a list of pairs, as torchvision keeps them."""

    def __init__(self, root: Path, transform: Callable | None = to_tensor) -> None:
        paths = sorted(root.rglob("*.png"))
        self.samples = [(str(p), int(p.parent.name == "ill")) for p in paths]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> tuple:
        path, label = self.samples[i]
        image = Image.open(path)
        return (self.transform(image) if self.transform else image), label


class FrameSet(Dataset):
    """A pandas table and a folder; items are dictionaries."""

    def __init__(self, df: pd.DataFrame, root: Path, augment: Callable | None = None) -> None:
        self.df = df.reset_index(drop=True)
        self.root = root
        self.augment = augment

    def __len__(self) -> int:
        return len(self.df)

    def __getitem__(self, i: int) -> dict[str, Any]:
        row = self.df.iloc[i]
        image = to_tensor(Image.open(self.root / row["image_id"]))
        if self.augment:
            image = self.augment(image)
        return {"image": image, "label": torch.tensor(float(row["label"])),
                "path": row["image_id"], "patient_id": row["patient_id"]}  # fmt: skip


class ArraySet(Dataset):
    """Arrays in memory; items are tuples with a row."""

    def __init__(self, x: np.ndarray, y: Sequence, augment: Callable | None = None) -> None:
        self.x, self.y, self.augment = x, y, augment

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple:
        if i >= len(self.x):
            raise IndexError(i)
        image = self.x[i].astype(np.float32)[None] / 255
        if self.augment:
            image = self.augment(image)
        return np.ascontiguousarray(image), self.y[i], i


class Stream(IterableDataset):
    """Items one after the other."""

    def __init__(self, x: Tensor, y: Tensor, forever: bool = False) -> None:
        self.x, self.y, self.forever = x, y, forever

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from zip(self.x, self.y, strict=True)
            if not self.forever:
                return


def network(outputs: int = 1, *last: nn.Module, channels: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, outputs), *last,
    )  # fmt: skip


def found(report: Report, id: str) -> list[Finding]:
    return [f for f in report.findings if f.id == id]


def caught(id: str, severity: str | None = None, **project: Any) -> Finding:
    """Run one check on a project and return its first finding."""
    report = check(only=[id], **project)
    assert id in report.ran, report.skipped
    assert found(report, id), f"{id} found nothing"
    first = found(report, id)[0]
    if severity is not None:
        assert first.severity == severity
    return first


def silent(id: str, **project: Any) -> bool:
    report = check(only=[id], **project)
    assert id in report.ran, report.skipped
    return not found(report, id)
