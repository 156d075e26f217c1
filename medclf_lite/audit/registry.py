"""The register of checks.

A check is one small function in a module of :mod:`medclf_lite.audit.checks`. It looks at a
cohort, at a project (loaders, model, predictions) or at source code::

    @cohort_check(id="counts.one-class", needs=("label",))
    def one_class(audit: AuditInput) -> Iterator[Finding]:
        ...
        yield Finding("counts.one-class", "error", ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from medclf_lite.audit.finding import Finding
from medclf_lite.errors import MedclfError

if TYPE_CHECKING:
    from medclf_lite.audit.code import Code
    from medclf_lite.audit.cohort_input import AuditInput
    from medclf_lite.audit.project import Project

Kind = Literal["cohort", "project", "code"]


class Subject(Protocol):
    """What is looked at: it can say what of a check's needs it lacks."""

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Return which needs cannot be met, in words."""
        ...


@dataclass(frozen=True)
class Check:
    """A registered check: its ID, what it needs, its function and that function's first line."""

    id: str
    kind: Kind
    needs: tuple[str, ...]
    run: Callable[[Any], Iterable[Finding]]
    about: str


_REGISTER: dict[str, Check] = {}


def cohort_check(
    *, id: str, needs: tuple[str, ...] = ()
) -> Callable[[Callable[[AuditInput], Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Register a check that looks at a cohort.

    Parameters
    ----------
    id : str
        ``group.name``, unique; findings of the check carry it.
    needs : tuple of str
        ``"files"``, ``"images"``, ``"label"`` (a binary cohort), or names of columns. Where
        one is missing the check does not run, and the report says so.

    Raises
    ------
    MedclfError
        If the ID is taken or has no group.
    """
    return _register(id, "cohort", needs)


def project_check(
    *, id: str, needs: tuple[str, ...] = ()
) -> Callable[[Callable[[Project], Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Register a check of loaders, a model, training or predictions.

    Parameters
    ----------
    id : str
        As for :func:`cohort_check`.
    needs : tuple of str
        Names of arguments of :func:`medclf_lite.audit.check`; ``"sides"`` means any of train,
        val and test.

    Raises
    ------
    MedclfError
        If the ID is taken or has no group.
    """
    return _register(id, "project", needs)


def code_check(
    *, id: str
) -> Callable[[Callable[[Code], Iterable[Finding]]], Callable[..., Iterable[Finding]]]:
    """Register a check that reads source code, which is never run.

    Parameters
    ----------
    id : str
        As for :func:`cohort_check`.

    Raises
    ------
    MedclfError
        If the ID is taken or has no group.
    """
    return _register(id, "code", ())


def _register(id: str, kind: Kind, needs: tuple[str, ...]) -> Callable[..., Any]:
    def register(run: Callable[[Any], Iterable[Finding]]) -> Callable[[Any], Iterable[Finding]]:
        if id in _REGISTER or "." not in id:
            raise MedclfError(f"A check's ID must be new and read group.name; got {id!r}.")
        about = (run.__doc__ or id).strip().splitlines()[0]
        _REGISTER[id] = Check(id, kind, needs, run, about)
        return run

    return register


def known_checks(only: Iterable[str] | None = None, kind: Kind | None = None) -> list[Check]:
    """Return the registered checks, or those of some groups, IDs or of one kind.

    Parameters
    ----------
    only : iterable of str, optional
        Groups (``"files"``) or IDs (``"files.unreadable"``).
    kind : {"cohort", "project", "code"}, optional
        What the checks look at.

    Raises
    ------
    MedclfError
        If a name is neither.

    Examples
    --------
    >>> [c.id for c in known_checks(["files.unreadable"])]
    ['files.unreadable']
    """
    import_module("medclf_lite.audit.checks")
    every = [c for c in _REGISTER.values() if kind in (None, c.kind)]
    if only is None:
        return every
    wanted = [only] if isinstance(only, str) else list(only)
    groups = {id.split(".")[0] for id in _REGISTER}
    if unknown := [w for w in wanted if w not in groups and w not in _REGISTER]:
        raise MedclfError(
            f"There is no check or group {unknown[0]!r}; groups are {', '.join(sorted(groups))}."
        )
    return [c for c in every if c.id in wanted or c.id.split(".")[0] in wanted]
