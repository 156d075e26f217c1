"""How much data, how many epochs, and where data lie: the profile of a run.

Code never asks whether it runs in CI; it asks the profile for sizes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar, cast, get_args

from medclf_lite.errors import MedclfError

ProfileName = Literal["tiny", "book", "full"]
T = TypeVar("T")


@dataclass(frozen=True)
class Profile:
    """Sizes of a run, read from the environment by :func:`current`.

    Parameters
    ----------
    name : {"tiny", "book", "full"}
        ``tiny`` for tests (a chapter within 20 s), ``book`` for the published pages
        (a chapter within 60 s on two CPU cores), ``full`` for a GPU and real data.
    data : pathlib.Path or None
        Folder of a real cohort, from ``MEDCLF_DATA``; None means the synthetic cohort.
    cache : pathlib.Path
        Folder for decoded pixels and features, from ``MEDCLF_CACHE``.

    Examples
    --------
    >>> Profile("tiny", None, Path("cache")).pick(tiny=100, book=1000, full=5000)
    100
    """

    name: ProfileName
    data: Path | None
    cache: Path

    def pick(self, *, tiny: T, book: T, full: T) -> T:
        """Return the value meant for this profile."""
        return {"tiny": tiny, "book": book, "full": full}[self.name]


def current() -> Profile:
    """Read the profile from ``MEDCLF_PROFILE``, ``MEDCLF_DATA`` and ``MEDCLF_CACHE``.

    Returns
    -------
    Profile
        The ``book`` profile on the synthetic cohort where nothing is set.

    Raises
    ------
    MedclfError
        If the name is unknown or the data folder does not exist.
    """
    name = os.environ.get("MEDCLF_PROFILE", "book")
    if name not in get_args(ProfileName):
        raise MedclfError(
            f"MEDCLF_PROFILE is {name!r}; expected one of {', '.join(get_args(ProfileName))}."
        )
    data = os.environ.get("MEDCLF_DATA")
    if data and not Path(data).is_dir():
        raise MedclfError(
            f"MEDCLF_DATA names {data!r}, which is not a folder. Point it at a chest_xray "
            "folder, or unset it to use the synthetic cohort."
        )
    default_cache = Path.home() / ".cache" / "medclf_lite"
    return Profile(
        name=cast(ProfileName, name),
        data=Path(data) if data else None,
        cache=Path(os.environ.get("MEDCLF_CACHE") or default_cache),
    )
