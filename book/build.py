"""Set up, build, test and serve the course: what the Makefile calls, and what works without make.

    python book/build.py book         build the HTML book
    python book/build.py test         run everything that CI runs

`--here` uses the Python at hand (conda, or a virtual environment of your own).
"""

from __future__ import annotations

import argparse
import functools
import http.server
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from course_env import ROOT, Options, SetupError, child_environment, prepare, say

HTML = ROOT / "_build" / "html"
TEST_EXTRAS = ("book", "browser", "dicom", "grade", "test")
CACHES = (".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "build", "dist")

ASSIGNMENT = {  # option, default and meaning of what book/assignment.py is told
    "exercises": ("", "names of exercises and chapters"),
    "name": ("exercises", "name of the assignment"),
    "out": ("course", "folder of the course"),
    "points": ("", 'such as "build=4 splits-1=0.5"'),
    "isolate": ("no", "bwrap: run code of learners in a sandbox"),
}


class Step(NamedTuple):
    """One command of a run, its profile, and whether MEDCLF_DATA reaches it."""

    title: str
    command: list[str]
    profile: str = "tiny"
    real_data: bool = False


def run_step(step: Step, python: Path) -> bool:
    """Run one step with its output in sight; say how long it took and whether it passed."""
    say(step.title)
    begin = time.monotonic()
    command = [str(python), *step.command]
    environment = child_environment(python, step.profile, step.real_data)
    code = subprocess.run(command, cwd=ROOT, env=environment).returncode
    seconds = time.monotonic() - begin
    print(f"--- {'ok' if code == 0 else 'FAILED'}: {step.title} ({seconds:.0f} s)", flush=True)
    return code == 0


def run_all(steps: list[Step], python: Path) -> int:
    """Run every step, also after a failure, and end with the list of what failed."""
    failed = [step.title for step in steps if not run_step(step, python)]
    if failed:
        say(f"{len(failed)} of {len(steps)} steps failed: {'; '.join(failed)}")
    return int(bool(failed))


def build_step(profile: str, real_data: bool = False) -> Step:
    """Make the step that executes every notebook and writes the pages, warnings as errors."""
    title = f"book, profile {profile}, warnings are errors"
    return Step(title, ["book/pages.py"], profile, real_data)


def lint_steps() -> list[Step]:
    """List the steps for style and types."""
    return [
        Step("ruff check", ["-m", "ruff", "check", "."]),
        Step("ruff format", ["-m", "ruff", "format", "--check", "."]),
        Step("mypy", ["-m", "mypy"]),
    ]


def test_steps(jobs: int) -> list[Step]:
    """List all that CI runs, the quick steps first."""
    pytest = ["-m", "pytest", "-n", str(jobs), "--dist", "loadfile"]
    sources = ["--doctest-modules", "medclf_lite", "book/_ext", "book/exercise_pages.py", "tests"]
    notebooks = sorted(
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("chapters/**/*.ipynb")
    )
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "300"]
    return [
        *lint_steps(),
        Step("notebooks in step", ["book/twins.py", "--check"]),
        Step("unit tests and doctests", [*pytest, *sources]),
        Step("every chapter, profile tiny", [*pytest, *nbval, *(notebooks or ["chapters"])]),
        build_step("book"),
        Step("pages in a browser", ["-m", "pytest", "-n", str(jobs), "tests/browser"]),
    ]


def book(args: argparse.Namespace) -> int:
    """Set up, derive the notebooks, build the book and say where it lies."""
    python = prepare(("book",), args.options)
    twins = Step("notebooks for Colab, Kaggle and the tests", ["book/twins.py"])
    profile = os.environ.get("MEDCLF_PROFILE", "book")
    if run_all([twins, build_step(profile, real_data=True)], python):
        return 1
    say(f"The book lies in {HTML.relative_to(ROOT) / 'index.html'}")
    print(f"Open it in a browser: {(HTML / 'index.html').as_uri()}\nor serve it:  make serve")
    return 0


def test(args: argparse.Namespace) -> int:
    """Run everything that CI runs: style, types, tests, every chapter, the book."""
    python = prepare(TEST_EXTRAS, args.options)
    if run_all(test_steps(args.jobs), python):
        return 1
    say("Everything passed.")
    return 0


def lint(args: argparse.Namespace) -> int:
    """Check style and types only."""
    return run_all(lint_steps(), prepare(TEST_EXTRAS, args.options))


def setup(args: argparse.Namespace) -> int:
    """Make or repair the environment, with what the tests need."""
    say(f"Ready: {prepare(TEST_EXTRAS, args.options)}")
    return 0


def notebooks(args: argparse.Namespace) -> int:
    """Derive chapters/*.ipynb from their .md sources."""
    return run_all([Step("notebooks", ["book/twins.py"])], prepare(("book",), args.options))


def check_notebooks(args: argparse.Namespace) -> int:
    """Check that chapters/*.ipynb are in step with their .md sources."""
    step = Step("notebooks in step", ["book/twins.py", "--check"])
    return run_all([step], prepare(("book",), args.options))


def serve(args: argparse.Namespace) -> int:
    """Serve the built book on this machine only, until interrupted."""
    if not (HTML / "index.html").exists():
        raise SetupError("There is no book yet. Build it first: make book")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HTML))
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), handler)
    except (OSError, OverflowError) as error:
        raise SetupError(
            f"Port {args.port} cannot be used ({error}).\n"
            "Choose another from 1024 to 65535: make serve PORT=8001"
        ) from error
    say(f"The book: http://localhost:{server.server_port} (stop with Ctrl+C)")
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def pdf(args: argparse.Namespace) -> int:
    """Print the built book to one PDF."""
    if not (HTML / "index.html").exists():
        raise SetupError("There is no book yet. Build it first: make book")
    return run_all([Step("book as PDF", ["book/print_pdf.py"])], prepare(("book",), args.options))


def wheel(args: argparse.Namespace) -> int:
    """Build the package's wheel into dist/."""
    command = ["-m", "pip", "wheel", "--no-deps", "--wheel-dir", "dist", "."]
    return run_all([Step("wheel", command)], prepare(("book",), args.options))


def assignment(args: argparse.Namespace) -> int:
    """Turn chosen exercises into an nbgrader course."""
    given = {name: getattr(args, name) for name in ASSIGNMENT}
    command = ["book/assignment.py", *(f"--{name}={value}" for name, value in given.items())]
    step = Step(f"assignment {args.name}", command)
    return run_all([step], prepare(("book", "grade"), args.options))


def real_results(args: argparse.Namespace) -> int:
    """Compute the figures of the sections "On the real data", and write them to one file."""
    if not args.data or not Path(args.data).is_dir():
        raise SetupError(
            f"--data is {args.data!r}, which is not a folder.\nName the folder that holds "
            "chest_xray_224, pneumoniamnist and nih_metadata: make real-results DATA=folder"
        )
    command = ["benchmarks/real_results.py", args.data, "--jobs", str(args.jobs)]
    return run_all([Step("figures on the real data", command)], prepare(("book",), args.options))


def clean(args: argparse.Namespace) -> int:
    """Remove the built book and every cache; the environment .venv stays."""
    for name in ("_build", *CACHES):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    say("Removed the built book and the caches. To start from nothing, delete .venv too.")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "book": book,
    "test": test,
    "serve": serve,
    "notebooks": notebooks,
    "check-notebooks": check_notebooks,
    "lint": lint,
    "setup": setup,
    "pdf": pdf,
    "wheel": wheel,
    "assignment": assignment,
    "real-results": real_results,
    "clean": clean,
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line; PIP_ARGS and PINS may also come from the environment."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--here", action="store_true", help="use this Python, make no .venv")
    pip_args = os.environ.get("PIP_ARGS", "")
    parser.add_argument("--pip-args", default=pip_args, help="for pip install")
    parser.add_argument("--no-pins", action="store_true", help="do not use constraints.txt")
    parser.add_argument("--jobs", type=int, default=2, help="processes for the tests")
    parser.add_argument("--data", default="", help="for real-results: folder of the real sets")
    for name, (default, text) in ASSIGNMENT.items():
        parser.add_argument(f"--{name}", default=default, help=f"for assignment: {text}")
    parser.add_argument("--port", type=int, default=8000, help="for serve")
    args = parser.parse_args(arguments)
    pins = not (args.no_pins or os.environ.get("PINS", "").lower() in ("no", "0", "off"))
    extra = tuple(shlex.split(args.pip_args, posix=os.name != "nt"))
    args.options = Options(pip_args=extra, pins=pins, here=args.here)
    return args


def main(arguments: list[str]) -> int:
    """Run one command; a set-up problem is told without a traceback, with status 2."""
    args = parse(arguments)
    try:
        return COMMANDS[args.command](args)
    except SetupError as error:
        print(f"\nCannot go on.\n{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on from here.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
