"""Where cohorts come from: folders, MedMNIST files, NIH metadata, downloads, the phantom."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.sources.download import download_kaggle, download_pneumoniamnist
from medclf_lite.sources.folder import from_folder
from medclf_lite.sources.manifest import from_manifest
from medclf_lite.sources.nih import from_nih, is_nih
from medclf_lite.sources.npz import from_npz
from medclf_lite.sources.opening import open_any
from medclf_lite.sources.scan import class_folders

if TYPE_CHECKING:
    from medclf_lite.phantom import PhantomSpec

__all__ = [
    "class_folders", "download_kaggle", "download_pneumoniamnist", "from_folder",
    "from_manifest", "from_nih", "from_npz", "from_phantom", "open_any", "open_cohort",
]  # fmt: skip


def from_phantom(spec: PhantomSpec | None = None) -> Cohort:
    """Generate the synthetic cohort.

    Parameters
    ----------
    spec : PhantomSpec, optional
        How many patients of which kind; the default specification if not given.

    Returns
    -------
    Cohort
        With its images in memory.
    """
    from medclf_lite.phantom import PhantomSpec, generate  # slow to import, not always needed

    cohort: Cohort = generate(spec if spec is not None else PhantomSpec()).cohort
    return cohort


def open_cohort(where: str | Path, **options: Any) -> Cohort:  # noqa: ANN401 - passed on
    """Open whatever ``where`` names.

    Parameters
    ----------
    where : str or pathlib.Path
        ``"phantom"``; a folder for :func:`from_folder`; an .npz file for :func:`from_npz`; a
        table (.csv, .csv.gz) for :func:`from_nih` or, with other columns than those of the
        NIH, for :func:`from_manifest`.
    **options
        Passed on; for the phantom, fields of ``PhantomSpec``.

    Returns
    -------
    Cohort

    Raises
    ------
    MedclfError
        If there is no such file or folder, its kind is not known, or an option is not.

    Examples
    --------
    >>> open_cohort("no/such/folder")
    Traceback (most recent call last):
    medclf_lite.errors.MedclfError: There is no file or folder no/such/folder, or it may not...
    """
    if str(where) == "phantom":
        return _phantom(options)
    path = Path(where)
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises in a closed folder
        raise MedclfError(
            f"There is no file or folder {path}, or it may not be read; check the path, or write "
            "'phantom' for the synthetic cohort."
        )
    opener = _opener(path)
    known = [*inspect.signature(opener).parameters][1:]
    _check_options(options, known, opener.__name__)
    return opener(path, **options)


def _opener(path: Path) -> Callable[..., Cohort]:
    name = path.name.lower()
    if path.is_dir():
        return from_folder
    if name.endswith(".npz"):
        return from_npz
    if name.endswith((".csv", ".csv.gz")):
        return from_nih if is_nih(path) else from_manifest
    raise MedclfError(
        f"{path} is not a kind of cohort: expected a folder of images, an .npz file in the "
        "layout of MedMNIST, or a table of images (.csv or .csv.gz)."
    )


def _phantom(options: dict[str, Any]) -> Cohort:
    from medclf_lite.phantom import PhantomSpec

    _check_options(options, [f.name for f in fields(PhantomSpec)], "PhantomSpec")
    return from_phantom(PhantomSpec(**options))


def _check_options(options: dict[str, Any], known: list[str], name: str) -> None:
    if unknown := sorted(set(options) - set(known)):
        raise MedclfError(f"{name} has no option {unknown[0]!r}; it has {', '.join(known)}.")
