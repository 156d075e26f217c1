"""Patients: whether the rule that gives the IDs tells people apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.finding import (
    MOST_EXAMPLES,
    SPLITS,
    Example,
    Finding,
    Severity,
    number,
    of_images,
)
from medclf_lite.audit.registry import cohort_check

UNKNOWN = {"", "unknown", "nan", "none", "null", "na", "n/a", "?", "-", "-1", "anonymous", "anon"}
ENOUGH = 20  # patients from which a pattern of IDs is not chance
SEVERAL = 1.15  # images a patient on average


@cohort_check(id="patients.several-images")
def several_images(audit: AuditInput) -> Iterator[Finding]:
    """Patients with more than one image."""
    each = audit.cohort.table.groupby("patient_id").size().sort_values(ascending=False)
    several = each[each > 1]
    if len(several):
        share = several.sum() / each.sum()
        yield Finding(
            "patients.several-images", "note", "Patients with several images",
            f"{number(len(several), 'patient')} of {len(each):,} hold {share:.0%} of the images; "
            f"the most is {several.iloc[0]} ({several.index[0]}).",
            len(several), _of_patients(audit, several.index[:MOST_EXAMPLES]),
            "Images of one person resemble each other. Divided by image they sit on both sides, "
            "and intervals that resample images come out too narrow.",
            "Divide, cross-validate and bootstrap by patient.", SPLITS,
        )  # fmt: skip


@cohort_check(id="patients.mixed-labels", needs=("label",))
def mixed_labels(audit: AuditInput) -> Iterator[Finding]:
    """Patients whose images carry different labels."""
    kinds = audit.cohort.table.groupby("patient_id")["label"].nunique()
    mixed = kinds.index[kinds > 1]
    if len(mixed):
        yield Finding(
            "patients.mixed-labels", "warning", "Patients with both labels",
            f"{number(len(mixed), 'patient')} of {len(kinds):,} with images of both classes.",
            len(mixed), _of_patients(audit, mixed),
            "Either people fell ill or recovered, or the ID rule merges people, or labels are "
            "wrong. Stratifying by a patient's first image goes wrong in silence.",
            "Look at the dates and at some of these patients; stratify by a rule that you state.",
            SPLITS,
        )  # fmt: skip


@cohort_check(id="patients.id-rule", needs=("label",))
def id_rule(audit: AuditInput) -> Iterator[Finding]:
    """One class with an ID for each image, while patients of the other have several."""
    table = audit.cohort.table
    each = table.groupby(["label", "patient_id"]).size().groupby("label").agg(["size", "sum"])
    if len(each) < 2 or each["size"].min() < ENOUGH:
        return
    single = (each["size"] == each["sum"]).to_numpy()
    several = (each["sum"] > SEVERAL * each["size"]).to_numpy()
    for label in (0, 1):
        if not (single[label] and several[1 - label]):
            continue
        name, other = audit.cohort.classes[label], audit.cohort.classes[1 - label]
        rows = table.index[table["label"] == label]
        yield Finding(
            "patients.id-rule", "warning", f"Each image of {name} has a patient ID of its own",
            f"{number(len(rows), 'image')} of {name} have as many patient IDs, while {other} "
            f"has {each['sum'].iloc[1 - label] / each['size'].iloc[1 - label]:.2f} images a "
            "patient.",
            len(rows), _of_patients(audit, table.loc[rows[:MOST_EXAMPLES], "patient_id"]),
            "It is rarely so that only the sick come back. More often the names of the two "
            "classes follow different patterns and the rule reads one of them wrongly; such a "
            "split by patient is a split by image for that class.",
            "Write the rule for each name pattern, and test it on names of both classes.", SPLITS,
        )  # fmt: skip


@cohort_check(id="patients.mixed-subtypes", needs=("label", "subtype"))
def mixed_subtypes(audit: AuditInput) -> Iterator[Finding]:
    """Patient IDs that hold several subtypes of the disease."""
    ill = audit.cohort.table[audit.cohort.labels == 1]
    kinds = ill.groupby("patient_id")["subtype"].nunique()
    mixed = kinds.index[kinds > 1]
    if len(mixed):
        yield Finding(
            "patients.mixed-subtypes", "warning", "Patient IDs that mix subtypes",
            f"{number(len(mixed), 'ID')} of {len(kinds):,} with several of "
            f"{', '.join(sorted(map(str, ill['subtype'].dropna().unique())))}.",
            len(mixed), _of_patients(audit, mixed),
            "A number may be used again for each subtype. A rule that reads the number alone "
            "then makes one patient of two people.",
            "Check whether the subtype is part of the ID; compare images of such a pair.", SPLITS,
        )  # fmt: skip


@cohort_check(id="patients.all-single")
def all_single(audit: AuditInput) -> Iterator[Finding]:
    """Every image is its own patient."""
    cohort = audit.cohort
    if cohort.n_patients < len(cohort) or len(cohort) < ENOUGH:
        return
    names = [PurePosixPath(i).stem for i in audit.ids(range(len(cohort)))]
    copied = np.isin(cohort.patients, names) | (cohort.patients == audit.ids(range(len(cohort))))
    severity: Severity = "warning" if copied.mean() > 0.5 else "note"
    yield Finding(
        "patients.all-single", severity, "Every image is its own patient",
        f"{number(len(cohort), 'image')} and as many patient IDs"
        + (", which are the names of the images." if severity == "warning" else "."),
        len(cohort), (),
        "If that is so, nothing can leak by patient. If the IDs only number the images, every "
        "check and every split by patient is blind.",
        "Find out from the source whether people have several images.", SPLITS,
    )  # fmt: skip


@cohort_check(id="patients.unknown")
def unknown(audit: AuditInput) -> Iterator[Finding]:
    """Patient IDs that mean that the patient is not known."""
    ids = pd.Series(audit.cohort.patients)
    blank = ids.str.strip().str.lower().isin(UNKNOWN).to_numpy()
    if blank.any():
        yield Finding(
            "patients.unknown", "warning", "Patients that are not known",
            f"{number(int(blank.sum()), 'image')} with the patient ID "
            f"{', '.join(repr(str(i)) for i in sorted(set(ids[blank])))}.",
            int(blank.sum()), of_images(audit.ids(blank)),
            "Different people become one patient, or one person many; a split by patient then "
            "does not keep people apart.",
            "Look the patients up; if that fails, keep these images on one side only.", SPLITS,
        )  # fmt: skip


def _of_patients(audit: AuditInput, patients: pd.Index | pd.Series) -> tuple[Example, ...]:
    """Show each of the first patients with up to three images of different labels."""
    table = audit.cohort.table
    shown = []
    for patient in dict.fromkeys(patients[:MOST_EXAMPLES]):
        here = table[table["patient_id"] == patient]
        if "label" in here:
            first = here.groupby("label")["image_id"].head(2)
        else:
            first = here["image_id"].head(3)
        shown.append(
            Example(f"{patient}: {number(len(here), 'image')}", tuple(map(str, first[:3])))
        )
    return tuple(shown)
