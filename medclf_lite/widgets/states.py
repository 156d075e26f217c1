"""Pictures with dials: every state is computed beforehand, so that a page needs no kernel."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import product
from typing import Any, NamedTuple

from medclf_lite.errors import MedclfError

STYLE = """
.medclf-states { max-width: 46rem; color: inherit; line-height: 1.4; }
.medclf-states .dial { display: flex; gap: .8rem; align-items: center; border: 0; margin: 0 0 .4rem;
  padding: 0; flex-wrap: wrap; }
.medclf-states .dial > label { display: flex; gap: .8rem; align-items: center; flex: 1; margin: 0; }
.medclf-states .dial label > span, .medclf-states legend { min-width: 6rem; }
.medclf-states legend { float: left; margin: 0; padding: 0; font-size: inherit; width: auto; }
.medclf-states input[type=range] { flex: 1; min-width: 6rem; accent-color: #0072B2; }
.medclf-states .choices { display: flex; flex-wrap: wrap; flex: 1; gap: .2rem .8rem; }
.medclf-states .choices label { display: flex; gap: .3rem; align-items: center; margin: 0; }
.medclf-states .dial output { min-width: 3.5rem; font-variant-numeric: tabular-nums; }
.medclf-states figure { margin: .8rem 0 0; }
.medclf-states figcaption { color: inherit; font-size: inherit; margin: .5rem 0 0;
  text-align: left; font-variant-numeric: tabular-nums; }
.medclf-states figure p { margin: .5rem 0 0; }
.medclf-states .panels { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; }
.medclf-states svg { display: block; max-width: 100%; height: auto; }
.medclf-states svg text { fill: currentColor; font: 13px system-ui, sans-serif; }
.medclf-states table { border-collapse: collapse; margin: 0; width: auto; display: table; }
.medclf-states :is(tr, th, td, caption) { background: none; color: inherit; }
.medclf-states :is(th, td) { border: 1px solid color-mix(in srgb, currentColor 35%, transparent);
  padding: .25rem .5rem; text-align: left; }
.medclf-states caption { caption-side: top; padding: 0 0 .25rem; text-align: left; }
"""
# Called with the form as `this` when a dial moves. It stands in an attribute, so it needs no
# identifier, leaves no name behind, and works where a notebook does not run the scripts of an
# output. Row-major: the last dial changes fastest.
MOVE = """
const known = JSON.parse(this.querySelector('script').textContent);
let at = 0;
known.labels.forEach((labels, k) => {
  const dial = this.elements['d' + k], now = Number(dial.value);
  at = at * labels.length + now;
  if (dial.type === 'range') {
    dial.setAttribute('aria-valuetext', labels[now]);
    dial.parentNode.nextElementSibling.textContent = labels[now];
  }
});
const picture = known.frames[at].map(line => known.lines[line]).join('\\n');
this.querySelector('.frame').innerHTML = picture;
this.querySelector('figcaption').textContent = known.says[at];
"""


class Frame(NamedTuple):
    """What one setting of the dials shows (HTML or SVG), and the same in words."""

    html: str
    says: str


@dataclass(frozen=True)
class Dial:
    """One thing to move: a slider over numbers, or a choice between names.

    Parameters
    ----------
    name : str
        What it is called on the page.
    values : tuple
        Two or more numbers in order, or names.
    start : object
        The value that is shown first.
    spec : str
        Format specification of a value, as in :func:`format`.
    fine : tuple
        Values of the live version; ``values`` if empty.

    Raises
    ------
    MedclfError
        If there is nothing to move, or ``start`` is not among the values.
    """

    name: str
    values: tuple[Any, ...]
    start: Any
    spec: str = ""
    fine: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.values)) < 2 or self.start not in self.values:
            raise MedclfError(
                f"The dial {self.name!r} needs two or more different values and one of them to "
                f"start from; got {self.values} and {self.start!r}."
            )

    @property
    def is_choice(self) -> bool:
        """Whether the values are names: a choice in place of a slider."""
        return isinstance(self.values[0], str)

    def label(self, value: object) -> str:
        """Write a value as the page shows it."""
        return format(value, self.spec)


@dataclass(frozen=True, repr=False)
class States:
    """A picture with one or more dials, which a page shows without a kernel.

    As the last line of a cell it becomes one piece of HTML that holds all its states. Each line
    of a frame's HTML is stored once, however many frames it is in: frames that put what changes
    on lines of its own stay small.

    Parameters
    ----------
    title : str
    dials : tuple of Dial
    draw : callable
        Takes one value a dial, returns the :class:`Frame`. It may not use element IDs, since a
        page can show a picture twice.

    Raises
    ------
    MedclfError
        If there is no dial.

    Examples
    --------
    >>> def square(n):
    ...     return Frame(f"<b>{n * n}</b>", f"{n} squared is {n * n}.")
    >>> States("Squares", (Dial("number", (1, 2, 3), start=2),), square)
    Squares: a picture with 3 states (number)
    """

    title: str
    dials: tuple[Dial, ...]
    draw: Callable[..., Frame]

    def __post_init__(self) -> None:
        if not self.dials:
            raise MedclfError(f"{self.title!r} has no dial; a picture that stays is a figure.")

    @cached_property
    def frames(self) -> tuple[Frame, ...]:
        """All frames, the last dial changing fastest."""
        return tuple(self.draw(*setting) for setting in product(*(d.values for d in self.dials)))

    def __repr__(self) -> str:
        states = math.prod(len(dial.values) for dial in self.dials)
        names = ", ".join(dial.name for dial in self.dials)
        return f"{self.title}: a picture with {states} states ({names})"

    def _repr_html_(self) -> str:
        start = 0
        for dial in self.dials:
            start = start * len(dial.values) + dial.values.index(dial.start)
        dials = "\n".join(_control(k, dial) for k, dial in enumerate(self.dials))
        # Elements without an `id`, so that nothing can clash. JupyterLab would take arrow keys
        # for its own; a browser would fill in the dials of the last visit.
        return (
            f'<form class="medclf-states" aria-label="{escape(self.title)}" autocomplete="off" '
            'data-lm-suppress-shortcuts="true" onsubmit="return false" '
            f'oninput="{escape(MOVE)}">\n<style>{STYLE}</style>\n'
            f"<p><strong>{escape(self.title)}</strong></p>\n{dials}\n"
            f"{_figure(self.frames[start])}\n"
            f'<script type="application/json">{self._data()}</script>\n'
            "<noscript>The dials need JavaScript; this is their first state.</noscript>\n</form>"
        )

    def _data(self) -> str:
        lines: dict[str, int] = {}
        data = {
            "labels": [[dial.label(value) for value in dial.values] for dial in self.dials],
            "frames": [
                [lines.setdefault(line, len(lines)) for line in frame.html.split("\n")]
                for frame in self.frames
            ],
            "says": [frame.says for frame in self.frames],
            "lines": list(lines),
        }
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        # Nothing in it may end the script element, nor open a comment there.
        return text.replace("</", "<\\/").replace("<!--", "\\u003c!--")

    def live(self) -> Any:  # noqa: ANN401 - ipywidgets has no types
        """Return the same picture as an ipywidget: finer steps, each drawn by the kernel.

        Raises
        ------
        MedclfError
            If ipywidgets is not installed.
        """
        try:
            widgets = importlib.import_module("ipywidgets")
        except ModuleNotFoundError as problem:
            raise MedclfError(
                "The live picture needs ipywidgets, which is not installed: pip install "
                "ipywidgets. Without it, show the picture itself; its dials move too."
            ) from problem
        picture = widgets.HTML()
        controls = [_live_control(widgets, dial) for dial in self.dials]

        def show(_: object = None) -> None:
            frame = self.draw(*(control.value for control in controls))
            picture.value = (
                f'<div class="medclf-states"><style>{STYLE}</style>{_figure(frame)}</div>'
            )

        for control in controls:
            control.observe(show, "value")
        show()
        return widgets.VBox([widgets.Label(self.title), *controls, picture])


def _figure(frame: Frame) -> str:
    # Only the words are announced: the whole picture at each step would be too much to hear.
    return (
        f'<figure><div class="frame">{frame.html}</div>'
        f'<figcaption aria-live="polite">{escape(frame.says)}</figcaption></figure>'
    )


def _control(k: int, dial: Dial) -> str:
    """Write dial number ``k`` as native inputs, which the keyboard moves by itself."""
    name, start = escape(dial.name), dial.values.index(dial.start)
    if dial.is_choice:
        options = "".join(
            f'<label><input type="radio" name="d{k}" value="{i}"{" checked" * (i == start)}>'
            f"{escape(dial.label(value))}</label>"
            for i, value in enumerate(dial.values)
        )
        choices = f'<div class="choices">{options}</div>'
        return f'<fieldset class="dial"><legend>{name}</legend>{choices}</fieldset>'
    shown = escape(dial.label(dial.start))
    return (
        f'<div class="dial"><label><span>{name}</span><input type="range" name="d{k}" min="0" '
        f'max="{len(dial.values) - 1}" step="1" value="{start}" aria-valuetext="{shown}"></label>'
        f'<output aria-live="off">{shown}</output></div>'
    )


def _live_control(widgets: Any, dial: Dial) -> Any:  # noqa: ANN401 - ipywidgets has no types
    kind = widgets.RadioButtons if dial.is_choice else widgets.SelectionSlider
    options = [(dial.label(value), value) for value in dial.fine or dial.values]
    slow = {} if dial.is_choice else {"continuous_update": False}
    return kind(options=options, value=dial.start, description=dial.name, **slow)
