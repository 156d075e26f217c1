"""Compare this package with the tutorial's way and with peers, and print tables.

Usage: ``python benchmarks/run.py [DATA] [--runs 5] [--only intervals splits files phantom real]
[--write]``. DATA holds ``chest_xray_224/chest_xray`` (default: MEDCLF_REAL_DATA); without it the
public set is left out. ``--write`` puts each table into its place in ``benchmarks/README.md``.
"""

from __future__ import annotations

import measure  # first: it holds NumPy to one core  # isort: skip

import argparse
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import compare_files
import compare_intervals
import compare_real
import compare_splits
import torch

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"


def phantom(runs: int) -> list[measure.Row]:
    """Run the speed of the phantom, which has a command of its own."""
    command = [sys.executable, str(HERE / "phantom_speed.py"), "--runs", str(runs)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.strip().split(": ", 1) for line in said.splitlines()[1:]]
    return [measure.Row(what, "", figure.strip()) for what, figure in lines]


def compare(part: str, data: Path | None, runs: int) -> list[measure.Row]:
    """Run one part."""
    if part == "real":
        assert data is not None, "main asks for it"
        return compare_real.rows(data, runs)
    return WITHOUT_DATA[part](runs)


WITHOUT_DATA = {
    "intervals": compare_intervals.rows,
    "splits": compare_splits.rows,
    "files": compare_files.rows,
    "phantom": phantom,
}
PARTS = (*WITHOUT_DATA, "real")
MOST_RUNS = {"real": 3}  # two minutes each


def setting(runs: int) -> str:
    """Say on what the figures were measured, and how busy the machine was already."""
    packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "scikit-learn", "torch"))
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"Medians of {runs} runs; {os.cpu_count()} cores of {platform.machine()}, load {load} "
        f"before it began; Python {platform.python_version()}, {packages}."
    )


def write(part: str, text: str) -> None:
    """Put a table between the two marks that the README has for this part."""
    marks = rf"(<!-- {part} -->\n).*(<!-- end of {part} -->)"
    old = README.read_text(encoding="utf-8")
    new, n = re.subn(marks, lambda m: m[1] + text + "\n" + m[2], old, flags=re.DOTALL)
    if n != 1:
        raise SystemExit(f"{README} has {n} places for the table of {part}; expected one.")
    README.write_text(new, encoding="utf-8")


def main() -> None:
    """Compare, print and, where asked to, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = os.environ.get("MEDCLF_REAL_DATA")
    parser.add_argument("data", type=Path, nargs="?", default=Path(known) if known else None)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for part in options.only:
        if part == "real" and options.data is None:
            print("real: left out, for it needs DATA\n")
            continue
        runs = min(options.runs, MOST_RUNS[part]) if part in MOST_RUNS else options.runs
        begin = setting(runs)
        text = f"{begin}\n\n{measure.as_table(compare(part, options.data, runs))}"
        print(f"{part}: {text}\n", flush=True)
        if options.write:
            write(part, text)


if __name__ == "__main__":
    main()
