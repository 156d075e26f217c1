"""The public chest X-ray set: the whole street by the command line, and the search for copies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from measure import Row, told
from PIL import Image

from medclf_lite.audit.copies import close_pairs, exact_groups, near_copies
from medclf_lite.cohort import Cohort
from medclf_lite.images import load_pixels
from medclf_lite.sources import from_folder

STREET = ("audit", "train", "evaluate")
# Printed on the tutorial's page, not measured by us; five epochs on a GPU of Kaggle.
TUTORIAL_AUC, TUTORIAL_EPOCHS = "AUC .9172, no interval; no audit", "5 epochs of 135 s on a GPU"


def command_line(folder: Path, out: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Walk the street from an empty cache; give seconds, and the AUC of the test side."""
    commands = {
        "audit": ["audit", str(folder), "--fail-on", "never"],
        "train": ["train", str(folder), "--out", str(out / "run")],
        "evaluate": ["evaluate", str(out / "run"), str(folder)],
    }
    taken = {}
    for name in STREET:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "medclf_lite.cli", *commands[name],
             "--cache", str(out / "cache"), "--jobs", "2"],
            check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        taken[name] = time.perf_counter() - start
    figures = pd.read_csv(out / "run" / "test_figures.csv", index_col=0)
    return taken, figures.T["roc_auc"].to_dict()


def street(folder: Path, runs: int) -> list[Row]:
    """Repeat the street and compare its figure with the one that the tutorial prints."""
    walks = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as out:
            taken, auc = command_line(folder, Path(out))
        walks.append(taken)
    times = pd.DataFrame(walks)
    parts = ", ".join(f"{name} {told(times[name].to_numpy())}" for name in STREET)
    figure = f"AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}, by patient)"
    return [
        Row("Kaggle chest X-rays, official test side", TUTORIAL_AUC, figure),
        Row("the same: time, 224 px, two cores", TUTORIAL_EPOCHS, parts),
    ]


def pairs_of(groups: list[tuple[int, ...]]) -> np.ndarray:
    """Give all pairs within groups, shape (pairs, 2)."""
    found = [(i, j) for group in groups for i in group for j in group if i < j]
    return np.array(found, dtype=np.intp).reshape(-1, 2)


def counted(pairs: np.ndarray, cohort: Cohort) -> str:
    """Say how many pairs there are, and how many cannot be right."""
    first, second = pairs.T
    people, labels = (
        int((of[first] != of[second]).sum()) for of in (cohort.patients, cohort.labels)
    )
    true = set(map(tuple, pairs_of(exact_groups(cohort)).tolist()))
    equal = sum(pair in true for pair in map(tuple, np.sort(pairs, axis=1).tolist()))
    return (
        f"{len(pairs)} pairs, {equal} of them equal byte for byte; {people} across patients, "
        f"{labels} with conflicting labels"
    )


def short_hashes(pixels: np.ndarray) -> np.ndarray:
    """Hash each image by the usual 64 bits, as ``imagehash.phash`` does by itself."""
    bits = [imagehash.phash(Image.fromarray(p)).hash.ravel() for p in pixels]
    return np.packbits(np.array(bits), axis=1).view(np.uint64)


def copies(folder: Path, runs: int) -> list[Row]:
    """Compare the usual 64 bits, up to 4 of them different, with 256 bits and a look."""
    cohort = from_folder(folder, jobs=2)
    pixels = load_pixels(cohort, 224, fit="squash", jobs=2)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "usual": lambda: close_pairs(short_hashes(pixels), 4),
        "here": lambda: pairs_of(near_copies(pixels)),
    }
    found, times = {}, {}
    for name, way in ways.items():
        taken = []
        for _ in range(runs):
            start = time.perf_counter()
            found[name] = way()
            taken.append(time.perf_counter() - start)
        times[name] = told(np.array(taken))
    return [
        Row(
            f"copies among {len(cohort):,} chest X-rays",
            f"64-bit hash, up to 4 bits: {counted(found['usual'], cohort)}",
            f"256 bits, then detail: {counted(found['here'], cohort)}",
        ),
        Row("the same: time", times["usual"], times["here"]),
    ]


def rows(data: Path, runs: int) -> list[Row]:
    """Compare on the public set; each walk takes two minutes or more."""
    folder = data / "chest_xray_224" / "chest_xray"
    return street(folder, runs) + copies(folder, runs)
