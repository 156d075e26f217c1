"""Labels of any usual kind as columns of 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medclf_lite.cohort import OPTIONAL, REQUIRED
from medclf_lite.errors import MedclfError

MOST_CLASSES = 100
# Words for the class without the disease, which becomes label 0.
NEGATIVE = ("normal", "negative", "healthy", "control", "benign", "no", "none", "absent", "clear",
            "well", "0", "false", "no finding", "non")  # fmt: skip


class Labelled(NamedTuple):
    """Columns of 0 and 1: one called ``label``, or one a class or finding."""

    columns: dict[str, npt.NDArray[np.int64]]
    findings: tuple[str, ...]
    classes: tuple[str, str]


def label_columns(given: Sequence[Any]) -> Labelled:
    """Make columns of one label an image.

    Parameters
    ----------
    given : sequence
        One value an image: a number or a word, or a tuple of 0 and 1 for several findings.

    Returns
    -------
    Labelled
        Two values make a column ``label``; more make one column a class, as for findings.

    Raises
    ------
    MedclfError
        If there are more than 100 values, or tuples of different length.

    Examples
    --------
    >>> label_columns(["sick", "normal"]).columns["label"].tolist()
    [1, 0]
    >>> label_columns(["a", "b", "c"]).findings
    ('a', 'b', 'c')
    """
    if any(isinstance(value, tuple) for value in given):
        return _several(given)
    values = in_order(set(given))
    if len(values) <= 2:
        names = [_name(v) for v in values]
        known = len(values) == 1 and _is_negative(values[0])
        classes = (names[0], names[1] if len(names) == 2 else f"not {names[0]}")
        if len(values) == 1 and not known:
            classes = (f"not {names[0]}", names[0])
        positive = None if known else values[-1]
        return Labelled({"label": _is(given, positive)}, (), classes)
    if len(values) > MOST_CLASSES:
        raise MedclfError(
            f"There are {len(values)} different labels, the first are {values[:3]}; expected at "
            f"most {MOST_CLASSES} classes. Is this the column of labels?"
        )
    columns = {_name(value, column=True): _is(given, value) for value in values}
    return Labelled(columns, tuple(columns), ("absent", "present"))


def in_order(values: set[Any]) -> list[Any]:
    """Sort classes: the one that sounds like no disease first, then by number or alphabet.

    Examples
    --------
    >>> in_order({"COVID", "healthy"}), in_order({2, 10})
    (['healthy', 'COVID'], [2, 10])
    """
    numbers = all(isinstance(v, int | float | np.number) for v in values)
    return sorted(values, key=lambda v: (not _is_negative(v), v if numbers else str(v)))


def _is_negative(value: object) -> bool:
    if isinstance(value, int | float | np.number):
        return value == 0
    return str(value).strip().lower() in NEGATIVE


def _name(value: object, *, column: bool = False) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    taken = column and (text in (*OPTIONAL, *REQUIRED) or not text or text[0].isdigit())
    return f"class {text}" if taken else text


def _is(given: Sequence[Any], value: object) -> npt.NDArray[np.int64]:
    return np.array([int(x == value) for x in given], dtype=np.int64)


def _several(given: Sequence[Any]) -> Labelled:
    lengths = {len(value) if isinstance(value, tuple) else 1 for value in given}
    if len(lengths) > 1:
        raise MedclfError(
            f"Images have {sorted(lengths)} labels; each needs as many as the others."
        )
    wide = (np.array(given, dtype=float) > 0.5).astype(np.int64)
    names = tuple(f"finding {i}" for i in range(wide.shape[1]))
    return Labelled(dict(zip(names, wide.T, strict=True)), names, ("absent", "present"))
