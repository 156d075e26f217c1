"""The register of faults: the code as people write it, the mended code, and what each costs.

A fault is registered by its demonstration, which shows the two functions that it runs::

    def faulty(...): ...        # as people write it
    def fixed(...): ...         # mended

    @fault("F16", "Frozen weights, drifting BatchNorm", TRANSFER, faulty=faulty, fixed=fixed, ...)
    def drift(seed: int) -> Outcome:
        ...
        return Outcome(said=..., truth=...)

The gallery of faults in the book and the tests read this register and nothing else.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple

import pandas as pd

from medclf_lite.errors import MedclfError

Shows = Literal["said is higher", "said is lower", "spread"]


class Outcome(NamedTuple):
    """One seed of a demonstration: a figure as the faulty code gives it, and the truth.

    ``truth`` is the same figure on patients that nobody has seen, or of the mended code; the
    register's ``figure`` says which.
    """

    said: float
    truth: float


@dataclass(frozen=True)
class Fault:
    """One silent fault.

    Parameters
    ----------
    id : str
        ``F01`` to ``F40``.
    title : str
        The fault in a few words.
    chapter : str
        Chapter of the course that teaches it, such as ``05_training``.
    hurts : str
        Why it matters: one or two sentences.
    faulty, fixed : callable
        The code as people write it, and mended; their source is shown.
    figure : str
        What ``said`` and ``truth`` are; empty where no number can show the fault.
    shows : {"said is higher", "said is lower", "spread"}
        In which direction the faulty figure misses the truth. ``spread``: it differs from it
        in either direction.
    caught_by : tuple of str
        IDs of the checks of :mod:`medclf_lite.audit` that catch it; empty where none can.
    demonstrate : callable
        ``seed -> Outcome``; None where no number can show the fault.
    """

    id: str
    title: str
    chapter: str
    hurts: str
    faulty: Callable[..., Any]
    fixed: Callable[..., Any]
    figure: str
    shows: Shows
    caught_by: tuple[str, ...]
    demonstrate: Callable[[int], Outcome] | None


_REGISTER: dict[str, Fault] = {}
Demonstration = Callable[[int], Outcome]


def fault(
    id: str,
    title: str,
    chapter: str,
    *,
    hurts: str,
    faulty: Callable[..., Any],
    fixed: Callable[..., Any],
    figure: str,
    shows: Shows = "said is higher",
    caught_by: tuple[str, ...] = (),
) -> Callable[[Demonstration], Demonstration]:
    """Register a fault with its demonstration; the arguments are those of :class:`Fault`.

    Raises
    ------
    MedclfError
        If the ID is taken.
    """

    def register(demonstrate: Demonstration) -> Demonstration:
        _add(Fault(id, title, chapter, hurts, faulty, fixed, figure, shows, caught_by, demonstrate))
        return demonstrate

    return register


def explained(
    id: str,
    title: str,
    chapter: str,
    *,
    hurts: str,
    faulty: Callable[..., Any],
    fixed: Callable[..., Any],
    caught_by: tuple[str, ...] = (),
) -> None:
    """Register a fault that no number can show; its code says it.

    Raises
    ------
    MedclfError
        If the ID is taken.
    """
    _add(Fault(id, title, chapter, hurts, faulty, fixed, "", "spread", caught_by, None))


def _add(given: Fault) -> None:
    if given.id in _REGISTER:
        raise MedclfError(f"The fault {given.id} is registered already; give it another ID.")
    _REGISTER[given.id] = given


def known_faults() -> list[Fault]:
    """Return all faults, in the order of their IDs.

    Examples
    --------
    >>> known_faults()[0].id
    'F01'
    """
    import_module("medclf_lite.pitfalls.shown")
    return [_REGISTER[id] for id in sorted(_REGISTER)]


def the_fault(id: str) -> Fault:
    """Return one fault.

    Raises
    ------
    MedclfError
        If there is none of this ID.

    Examples
    --------
    >>> the_fault("F01").chapter
    '01_loading_and_inspection'
    """
    known = {each.id: each for each in known_faults()}
    if id not in known:
        raise MedclfError(f"There is no fault {id!r}; the faults are {', '.join(known)}.")
    return known[id]


def source_of(function: Callable[..., Any]) -> str:
    """Return the source of a function as a reader should see it, without its docstring.

    Examples
    --------
    >>> def double(x):
    ...     return 2 * x
    >>> print(source_of(double))
    def double(x):
        return 2 * x
    """
    lines = textwrap.dedent(inspect.getsource(function)).rstrip().splitlines()
    (node,) = ast.parse("\n".join(lines)).body
    first = node.body[0] if isinstance(node, ast.FunctionDef | ast.ClassDef) else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        del lines[first.lineno - 1 : first.end_lineno]
    return "\n".join(lines)


def measure(faults: Iterable[Fault], seeds: Iterable[int]) -> pd.DataFrame:
    """Run demonstrations over seeds.

    Parameters
    ----------
    faults : iterable of Fault
        Those without a demonstration are passed over.
    seeds : iterable of int
        Each gives other synthetic patients.

    Returns
    -------
    pandas.DataFrame
        One row a fault and seed: ``id``, ``seed``, ``said`` and ``truth``.

    Examples
    --------
    >>> list(measure([], seeds=[0]).columns)
    ['id', 'seed', 'said', 'truth']
    """
    chosen = list(seeds)
    rows = [
        (each.id, seed, *map(float, each.demonstrate(seed)))
        for each in faults
        if each.demonstrate is not None
        for seed in chosen
    ]
    return pd.DataFrame(rows, columns=["id", "seed", "said", "truth"])
