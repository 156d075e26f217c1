"""Splits that change with the hash seed of the interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cloudpickle

from medclf_lite.audit.finding import SPLITS, Finding
from medclf_lite.audit.project import Project
from medclf_lite.audit.registry import project_check
from medclf_lite.errors import MedclfError

SECONDS = 120
# The function comes through a pipe from this very process, never from a file.
_CHILD = """
import sys
import cloudpickle
from medclf_lite._canonical import canonical
sys.path[:] = cloudpickle.load(sys.stdin.buffer)
print("\\n", canonical(cloudpickle.load(sys.stdin.buffer)()), sep="")
"""


@project_check(id="splits.hash-seed", needs=("split",))
def hash_seed(project: Project) -> Iterator[Finding]:
    """Divisions that are not the same in the next run."""
    first, again, other = _run(project.split, ("1", "1", "2"))
    if first == again == other:
        return
    seeded = first == again
    yield Finding(
        "splits.hash-seed", "error", "The split is another one in the next run",
        "Two interpreters with different hash seeds divided differently." if seeded
        else "Two runs of the same function in new interpreters divided differently.", 1, (),
        "The order of a set of texts follows the interpreter's hash seed, which is new in each "
        "run, so random_state=42 does not reproduce the split. Patients move between train and "
        "test from one run to the next." if seeded
        else "A split that nobody can repeat leaks when it is made again for evaluation.",
        "Sort before drawing: sorted(set(ids)); seed what draws; and keep the split in a file.",
        SPLITS,
    )  # fmt: skip


def _run(split: object, seeds: tuple[str, ...]) -> list[str]:
    """Run a function in new interpreters, side by side, each with a hash seed of its own."""
    try:
        given = cloudpickle.dumps(sys.path) + cloudpickle.dumps(split)
    except Exception as problem:  # what a function holds may be anything
        raise MedclfError(f"split cannot be sent to a new interpreter: {problem}") from problem
    pipe = subprocess.PIPE
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _CHILD], stdin=pipe, stdout=pipe, stderr=pipe,
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        for seed in seeds
    ]  # fmt: skip
    with ThreadPoolExecutor(len(children)) as together:
        return list(together.map(lambda child: _answer(child, given), children))


def _answer(child: subprocess.Popen[bytes], given: bytes) -> str:
    try:
        said, wrong = child.communicate(given, timeout=SECONDS)
    except subprocess.TimeoutExpired as problem:
        child.kill()
        raise MedclfError(f"split took more than {SECONDS} s") from problem
    if child.returncode:
        last = wrong.decode(errors="replace").strip().splitlines()[-1:]
        raise MedclfError(f"split raises in a new interpreter: {''.join(last)[:200]}")
    return said.decode().rsplit("\n", 2)[-2]
