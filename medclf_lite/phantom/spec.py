"""What can be chosen about a synthetic cohort, checked before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from medclf_lite.errors import MedclfError
from medclf_lite.phantom.scanner import scanner_of

Pair = tuple[float, float]


@dataclass(frozen=True)
class PhantomSpec:
    """Everything that can be chosen about a synthetic cohort.

    Pairs are (NORMAL, PNEUMONIA): two different numbers link a trait to the label.

    Parameters
    ----------
    n_patients : int
    images_per_patient : int or "kaggle"
        A fixed number, or as in the Kaggle set: mostly one, up to 30.
    size : int
        Height and width of the images in memory in pixels, 32 or more.
    seed : int
    prevalence : float
        Share of patients with pneumonia.
    amplitude : pair of float
        Least and greatest density of a lesion: (.15, .32) is visible, (.05, .12) is faint.
    bacteria_share, child_share, dextrocardia : float
        Shares of the patients with pneumonia, and of all patients.
    sites : tuple of str
        Of A, B and C; a patient stays at one.
    site_confounding : float
        How far site and label go together. .5 not at all; .9 with two sites: 90 % of the
        sick are at the second and 90 % of the others at the first.
    policy_change : float or None
        Share of the period after which site and label no longer go together.
    ap_share : pair of float
        Share of AP views (the others are PA), at every site.
    markers : bool
        Show the side markers of the sites.
    portable_marker : pair of float
        Share of images with the letter P in place of the side.
    file_confounding : float
        1: size, aspect, JPEG quality and mode of the files depend on the class as in the
        Kaggle set; 0: not at all.
    label_noise : float
        Share of patients whose label is wrong; ``Phantom.truth`` keeps the right one.
    pose : float
        Factor on the differences in pose and exposure between studies.
    first_day, days : str, int
        The period in which patients come for the first time.

    Raises
    ------
    MedclfError
        If a value is out of its range.

    Examples
    --------
    >>> PhantomSpec(n_patients=10).sites
    ('A', 'B')
    """

    n_patients: int = 200
    images_per_patient: int | str = "kaggle"
    size: int = 64
    seed: int = 0
    prevalence: float = 0.65
    amplitude: Pair = (0.15, 0.32)
    bacteria_share: float = 0.6
    child_share: float = 0.4
    dextrocardia: float = 0.0
    sites: tuple[str, ...] = ("A", "B")
    site_confounding: float = 0.5
    policy_change: float | None = None
    ap_share: Pair = (0.4, 0.4)
    markers: bool = True
    portable_marker: Pair = (0.0, 0.0)
    file_confounding: float = 1.0
    label_noise: float = 0.0
    pose: float = 1.0
    first_day: str = "2015-01-01"
    days: int = 1460

    def __post_init__(self) -> None:
        for name, share in _shares(self):
            if not isinstance(share, Real) or not 0 <= float(share) <= 1:
                raise MedclfError(f"{name} is {share!r}; expected a share from 0 to 1.")
        for name, low in {"n_patients": 1, "size": 32, "seed": 0, "days": 1}.items():
            given = getattr(self, name)
            if not isinstance(given, Integral) or given < low:
                raise MedclfError(f"{name} is {given!r}; expected a whole number from {low} on.")
        if not isinstance(self.pose, Real) or not 0 <= float(self.pose) < np.inf:
            raise MedclfError(f"pose is {self.pose!r}; expected a factor from 0 on.")
        given = self.images_per_patient
        if given != "kaggle" and (not isinstance(given, Integral) or given < 1):
            raise MedclfError(
                f"images_per_patient is {given!r}; expected a number from 1 or 'kaggle'."
            )
        least, most = _pair("amplitude", self.amplitude)
        if not 0 <= least <= most < np.inf:
            raise MedclfError(f"amplitude is {self.amplitude}; expected (least, greatest) >= 0.")
        _check_sites(self.sites)
        _check_period(self.first_day, self.days)


def _shares(spec: PhantomSpec) -> Iterator[tuple[str, Any]]:
    for name in (
        "prevalence", "bacteria_share", "child_share", "dextrocardia", "site_confounding",
        "file_confounding", "label_noise",
    ):  # fmt: skip
        yield name, getattr(spec, name)
    if spec.policy_change is not None:
        yield "policy_change", spec.policy_change
    for name in ("ap_share", "portable_marker"):
        for i, share in enumerate(_pair(name, getattr(spec, name))):
            yield f"{name}[{i}]", share


def _pair(name: str, given: Pair) -> Pair:
    numbers = isinstance(given, tuple | list) and all(isinstance(v, Real) for v in given)
    if not numbers or len(given) != 2:
        raise MedclfError(f"{name} is {given!r}; expected a pair of numbers.")
    return given[0], given[1]


def _check_sites(sites: tuple[str, ...]) -> None:
    named = isinstance(sites, tuple | list) and all(isinstance(site, str) for site in sites)
    if not named or not sites or len(set(sites)) < len(sites):
        raise MedclfError(
            f"sites is {sites!r}; expected one or more of A, B and C, such as ('A', 'B')."
        )
    for site in sites:
        scanner_of(site)


def _check_period(first_day: str, days: int) -> None:
    message = (
        f"first_day is {first_day!r} and days {days}; expected a day such as '2015-01-01' and a "
        "period that ends before the year 2200."
    )
    try:
        last = pd.Timestamp(first_day).normalize() + pd.Timedelta(int(days), "D")
    except (ValueError, TypeError, OverflowError, AttributeError) as problem:
        raise MedclfError(message) from problem
    if last.year >= 2200:  # times in nanoseconds end in 2262, and patients come back later
        raise MedclfError(message)
