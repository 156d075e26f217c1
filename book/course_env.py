"""The virtual environment behind `make book` and `make test`: made once, repaired when needed.

Only the standard library, and nothing that Python 3.7 cannot read: this file runs before
anything is installed, and must still be able to say that the Python at hand is too old.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (3, 11)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
NOT_INHERITED = (
    "PYTHONPATH",
    "PYTHONWARNINGS",
    "MPLBACKEND",
    "MATPLOTLIBRC",
    "JUPYTER_CONFIG_PATH",
)
HOMES = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter-config",
    "JUPYTER_DATA_DIR": "jupyter-data",
    "MPLCONFIGDIR": "matplotlib",
}


class SetupError(Exception):
    """Set-up cannot go on: says what is missing and what to do."""


class Options(NamedTuple):
    """What the caller may choose about the environment."""

    venv: Path = ROOT / ".venv"
    pip_args: tuple[str, ...] = ()
    pins: bool = True
    here: bool = False


def check_python(version: tuple[int, ...] = tuple(sys.version_info)) -> None:
    """Refuse a Python that is too old."""
    if tuple(version[:2]) < NEEDED:
        have, need = (".".join(map(str, pair)) for pair in (version[:2], NEEDED))
        raise SetupError(
            f"Python {need} or newer is needed; this is Python {have} ({sys.executable}).\n"
            f"Install it (python.org, your system's packages, or conda), then name it:\n"
            f"    make book PYTHON=python{need}\n"
            "Without make, start the script with it:\n"
            f"    python{need} book/build.py book      (Windows: py -{need} book\\build.py book)"
        )


def interpreter(venv: Path) -> Path:
    """Path of the Python inside a virtual environment, on any system."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(extras: tuple[str, ...], options: Options) -> Path:
    """Return a Python in which the package and the wanted extras are installed."""
    check_python()
    if options.here:
        return _current_environment(extras)
    python = interpreter(options.venv)
    if not _works(python):
        _create(options.venv)
    stamp = options.venv / "course-stamp.json"
    wanted = {"digest": digest(options), "extras": sorted({*extras, *_installed(stamp, options)})}
    if _read(stamp) != wanted:
        stamp.unlink(missing_ok=True)
        _install(python, wanted["extras"], options)
        stamp.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def digest(options: Options) -> str:
    """Fingerprint of all that an installation depends on; a new one means: install again.

    Settings of ruff or pytest are left out: installing needs the network, changing them does not.
    """
    project = _pyproject()
    build = {name: project.get(name) for name in ("build-system", "project")}
    build["setuptools"] = project.get("tool", {}).get("setuptools")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8") if options.pins else ""
    parts = [str(ROOT), json.dumps(build, sort_keys=True), pins]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def child_environment(python: Path, profile: str, real_data: bool = False) -> dict[str, str]:
    """Environment in which notebooks meet this Python's kernel and nothing of the reader's own.

    A reader may have a kernel called `python3` of another Python, start-up scripts of IPython, a
    style file of matplotlib or a PYTHONPATH; each would change what the chapters compute. What
    these tools write goes under `_build`. Without `real_data` the chapters use the phantom, also
    where the reader has set MEDCLF_DATA.
    """
    prefix = subprocess.run(
        [str(python), "-c", "import sys; print(sys.prefix)"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    home = ROOT / "_build" / ".home"
    home.mkdir(parents=True, exist_ok=True)
    dropped = NOT_INHERITED if real_data else (*NOT_INHERITED, "MEDCLF_DATA")
    environment = {k: v for k, v in os.environ.items() if k not in dropped}
    environment.update(
        {name: str(home / folder) for name, folder in HOMES.items()},
        JUPYTER_PATH=str(Path(prefix) / "share" / "jupyter"),
        JUPYTER_PREFER_ENV_PATH="1",
        PYTHONNOUSERSITE="1",
        PYTHONUTF8="1",
        MEDCLF_PROFILE=profile,
    )
    environment.setdefault("MEDCLF_CACHE", str(home / "medclf"))
    for name in THREAD_VARIABLES:  # one thread a process is faster and steadier on few cores
        environment.setdefault(name, "1")
    return environment


def _works(python: Path) -> bool:
    if not python.exists():
        return False
    test = f"import pip, sys; sys.exit(sys.version_info[:2] < {NEEDED})"
    return subprocess.run([str(python), "-c", test], capture_output=True).returncode == 0


def _create(venv: Path) -> None:
    say(f"Making the virtual environment {venv.name} with {sys.executable}")
    if importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        command = [sys.executable, "-m", "venv", "--clear", str(venv)]
        if subprocess.run(command).returncode == 0:
            return
    raise SetupError(
        f"{sys.executable} cannot make a virtual environment: its module venv or ensurepip is "
        "missing or does not work.\nOn Debian and Ubuntu: sudo apt install python3-venv\n"
        "Elsewhere: install Python from python.org, or use conda (see environment.yml)."
    )


def _install(python: Path, extras: list[str], options: Options) -> None:
    say(f"Installing medclf_lite with its extras {', '.join(extras)} (minutes, the first time)")
    pins = ["-c", str(ROOT / "constraints.txt")] if options.pins else []
    pip = [str(python), "-m", "pip", "--disable-pip-version-check"]
    target = f"{ROOT}[{','.join(extras)}]"
    command = [*pip, "install", *pins, *options.pip_args, "-e", target]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, "PIP_USER": "0"}).returncode:
        raise SetupError(_why_pip_failed(pip, options))


def _why_pip_failed(pip: list[str], options: Options) -> str:
    if "--no-index" in options.pip_args:
        return (
            "pip failed, and its reason stands above. With --no-index it takes packages from your "
            "folder only:\neach of constraints.txt must be there, and setuptools, which builds "
            "this package."
        )
    if not _index_answers(pip, options):
        return (
            "pip cannot reach its package index: there is no network, or a proxy or firewall is "
            "in the way.\nThe first set-up needs the network once. Connect, or set HTTPS_PROXY, "
            "and run the same command again.\nFrom a folder of wheels it works offline: "
            'make book PIP_ARGS="--no-index --find-links FOLDER"'
        )
    return (
        "pip failed, and its reason stands above. The network is there.\nIf a pinned version "
        "does not exist for this Python or system, let pip choose: make book PINS=no\n"
        "If the disk is full: on Linux the CPU build of PyTorch is far smaller; see README.md."
    )


def _index_answers(pip: list[str], options: Options) -> bool:
    probe = [*pip, "install", "--dry-run", "--ignore-installed", "--no-deps", "--no-cache-dir"]
    command = [*probe, *options.pip_args, "--retries", "0", "--timeout", "10", "wheel"]
    return subprocess.run(command, capture_output=True, cwd=ROOT).returncode == 0


def _current_environment(extras: tuple[str, ...]) -> Path:
    project = _pyproject()["project"]
    wanted = [project["name"], *project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    missing = [name for name in map(_distribution, wanted) if not _is_installed(name)]
    if missing:
        raise SetupError(
            f"This environment lacks {', '.join(missing)}.\nInstall into it, in this folder: "
            f'python -m pip install -c constraints.txt -e ".[{",".join(extras)}]"\n'
            "or leave out --here, and a virtual environment is made."
        )
    return Path(sys.executable)


def _pyproject() -> dict:
    import tomllib  # not in a Python that check_python refuses

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _distribution(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement).group()


def _is_installed(distribution: str) -> bool:
    from importlib import metadata  # not in a Python that check_python refuses

    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _installed(stamp: Path, options: Options) -> list[str]:
    """Extras that this very set-up has already: `make book` must not remove those of tests."""
    content = _read(stamp)
    return content.get("extras", []) if content.get("digest") == digest(options) else []


def _read(stamp: Path) -> dict:
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def say(text: str) -> None:
    """Print one line about what happens next, at once and in its place between other output."""
    print(f"\n--- {text}", flush=True)
