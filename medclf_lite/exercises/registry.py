"""The register of exercises, and the one function that checks an answer.

A check is a function that returns what to say to a right answer, and raises
:class:`~medclf_lite.exercises.feedback.NotYetError` for a wrong one::

    @exercise("splits-1", "predict", SPLITS)
    def share_that_leaks(answer): ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from medclf_lite.audit.side import kept_randomness
from medclf_lite.errors import MedclfError
from medclf_lite.exercises.feedback import Feedback, NotYetError

Kind = Literal["predict", "find", "repair", "build"]
Check = Callable[[Any], str]


@dataclass(frozen=True)
class Exercise:
    """An exercise: its ID, its kind, its chapter, and the check of its answer."""

    id: str
    kind: Kind
    chapter: str
    check: Check


_KNOWN: dict[str, Exercise] = {}


def exercise(id: str, kind: Kind, chapter: str) -> Callable[[Check], Check]:
    """Register a check under the ID of its exercise.

    Raises
    ------
    MedclfError
        If the ID is taken.
    """

    def register(function: Check) -> Check:
        if id in _KNOWN:
            raise MedclfError(f"There are two exercises {id!r}.")
        _KNOWN[id] = Exercise(id, kind, chapter, function)
        return function

    return register


def known_exercises(chapter: str | None = None) -> list[Exercise]:
    """List the exercises of a chapter, or all, in the order of the course.

    Examples
    --------
    >>> [e.kind for e in known_exercises("03_leakage_safe_splits")]
    ['predict', 'find', 'repair', 'build']
    """
    found = [e for e in _KNOWN.values() if chapter in (None, e.chapter)]
    return sorted(found, key=lambda e: e.chapter)


def check(id: str, answer: Any) -> Feedback:  # noqa: ANN401 - whatever a learner gives
    """Check an answer and say in words what is wrong with it.

    Functions are called with small made-up data. Nothing is sent anywhere, and the random
    generators are left as they were.

    Parameters
    ----------
    id : str
        Which exercise, such as ``"splits-2"``.
    answer : object
        A number, a line, a function: the exercise says which. None is an open exercise.

    Returns
    -------
    Feedback
        Whatever the answer is; a check does not raise.

    Raises
    ------
    MedclfError
        If there is no such exercise.

    Examples
    --------
    >>> check("splits-1", None)
    Open (splits-1). There is no answer yet.
    >>> check("splits-1", 0.2).passed
    False
    """
    known = _KNOWN.get(id) if isinstance(id, str) else None
    if known is None:
        near = get_close_matches(str(id)[:80], _KNOWN, n=3, cutoff=0.3) or list(_KNOWN)
        raise MedclfError(f"There is no exercise {str(id)[:80]!r}. Perhaps: {', '.join(near)}.")
    if answer is None or answer is Ellipsis:
        return Feedback(id, "open", "There is no answer yet.")
    try:
        with kept_randomness():
            return Feedback(id, "right", known.check(answer))
    except NotYetError as found:
        return Feedback(id, "wrong", found.says, found.hint)
    except NotImplementedError:
        return Feedback(id, "open", "The function still raises NotImplementedError.")
    except (Exception, SystemExit) as problem:  # an answer may do anything when it is used
        return Feedback(
            id, "wrong", f"Your answer could not be used: {type(problem).__name__}.",
            "Compare its type and shape with what the exercise asks for.",
        )  # fmt: skip
