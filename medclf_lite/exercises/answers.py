"""Read what a learner gives: a number, a line, a function; or say what came instead."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from medclf_lite.exercises.feedback import NotYetError

MOST = 100_000  # entries that a check reads of an answer


def described(answer: Any) -> str:  # noqa: ANN401
    """Say what came, by type and shape; never by content, which may be huge.

    Examples
    --------
    >>> described(np.zeros((2, 3)))
    'ndarray of shape (2, 3)'
    """
    if answer is None:
        return "None; does your function return something?"
    if isinstance(answer, str):
        return "a text"
    shape = getattr(answer, "shape", None)
    told = f" of shape {tuple(shape)}" if isinstance(shape, tuple) and shape else ""
    return f"{type(answer).__name__}{told}"


def a_number(answer: Any, low: float, high: float, what: str = "a number") -> float:  # noqa: ANN401
    """Return a finite number from low to high.

    Raises
    ------
    NotYetError
        If it is something else.
    """
    single = isinstance(answer, Real | np.number) or getattr(answer, "ndim", 1) == 0
    if isinstance(answer, bool | str | bytes) or not single:
        raise NotYetError(
            f"The exercise asks for {what}; this is {described(answer)}.",
            "Leave the quotation marks out." if isinstance(answer, str) else "",
        )
    value = float(answer)
    if not np.isfinite(value):
        raise NotYetError(f"The exercise asks for {what}; this is {value}.")
    if not low <= value <= high:
        raise NotYetError(
            f"The exercise asks for {what} from {low:,.12g} to {high:,.12g}; this is {value:g}.",
            "Is yours a percentage, odds, or a count?" if high == 1 < value else "",
        )
    return value


def near(value: float, truth: float, within: float, low: str, high: str) -> None:
    """Accept a prediction near the truth; else say on which side it lies, and a hint.

    Raises
    ------
    NotYetError
        With the hint ``low`` below the truth, and ``high`` above it.
    """
    if value < truth - within:
        raise NotYetError("Your number is too low.", low)
    if value > truth + within:
        raise NotYetError("Your number is too high.", high)


def a_line(answer: Any, faulty: int, innocent: Mapping[int, str]) -> None:  # noqa: ANN401
    """Accept the number of the faulty line, as a number or in words ("line 4").

    Raises
    ------
    NotYetError
        For another line; where there is a reason why that line is innocent, it says so.
    """
    if isinstance(answer, str):
        found = re.fullmatch(r"\s*(?:line\s*)?(\d{1,3})\s*", answer[:20], re.IGNORECASE)
        answer = int(found[1]) if found else answer
    line = a_number(answer, 1, max(faulty, *innocent), "the number of a line")
    if line != int(line):
        raise NotYetError("The number of a line is a whole number.")
    if line != faulty:
        reason = innocent.get(int(line), "Read it again: what does it do, and to which images?")
        raise NotYetError(f"The fault is not in line {line:g}.", reason)


def tried(answer: Any, *given: Any) -> Any:  # noqa: ANN401
    """Call a learner's function with copies of what is given.

    Raises
    ------
    NotYetError
        If it is no function, or raises; NotImplementedError passes, it marks open work.
    """
    if not callable(answer):
        raise NotYetError(
            f"The exercise asks for a function; this is {described(answer)}.",
            "Hand over the function itself, without calling it: check(id, name).",
        )
    function: Callable[..., Any] = answer
    try:
        return function(*copy.deepcopy(given))
    except NotImplementedError:
        raise
    except (Exception, SystemExit) as problem:
        raise NotYetError(
            f"Your function raises {type(problem).__name__}: {str(problem)[:200]}",
            "Call it yourself with a small example and read the traceback.",
        ) from problem


def entries(answer: Any, what: str) -> list[Any]:  # noqa: ANN401
    """Return the entries of a list, set, array, index or series.

    Raises
    ------
    NotYetError
        If it is none of these, or has more entries than any right answer.
    """
    kinds = ("list", "tuple", "set", "frozenset", "dict_keys", "ndarray", "Series", "Index",
             "StringArray", "ArrowStringArray", "Tensor")  # fmt: skip
    if type(answer).__name__ not in kinds or getattr(answer, "ndim", 1) != 1:
        raise NotYetError(f"The exercise asks for {what}; this is {described(answer)}.")
    if len(answer) > MOST:
        raise NotYetError(f"The exercise asks for {what}; this has {len(answer):,} entries.")
    return [x.item() if isinstance(x, np.generic) else x for x in answer]
