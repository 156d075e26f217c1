"""What a check says to a learner: right, not yet, or what is wrong and a hint at why."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Literal

Status = Literal["right", "wrong", "open"]
MARKS: dict[Status, str] = {"right": "Right", "wrong": "Not yet", "open": "Open"}


class NotYetError(Exception):
    """Raised by a check: the answer is wrong in a way that the check can name.

    Parameters
    ----------
    says : str
        What is wrong, without the answer.
    hint : str
        Why that may be, or where to look.
    """

    def __init__(self, says: str, hint: str = "") -> None:
        super().__init__(says)
        self.says, self.hint = says, hint


@dataclass(frozen=True)
class Feedback:
    """The answer of :func:`medclf_lite.exercises.check`; a notebook shows it as text.

    Parameters
    ----------
    exercise : str
        ID of the exercise.
    status : {"right", "wrong", "open"}
    says, hint : str
        One or two sentences each; the hint may be empty.

    Examples
    --------
    >>> Feedback("splits-1", "wrong", "Too low.", "Think of the other images of the patient.")
    Not yet (splits-1). Too low.
    Hint: Think of the other images of the patient.
    """

    exercise: str
    status: Status
    says: str
    hint: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == "right"

    def __repr__(self) -> str:
        hint = f"\nHint: {self.hint}" if self.hint else ""
        return f"{MARKS[self.status]} ({self.exercise}). {self.says}{hint}"

    def _repr_html_(self) -> str:
        """Say it in words; the border is an addition, never the only sign."""
        hint = f"<div><em>Hint:</em> {html.escape(self.hint)}</div>" if self.hint else ""
        style = {"right": "solid", "wrong": "double", "open": "dashed"}[self.status]
        return (
            f'<div role="status" style="border-left: 4px {style}; padding-left: .7em">'
            f"<strong>{MARKS[self.status]}</strong> ({html.escape(self.exercise)}). "
            f"{html.escape(self.says)}{hint}</div>"
        )
