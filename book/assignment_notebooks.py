"""One chapter of an assignment: the exercises chosen, marked for nbgrader, with hidden tests."""

from __future__ import annotations

import ast
import re
from typing import Any

import jupytext
import nbformat
from course_env import ROOT
from exercise_pages import BEGIN
from twins import KERNEL

SOURCES = ROOT / "chapters" / "exercises"
INTRO = """# {title}

Exercises: {n}. Points: {points:g}. Replace what is missing, run the cell, then run the check below
it. A check says in words what is wrong. After it stands a cell that is graded later; leave it as it
is. Keep the name of the notebook, and the names of what you define."""
# A warning on stderr would cost a right answer its points, and a number as output would replace
# the grade: hence the captured output. The check is imported anew, for a learner may have replaced
# it in the notebook or in the imported package.
TEST = """# {id} is graded here. The test is hidden.
### BEGIN HIDDEN TESTS
import sys as _sys
from IPython.utils.capture import capture_output as _captured
for _module in [m for m in _sys.modules if m.startswith("medclf_lite.exercises")]:
    del _sys.modules[_module]
from medclf_lite.exercises import check as _check
with _captured():
    _said = _check("{id}", {answer})
assert _said.passed, _said
### END HIDDEN TESTS"""


def sections(chapter: str) -> dict[str, list[Any]]:
    """Divide a source into the cells of each exercise; under "" stands what comes before them."""
    parts: dict[str, list[Any]] = {"": []}
    here = ""
    for cell in jupytext.read(SOURCES / f"{chapter}.md", fmt="md:myst").cells:
        if cell.cell_type == "code":
            parts[here].append(cell)
            continue
        for text in re.split(r"^(?=## [\w-]+: )", cell.source, flags=re.MULTILINE):
            if found := re.match(r"## ([\w-]+): ", text):
                here = found[1]
            if text.strip():
                part = nbformat.v4.new_markdown_cell(text.strip(), metadata=cell.metadata)
                parts.setdefault(here, []).append(part)
    return parts


def marked(cell: Any, mark: str, points: float | None = None) -> Any:
    """Add what nbgrader needs to know: a solution, a test that gives points, or read-only."""
    solution = BEGIN in cell.source
    cell.id = mark
    cell.metadata["nbgrader"] = {
        "schema_version": 3, "grade_id": mark, "solution": solution, "task": False,
        "grade": points is not None, "locked": not solution,
    } | ({} if points is None else {"points": points})  # fmt: skip
    return cell


def graded(cells: list[Any], id: str, points: float) -> list[Any]:
    """Mark the cells of one exercise, and put the hidden test behind its check."""
    made: list[Any] = []
    for i, cell in enumerate(cells):
        cell.id = f"{id}-text-{i}"
        made.append(cell)
        if cell.cell_type != "code":
            continue
        if not cell.source.startswith("check("):
            marked(cell, f"{id}-answer" if BEGIN in cell.source else f"{id}-given-{i}")
            continue
        answer = ast.unparse(ast.parse(cell.source).body[0].value.args[1])
        test = nbformat.v4.new_code_cell(TEST.format(id=id, answer=answer))
        made.append(marked(test, f"{id}-test", points))
    return made


def notebook(chapter: str, points: dict[str, float]) -> Any:
    """Make the instructor's notebook of a chapter, with the exercises that have points."""
    parts = sections(chapter)
    head, *before = parts.pop("")
    wanted = {id: cells for id, cells in parts.items() if id in points}
    total = sum(points[id] for id in wanted)
    title = head.source.splitlines()[0].removeprefix("# ")
    intro = INTRO.format(title=title, n=len(wanted), points=total)
    cells = [nbformat.v4.new_markdown_cell(intro, id="intro")]
    for i, cell in enumerate(before):
        cell.id = f"intro-{i}"
        cells.append(marked(cell, f"set-up-{i}") if cell.cell_type == "code" else cell)
    for id, its in wanted.items():
        cells += graded(its, id, points[id])
    return nbformat.v4.new_notebook(
        cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )


def marks(content: Any) -> set[str]:
    """List the cells that nbgrader knows in a notebook."""
    found = (c.metadata.get("nbgrader", {}).get("grade_id") for c in content.cells)
    return {mark for mark in found if mark}
