"""The house: rooms import only from rooms below them, and stay small enough to read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "medclf_lite"
# Bottom to top, the way of the data. A room is a module, or a folder of modules.
ROOMS = (
    "errors", "_canonical", "_files", "_memory", "_torchvision", "resampling", "profile", "cohort",
    "patients",
    "predictions", "metrics", "phantom", "sources", "images", "splits", "audit", "augment",
    "loaders", "backbones", "crossval", "training", "explain", "plots", "notebook", "run_files",
    "runs", "pitfalls", "widgets", "exercises", "pytest_plugin", "cli_options", "cli",
)  # fmt: skip
MOST_LINES = 300


def room_of(module: str) -> str:
    """Name the room of ``medclf_lite.room.module``."""
    return module.split(".")[1] if "." in module else ""


def imported(source: str) -> set[str]:
    """Rooms that a module imports, at its top or inside a function; not for types alone."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "medclf_lite":
            names |= {f"medclf_lite.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return {room_of(n) for n in names if n.startswith("medclf_lite.")} - {"__version__"}


def upwards(room: str, source: str) -> set[str]:
    """Rooms above ``room`` that its module imports."""
    return {other for other in imported(source) if ROOMS.index(other) > ROOMS.index(room)}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def room_of_file(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_room_has_its_place() -> None:
    assert {room_of_file(path) for path in modules()} == set(ROOMS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_below_and_stays_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert not upwards(room_of_file(path), source)
    assert len(source.splitlines()) <= MOST_LINES


@pytest.mark.parametrize(
    "planted",
    [
        "from medclf_lite.metrics import evaluate",
        "from medclf_lite import metrics",
        "import medclf_lite.metrics.evaluation as e",
        "def f():\n    from medclf_lite.metrics.figures import figures",
    ],
)
def test_an_import_upwards_would_be_seen(planted: str) -> None:
    assert upwards("cohort", planted) == {"metrics"}
    assert not upwards("runs", planted)
    assert not upwards("cohort", f"if TYPE_CHECKING:\n    {planted.splitlines()[-1].strip()}")
