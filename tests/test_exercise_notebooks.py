"""Notebooks of exercises: one source gives the learner's stub and the page with the solution."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
from pathlib import Path
from typing import Any

import jupytext
import pytest
from exercise_pages import BEGIN, END, page, solved, stub

from medclf_lite.exercises import known_exercises

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "chapters" / "exercises").glob("*.md"))
NAMES = [path.stem for path in SOURCES]
WIDTH = 72
IN_WORDS = {"predict": "predict", "find": "find the fault", "repair": "repair", "build": "build"}


def cells(path: Path) -> list[Any]:
    return [c for c in jupytext.read(path, fmt="md:myst").cells if c.cell_type == "code"]


def run(path: Path, change: Any) -> tuple[dict[str, Any], list[Any]]:
    """Run the code of a notebook; its names, and the feedback of its checks in their order."""
    names: dict[str, Any] = {}
    said = []
    for cell in cells(path):
        if "%pip" in cell.source:
            continue
        code = change(cell.source)
        if code.startswith("check("):
            said.append(eval(code, names))
        else:
            exec(code, names)
    return names, said


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_the_solutions_pass_and_the_stubs_are_open(path: Path) -> None:
    ids = [e.id for e in known_exercises(path.stem)]
    solutions, passed = run(path, solved)
    stubs, begun = run(path, stub)
    assert [f.exercise for f in passed] == [f.exercise for f in begun] == ids
    assert [f.status for f in passed] == ["right"] * len(ids), passed
    assert [f.status for f in begun] == ["open"] * len(ids), begun
    for cell in cells(path):
        for node in ast.parse(solved(cell.source)).body if BEGIN in cell.source else ():
            if isinstance(node, ast.FunctionDef):
                both = (inspect.signature(names[node.name]) for names in (stubs, solutions))
                assert len(set(both)) == 1


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_what_a_function_should_give_is_shown_and_true(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    shown = re.findall(r"^```pycon\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    functions = [e for e in known_exercises(path.stem) if e.kind in ("repair", "build")]
    assert len(shown) == len(functions)
    names, _ = run(path, solved)
    for block in shown:
        example = doctest.DocTestParser().get_doctest(block, names, path.stem, None, None)
        told: list[str] = []
        assert not doctest.DocTestRunner().run(example, out=told.append).failed, "".join(told)


def test_every_exercise_has_its_place_and_its_kind_is_said() -> None:
    found = {}
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        found |= dict(re.findall(r"^## ([\w-]+): (.+)$", text, re.MULTILINE))
    assert found == {e.id: IN_WORDS[e.kind] for e in known_exercises()}


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_code_fits_the_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    code = "".join(re.findall(r"^```\S*.*?^```", text, re.MULTILINE | re.DOTALL))
    assert [line for line in code.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_a_page_folds_every_solution_or_leaves_it_out(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    n = len(known_exercises(path.stem))
    assert text.count(":tags: [solution]") == n
    for solutions, tag in ((True, "tags: [hide-input]\nmystnb"), (False, "tags: [remove-cell]")):
        made = page(text, solutions)
        assert made.count(tag) == n
        assert made.count("tags: [hide-output]" if solutions else "tags: [remove-output]") == n
        assert BEGIN not in made
        assert END not in made
        assert "[solution]" not in made


def test_a_marker_without_its_partner_is_refused() -> None:
    for code in (f"{BEGIN}\nx = 1\n", f"x = 1\n{END}\n", f"    {BEGIN}\nx = 1\n{END}\n"):
        with pytest.raises(ValueError, match="marker without its partner"):
            stub(code)


def test_code_without_a_solution_is_left_as_it_is() -> None:
    assert stub("x = 1\n\n") == "x = 1\n\n"
