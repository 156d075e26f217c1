"""The phantom as files: a ``chest_xray`` folder of JPEGs, named as in the Kaggle set."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from medclf_lite.errors import MedclfError
from medclf_lite.phantom.draws import SPLIT, uniforms
from medclf_lite.phantom.generate import Artist, Phantom
from medclf_lite.phantom.projection import Grid

FOLDER, METADATA = "chest_xray", "phantom.csv"
# A native file of the Kaggle set with pneumonia has this short side (median of 1,163).
NATIVE_SIDE = 776
TEST_SHARE = (0.156, 0.077)  # of the normal and of the sick patients of the Kaggle set
NORMAL2_SHARE = 0.58  # of the normal names that start so
VAL_IMAGES = 8  # of each class
LEAST = 3  # patients of a class, one for each side
COLUMNS = ["patient_id", "subtype", "site", "view", "age", "sex", "date", "follow_up"]


def write_folder(phantom: Phantom, place: str | Path) -> Path:
    """Write a phantom as the folder that the Kaggle chest X-ray set would be.

    ``place/chest_xray`` gets the folders ``train``, ``val`` and ``test`` with ``NORMAL`` and
    ``PNEUMONIA``; the file names follow the patterns of the set. Patients keep to one side;
    test has the set's share of the patients of each class, val 8 images of each class, or
    fewer where a class has fewer than 40 patients.

    Each study is drawn for its file, with the aspect, mode and JPEG quality that the phantom's
    tables give. Only the scale differs: native files have about 1,300 pixels a side, which
    would take half a second each. All are made smaller by the same factor, ``spec.size / 776``, so
    that the short side of a median file with pneumonia is ``spec.size``. So whatever height,
    width, aspect, bytes and compression say about the label, they still say.

    Beside the folder lies ``phantom.csv``: patient, subtype, site, view, age, sex, date and
    follow-up of each ``file``, and ``phantom_image``, its ``image_id`` in ``phantom.truth``.
    Read it with ``sources.from_folder(folder, patients=place / "phantom.csv")``.

    Parameters
    ----------
    phantom : Phantom
    place : str or pathlib.Path
        Folder for ``chest_xray``; made if missing.

    Returns
    -------
    pathlib.Path
        ``place / "chest_xray"``.

    Raises
    ------
    MedclfError
        If one of the two is there already, a class has fewer than three patients, or the files
        cannot be written. Nothing half written is left under these names.

    Examples
    --------
    >>> import tempfile
    >>> from medclf_lite.phantom import PhantomSpec, generate
    >>> small = generate(PhantomSpec(n_patients=12, size=32))
    >>> folder = write_folder(small, tempfile.mkdtemp())
    >>> sorted(path.name for path in folder.glob("val/*/*"))
    ['IM-0002-0001.jpeg', 'person3_virus_12.jpeg']
    """
    place = Path(place)
    table = plan(phantom._artist.table, phantom.spec.seed, phantom.cohort.classes)
    for path in (place / FOLDER, place / METADATA):
        if path.exists() or path.is_symlink():
            raise MedclfError(
                f"{path} is there already, and nothing is overwritten. Choose another folder, or "
                "remove it first."
            )
    try:
        place.mkdir(parents=True, exist_ok=True)
        # Whoever finds a chest_xray finds all of it: it gets its name when it is complete.
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=place) as unfinished:
            _write_images(phantom._artist, table, Path(unfinished) / FOLDER)
            metadata = table[["file", *COLUMNS]].assign(phantom_image=table["image_id"])
            text = metadata.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n")
            (Path(unfinished) / METADATA).write_bytes(text.encode())
            for name in (METADATA, FOLDER):
                (Path(unfinished) / name).rename(place / name)
    except OSError as problem:
        raise MedclfError(
            f"The phantom cannot be written to {place}: {problem.strerror or problem}. Choose a "
            "folder that can be written to and has room."
        ) from problem
    return place / FOLDER


def _write_images(artist: Artist, table: pd.DataFrame, folder: Path) -> None:
    for home in sorted(set(table["home"])):
        (folder / home).mkdir(parents=True)
    scale = artist.spec.size / NATIVE_SIDE
    traits = table[["home", "file", "height", "width", "mode", "jpeg_quality"]]
    for row, (home, file, high, wide, mode, quality) in enumerate(traits.itertuples(index=False)):
        grid = Grid.with_aspect(round(high * scale), round(wide * scale))
        grey = artist.draw(np.array([row]), grid)[0]
        Image.fromarray(grey).convert(mode).save(folder / home / file, quality=quality)


def plan(table: pd.DataFrame, seed: int, classes: tuple[str, str]) -> pd.DataFrame:
    """Give each study a ``file`` name, and as ``home`` a folder below ``chest_xray``.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`medclf_lite.phantom.population.draw_population`.
    seed : int
    classes : tuple of str
        Names of labels 0 and 1.

    Returns
    -------
    pandas.DataFrame
        The table with ``series``, ``number``, ``side``, ``file`` and ``home``.

    Raises
    ------
    MedclfError
        If a class has fewer than three patients.
    """
    people = table.groupby("patient", as_index=False).agg(
        label=("label", "first"), subtype=("subtype", "first"), n_images=("label", "size")
    )
    u = uniforms(seed, SPLIT, ((int(p),) for p in people["patient"]), 2)
    normal = np.where(u[:, 1] < NORMAL2_SHARE, "NORMAL2-IM", "IM")
    people["series"] = people["subtype"].where(people["label"] == 1, normal)
    # Each series counts from 1, so a bacterial and a viral patient can share a number.
    people["number"] = people.groupby("series").cumcount() + 1
    people["side"] = ""
    for label, name in enumerate(classes):
        members = np.flatnonzero(people["label"] == label)
        order = members[np.argsort(u[members, 0])]
        people.loc[order, "side"] = _sides(people["n_images"].to_numpy()[order], label, name)
    rows = table.merge(people[["patient", "series", "number", "side"]], how="left", on="patient")
    serial = rows.groupby("subtype").cumcount() + 1
    keys = zip(rows["series"], rows["number"], rows["follow_up"], serial, strict=True)
    return rows.assign(
        file=[_file_name(*key) for key in keys],
        home=rows["side"] + "/" + np.take(classes, rows["label"]),
    )


def _sides(n_images: npt.NDArray[np.int64], label: int, name: str) -> npt.NDArray[np.str_]:
    """Divide the patients of one class, given in the order that chance has drawn."""
    n = len(n_images)
    if n < LEAST:
        raise MedclfError(
            f"The phantom has {n} patients of {name}; train, val and test need one each. Draw "
            "more patients, or change the prevalence."
        )
    sides = np.full(n, "train")
    n_test = max(1, round(TEST_SHARE[label] * n))
    sides[:n_test] = "test"
    room = min(VAL_IMAGES, max(1, n // 5))
    for i in range(n_test, n):
        if n_images[i] <= room:
            sides[i], room = "val", room - n_images[i]
    if "val" not in sides:  # all have more images than there is room for
        sides[n_test + n_images[n_test:].argmin()] = "val"
    return sides


def _file_name(series: str, number: int, follow_up: int, serial: int) -> str:
    if series.endswith("IM"):
        again = f"-{follow_up:04d}" if follow_up else ""
        return f"{series}-{number:04d}-0001{again}.jpeg"
    odd = "_1" if serial % 50 == 0 else ""  # the set has one such name, person447_virus_921_1
    return f"person{number}_{series}_{serial}{odd}.jpeg"
