"""Splits: what the sides share, and in what they differ."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from medclf_lite.audit.checks.duplicates import unlike
from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.finding import (
    CALIBRATION,
    MOST_EXAMPLES,
    SHORTCUTS,
    SPLITS,
    Example,
    Finding,
    number,
    of_images,
)
from medclf_lite.audit.registry import cohort_check
from medclf_lite.audit.traits import read_dates

PREVALENCE_GAP = 0.1  # difference from train that a reader should know of
Z = 1.96  # a difference must also be larger than chance makes it


@cohort_check(id="splits.patients", needs=("split",))
def patients(audit: AuditInput) -> Iterator[Finding]:
    """Patients on several sides of the split."""
    table = audit.cohort.table
    sides = table.groupby("patient_id")["split"].nunique()
    both = sides.index[sides > 1]
    if len(both):
        shared = table[table["patient_id"].isin(both)]
        shown = []
        for patient in both[:MOST_EXAMPLES]:
            one_each = shared[shared["patient_id"] == patient].groupby("split").head(1)
            where = " and ".join(sorted(one_each["split"]))
            shown.append(Example(f"{patient}: {where}", tuple(one_each["image_id"].astype(str))))
        yield Finding(
            "splits.patients", "error", "Patients on several sides of the split",
            f"{number(len(both), 'patient')} of {len(sides):,}, with {len(shared):,} images.",
            len(both), tuple(shown),
            "The model can recognise the person instead of the disease, and the figure on the "
            "other side says more than it will do for new patients.",
            "Divide patients, not images: splits.split_patients.", SPLITS,
        )  # fmt: skip


@cohort_check(id="splits.copies", needs=("split", "images"))
def copies(audit: AuditInput) -> Iterator[Finding]:
    """One image, or nearly the same, on several sides of the split."""
    split = audit.cohort.table["split"]
    every = [*audit.same_bytes, *unlike(audit.same_pixels, audit.same_bytes)]
    every += unlike(audit.near_copies, every)
    across = [g for g in every if split.iloc[list(g)].nunique() > 1]
    if across:
        held = sum(int((split.iloc[list(g)] != "train").sum()) for g in across)
        yield Finding(
            "splits.copies", "error", "Copies on several sides of the split",
            f"{number(len(across), 'group')} of copies; {number(held, 'image')} outside of train "
            "with a copy on another side.",
            len(across), tuple(_across(audit, g) for g in across[:MOST_EXAMPLES]),
            "The answer to these images was learnt by heart.",
            "Give all copies to one side, or keep one of them.", SPLITS,
        )  # fmt: skip


def _across(audit: AuditInput, group: tuple[int, ...]) -> Example:
    one_each = audit.cohort.table.iloc[list(group)].groupby("split").head(1)
    ids = tuple(one_each["image_id"].astype(str))
    sides = zip(ids, one_each["split"], strict=True)
    return Example(" = ".join(f"{i} ({side})" for i, side in sides), ids)


@cohort_check(id="splits.one-class", needs=("label", "split"))
def one_class(audit: AuditInput) -> Iterator[Finding]:
    """Sides of the split that lack a class."""
    if len(set(audit.cohort.labels)) < 2:
        return  # counts.one-class says so
    kinds = audit.cohort.table.groupby("split")["label"].agg(["nunique", "first", "size"])
    poor = kinds[kinds["nunique"] == 1]
    if len(poor):
        only = [f"{side}: only {audit.cohort.classes[int(row['first'])]}, {row['size']} images"
                for side, row in poor.iterrows()]  # fmt: skip
        yield Finding(
            "splits.one-class", "error", "A side lacks a class",
            f"{number(len(poor), 'side')} with one class.", len(poor),
            tuple(map(Example, only)),
            "ROC-AUC, sensitivity or specificity is not defined there; some programs print a "
            "number all the same.",
            "Divide again, stratified by label: splits.split_patients.", SPLITS,
        )  # fmt: skip


@cohort_check(id="splits.prevalence", needs=("label", "split"))
def prevalence(audit: AuditInput) -> Iterator[Finding]:
    """Sides whose share of disease differs from that of train by more than chance."""
    sides = _sides(audit)
    if "train" not in sides.index or len(sides) < 2:
        return
    train, others = sides.loc["train"], sides.drop(index="train")
    gap = others["share"] - train["share"]
    error = (others["variance"] + train["variance"]) ** 0.5
    far = others[(gap.abs() > PREVALENCE_GAP) & (gap.abs() > Z * error)]
    if len(far):
        listed = ", ".join(f"{side} {row['share']:.1%}" for side, row in far.iterrows())
        yield Finding(
            "splits.prevalence", "warning", "Prevalence differs between sides",
            f"Share of {audit.cohort.classes[1]}: train {train['share']:.1%}, {listed}.",
            len(far), (),
            "Accuracy, precision and predictive values change with prevalence alone, and "
            "probabilities learnt on one side are off on the other.",
            "Stratify by label when dividing; if the sides come from different places, say so, "
            "and report figures that do not depend on prevalence.", CALIBRATION,
        )  # fmt: skip


def _sides(audit: AuditInput) -> pd.DataFrame:
    """Share of disease on each side, and its variance if all sides were alike."""
    patients = audit.cohort.table.groupby(["split", "patient_id"])["label"].agg(["sum", "size"])
    # Patients are the units, and the spread is taken about the share of the whole cohort: two
    # images of one class would have no spread of their own.
    surprise = (patients["sum"] - patients["size"] * audit.cohort.labels.mean()) ** 2
    sides = patients.assign(surprise=surprise).groupby("split").sum()
    return pd.DataFrame({
        "share": sides["sum"] / sides["size"], "variance": sides["surprise"] / sides["size"] ** 2,
    })  # fmt: skip


@cohort_check(id="splits.dates", needs=("split", "date"))
def dates(audit: AuditInput) -> Iterator[Finding]:
    """Training images that are younger than the first test image."""
    when = read_dates(audit.cohort.table["date"])
    split = audit.cohort.table["split"]
    train, test = when[split == "train"].dropna(), when[split == "test"].dropna()
    if len(train) and len(test) and train.max() >= test.min():
        late = ((split == "train") & (when >= test.min())).to_numpy()
        yield Finding(
            "splits.dates", "note", "Train and test overlap in time",
            f"{number(int(late.sum()), 'image')} of train from {str(test.min())[:10]}, the first "
            "day of test, or later.",
            int(late.sum()), of_images(audit.ids(late)),
            "A model is used on patients of the future. Machines, staff and policy change, and a "
            "split that mixes the years does not show what that costs.",
            "Evaluate once more with splits.split_by_date.", SPLITS,
        )  # fmt: skip


@cohort_check(id="splits.sites", needs=("split", "site"))
def sites(audit: AuditInput) -> Iterator[Finding]:
    """Whether the test side holds a site that training has not seen."""
    table = audit.cohort.table.dropna(subset=["site"])
    train = set(table.loc[table["split"] == "train", "site"])
    test = set(table.loc[table["split"] == "test", "site"])
    if not train or not test:
        return
    if test <= train:
        seen = f"All {number(len(test), 'site')} of test are in train too."
        why = (
            "The figure holds for these sites. At a new one, with other machines and other "
            "patients, it may be much lower, and nothing here shows by how much."
        )
        do = "Evaluate once more with a site left out: splits.hold_out_site."
    else:
        new = sorted(map(str, test - train))
        seen = f"Test has {number(len(new), 'site')} that train has not: {', '.join(new[:5])}."
        why = (
            "That is the harder and more honest question. A difference between the cross-"
            "validated and the test figure may come from the site and need not be leakage."
        )
        do = "Report the figure for each site."
    yield Finding(
        "splits.sites", "note", "Sites of the test side", seen, len(test), (), why, do, SHORTCUTS
    )
