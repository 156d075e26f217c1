"""Sides: what train, val and test share, and whether they are those that the split asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from PIL import Image

from medclf_lite.audit.copies import near_copies
from medclf_lite.audit.finding import LOADING, SPLITS, Example, Finding, number, of_images
from medclf_lite.audit.item import label_of
from medclf_lite.audit.project import Project
from medclf_lite.audit.registry import project_check
from medclf_lite.audit.side import STORED
from medclf_lite.errors import MedclfError

Place = tuple[str, int]  # side and index


@project_check(id="sides.images", needs=("train",))
def images(project: Project) -> Iterator[Finding]:
    """Images that lie on several sides, by name or by content."""
    by_name: dict[str, list[Place]] = defaultdict(list)
    for name, side in project.sides.items():
        for index, path in side.names.items():
            by_name[path].append((name, index))
    groups = [g for g in by_name.values() if len({name for name, _ in g}) > 1]
    known = {place for group in groups for place in group}
    groups += [g for g in _alike(project) if not known.issuperset(g)]
    if groups:
        held = sum(name != "train" for group in groups for name, _ in group)
        yield Finding(
            "sides.images", "error", "Images on several sides",
            f"{number(len(groups), 'image')} that occur on more than one side; "
            f"{number(held, 'held-out item')} concerned.", len(groups),
            tuple(_example(project, group) for group in groups[:5]),
            "The answer to these images was learnt by heart; the figure says more than it will do "
            "for new patients.",
            "Divide patients once (medclf_lite.splits.split_patients) and build every data set "
            "from that table.", SPLITS,
        )  # fmt: skip


def _alike(project: Project) -> list[list[Place]]:
    """Group the items that were looked at and show nearly the same picture."""
    places = [(name, i) for name, side in project.sides.items() for i, item in side.items.items()
              if item.image is not None and item.image.shape[0] > 8]  # fmt: skip
    if len({name for name, _ in places}) < 2:
        return []
    pixels = [Image.fromarray(np.asarray(project.sides[n].items[i].image)) for n, i in places]
    square = np.stack([np.asarray(p.resize((STORED, STORED))) for p in pixels])
    groups = [[places[row] for row in group] for group in near_copies(square)]
    return [group for group in groups if len({name for name, _ in group}) > 1]


def _example(project: Project, group: list[Place]) -> Example:
    one_each = list({name: (name, index) for name, index in group}.values())
    shown = tuple(f"{name}[{index}]" for name, index in one_each)
    return Example(" = ".join(project.sides[n].where(i) for n, i in one_each), shown)


@project_check(id="sides.patients", needs=("train",))
def patients(project: Project) -> Iterator[Finding]:
    """Patients who lie on several sides."""
    if not any(project.patients_of.values()):
        raise MedclfError(
            "needs to know whose each image is: patients=..., a rule for file names, or items "
            "that hold a patient_id"
        )
    homes: dict[str, dict[str, int]] = defaultdict(dict)
    for name, known in project.patients_of.items():
        for index, patient in known.items():
            homes[patient].setdefault(name, index)
    both = {patient: places for patient, places in homes.items() if len(places) > 1}
    if both:
        yield Finding(
            "sides.patients", "error", "Patients on several sides",
            f"{number(len(both), 'patient')} of {len(homes):,}.", len(both),
            tuple(
                Example(f"{patient}: {' and '.join(sorted(places))}",
                        tuple(f"{name}[{i}]" for name, i in places.items()))
                for patient, places in list(both.items())[:5]
            ),
            "The model can recognise the person instead of the disease, and the figure on the "
            "other side says more than it will do for new patients.",
            "Divide patients, not images: medclf_lite.splits.split_patients.", SPLITS,
        )  # fmt: skip


@project_check(id="sides.split", needs=("sides", "cohort"))
def split(project: Project) -> Iterator[Finding]:
    """Loaders that yield other images than the split gives them."""
    cohort = project.cohort
    if cohort is None or "split" not in cohort.table:
        raise MedclfError("needs a cohort with a column split")
    given = cohort.table["split"].to_numpy(dtype=object)
    told, count, shown = [], 0, []
    for name, side in project.sides.items():
        if name not in given:
            continue
        rows = project.identified[name]
        wrong = {i: row for i, row in rows.items() if given[row] != name}
        asked = int((given == name).sum())
        full = side.length is not None and len(rows) == len(side.names or side.items)
        missing = asked - len({row for row in rows.values() if given[row] == name})
        if wrong:
            told.append(f"{len(wrong):,} of {len(rows):,} images of {name} belong to another side")
        if full and missing > (0 if name != "train" else asked // 20) and side.complete:
            told.append(f"{missing:,} of the {asked:,} images of {name} are never yielded")
        count += len(wrong) + (missing if full else 0)
        shown += [Example(f"{side.where(i)}: the split says {given[row]}", (f"{name}[{i}]",))
                  for i, row in wrong.items()]  # fmt: skip
    if told:
        yield Finding(
            "sides.split", "error", "The loaders do not follow the split", f"{'; '.join(told)}.",
            count, tuple(shown[:5]),
            "The careful split is dead code: what is trained and tested on is something else.",
            "Build each data set from the table of the split, and ask this check again.", SPLITS,
        )  # fmt: skip


@project_check(id="sides.labels", needs=("sides", "cohort"))
def labels(project: Project) -> Iterator[Finding]:
    """Items with another label than the cohort has for the image."""
    cohort = project.cohort
    if cohort is None or cohort.findings:
        raise MedclfError("needs a cohort with one label an image")
    wrong: list[tuple[str, int]] = []
    for name, side in project.sides.items():
        rows = project.identified[name]
        for index, row in rows.items():
            if index in side.items:
                label = label_of(side.items[index].label)
                if isinstance(label, float) and label != cohort.labels[row]:
                    wrong.append((name, index))
    if wrong:
        yield Finding(
            "sides.labels", "error", "Labels differ from those of the cohort",
            f"{number(len(wrong), 'item')} with another label.", len(wrong),
            of_images([f"{name}[{index}]" for name, index in wrong]),
            "A model that learns from swapped labels gives a ROC-AUC below one half, or noise.",
            "Take labels from the table, by the image's name, not by its position.", LOADING,
        )  # fmt: skip
