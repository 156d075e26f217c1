"""A dial from no shortcut to a perfect one, with the figures inside and outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from medclf_lite.errors import MedclfError
from medclf_lite.plots import COLOURS
from medclf_lite.widgets.plot import Line, Plot
from medclf_lite.widgets.states import Dial, Frame, States

STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
FINE = tuple(k / 20 for k in range(21))
LOOKS = (
    (COLOURS["normal"], "none"),
    (COLOURS["true"], "7 4"),
    (COLOURS["disease"], "2 4"),
)
Vector = npt.NDArray[np.float64]
Measure = Callable[[float], Mapping[str, npt.ArrayLike]]


def confounding(measure: Measure, strengths: tuple[float, ...] = STRENGTHS) -> States:
    """Show what a shortcut of growing strength does to the ROC-AUC inside and elsewhere.

    Parameters
    ----------
    measure : callable
        Takes a strength from 0 (the shortcut does not go with the label) to 1 (it always does)
        and returns up to three tests by name, each with one ROC-AUC a seed. Called once for
        each strength; the live picture calls it for those between.
    strengths : tuple of float
        At which the picture is computed.

    Returns
    -------
    States
        Dial: the strength.

    Raises
    ------
    MedclfError
        If there are no tests or more than three, or a value is not in [0, 1].

    Examples
    --------
    >>> shown = confounding(lambda s: {"inside": [0.7 + 0.3 * s] * 2, "outside": [0.7 - s / 2] * 2})
    >>> shown.frames[-1].says.split(".  ")[0][:36]
    'Mean ROC-AUC of 2 seeds: inside 1.00'
    """

    @cache
    def measured(strength: float) -> dict[str, Vector]:
        return _checked(measure(strength))

    def draw(strength: float) -> Frame:
        # Up to here and no further: what a stronger shortcut does is for the reader to find out.
        passed = [*(s for s in strengths if s < strength), strength]
        return Frame(_picture({s: measured(s) for s in passed}), _words(measured(strength)))

    dial = Dial("strength", strengths, strengths[0], ".0%", tuple(sorted({*strengths, *FINE})))
    return States("How closely does the shortcut go with the disease?", (dial,), draw)


def _checked(given: Mapping[str, npt.ArrayLike]) -> dict[str, Vector]:
    found = {name: np.asarray(values, dtype=np.float64) for name, values in given.items()}
    if not 1 <= len(found) <= len(LOOKS):
        raise MedclfError(f"Give one to {len(LOOKS)} tests by name; got {list(found)}.")
    for name, values in found.items():
        if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
            raise MedclfError(
                f"Test {name!r} needs a ROC-AUC in [0, 1] for each seed; got {values}."
            )
    return found


def _words(found: dict[str, Vector]) -> str:
    seeds = len(next(iter(found.values())))
    each = (f"{k} {v.mean():.2f} ({v.min():.2f} to {v.max():.2f})" for k, v in found.items())
    return f"Mean ROC-AUC of {seeds} seeds: {', '.join(each)}."


def _picture(passed: dict[float, dict[str, Vector]]) -> str:
    """Draw the mean of each test up to the last strength, and there the seeds as well."""
    now, found = list(passed.items())[-1]
    plot = Plot((-0.04, 1.04), (0, 1.04), width=420, height=260)
    looks = [Line(name, *look) for name, look in zip(found, LOOKS, strict=False)]
    names = "strength of the shortcut", "ROC-AUC (0.5 = guessing)"
    guess = Line("guessing", "currentColor", "1 3")
    parts = [
        plot.axes(names, (0, 0.5, 1), (0, 0.5, 1)),
        plot.legend(looks),
        plot.line(plot.x, (0.5, 0.5), guess),
        plot.upright(now),
    ]
    for look in looks:
        means = [values[look.name].mean() for values in passed.values()]
        parts += [plot.line(list(passed), means, look), _dots(plot, now, found[look.name], look)]
    return plot.drawn(parts)


def _dots(plot: Plot, now: float, values: Vector, look: Line) -> str:
    """Draw a small dot for each seed and a large one for their mean."""
    x = plot.across(now)
    small = "".join(
        f'<circle cx="{x}" cy="{plot.down(v)}" r="3" fill="{look.colour}"/>' for v in values
    )
    mean = f'<circle cx="{x}" cy="{plot.down(float(values.mean()))}" r="6" fill="{look.colour}" '
    return f'{small}{mean}stroke="currentColor" stroke-width="1.5"/>'
