"""Assignments for nbgrader: what learners get, what it earns, and what their code can reach."""

from __future__ import annotations

import ast
import builtins
import csv
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import assignment
import build
import nbformat
import pytest
from assignment_notebooks import marks, notebook
from course_env import SetupError
from exercise_pages import BEGIN, END, REGION, solved
from traitlets.config import Config

from medclf_lite.exercises import Feedback, check, known_exercises

CHAPTERS = sorted({e.chapter for e in known_exercises()})
POINTS = {"training-1": 1, "training-2": 1, "training-3": 2, "training-4": 3}
CHOSEN = [*POINTS]
# It tries to replace the check, in the notebook and in the package, and to put a script on the
# page that its teacher will read; and its answer is wrong.
CHEATS = """from types import SimpleNamespace
from IPython.display import HTML, display
display(HTML("<script>planted()</script>"))
import medclf_lite.exercises as package
check = package.check = lambda *given: SimpleNamespace(passed=True)
times = 1"""
# Right, but noisy: nbgrader gives no points to a test that writes to stderr, as warnings do.
NOISY = """def start_epoch(model):
    import sys, warnings
    warnings.warn("a warning"); print("noise", file=sys.stderr); sys.displayhook(0.0)
    model.train().backbone.eval().requires_grad_(False)
    return model"""
SPY = """import pathlib, socket
course = pathlib.Path({out!r})
seen = [f for f in ("gradebook.db", "source", "submitted") if (course / f).exists()]
seen += [name for _, name in socket.if_nameindex() if name != "lo"]
try:
    (course / "planted").write_text("x")
    seen += ["planted"] if {outside} else []
except OSError:
    pass
share = 0.9 if seen else 0.083"""


def run(out: Path, *exercises: str, name: str = "week1", **options: str) -> int:
    given = [word for key, value in options.items() for word in (f"--{key}", value)]
    return assignment.main(
        ["--exercises", " ".join(exercises), "--name", name, "--out", str(out), *given]
    )


@pytest.fixture(scope="module")
def nbgrader() -> None:
    if importlib.util.find_spec("nbgrader") is None:
        assert not os.environ.get("CI"), "CI must have the extra grade"
        pytest.skip("needs nbgrader, the extra grade")


@pytest.fixture(scope="module")
def everything(nbgrader, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("everything") / "course"
    assert run(out, *CHAPTERS) == 0
    return out


def mark(cell: Any) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def hand_in(out: Path, learner: str, answers: dict[str, str] | None) -> None:
    """Hand in what was released, with some answers; None hands in the solutions."""
    for path in (out / "release" / "week1").glob("*.ipynb"):
        content = nbformat.read(path, 4)
        source = nbformat.read(out / "source" / "week1" / path.name, 4)
        solutions = {mark(c): solved(c.source) for c in source.cells if BEGIN in c.source}
        for cell in content.cells:
            if mark(cell).endswith("-answer"):
                given = solutions if answers is None else answers
                cell.source = given.get(mark(cell), cell.source)
        folder = out / "submitted" / learner / "week1"
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(content, folder / path.name)


def scores(out: Path) -> dict[str, float]:
    assignment.nbgrader(out, "export")
    with (out / "grades.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["assignment"] == "week1"]
    return {row["student_id"]: float(row["score"]) for row in rows}


@pytest.fixture(scope="module")
def graded(nbgrader, tmp_path_factory) -> Path:
    """Grade a learner who has solved all, one who has done nothing, and one with a part."""
    out = tmp_path_factory.mktemp("graded") / "course"
    assert run(out, *CHOSEN) == 0
    hand_in(out, "all", None)
    hand_in(out, "nothing", {})
    part = {"training-1-answer": CHEATS, "training-2-answer": "line = 6",
            "training-3-answer": "def epochs_run(losses, patience): return 3",
            "training-4-answer": NOISY}  # fmt: skip
    hand_in(out, "part", part)
    assignment.nbgrader(out, "autograde", "week1")
    assignment.nbgrader(out, "generate_feedback", "week1")
    return out


@pytest.mark.slow
def test_points_are_those_earned(graded) -> None:
    earned = POINTS["training-2"] + POINTS["training-4"]
    assert scores(graded) == {"all": sum(POINTS.values()), "nothing": 0, "part": earned}


@pytest.mark.slow
def test_feedback_names_the_check_that_failed(graded) -> None:
    pages = {p.parts[-3]: [] for p in graded.glob("feedback/*/week1/*.html")}
    for page in graded.glob("feedback/*/week1/*.html"):
        said = re.findall(r"AssertionError.*?Not yet \(([\w-]+)\)", page.read_text("utf-8"))
        pages[page.parts[-3]] += sorted(set(said))
    assert {k: sorted(v) for k, v in pages.items() if k != "nothing"} == {
        "all": [], "part": ["training-1", "training-3"]
    }  # fmt: skip
    assert "nothing" in pages
    page = (graded / "feedback/part/week1/05_training.html").read_text("utf-8")
    assert "&lt;script&gt;planted" in page
    assert "<script>planted" not in page


def test_feedback_shows_what_a_check_says_and_no_script(nbgrader) -> None:
    settings = Config()
    config = assignment.GRADING / "nbgrader_config.py"
    names = {"get_config": lambda: settings, "__file__": str(config)}
    exec(config.read_text("utf-8"), names)
    clean = settings.HTMLExporter.filters["clean_html"]
    said = clean(Feedback("x-1", "wrong", "Too low.", "Count again.")._repr_html_())
    assert "<em>Hint:</em> Count again." in said
    assert "&lt;" not in said
    table = clean("<style scoped>td { top: 0 }</style><table><tr><th>label</th></tr></table>")
    assert "<th>label</th>" in table
    assert "top" not in table
    for bad in (
        "<script>x()</script>",
        '<a href="javascript:x()">y</a>',
        "<img src=z onerror=x()>",
    ):
        assert not re.search(r"<script|<img|javascript:", clean(bad))


@pytest.mark.slow
def test_a_second_run_keeps_submissions_grades_and_settings(graded, capsys) -> None:
    config = graded / "nbgrader_config.py"
    config.write_text(config.read_text("utf-8") + "# mine\n", encoding="utf-8")
    before = scores(graded)
    source = graded / "source" / "week1" / "05_training.ipynb"
    was = source.read_bytes()
    assert run(graded, "splits-1", "training-3") == 2
    assert "Choose another NAME" in capsys.readouterr().err
    assert source.read_bytes() == was
    assert run(graded, *CHOSEN, points="build=5") == 0
    assert source.read_bytes() != was
    assert scores(graded) == before
    assert config.read_text("utf-8").endswith("# mine\n")
    assert run(graded, "imbalance-2", name="week2") == 0
    assert scores(graded) == before
    assert len([*graded.glob("submitted/*/week1/*.ipynb")]) == 3


def sandboxed() -> bool:
    probe = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    return bool(shutil.which("bwrap")) and not subprocess.run(probe, capture_output=True).returncode


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", ["no", "bwrap"])
def test_in_the_sandbox_code_reaches_no_gradebook_and_no_network(nbgrader, tmp_path, sandbox):
    if not sandboxed():
        pytest.skip("needs bubblewrap, and a system that lets it make namespaces")
    out = tmp_path / "course"
    assert run(out, "evaluation-1", isolate=sandbox) == 0
    spy = SPY.format(out=str(out), outside=sandbox == "no")
    hand_in(out, "spy", {"evaluation-1-answer": spy})
    assignment.nbgrader(out, "autograde", "week1")
    assert scores(out) == {"spy": 0 if sandbox == "no" else 1}
    assert (out / "planted").exists() is (sandbox == "no")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_exercise_can_be_assigned_and_none_gives_itself_away(everything, chapter) -> None:
    source, release = (
        nbformat.read(everything / step / "week1" / f"{chapter}.ipynb", 4)
        for step in ("source", "release")
    )
    tests = {mark(c): c for c in release.cells if mark(c).endswith("-test")}
    assert [*tests] == [f"{e.id}-test" for e in known_exercises(chapter)]
    assert all(c.source.startswith("# ") and "\n" not in c.source for c in tests.values())
    for whole, left in zip(source.cells, release.cells, strict=True):
        assert "HIDDEN TESTS" not in left.source
        assert BEGIN not in left.source
        assert END not in left.source
        for region in REGION.finditer(whole.source):
            inside = region[0].splitlines()[1:-1]
            assert not set(inside) & set(left.source.splitlines())
        if left.cell_type == "code" and "%pip" not in left.source:
            ast.parse(left.source)  # the stub is Python
        if left.cell_type == "code" and not left.source.startswith("check("):
            answer = mark(left).endswith("-answer")
            assert left.metadata["nbgrader"]["solution"] is answer
            assert left.metadata.get("editable", True) is answer


def unknown_names(code: str) -> set[str]:
    nodes = [*ast.walk(ast.parse(code))]
    known = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    known |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    known |= {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    known |= {(n.asname or n.name).split(".")[0] for n in nodes if isinstance(n, ast.alias)}
    return {n.id for n in nodes if isinstance(n, ast.Name)} - known - set(dir(builtins))


@pytest.mark.parametrize("exercise", known_exercises(), ids=lambda e: e.id)
def test_an_exercise_stands_alone_and_an_empty_function_earns_nothing(exercise) -> None:
    made = notebook(exercise.chapter, {exercise.id: 1.0})
    nbformat.validate(made)
    code = [c.source for c in made.cells if c.cell_type == "code" and "%pip" not in c.source]
    assert unknown_names("\n".join(code)) == set()
    assert {f"{exercise.id}-answer", f"{exercise.id}-test"} <= marks(made)
    assert not check(exercise.id, lambda *given, **named: None).passed


def test_a_name_from_another_exercise_would_be_seen() -> None:
    assert unknown_names("import a.b\ndef f(x): return x + a.c + len(y)\nf(1)") == {"y"}


def test_points_go_by_kind_and_a_single_exercise_goes_first() -> None:
    exercises = assignment.chosen(["03_leakage_safe_splits"])
    assert [*assignment.points_of(exercises, []).values()] == [1, 1, 2, 3]
    changed = assignment.points_of(exercises, ["splits-3=0.5", "repair=4", "build=2.5"])
    assert [*changed.values()] == [1, 1, 0.5, 2.5]


@pytest.mark.parametrize(
    ("exercises", "options", "said"),
    [
        (["split-3"], {}, "splits-3"),
        ([], {}, "03_leakage_safe_splits: splits-1"),
        (["splits-1"], {"points": "build"}, "Write kind=number"),
        (["splits-1"], {"points": "splits-2=4"}, "must be in the assignment"),
        (["splits-1"], {"name": "../week"}, "letters, digits"),
        (["splits-1"], {"isolate": "yes"}, "Write bwrap or no"),
    ],
)
def test_bad_input_is_told_and_nothing_is_written(
    nbgrader, tmp_path, capsys, exercises, options, said
) -> None:
    assert run(tmp_path / "course", *exercises, **options) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "course").exists()


@pytest.mark.parametrize("there", ["notes.txt", "nbgrader_config.py"])
def test_a_folder_of_somebody_else_is_left_alone(nbgrader, tmp_path, capsys, there) -> None:
    (tmp_path / there).write_text("c = get_config()", encoding="utf-8")
    assert run(tmp_path, "splits-1") == 2
    assert "Choose another place" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [there]


def test_without_nbgrader_it_is_said_how_to_get_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(assignment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="pip install"):
        assignment.make(["splits-1"], "week1", tmp_path / "course", [], "no")


def test_without_a_sandbox_none_is_promised(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(assignment.shutil, "which", lambda name: None)
    with pytest.raises(SetupError, match="grade in a container"):
        assignment.isolate(tmp_path)


# --- the page for instructors ----------------------------------------------------------------

ROOT = Path(assignment.ROOT)
GUIDE = (ROOT / "book" / "for_instructors.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Give the rows of the table below a heading, without the row of its titles."""
    part = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_guide_gives_the_minutes_of_each_chapter_and_of_its_exercises() -> None:
    rows = {row[0].split("/")[-1].rstrip("`"): row for row in table("Minutes of each chapter")}
    assert sorted(rows) == CHAPTERS
    for chapter, (_, minutes, longer, named) in rows.items():
        head = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
        page = (ROOT / "chapters" / "exercises" / f"{chapter}.md").read_text(encoding="utf-8")
        assert re.search(r"\*\*Time\*\*:\s+(\d+) minutes", head)[1] == minutes
        assert re.search(r"about (\d+) minutes", page)[1] == longer
        ids = [e.id for e in known_exercises(chapter)]
        assert named in (", ".join(ids), f"{ids[0]} to {ids[-1]}")


@pytest.mark.parametrize(
    ("heading", "columns"), [("Half a day", (0,)), ("Two days", (0, 2)), ("A semester", (2, 4))]
)
def test_the_minutes_of_a_syllabus_add_up(heading: str, columns: tuple[int, ...]) -> None:
    for column in columns:
        *minutes, total = (row[column] for row in table(heading))
        assert sum(int(cell) for cell in minutes if cell) == int(total)


def test_every_exercise_uncovers_a_belief() -> None:
    rows = table("What people believe, and the exercise that uncovers it")
    assert [row[-1] for row in rows] == [e.id for e in known_exercises()]


def test_make_hands_its_options_on(monkeypatch) -> None:
    ran = []
    monkeypatch.setattr(build, "prepare", lambda extras, options: extras)
    monkeypatch.setattr(build, "run_all", lambda steps, python: ran.append((steps, python)))
    args = build.parse(["assignment", "--exercises", "splits-1 splits-2", "--name", "week2"])
    build.COMMANDS["assignment"](args)
    (((step,), extras),) = ran
    assert "grade" in extras
    assert step.command == ["book/assignment.py", "--exercises=splits-1 splits-2", "--name=week2",
                            "--out=course", "--points=", "--isolate=no"]  # fmt: skip
