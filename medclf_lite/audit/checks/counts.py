"""Counts: classes, patients, and whether a side is large enough for what it decides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.finding import (
    LOADING,
    SPLITS,
    Example,
    Finding,
    Severity,
    number,
    of_images,
)
from medclf_lite.audit.registry import cohort_check
from medclf_lite.audit.traits import read_dates

FEW_PATIENTS = 50  # in the smaller class
IMBALANCED = 0.35  # share of the smaller class
ASSUMED_AUC = 0.9
WIDE, WIDER = 0.1, 0.2  # width of a 95 % interval


@cohort_check(id="counts.one-class", needs=("label",))
def one_class(audit: AuditInput) -> Iterator[Finding]:
    """Every image has the same label."""
    labels = audit.cohort.labels
    if len(np.unique(labels)) == 1:
        name = audit.cohort.classes[int(labels[0])]
        yield Finding(
            "counts.one-class", "error", "Only one class",
            f"{number(len(labels), 'image')}, all of class {name}.", len(labels),
            of_images(audit.ids(range(min(5, len(labels))))),
            "A model that always says the same is right every time, and nothing was learnt.",
            "Look for the other class: a misspelt folder, a lost extension, a short length.",
            LOADING,
        )  # fmt: skip


@cohort_check(id="counts.imbalance", needs=("label",))
def imbalance(audit: AuditInput) -> Iterator[Finding]:
    """Classes of very different size."""
    share = float(audit.cohort.labels.mean())
    if 0 < min(share, 1 - share) < IMBALANCED:
        larger = audit.cohort.classes[int(share > 0.5)]
        most = max(share, 1 - share)
        yield Finding(
            "counts.imbalance", "note", "Classes of different size",
            f"{most:.1%} of the images are {larger}.", round(most * len(audit.cohort)), (),
            f"Always saying {larger} has an accuracy of {most:.3f} and finds nothing. Precision "
            "and predictive values hold at this prevalence only.",
            "Report sensitivity, specificity and ROC-AUC with intervals, not accuracy alone; "
            "weights and resampling change calibration.",
            LOADING,
        )  # fmt: skip


@cohort_check(id="counts.few", needs=("label",))
def few(audit: AuditInput) -> Iterator[Finding]:
    """Too few patients of a class for anything but a rehearsal."""
    table = audit.cohort.table
    patients = table.groupby("label")["patient_id"].nunique()
    if len(patients) == 2 and patients.min() < FEW_PATIENTS:
        name = audit.cohort.classes[int(patients[1] <= patients[0])]
        yield Finding(
            "counts.few", "warning", "Few patients",
            f"{number(int(patients.min()), 'patient')} of class {name}.", int(patients.min()), (),
            "More images of the same patients do not help: what varies between people is seen "
            f"{int(patients.min())} times. Every figure will have a wide interval.",
            "Collect more patients, use frozen features with few parameters, and cross-validate.",
            SPLITS,
        )  # fmt: skip


@cohort_check(id="counts.small-side", needs=("label", "split"))
def small_side(audit: AuditInput) -> Iterator[Finding]:
    """Sides that are too small for the decisions they make."""
    table = audit.cohort.table
    for side in sorted(set(table["split"].dropna()) - {"train"}):
        here = table[table["split"] == side]
        patients = here.groupby("label")["patient_id"].nunique()
        if len(patients) < 2:
            continue  # splits.one-class says so
        found = too_small(
            "counts.small-side", side, int(patients[1]), int(patients[0]), "patients", len(here),
            of_images(here["image_id"]),
        )  # fmt: skip
        if found is not None:
            yield found


def too_small(
    id: str, side: str, positive: int, negative: int, unit: str, count: int,
    examples: tuple[Example, ...] = (),
) -> Finding | None:  # fmt: skip
    """Give a finding if a side with so many patients or images of each class is too small."""
    width = 2 * 1.96 * hanley_mcneil(ASSUMED_AUC, positive, negative)
    if width < WIDE:
        return None
    severity: Severity = "warning" if width >= WIDER else "note"
    low, high = ASSUMED_AUC - width / 2, min(1.0, ASSUMED_AUC + width / 2)
    return Finding(
        id, severity, f"The side {side!r} is small",
        f"{positive} and {negative} {unit} of the two classes: a true ROC-AUC of "
        f"{ASSUMED_AUC} reads anywhere from {low:.2f} to {high:.2f} (95 %).",
        count, examples,
        "Early stopping, the choice of a model or a threshold, and the final figure follow "
        "chance here. The best of many models on such a side is the luckiest.",
        "Give it more patients, or cross-validate by patient; always report the interval.",
        SPLITS,
    )  # fmt: skip


def hanley_mcneil(auc: float, positive: int, negative: int) -> float:
    """Give the standard error of a ROC-AUC (Hanley and McNeil 1982).

    Source: doi:10.1148/radiology.143.1.7063747.

    Parameters
    ----------
    auc : float
        True ROC-AUC, 0 to 1.
    positive, negative : int
        Independent cases of each class.

    Examples
    --------
    >>> round(hanley_mcneil(0.9, 8, 8), 3)
    0.083
    """
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = (positive - 1) * (q1 - auc**2) + (negative - 1) * (q2 - auc**2)
    return float(np.sqrt((auc * (1 - auc) + spread) / (positive * negative)))


@cohort_check(id="counts.sides", needs=("split",))
def sides(audit: AuditInput) -> Iterator[Finding]:
    """Sides of the split that are missing, and images on none."""
    split = audit.cohort.table["split"]
    lost = split.isna().to_numpy()
    if lost.any():
        yield Finding(
            "counts.sides", "error", "Images on no side of the split",
            f"{number(int(lost.sum()), 'image')} of {len(split):,} without a split.",
            int(lost.sum()), of_images(audit.ids(lost)),
            "They are neither learnt from nor counted, and nobody will notice.",
            "Give every image a side, or leave it out on purpose.", SPLITS,
        )  # fmt: skip
    missing = [s for s in ("train", "val", "test") if not (split == s).any()]
    # One side alone is a part that someone took on purpose.
    if missing and split.nunique() > 1:
        why = {
            "train": "Nothing can be learnt.",
            "val": "Without a validation side, choices are made on the training or test images.",
            "test": "Without a test side no figure is an estimate for new patients.",
        }
        yield Finding(
            "counts.sides", "warning" if "test" in missing else "note", "Sides without images",
            f"No image on {' and '.join(missing)}; there are "
            f"{', '.join(sorted(split.dropna().unique()))}.",
            len(missing), tuple(Example(s) for s in missing),
            " ".join(why[s] for s in missing),
            "Divide the patients, or cross-validate by patient.", SPLITS,
        )  # fmt: skip


@cohort_check(id="counts.dates", needs=("date",))
def dates(audit: AuditInput) -> Iterator[Finding]:
    """Dates that are not in ISO 8601."""
    given = audit.cohort.table["date"]
    unread = (read_dates(given).isna() & given.notna()).to_numpy()
    if unread.any():
        shown = zip(audit.ids(unread), given[unread], strict=True)
        yield Finding(
            "counts.dates", "warning", "Dates that cannot be read",
            f"{number(int(unread.sum()), 'image')} of {len(given):,}.", int(unread.sum()),
            tuple(Example(f"{image_id}: {date}", (image_id,)) for image_id, date in shown),
            "Whether 03/04/2021 is in March or April cannot be known. The checks on time count "
            "such images as undated, and a split by date refuses them.",
            "Write dates as 2021-03-04 (ISO 8601).", LOADING,
        )  # fmt: skip
