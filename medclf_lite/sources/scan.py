"""Walk a folder so that nothing in it goes unseen, and find its split and class folders."""

from __future__ import annotations

import difflib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medclf_lite.errors import MedclfError
from medclf_lite.sources.labels import in_order

HIDDEN = "hidden file"
SPLITS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "val", "valid": "val", "validation": "val",
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where the class folders are.

    ``folders`` maps a class folder below ``root`` (POSIX path) to its split, None without
    splits, and its class; ``beside`` lists what lies beside ``root`` and was not looked into.
    """

    root: Path
    folders: dict[str, tuple[str | None, str]]
    beside: tuple[str, ...] = ()


def find_layout(where: Path, classes: Sequence[str]) -> Layout:
    """Find ``split/class`` or ``class`` folders, in ``where`` or its ``chest_xray``.

    Raises
    ------
    MedclfError
        If there is no such folder, or a class folder is missing or ambiguous.
    """
    root, beside = where, list[str]()
    while True:
        below = subfolders(root)
        splits = _split_folders(root, below, classes)
        if splits or any(name in below for name in classes):
            break
        if "chest_xray" not in below:
            raise MedclfError(_nothing_found(where, root, below, classes))
        # The Kaggle download nests: archive/chest_xray/chest_xray/train.
        beside = [f"../{name}" for name in beside]
        others = [p for p in sorted(root.iterdir()) if p.name != "chest_xray"]
        beside += [f"../{p.name}" + "/" * os.path.isdir(p) for p in others]  # noqa: PTH112
        root = root / "chest_xray"
    if not splits:
        _check_classes(root, below, classes)
        return Layout(root, {below[c]: (None, c) for c in classes}, tuple(beside))
    if both := [c for c in classes if c in below]:
        raise MedclfError(
            f"{root} holds both the class folder {both[0]!r} and split folders "
            f"({', '.join(splits)}), so it is not clear which images to read. Name one of them."
        )
    folders: dict[str, tuple[str | None, str]] = {}
    for name in splits:
        inside = subfolders(root / below[name])
        _check_classes(root / below[name], inside, classes)
        split = SPLITS.get(name.lower(), name)
        folders |= {f"{below[name]}/{inside[c]}": (split, c) for c in classes}
    return Layout(root, folders, tuple(beside))


def class_folders(root: Path) -> tuple[str, ...]:
    """List the folders that look like classes: those below the splits, or below ``root``.

    Raises
    ------
    MedclfError
        If there are fewer than two.

    Examples
    --------
    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> for name in ("train/sick", "train/healthy", "test/sick", "test/healthy"):
    ...     (place / name).mkdir(parents=True)
    >>> class_folders(place)
    ('healthy', 'sick')
    """
    below = subfolders(root)
    while len(below) == 1 and subfolders(root / next(iter(below.values()))):
        root = root / next(iter(below.values()))  # a download that nests
        below = subfolders(root)
    splits = [disk for name, disk in below.items() if name.lower() in SPLITS]
    found = {name for disk in splits for name in subfolders(root / disk)} or set(below)
    if len(found) < 2:
        raise MedclfError(
            f"{root} has {_listed(below)}; expected split/class or class folders, two classes at "
            "least. Name them with classes=(...)."
        )
    return tuple(in_order(found))


def subfolders(folder: Path) -> dict[str, str]:
    """Map the name of each folder in ``folder``, in one Unicode spelling, to the name on disk.

    Raises
    ------
    MedclfError
        If ``folder`` is missing, is not a folder or cannot be listed.
    """
    try:
        names = [n for n in sorted(os.listdir(folder)) if os.path.isdir(folder / n)]  # noqa: PTH112, PTH208
    except FileNotFoundError as problem:
        raise MedclfError(
            f"There is no folder {folder}. Expected a folder with split/class or class folders, "
            "such as chest_xray; check the path."
        ) from problem
    except NotADirectoryError as problem:
        raise MedclfError(f"{folder} is a file; expected a folder of class folders.") from problem
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        why = getattr(problem, "strerror", None) or problem
        raise MedclfError(
            f"The folder {folder} cannot be listed: {why}. Check its path and permissions."
        ) from problem
    return {unicodedata.normalize("NFC", n): n for n in names if not n.startswith((".", "__"))}


def _split_folders(root: Path, below: dict[str, str], classes: Sequence[str]) -> list[str]:
    named = [name for name in below if name.lower() in SPLITS]
    if named:
        return named
    return [
        name
        for name, disk in below.items()
        if name not in classes and name != "chest_xray" and _holds(root / disk, classes)
    ]


def _holds(folder: Path, classes: Sequence[str]) -> bool:
    return os.access(folder, os.R_OK | os.X_OK) and any(c in subfolders(folder) for c in classes)


def _check_classes(folder: Path, found: dict[str, str], classes: Sequence[str]) -> None:
    for name in classes:
        if name not in found:
            raise MedclfError(
                f"{folder} has no class folder {name!r}; it has {_listed(found)}."
                f"{_did_you_mean(name, [f for f in found if f not in classes])} Every class "
                "needs a folder with exactly its name; other names go into classes=(...)."
            )


def _nothing_found(where: Path, root: Path, found: dict[str, str], classes: Sequence[str]) -> str:
    if root == where and not any(where.iterdir()):
        return f"The folder {where} is empty. Expected split/class or class folders in it."
    hints = {_did_you_mean(name, [*found]) for name in classes}
    return (
        f"{root} has neither the class folders {', '.join(classes)} nor split folders with them; "
        f"it has {_listed(found)}.{''.join(sorted(hints))} Point at the folder that holds them, "
        "or name the classes: --classes A,B on the command line, classes=('A', 'B') in Python."
    )


def _listed(found: dict[str, str]) -> str:
    return f"the folders {', '.join(found)}" if found else "no folders"


def _did_you_mean(name: str, found: Sequence[str]) -> str:
    folded = {f.casefold(): f for f in found}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return f" Is {folded[close[0]]!r} a misspelt {name!r}?" if close else ""


def walk(root: Path) -> Iterator[tuple[str, str | None]]:
    """List everything below ``root`` that is not a folder, sorted by path.

    Links to folders are followed, but no folder is entered twice, nor one that holds ``root``.

    Yields
    ------
    (str, str or None)
        POSIX path below ``root``, and the reason where it cannot be an image of a cohort:
        hidden, not named in Unicode, or a folder that was not entered.
    """
    entered = {str(folder) for folder in root.resolve().parents}
    waiting = [("", root)]  # a list, not recursion: folders may be nested a thousand deep
    while waiting:
        name, place = waiting.pop()
        # os.path.isdir is False, and Path.is_dir raises, where the folder may not be entered.
        if not os.path.isdir(place):  # noqa: PTH112
            yield name, _unusable(name)
        elif (target := os.path.realpath(place)) in entered:
            yield f"{name}/", "a link to a folder that was read already, or that holds this one"
        else:
            entered.add(target)
            try:
                inside = sorted(os.listdir(place), reverse=True)  # noqa: PTH208
            except OSError as problem:
                yield f"{name}/", f"folder cannot be listed: {problem.strerror or problem}"
                continue
            waiting += [(f"{name}/{n}" if name else n, place / n) for n in inside]


def _unusable(name: str) -> str | None:
    if any(part.startswith(".") for part in name.split("/")):
        return HIDDEN
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not valid Unicode; rename it"
    return None
