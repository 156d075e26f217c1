"""Set-up and commands: made once, repaired when needed, and clear about what is missing.

Nothing here installs anything: a stand-in takes the place of every command that would.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import build
import course_env
import pytest
import yaml
from course_env import Options, SetupError
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


class Machine:
    """Takes every command of course_env, remembers it, and does as little as a test needs."""

    def __init__(self) -> None:
        self.installs: list[list[str]] = []
        self.made = 0
        self.pip_works = self.index_answers = self.venv_works = True

    def __call__(self, command: list[str], **_):
        return subprocess.CompletedProcess(command, 0 if self._does(command) else 1)

    def _does(self, command: list[str]) -> bool:
        if command[1:3] == ["-m", "venv"]:
            return self._make(Path(command[-1]))
        if "--dry-run" in command:
            return self.index_answers
        if "install" in command:
            self.installs.append(command)
            return self.pip_works
        return "broken" not in Path(command[0]).read_text(encoding="utf-8")  # can it import pip?

    def _make(self, venv: Path) -> bool:
        if not self.venv_works:
            return False
        self.made += 1
        shutil.rmtree(venv, ignore_errors=True)  # the real one is called with --clear
        python = course_env.interpreter(venv)
        python.parent.mkdir(parents=True)
        python.write_text("a Python", encoding="utf-8")
        return True


@pytest.fixture
def machine(monkeypatch) -> Machine:
    stand_in = Machine()
    monkeypatch.setattr(course_env.subprocess, "run", stand_in)
    return stand_in


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Copy what an installation depends on, to be changed by a test."""
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.setattr(course_env, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def options(project) -> Options:
    return Options(venv=project / ".venv")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# --- which Python --------------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 7, 0), (2, 7, 18)])
def test_an_old_python_is_told_what_is_needed_and_what_to_type(version):
    with pytest.raises(SetupError) as refusal:
        course_env.check_python(version)
    said = str(refusal.value)
    assert "Python 3.11 or newer" in said
    assert f"this is Python {version[0]}.{version[1]} " in said
    assert "make book PYTHON=python3.11" in said


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 1), (4, 0, 0)])
def test_a_new_enough_python_is_taken(version):
    course_env.check_python(version)


@pytest.mark.parametrize("name", ["build.py", "course_env.py"])
def test_scripts_can_be_read_by_the_old_python_that_they_refuse(name):
    tree = ast.parse((ROOT / "book" / name).read_text("utf-8"), feature_version=(3, 7))
    imported = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    newer = {"tomllib", "zoneinfo", "graphlib"}  # standard, but later than 3.7
    assert imported - {"course_env"} <= sys.stdlib_module_names - newer


def test_all_places_name_the_same_lowest_python():
    lowest = "{}.{}".format(*course_env.NEEDED)
    conda = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = ci["jobs"]["test"]["steps"]
    assert PROJECT["project"]["requires-python"] == f">={lowest}"
    assert PROJECT["tool"]["mypy"]["python_version"] == lowest
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + lowest.replace(".", "")
    assert f"python={lowest}" in conda["dependencies"]
    assert [s["with"]["python-version"] for s in steps if "setup-python" in s.get("uses", "")] == [
        lowest
    ]


# --- the environment -----------------------------------------------------------------------


def test_first_run_makes_the_environment_and_installs_with_pins(machine, options, project):
    python = course_env.prepare(("book", "test"), options)
    assert python == course_env.interpreter(options.venv)
    assert machine.made == 1
    (command,) = machine.installs
    assert command[0] == str(python)
    assert command[-2:] == ["-e", f"{project}[book,test]"]
    assert command[command.index("-c") + 1] == str(project / "constraints.txt")


def test_second_run_installs_nothing(machine, options):
    for _ in range(2):
        course_env.prepare(("book", "test"), options)
    assert machine.made == len(machine.installs) == 1


def test_changed_pins_are_installed_into_the_same_environment(machine, options, project):
    course_env.prepare(("book",), options)
    edit(project / "constraints.txt", "numpy==", "numpy==9.")
    course_env.prepare(("book",), options)
    assert machine.made == 1
    assert len(machine.installs) == 2


def test_extras_that_are_there_stay_and_a_new_one_is_added(machine, options):
    course_env.prepare(("book", "test"), options)
    course_env.prepare(("book",), options)
    assert len(machine.installs) == 1, "book alone is there already"
    course_env.prepare(("dicom",), options)
    assert machine.installs[-1][-1].endswith("[book,dicom,test]")


def test_a_broken_environment_is_made_again_and_filled(machine, options):
    python = course_env.prepare(("book",), options)
    python.write_text("broken: its base Python was removed", encoding="utf-8")
    course_env.prepare(("book",), options)
    assert machine.made == len(machine.installs) == 2


@pytest.mark.parametrize("left_over", ["{half", "", '{"digest": "another"}'])
def test_an_unusable_stamp_means_install_again(machine, options, left_over):
    course_env.prepare(("book",), options)
    (options.venv / "course-stamp.json").write_text(left_over, encoding="utf-8")
    course_env.prepare(("book",), options)
    assert len(machine.installs) == 2


def test_a_failed_installation_is_not_taken_for_done(machine, options):
    machine.pip_works = False
    with pytest.raises(SetupError):
        course_env.prepare(("book",), options)
    machine.pip_works = True
    course_env.prepare(("book",), options)
    assert len(machine.installs) == 2


def test_a_failed_repair_does_not_leave_the_old_stamp(machine, options, project):
    course_env.prepare(("book",), options)
    before = (project / "constraints.txt").read_bytes()
    edit(project / "constraints.txt", "numpy==", "numpy==9.")
    machine.pip_works = False
    with pytest.raises(SetupError):
        course_env.prepare(("book",), options)
    (project / "constraints.txt").write_bytes(before)  # pip may have changed half of them
    machine.pip_works = True
    course_env.prepare(("book",), options)
    assert len(machine.installs) == 3


def test_without_pins_pip_chooses_and_its_own_arguments_reach_it(machine, options):
    options = options._replace(pins=False, pip_args=("--find-links", "a folder"))
    course_env.prepare(("book",), options)
    (command,) = machine.installs
    assert "-c" not in command
    assert command[command.index("--find-links") + 1] == "a folder"


@pytest.mark.parametrize(
    ("file", "old", "new", "same"),
    [
        ("constraints.txt", "numpy==", "numpy==9.", False),
        ("pyproject.toml", '"numpy>=', '"numpy>=9.', False),
        ("pyproject.toml", 'include = ["medclf_lite*"]', 'include = ["medclf*"]', False),
        ("pyproject.toml", "line-length = 100", "line-length = 99", True),
        ("pyproject.toml", "xfail_strict = true", "xfail_strict = false", True),
    ],
)
def test_digest_changes_with_what_an_installation_depends_on(
    project, options, file, old, new, same
):
    before = course_env.digest(options)
    edit(project / file, old, new)
    assert (course_env.digest(options) == before) is same


def test_digest_knows_whether_pins_are_used(project, options):
    free = options._replace(pins=False)
    before = course_env.digest(free)
    assert before != course_env.digest(options)
    edit(project / "constraints.txt", "numpy==", "numpy==9.")
    assert course_env.digest(free) == before


# --- what is missing is named --------------------------------------------------------------


def why(machine, options) -> str:
    with pytest.raises(SetupError) as refusal:
        course_env.prepare(("book",), options)
    return str(refusal.value)


def test_no_network_is_named(machine, options):
    machine.pip_works = machine.index_answers = False
    said = why(machine, options)
    assert "cannot reach its package index" in said
    assert "HTTPS_PROXY" in said
    assert "--find-links" in said


def test_a_version_that_does_not_exist_here_is_not_blamed_on_the_network(machine, options):
    machine.pip_works = False
    said = why(machine, options)
    assert "The network is there" in said
    assert "PINS=no" in said


def test_a_folder_of_wheels_that_lacks_one_is_not_blamed_on_the_network(machine, options):
    machine.pip_works = machine.index_answers = False
    said = why(machine, options._replace(pip_args=("--no-index", "--find-links", "wheels")))
    assert "setuptools" in said
    assert "network" not in said


@pytest.mark.parametrize("lacking", ["venv", "ensurepip", "a venv that works"])
def test_a_python_without_venv_is_told_how_to_get_it(machine, options, monkeypatch, lacking):
    find = course_env.importlib.util.find_spec
    monkeypatch.setattr(
        course_env.importlib.util, "find_spec", lambda n: None if n == lacking else find(n)
    )
    machine.venv_works = lacking != "a venv that works"
    said = why(machine, options)
    assert "apt install python3-venv" in said
    assert "conda" in said


def test_here_takes_this_python_and_starts_nothing(machine, options):
    python = course_env.prepare(("book", "test"), options._replace(here=True))
    assert python == Path(sys.executable)
    assert not machine.made
    assert not machine.installs


def test_here_names_each_package_that_is_missing(machine, options, project):
    edit(project / "pyproject.toml", '"jupytext>=', '"no-such-jupytext>=')
    edit(project / "pyproject.toml", '"scipy>=', '"no.such_scipy>=')
    with pytest.raises(SetupError, match=r"lacks no.such_scipy, no-such-jupytext\.") as refusal:
        course_env.prepare(("book",), options._replace(here=True))
    assert 'pip install -c constraints.txt -e ".[book]"' in str(refusal.value)


# --- what notebooks and tests see ----------------------------------------------------------


def test_children_see_nothing_of_the_readers_own(monkeypatch, tmp_path):
    theirs = ("PYTHONPATH", "PYTHONWARNINGS", "MPLBACKEND", "MATPLOTLIBRC", "MEDCLF_DATA")
    for name in (*theirs, "JUPYTER_DATA_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, str(tmp_path / "reader"))
    monkeypatch.delenv("MEDCLF_CACHE", raising=False)
    seen = course_env.child_environment(Path(sys.executable), "tiny")
    assert not [name for name, value in seen.items() if str(tmp_path) in value]
    assert seen["MEDCLF_PROFILE"] == "tiny"
    assert Path(seen["JUPYTER_PATH"]) == Path(sys.prefix) / "share" / "jupyter"
    for name in ("JUPYTER_DATA_DIR", "IPYTHONDIR", "MPLCONFIGDIR", "MEDCLF_CACHE"):
        assert Path(seen[name]).is_relative_to(ROOT / "_build")


def test_real_data_reach_only_the_step_that_asks_for_them(monkeypatch):
    monkeypatch.setenv("MEDCLF_DATA", "somewhere")
    python = Path(sys.executable)
    assert "MEDCLF_DATA" not in course_env.child_environment(python, "book")
    assert course_env.child_environment(python, "book", True)["MEDCLF_DATA"] == "somewhere"
    assert not any(step.real_data for step in build.test_steps(2))


def test_one_thread_a_process_unless_the_reader_says_otherwise(monkeypatch):
    for name in course_env.THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    seen = course_env.child_environment(Path(sys.executable), "tiny")
    assert {name: seen[name] for name in course_env.THREAD_VARIABLES} == {
        name: "4" if name == "OMP_NUM_THREADS" else "1" for name in course_env.THREAD_VARIABLES
    }


# --- the commands --------------------------------------------------------------------------


def test_command_line_reads_its_options_from_the_environment_too(monkeypatch):
    monkeypatch.setenv("PIP_ARGS", "--no-index --find-links 'my wheels'")
    monkeypatch.setenv("PINS", "No")
    args = build.parse(["test", "--jobs", "4"])
    assert args.options == Options(
        pip_args=("--no-index", "--find-links", "my wheels"), pins=False, here=False
    )
    assert args.jobs == 4


def test_command_line_defaults(monkeypatch):
    monkeypatch.delenv("PIP_ARGS", raising=False)
    monkeypatch.setenv("PINS", "")
    assert build.parse(["book"]).options == Options()
    assert build.parse(["book", "--here", "--no-pins"]).options == Options(pins=False, here=True)


def test_an_unknown_command_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit):
        build.parse(["boook"])
    shown = capsys.readouterr().err
    assert all(name in shown for name in build.COMMANDS)


@pytest.mark.parametrize("given", [[], ["--data", "nowhere"]])
def test_real_results_without_their_data_say_which_folder_is_needed(capsys, given):
    assert build.main(["real-results", *given]) == 2
    assert "make real-results DATA=folder" in capsys.readouterr().err


def test_a_failing_step_does_not_hide_the_ones_after_it(capfd):
    steps = [
        build.Step("first", ["-c", "print('one')"]),
        build.Step("second", ["-c", "import sys; sys.exit(3)"]),
        build.Step("third", ["-c", "import os; print('profile', os.environ['MEDCLF_PROFILE'])"]),
    ]
    assert build.run_all(steps, Path(sys.executable)) == 1
    shown = capfd.readouterr().out
    assert re.search(r"ok: first .*FAILED: second .*profile tiny.*ok: third ", shown, re.DOTALL)
    assert "1 of 3 steps failed: second" in shown
    assert build.run_all([steps[0], steps[2]], Path(sys.executable)) == 0
    assert "failed" not in capfd.readouterr().out


def test_make_test_covers_all_that_a_change_may_break(monkeypatch, tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "exercises").mkdir()
    for name in ("b.ipynb", "a.ipynb", "exercises/a.ipynb"):
        (tmp_path / "chapters" / name).touch()
    monkeypatch.setattr(build, "ROOT", tmp_path)
    steps = build.test_steps(3)
    lines = [" ".join(step.command) for step in steps]
    for wanted in ("ruff check", "ruff format --check", "mypy", "twins.py --check"):
        assert any(wanted in line for line in lines), wanted
    unit, notebooks, pages = (line for line in lines if line.startswith("-m pytest"))
    assert unit.endswith("--doctest-modules medclf_lite book/_ext book/exercise_pages.py tests")
    assert "-n 3 --dist loadfile" in notebooks  # else a notebook's cells go to several workers
    assert "--nbval-lax --nbval-current-env" in notebooks
    assert notebooks.endswith("chapters/a.ipynb chapters/b.ipynb chapters/exercises/a.ipynb")
    assert steps[-2] == build.build_step("book")
    assert pages == lines[-1] == "-m pytest -n 3 tests/browser", "once they are built"
    assert {step.profile for step in steps[:-2]} == {"tiny"}


def test_without_notebooks_the_chapters_step_cannot_pass(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.test_steps(1)[-3].command[-1] == "chapters"  # pytest: nothing collected, status 5


def test_make_book_derives_the_twins_builds_and_says_where(machine, options, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(build, "run_step", lambda step, python: ran.append(step) or True)
    monkeypatch.setattr(build, "prepare", course_env.prepare)
    monkeypatch.setenv("MEDCLF_PROFILE", "full")
    args = build.parse(["book"])
    args.options = options
    assert build.book(args) == 0
    assert [step.command[0] for step in ran] == ["book/twins.py", "book/pages.py"]
    assert (ran[1].profile, ran[1].real_data) == ("full", True)
    shown = capsys.readouterr().out
    assert build.HTML.joinpath("index.html").as_uri() in shown
    assert "make serve" in shown


def test_serve_without_a_book_says_how_to_make_one(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(build, "HTML", tmp_path)
    assert build.main(["serve"]) == 2
    assert "make book" in capsys.readouterr().err


@pytest.fixture
def built(monkeypatch, tmp_path) -> Path:
    (tmp_path / "index.html").write_text("the book", encoding="utf-8")
    monkeypatch.setattr(build, "HTML", tmp_path)
    return tmp_path


def test_a_port_in_use_is_named_with_the_way_out(built, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert build.main(["serve", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert f"Port {port} cannot be used" in said
    assert "PORT=8001" in said


def test_a_port_that_does_not_exist_is_refused_without_a_traceback(built, capsys):
    assert build.main(["serve", "--port", "99999"]) == 2
    assert "65535" in capsys.readouterr().err


def test_serve_shows_the_book_to_this_machine_only(built, monkeypatch, capsys):
    bound = []

    def interrupted(server, *_):
        bound.append(server.server_address[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(build.http.server.ThreadingHTTPServer, "serve_forever", interrupted)
    assert build.main(["serve", "--port", "0"]) == 0
    assert bound == ["127.0.0.1"]
    assert "http://localhost:" in capsys.readouterr().out


def test_an_interruption_ends_without_a_traceback(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setitem(build.COMMANDS, "book", interrupted)
    assert build.main(["book"]) == 130
    assert "Interrupted" in capsys.readouterr().err


def test_clean_keeps_the_environment_and_the_sources(monkeypatch, tmp_path):
    for name in ("_build", ".pytest_cache", ".venv", "book", "chapters"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(build, "ROOT", tmp_path)
    assert build.main(["clean"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {".venv", "book", "chapters"}


def test_makefile_offers_exactly_the_commands_of_the_script():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = dict(re.findall(r"^([a-z-]+): ## .*\n\t@(.*)", text, re.MULTILINE))
    listed = re.search(r"^\.PHONY: (.*)", text, re.MULTILINE)[1].split()
    assert set(targets) == set(listed) == {*build.COMMANDS, "help"}
    for name in build.COMMANDS:
        assert f"book/build.py {name}" in targets[name]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make on this machine")
def test_make_takes_the_python_that_is_named_and_finds_one_else():
    def shown(*arguments: str) -> str:
        command = ["make", "--dry-run", "-C", str(ROOT), "serve", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert '"my python" book/build.py serve --port 8123' in shown("PYTHON=my python", "PORT=8123")
    found = re.search(r'"(.+)" book/build.py', shown())[1]
    version = [found, "-c", "import sys; print(*sys.version_info[:2])"]
    major, minor = subprocess.run(version, capture_output=True, text=True).stdout.split()
    assert (int(major), int(minor)) >= course_env.NEEDED


# --- versions ------------------------------------------------------------------------------


def requirements() -> list[Requirement]:
    texts = [*PROJECT["project"]["dependencies"], *(r for group in EXTRAS.values() for r in group)]
    return [Requirement(text) for text in texts]


def pins(text: str) -> dict[str, str]:
    """Read name and version of each line; refuse a line that is no plain pin."""
    found = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)  # no +cpu, no address, no marker
        assert match, f"not a pin: {line}"
        name = canonicalize_name(match[1])
        assert name not in found, f"pinned twice: {name}"
        found[name] = match[2]
    return found


@pytest.mark.parametrize(
    "bad", ["torch==2.13.0+cpu", "numpy>=2", "a @ https://example.org/a.whl", "a==1\nA==2"]
)
def test_a_line_that_is_no_plain_pin_is_refused(bad):
    with pytest.raises(AssertionError):
        pins(bad)


def misfits(wanted: list[Requirement], pinned: dict[str, str]) -> list[str]:
    """List requirements that are no ranges, or whose pin is missing or outside the range."""
    found = []
    for requirement in wanted:
        signs = {specifier.operator for specifier in requirement.specifier}
        version = pinned.get(canonicalize_name(requirement.name))
        if ">=" not in signs or not signs <= {">=", "<", "!="}:
            found.append(f"{requirement} is not a range")
        if version is None:
            found.append(f"{requirement} has no pin")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement} excludes its pin {version}")
    return found


def test_every_requirement_is_a_range_with_a_pin_inside_it():
    assert misfits(requirements(), pins((ROOT / "constraints.txt").read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("torch==2.13.0", "is not a range"),
        ("torch", "is not a range"),
        ("torch>=2.4,<2.5", "excludes its pin 2.13.0"),
        ("unpinned>=1", "has no pin"),
    ],
)
def test_a_requirement_that_does_not_fit_its_pin_is_found(requirement, said):
    (found,) = misfits([Requirement(requirement)], {"torch": "2.13.0"})
    assert said in found


def test_torch_is_not_bounded_above_so_that_colab_keeps_its_own():
    bounded = {"torch", "torchvision", "numpy", "pandas"}
    for requirement in requirements():
        if requirement.name in bounded:
            assert {s.operator for s in requirement.specifier} == {">="}, requirement


def test_conda_installs_the_same_with_the_same_pins():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    (pip,) = [part["pip"] for part in conda["dependencies"] if isinstance(part, dict)]
    assert pip[0] == "-c constraints.txt"
    wanted = re.fullmatch(r'-e "\.\[(.+)\]"', pip[1])[1].split(",")
    assert set(wanted) == set(build.TEST_EXTRAS) <= set(EXTRAS)


def test_citation_names_the_version_and_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["project"]["version"]
    assert citation["license"] == PROJECT["project"]["license"]


def test_stamp_is_written_as_the_next_run_reads_it(machine, options):
    course_env.prepare(("test", "book"), options)
    stamp = json.loads((options.venv / "course-stamp.json").read_text("utf-8"))
    assert stamp == {"digest": course_env.digest(options), "extras": ["book", "test"]}
