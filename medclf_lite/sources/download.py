"""Public data sets, fetched with the packages of those who publish them."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.sources.folder import from_folder
from medclf_lite.sources.npz import Patients, from_npz

KAGGLE = "paultimothymooney/chest-xray-pneumonia"
_KERMANY = "Kermany, Zhang, Goldbaum, doi:10.17632/rscbjbr9sj.2"
_SIZES = (28, 64, 128, 224)


def _package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as problem:  # missing, or broken by a package that it imports
        raise MedclfError(
            f"This download needs the package {name}: pip install medclf-lite[data]. Or fetch "
            "the files yourself and open them with sources.open_cohort(path). "
            f"({type(problem).__name__}: {problem})"
        ) from problem


def download_kaggle(*, patients: str = "kaggle", jobs: int = 1, progress: bool = False) -> Cohort:
    """Fetch the chest X-ray set of Kaggle (1.2 GB, once) and open it.

    Parameters
    ----------
    patients, jobs, progress
        As for :func:`medclf_lite.sources.from_folder`.

    Returns
    -------
    Cohort
        5,856 images in the splits train, val and test.

    Raises
    ------
    MedclfError
        If the package ``kagglehub`` is missing or the download fails.
    """
    kagglehub = _package("kagglehub")
    try:
        place = Path(kagglehub.dataset_download(KAGGLE))
    except Exception as problem:  # offline, no account, no space: each its own error type
        raise _failed("Kaggle", f"https://www.kaggle.com/datasets/{KAGGLE}", problem) from problem
    return from_folder(
        place,
        patients=patients,
        source=f"Kaggle chest-xray-pneumonia ({_KERMANY})",
        licence="CC BY 4.0",
        jobs=jobs,
        progress=progress,
    )


def download_pneumoniamnist(
    *, patients: Patients = None, size: int = 28, folder: str | Path | None = None
) -> Cohort:
    """Fetch PneumoniaMNIST (4 MB at 28 px, once) and open it.

    Parameters
    ----------
    patients : sequence or "unknown"
        As for :func:`medclf_lite.sources.from_npz`: the caller must choose.
    size : {28, 64, 128, 224}
        Side of the images in pixels.
    folder : str or pathlib.Path, optional
        Where the file goes; by default ``~/.medmnist``.

    Returns
    -------
    Cohort
        4,708, 524 and 624 images in train, val and test.

    Raises
    ------
    MedclfError
        If ``patients`` is not chosen, the package ``medmnist`` is missing, or the download
        fails.
    """
    if size not in _SIZES:
        raise MedclfError(f"PneumoniaMNIST comes in the sizes {_SIZES}; got {size}.")
    medmnist = _package("medmnist")
    place = Path(folder) if folder is not None else Path.home() / ".medmnist"
    try:
        place.mkdir(parents=True, exist_ok=True)
        medmnist.PneumoniaMNIST(split="train", download=True, root=str(place), size=size)
    except Exception as problem:  # as above
        raise _failed("PneumoniaMNIST", "https://medmnist.com", problem) from problem
    name = "pneumoniamnist.npz" if size == 28 else f"pneumoniamnist_{size}.npz"
    return from_npz(
        place / name,
        patients=patients,
        source=f"PneumoniaMNIST at {size} px (Yang et al. 2023, from {_KERMANY})",
        licence="CC BY 4.0",
    )


def _failed(what: str, page: str, problem: Exception) -> MedclfError:
    return MedclfError(
        f"{what} could not be downloaded: {type(problem).__name__}: {problem}. Check the "
        f"connection, or fetch it by hand from {page} and open it with "
        "sources.open_cohort(path). The synthetic cohort needs no download: "
        "sources.open_cohort('phantom')."
    )
