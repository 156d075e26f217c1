"""Cohorts without a fault, in memory and as files, for the tests of the audit to damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medclf_lite.audit import Finding, audit_cohort
from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.sources import from_folder

RULE = r"(?P<patient>(?:sick|well)\d+)"


def clean_table(n: int = 360, seed: int = 0) -> pd.DataFrame:
    """Two thirds of the patients have one image, the others two; nothing goes with the label."""
    rng = np.random.default_rng(seed)
    patient = np.r_[np.arange(n), np.arange(0, n, 3)]
    label = patient % 5 < 2
    side = np.array(["train", "train", "val", "test"])[patient // 5 % 4]
    return pd.DataFrame({
        "image_id": [f"i{i:04d}" for i in range(len(patient))],
        "patient_id": [f"p{p:04d}" for p in patient],
        "label": label.astype(int),
        "subtype": np.where(label, np.where(patient % 2, "virus", "bacteria"), "normal"),
        "split": side,
        "site": np.where(rng.random(n)[patient] < 0.5, "north", "south"),
        "n_bytes": rng.integers(5000, 9000, len(patient)),
        "width": rng.integers(900, 1300, len(patient)),
        "height": rng.integers(900, 1300, len(patient)),
    })  # fmt: skip


def clean(**columns: object) -> Cohort:
    """Give a cohort of noise, with some columns replaced."""
    table = clean_table().assign(**columns)
    pixels = np.random.default_rng(1).integers(0, 255, (len(table), 32, 32), dtype=np.uint8)
    return Cohort(table, Arrays(pixels), "made", "CC0")


def noise(rng: np.random.Generator, size: int = 32) -> Image.Image:
    return Image.fromarray(rng.integers(0, 255, (size, size), dtype=np.uint8))


def write_clean(root: Path, n: int = 110) -> Path:
    """Write n files, a patient each, as NORMAL/wellN.png and PNEUMONIA/sickN.png."""
    rng = np.random.default_rng(2)
    for i in range(n):
        place = root / (("NORMAL/well" if i % 2 else "PNEUMONIA/sick") + f"{i:03d}_1.png")
        place.parent.mkdir(parents=True, exist_ok=True)
        noise(rng).save(place)
    return root


def opened(root: Path) -> Cohort:
    return from_folder(root, patients=RULE)


def found(cohort: Cohort, id: str) -> Finding:
    """Run one check and return its one finding."""
    findings = audit_cohort(cohort, only=[id]).findings
    assert [f.id for f in findings] == [id]
    return findings[0]


def nothing(cohort: Cohort, id: str) -> bool:
    report = audit_cohort(cohort, only=[id])
    assert report.ran == (id,), report.skipped
    return not report.findings
