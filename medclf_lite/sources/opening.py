"""Open images of any kind for a first look: other classes are found, patients may be unknown."""

from __future__ import annotations

import warnings
from pathlib import Path

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.sources.folder import from_folder
from medclf_lite.sources.manifest import from_manifest
from medclf_lite.sources.nih import from_nih, is_nih
from medclf_lite.sources.npz import from_npz
from medclf_lite.sources.scan import class_folders

KAGGLE = ("NORMAL", "PNEUMONIA")


def open_any(
    where: str | Path, patients: str | None = None, classes: tuple[str, ...] | None = None
) -> Cohort:
    """Open a folder, a table or an .npz file for an audit, whatever its classes.

    Parameters
    ----------
    where : str or pathlib.Path
    patients : str, optional
        As for :func:`medclf_lite.sources.from_folder`. Without it, names that follow no known
        rule make each image its own patient, with a warning.
    classes : tuple of str, optional
        The class folders; found if not given.

    Raises
    ------
    MedclfError
        If there is nothing that can be opened.

    Examples
    --------
    >>> open_any("no/such/folder")
    Traceback (most recent call last):
    medclf_lite.errors.MedclfError: There is no folder no/such/folder. Expected a folder with...
    """
    path = Path(where)
    if path.name.lower().endswith(".npz"):
        return from_npz(path, patients=patients or "unknown")
    if path.name.lower().endswith((".csv", ".csv.gz")):
        return from_nih(path) if is_nih(path) else from_manifest(path, patients=patients)
    found = classes or class_folders(path)
    if classes is None and set(KAGGLE) <= set(found):
        found = KAGGLE
    if patients is not None:
        return from_folder(path, patients=patients, classes=found)
    try:
        return from_folder(path, classes=found)
    except MedclfError as problem:
        if "does not match" not in str(problem):
            raise
    warnings.warn(
        "The file names follow no known rule for patients, so each image counts as its own. Name "
        "the rule with --patients.", stacklevel=2,
    )  # fmt: skip
    return from_folder(path, patients="unknown", classes=found)
