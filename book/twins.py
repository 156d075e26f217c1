"""Derive the .ipynb twin of each chapter: the same cells, no outputs, the same bytes every time.

The twin of a notebook of exercises is the learner's: its solutions are left out.

The .md file is the source. The twin is for Colab, Kaggle and the tests, and is committed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jupytext
from exercise_pages import stub

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT / "chapters", ROOT / "chapters" / "exercises")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def derive(source: Path) -> str:
    """Text of the notebook that belongs to a MyST chapter.

    Cell ids come from the content, so that a change of one cell changes nothing else.
    """
    notebook = jupytext.read(source, fmt="md:myst")
    seen: Counter[str] = Counter()
    cells: list[dict[str, Any]] = []
    for cell in notebook.cells:
        cell.source = stub(cell.source) if cell.cell_type == "code" else cell.source
        mark = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:10]
        seen[mark] += 1
        kept: dict[str, Any] = {
            "cell_type": cell.cell_type,
            "id": f"{mark}-{seen[mark]}",
            "metadata": dict(cell.metadata),
            "source": cell.source.splitlines(keepends=True),
        }
        if cell.cell_type == "code":
            kept.update(execution_count=None, outputs=[])
        cells.append(kept)
    content = {
        "cells": cells,
        "metadata": {"kernelspec": KERNEL, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def out_of_step(folder: Path) -> list[str]:
    """List what is wrong between sources and twins of a folder; empty when all is in step."""
    wrong = []
    for source in sorted(folder.glob("*.md")):
        twin = source.with_suffix(".ipynb")
        if not twin.exists():
            wrong.append(f"{twin.name} is missing")
        elif twin.read_text(encoding="utf-8") != derive(source):
            wrong.append(f"{twin.name} differs from what {source.name} gives")
    for twin in sorted(folder.glob("*.ipynb")):
        if not twin.with_suffix(".md").exists():
            wrong.append(f"{twin.name} has no source {twin.with_suffix('.md').name}")
    return wrong


def write(folder: Path) -> list[str]:
    """Write the twins that are missing or stale; return their names."""
    written = []
    for source in sorted(folder.glob("*.md")):
        twin, text = source.with_suffix(".ipynb"), derive(source)
        if not twin.exists() or twin.read_text(encoding="utf-8") != text:
            twin.write_text(text, encoding="utf-8", newline="\n")
            written.append(twin.name)
    return written


def main() -> int:
    """Write the twins, or with --check only compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args().check:
        print(
            "Written:",
            ", ".join(name for f in FOLDERS for name in write(f)) or "nothing, all in step",
        )
        return 0
    wrong = [line for folder in FOLDERS for line in out_of_step(folder)]
    for line in wrong:
        print(f"chapters: {line}", file=sys.stderr)
    if wrong:
        print("Edit the .md file, not the notebook, then run: make notebooks", file=sys.stderr)
    else:
        print("Notebooks in step with their sources.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
