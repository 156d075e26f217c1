"""Turn chosen exercises into an nbgrader course: hidden tests, points and a gradebook.

    make assignment EXERCISES="splits-1 splits-3 06_evaluation" NAME=week1 OUT=course

A name is an exercise or a whole chapter. Each chapter becomes one notebook of the assignment.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import nbformat
from assignment_notebooks import marks, notebook
from build import ASSIGNMENT
from course_env import ROOT, SetupError, say

import medclf_lite
from medclf_lite.exercises import Exercise, known_exercises

GRADING = ROOT / "book" / "grading"
POINTS = {"predict": 1.0, "find": 1.0, "repair": 2.0, "build": 3.0}
NEXT = """
The assignment lies in {out}. First make the programs of its environment known:
    {path}

1. Give learners the notebooks in {out}/release/{name}.
2. Put what they hand in at {out}/submitted/LEARNER/{name}/, one folder a learner.
3. Grade, and write a page of feedback for each learner:
       cd {out}
       nbgrader autograde {name}
       nbgrader generate_feedback {name}      the pages lie in feedback/LEARNER/{name}
       nbgrader export                        all points, in grades.csv
4. Code of learners runs {isolation}
The page "For instructors" of the book says more."""


def chosen(names: list[str]) -> list[Exercise]:
    """Find the exercises that are named, by themselves or by chapter, in the order of the course.

    Raises
    ------
    SetupError
        If a name is unknown, or none is given.
    """
    known = known_exercises()
    words = {e.id for e in known} | {e.chapter for e in known}
    for name in names:
        if name not in words:
            near = get_close_matches(name, words, n=3, cutoff=0.3) or sorted(words)
            raise SetupError(f"There is no exercise {name!r}. Perhaps: {', '.join(near)}.")
    if not names:
        chapters = "\n".join(f"    {chapter}: {', '.join(e.id for e in known_exercises(chapter))}"
                             for chapter in sorted({e.chapter for e in known}))  # fmt: skip
        raise SetupError(f'Name exercises or chapters, EXERCISES="...". There are:\n{chapters}')
    return [e for e in known if {e.id, e.chapter} & set(names)]


def points_of(exercises: list[Exercise], changes: list[str]) -> dict[str, float]:
    """Give each exercise its points, by kind; a change is `kind=number` or `exercise=number`."""
    points = {e.id: POINTS[e.kind] for e in exercises}
    for change in sorted(changes, key=lambda c: c.split("=")[0] not in POINTS):  # kinds first
        name, _, number = change.partition("=")
        concerned = [e.id for e in exercises if name in (e.id, e.kind)]
        if not re.fullmatch(r"\d+(\.\d+)?", number) or not concerned:
            raise SetupError(
                f"POINTS has {change!r}. Write kind=number or exercise=number, such as build=4. "
                f"The kinds are {', '.join(POINTS)}; the exercise must be in the assignment."
            )
        points |= dict.fromkeys(concerned, float(number))
    return points


def check_place(out: Path, name: str, made: dict[str, Any]) -> None:
    """Refuse a folder that is not ours, and a change under submissions that would lose grades."""
    if not re.fullmatch(r"[A-Za-z0-9][\w-]*", name, re.ASCII):
        raise SetupError(f"NAME is {name!r}: use letters, digits, - and _, such as NAME=week1.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        config = out / "nbgrader_config.py"
        ours = (GRADING / "nbgrader_config.py").read_text(encoding="utf-8").splitlines()[0]
        if not config.is_file() or ours not in config.read_text(encoding="utf-8"):
            raise SetupError(f"{out} holds something else. Choose another place: OUT=folder")
    if not [*out.glob(f"submitted/*/{name}"), *out.glob(f"autograded/*/{name}")]:
        return
    before = {path.stem: marks(nbformat.read(path, 4))
              for path in (out / "source" / name).glob("*.ipynb")}  # fmt: skip
    if before != {chapter: marks(content) for chapter, content in made.items()}:
        raise SetupError(
            f"There are submissions to {name}, and other exercises than before were named. "
            "Choose another NAME; or the same exercises, to renew their texts and points."
        )


def write(out: Path, name: str, made: dict[str, Any]) -> None:
    """Write the instructor's side. Settings that are there stay: they may have been changed."""
    source = out / "source" / name
    source.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.ipynb"):
        path.unlink()
    for chapter, content in made.items():
        nbformat.write(content, source / f"{chapter}.ipynb")
    if not (out / "nbgrader_config.py").exists():
        shutil.copy(GRADING / "nbgrader_config.py", out)


def isolate(out: Path) -> None:
    """Write the kernel that runs code of learners in a sandbox, which bubblewrap makes.

    Raises
    ------
    SetupError
        If there is no bubblewrap, or this system does not let it work.
    """
    probe = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    if not shutil.which("bwrap") or subprocess.run(probe, capture_output=True).returncode:
        raise SetupError(
            "ISOLATE=bwrap needs bubblewrap, on Linux: apt install bubblewrap. If it is there, "
            "this system does not let it make namespaces: then grade in a container."
        )
    package = Path(medclf_lite.__file__).parent
    needed = [sys.prefix, sys.base_prefix, *filter(os.path.isdir, sys.path), package]
    binds = [w for p in dict.fromkeys(map(str, needed)) if p != str(ROOT / "book")
             for w in ("--ro-bind", p, p)]  # fmt: skip
    folder = out / "isolated" / "kernels" / "medclf-isolated"
    folder.mkdir(parents=True, exist_ok=True)
    script = (GRADING / "kernel.sh").read_text(encoding="utf-8")
    for mark, text in (("@BINDS@", shlex.join(binds)), ("@COURSE@", shlex.quote(str(out))),
                       ("@PYTHON@", shlex.quote(sys.executable))):  # fmt: skip
        script = script.replace(mark, text)
    (folder / "kernel.sh").write_text(script, encoding="utf-8")
    kernel = {"argv": ["sh", "{resource_dir}/kernel.sh", "{connection_file}"], "language": "python",
              "display_name": "Python, isolated", "interrupt_mode": "message"}  # fmt: skip
    (folder / "kernel.json").write_text(json.dumps(kernel, indent=1), encoding="utf-8")


def nbgrader(out: Path, *arguments: str) -> str:
    """Run one command of nbgrader in the course; return what it says.

    Raises
    ------
    SetupError
        With what nbgrader says, if it fails.
    """
    # nbgrader calls alembic by its name, so the programs of this environment come first.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments], cwd=out, env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
    )  # fmt: skip
    if run.returncode:
        raise SetupError(f"nbgrader {' '.join(arguments)} failed in {out}:\n{run.stdout}")
    return run.stdout


def make(names: list[str], name: str, out: Path, changes: list[str], sandbox: str) -> None:
    """Write the course, the learners' version and the gradebook; say what to do next."""
    if importlib.util.find_spec("nbgrader") is None:
        raise SetupError('nbgrader is missing: pip install -c constraints.txt -e ".[book,grade]"')
    exercises = chosen(names)
    points = points_of(exercises, changes)
    made = {c: notebook(c, points) for c in dict.fromkeys(e.chapter for e in exercises)}
    check_place(out, name, made)
    if sandbox not in ("no", "bwrap"):
        raise SetupError(f"ISOLATE is {sandbox!r}. Write bwrap or no.")
    if sandbox == "bwrap":
        isolate(out)
    write(out, name, made)
    nbgrader(out, "generate_assignment", name, "--force")
    say(f"{name}. Exercises: {len(points)}. Points: {sum(points.values()):g}.")
    programs = Path(sys.executable).parent
    isolated = (out / "isolated").is_dir()
    print(NEXT.format(
        out=out, name=name,
        path=f'export PATH="{programs}:$PATH"' if os.name != "nt" else f"PATH={programs};%PATH%",
        isolation="in a sandbox: isolated/kernels/medclf-isolated/kernel.sh" if isolated
        else "with your rights. Grade strangers in a sandbox: ISOLATE=bwrap",
    ))  # fmt: skip


def main(arguments: list[str]) -> int:
    """Make one assignment; what is wrong is told without a traceback, with status 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for option, (default, text) in ASSIGNMENT.items():
        parser.add_argument(f"--{option}", default=default, help=text)
    args = parser.parse_args(arguments)
    try:
        make(args.exercises.split(), args.name, Path(args.out).resolve(), args.points.split(),
             args.isolate)  # fmt: skip
    except SetupError as error:
        print(f"\nCannot go on.\n{error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
