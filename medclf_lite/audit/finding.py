"""What a check reports: one finding, with the evidence and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from medclf_lite.errors import MedclfError

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the worst first
MOST_EXAMPLES = 5

LOADING = "01_loading_and_inspection"
EDA = "02_eda_and_preprocessing"
SPLITS = "03_leakage_safe_splits"
TRANSFER = "04_transfer_learning"
TRAINING = "05_training"
EVALUATION = "06_evaluation"
CALIBRATION = "07_calibration_and_decisions"
IMBALANCE = "08_class_imbalance"
CROSS_VALIDATION = "09_cross_validation"
SHORTCUTS = "10_shortcuts_and_external_validation"
LABELS = "12_labels"


def visible(text: str) -> str:
    r"""Show what does not print, so that a file name cannot steer a terminal.

    Examples
    --------
    >>> visible("a\x1b[31m\nb")
    'a\\x1b[31m\\nb'
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


@dataclass(frozen=True)
class Example:
    """One case of a finding: a line of text, and the IDs of the images to show with it."""

    text: str
    images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", visible(self.text))


class Bar(NamedTuple):
    """One bar of a finding's chart: a value from 0 to 1 and its interval."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Finding:
    """One thing that an audit has to say.

    Parameters
    ----------
    id : str
        Identifier of the check, ``group.name``.
    severity : {"error", "warning", "note"}
        ``error``: figures computed on this cohort would be wrong. ``warning``: they may be.
        ``note``: worth knowing.
    title, seen, why, do : str
        The fault in a few words; what was seen, with numbers; why it matters; what to do.
    count : int
        How many images, patients, groups or traits are concerned.
    examples : iterable of Example
        Up to five are kept.
    chapter : str
        Chapter of the course to read.
    bars : tuple of Bar
        A chart for the HTML report, if the evidence is a list of figures.
    accepted : str
        The reason why the project lives with this finding; empty if it does not. See
        :class:`medclf_lite.audit.Acknowledgement`.

    Raises
    ------
    MedclfError
        If the severity is not known.
    """

    id: str
    severity: Severity
    title: str
    seen: str
    count: int
    examples: tuple[Example, ...]
    why: str
    do: str
    chapter: str
    bars: tuple[Bar, ...] = ()
    accepted: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise MedclfError(
                f"Finding {self.id} has severity {self.severity!r}; expected one of "
                f"{', '.join(SEVERITIES)}."
            )
        object.__setattr__(self, "examples", tuple(self.examples)[:MOST_EXAMPLES])
        for name in ("title", "seen", "accepted"):
            object.__setattr__(self, name, visible(getattr(self, name)))


def of_images(image_ids: Iterable[str]) -> tuple[Example, ...]:
    """Make the first five images into examples, each with its ID as text."""
    ids = [str(i) for _, i in zip(range(MOST_EXAMPLES), image_ids, strict=False)]
    return tuple(Example(i, (i,)) for i in ids)


def number(n: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> number(1, "image"), number(1200, "image"), number(2, "copy", "copies")
    ('1 image', '1,200 images', '2 copies')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"
