"""A cohort of files made from the data sets of a project, for the checks on files and shortcuts."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from medclf_lite.audit.item import label_of
from medclf_lite.audit.side import Side
from medclf_lite.cohort import Cohort, Files
from medclf_lite.sources.headers import left_out_table, read_headers
from medclf_lite.sources.labels import label_columns
from medclf_lite.sources.scan import walk

DEPTH = 3  # folders below the common one, up to which the files beside are counted


def cohort_of(
    sides: Mapping[str, Side], patients: Callable[[str], str | None] | None = None
) -> Cohort | None:
    """Make a cohort of the image files that the sides name; None where they name none.

    Parameters
    ----------
    sides : mapping of str to Side
    patients : callable, optional
        Gives the patient of a file's path; without it each image is its own patient.

    Returns
    -------
    Cohort or None
        With ``split``; one label an image, or one column a class or finding. Images that lie
        beside those of the sides, in the same folders, are in ``left_out``.
    """
    rows = [(path, name, label) for name, side in sides.items() for path, label in _files(side)]
    if not rows:
        return None
    root = Path(os.path.commonpath([path.parent for path, _, _ in rows]))
    table = pd.DataFrame(rows, columns=["path", "split", "given"])
    table["image_id"] = [path.relative_to(root).as_posix() for path in table["path"]]
    table = table.drop_duplicates("image_id")  # sides.images reports what lies on several sides
    known, unread = read_headers(root, table["image_id"].tolist())
    table = table.merge(known, on="image_id", how="inner", suffixes=("_given", ""))
    if not len(table):
        return None
    labelled = label_columns(table["given"].tolist())
    beside = _beside(root, set(table["image_id"]) | set(unread["path"]))
    found = table.drop(columns=["path", "given"]).assign(**labelled.columns)
    find = patients if patients is not None else _unknown
    found["patient_id"] = [find(str(root / i)) or i for i in found["image_id"]]
    left_out = left_out_table([*unread.itertuples(index=False, name=None), *beside])
    return Cohort(
        found, Files(root, tuple(found["image_id"])), f"files of {', '.join(sides)}",
        "licence not stated", _names(sides) or labelled.classes, labelled.findings, left_out,
    )  # fmt: skip


def _names(sides: Mapping[str, Side]) -> tuple[str, str] | None:
    """Names of two classes, where a data set keeps a list of them, as torchvision's do."""
    for side in sides.values():
        names = getattr(side.source, "classes", None)
        if isinstance(names, list | tuple) and len(names) == 2:
            return str(names[0]), str(names[1])
    return None


def _unknown(name: str) -> None:
    return None


def _files(side: Side) -> list[tuple[Path, Any]]:
    kept = side.declared_labels
    labels: dict[int, Any] = dict(enumerate(kept)) if kept is not None else {}
    if not labels:
        labels = {i: label_of(item.label) for i, item in side.items.items()}
    pairs = ((Path(name), labels.get(i)) for i, name in side.names.items())
    return [(Path(os.path.abspath(p)), label) for p, label in pairs  # noqa: PTH100 - not a link's
            if label is not None and p.is_file()]  # fmt: skip


def _beside(root: Path, known: set[str]) -> list[tuple[str, str]]:
    """List the files that lie near the known ones and are on no side."""
    if max(name.count("/") for name in known) > DEPTH or root == Path(root.anchor):
        return []
    homes = {name.rsplit("/", 1)[0] if "/" in name else "" for name in known}
    near = {home.rsplit("/", 1)[0] if "/" in home else "" for home in homes} | homes
    return [
        (name, reason or "on no side of the project")
        for name, reason in walk(root)
        if name not in known and any(_within(name, home) for home in near)
    ]


def _within(name: str, home: str) -> bool:
    return not home or name.startswith(home + "/")
