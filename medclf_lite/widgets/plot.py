"""A small plot as SVG, in the colour of the text around it: readable in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LEFT, RIGHT, TOP, BOTTOM = 58, 10, 28, 40  # room for the axes, in pixels


class Line(NamedTuple):
    """How a line looks: told apart by its dashes too, not by colour alone."""

    name: str
    colour: str
    dash: str = "none"

    @property
    def look(self) -> str:
        """The attributes of its SVG element."""
        return f'fill="none" stroke="{self.colour}" stroke-width="2" stroke-dasharray="{self.dash}"'


@dataclass(frozen=True)
class Plot:
    """Axes from data to pixels; lines that leave them are cut off at their edge.

    Parameters
    ----------
    x, y : pair of float
        First and last value of each axis.
    width, height : int
        Of the whole picture, in pixels.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    width: int = 340
    height: int = 230

    def across(self, value: float) -> float:
        """Return the pixel, from the left, of a value on the x axis."""
        share = (value - self.x[0]) / (self.x[1] - self.x[0])
        return round(LEFT + share * (self.width - LEFT - RIGHT), 1)

    def down(self, value: float) -> float:
        """Return the pixel, from the top, of a value on the y axis."""
        share = (self.y[1] - value) / (self.y[1] - self.y[0])
        return round(TOP + share * (self.height - TOP - BOTTOM), 1)

    def line(self, xs: npt.ArrayLike, ys: npt.ArrayLike, line: Line) -> str:
        """Draw a line through points, two sequences of shape (n,)."""
        pairs = zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True)
        points = " ".join(f"{self.across(x)},{self.down(y)}" for x, y in pairs)
        inner = self.width - LEFT - RIGHT, self.height - TOP - BOTTOM
        # A nested svg cuts off what leaves the axes; a clip path would need an ID.
        return (
            f'<svg x="{LEFT}" y="{TOP}" width="{inner[0]}" height="{inner[1]}" '
            f'viewBox="{LEFT} {TOP} {inner[0]} {inner[1]}">'
            f'<polyline points="{points}" {line.look}/></svg>'
        )

    def legend(self, lines: Sequence[Line]) -> str:
        """Name the lines above the plot."""
        parts, x = [], LEFT
        for line in lines:
            parts.append(
                f'<path d="M{x} 12h22" {line.look}/>{_text(x + 27, 16, line.name, "start")}'
            )
            x += 40 + 7 * len(line.name)
        return "".join(parts)

    def upright(self, x: float) -> str:
        """Draw a thin vertical line through the plot."""
        at = self.across(x)
        return (
            f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{self.height - BOTTOM}" '
            'stroke="currentColor" opacity=".4"/>'
        )

    def axes(self, names: tuple[str, str], xticks: Sequence[float], yticks: Sequence[float]) -> str:
        """Draw both axes, with their names and some numbers."""
        floor = self.height - BOTTOM
        middle = (TOP + floor) / 2
        parts = [
            f'<path d="M{LEFT} {TOP}V{floor}H{self.width - RIGHT}" fill="none" '
            'stroke="currentColor" opacity=".6"/>'
        ]
        parts += [_text(self.across(v), floor + 16, f"{v:g}", "middle") for v in xticks]
        parts += [_text(LEFT - 6, self.down(v) + 4, f"{v:g}", "end") for v in yticks]
        parts.append(_text((LEFT + self.width) / 2, self.height - 6, names[0], "middle"))
        parts.append(
            f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
            f"{escape(names[1])}</text>"
        )
        return "".join(parts)

    def drawn(self, parts: Iterable[str]) -> str:
        """Put parts into one picture, a line each; words beside it say what it shows."""
        return svg(self.width, self.height, parts)


def svg(width: float, height: float, parts: Iterable[str], scale: float = 1) -> str:
    """Open a picture of so many units, ``scale`` pixels each, and put a part on each line."""
    size = f'width="{width * scale:g}" height="{height * scale:g}"'
    head = f'<svg viewBox="0 0 {width:g} {height:g}" {size} aria-hidden="true">'
    return "\n".join([head, *parts, "</svg>"])


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'
