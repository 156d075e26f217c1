"""Measure how many synthetic radiographs one core draws, and how fast a folder is written.

Usage: ``python benchmarks/phantom_speed.py [--runs 5]``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy: one core, whatever the machine has

import argparse
import platform
import tempfile
import time
from collections.abc import Callable

import numpy as np

from medclf_lite.phantom import PhantomSpec, generate, write_folder

IMAGES = {64: 1000, 128: 300, 224: 100}
FOLDER = PhantomSpec(n_patients=500, size=96)


def seconds(work: Callable[[], object], runs: int) -> np.ndarray:
    """Time ``work`` several times, after one run that warms up."""
    work()
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return np.array(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"{platform.processor() or platform.machine()}, NumPy {np.__version__}, {runs} runs")
    for size, n in IMAGES.items():
        spec = PhantomSpec(n_patients=n, images_per_patient=1, size=size)
        rate = n / seconds(lambda spec=spec: generate(spec), runs)
        print(f"{size:4} px: {np.median(rate):6.0f} images/s (least {rate.min():.0f})")
    phantom = generate(FOLDER)

    def write() -> None:
        with tempfile.TemporaryDirectory() as place:
            write_folder(phantom, place)

    taken = seconds(write, min(runs, 3))
    print(
        f"write_folder, {FOLDER.n_patients} patients at {FOLDER.size} px ({len(phantom)} files): "
        f"{np.median(taken):.1f} s (most {taken.max():.1f})"
    )


if __name__ == "__main__":
    main()
