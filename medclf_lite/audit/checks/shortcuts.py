"""Shortcuts: how well the label can be told without looking at the disease."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.finding import (
    EDA,
    SEVERITIES,
    SHORTCUTS,
    Bar,
    Example,
    Finding,
    Severity,
)
from medclf_lite.audit.probe import MOST_PROBED, probe_cohort
from medclf_lite.audit.registry import cohort_check
from medclf_lite.audit.traits import Kind, Trait
from medclf_lite.cohort import Cohort
from medclf_lite.resampling import auc_with_interval

# Lower end of the interval from which a trait counts.
NOTE, WARNING, ERROR = 0.55, 0.65, 0.9
# No disease decides how a file was compressed; size and aspect may follow a patient's age.
NEVER_MEDICAL = {"bytes", "bits per pixel", "JPEG table", "mode"}
ENOUGH, MOST = 20, 10  # patients with and without a class; classes that are probed
Rows = npt.NDArray[np.intp]


@cohort_check(id="shortcuts.files")
def files(audit: AuditInput) -> Iterator[Finding]:
    """Traits of the files that predict the label."""
    yield from _shortcuts(
        audit, "shortcuts.files", "file", "The files give the label away",
        "A class that comes from another machine, ward or year has other files. A network sees "
        "traces of size and compression in the pixels, and uses them before it learns disease.",
        "Find out how each class was collected. Convert all files in the same way from the "
        "originals; test on data in which the trait does not go with the label.",
    )  # fmt: skip


@cohort_check(id="shortcuts.pixels", needs=("images",))
def pixels(audit: AuditInput) -> Iterator[Finding]:
    """Brightness, border and corners that predict the label."""
    yield from _shortcuts(
        audit, "shortcuts.pixels", "image", "Brightness or borders give the label away",
        "Markers, collimation and exposure lie at the border and in the overall brightness; "
        "disease hardly does. Part may be real: a sick patient is imaged in another position.",
        "Look at the extremes below. Crop to the anatomy, and check by masking the border that "
        "the model does not live from it.",
    )  # fmt: skip


@cohort_check(id="shortcuts.records")
def records(audit: AuditInput) -> Iterator[Finding]:
    """Site, view and date that predict the label."""
    yield from _shortcuts(
        audit, "shortcuts.records", "record", "Site, view or date gives the label away",
        "A model that can tell the site or the view from the image gets the label with it, and "
        "loses it at the next hospital.",
        "Report figures for each site and view, hold a site out, and balance the classes in "
        "each of them.",
    )  # fmt: skip


def _shortcuts(
    audit: AuditInput, id: str, kind: Kind, title: str, why: str, do: str
) -> Iterator[Finding]:
    of = [t for t in audit.traits if t.kind == kind]
    found = [(name, cohort, _bars(cohort, of)) for name, cohort in _targets(audit) if of]
    rated = [(name, cohort, bars) for name, cohort, bars in found if any(map(_severity, bars))]
    if not rated:
        return
    name, cohort, bars = max(rated, key=lambda part: part[2][0].low)  # the best one to show
    strong = [bar for bar in bars if _severity(bar)]
    told = "; ".join(f"{n}: {_told(b)}" if n else _told(b) for n, _, b in rated)
    yield Finding(
        id, min((s for _, _, b in rated for s in map(_severity, b) if s), key=SEVERITIES.index),
        title,
        f"ROC-AUC of the {'class' if name else 'label'}, by patient, from one trait alone: "
        f"{told}.{_part(cohort)}",
        sum(map(bool, (_severity(bar) for _, _, b in rated for bar in b))),
        _extremes(cohort, of, [bar.name for bar in strong]), why, do, EDA, tuple(bars),
    )  # fmt: skip


def _targets(audit: AuditInput) -> list[tuple[str, Cohort]]:
    """The label, or each class or finding against the rest that enough patients have."""
    cohort = audit.readable
    if not cohort.findings:
        both = cohort.labels.min() < cohort.labels.max()  # else counts.one-class says so
        return [("", cohort)] if both else []
    each = [(name, cohort.finding(name)) for name in cohort.findings]
    return [(name, one) for name, one in each if _fewest(one) >= ENOUGH][:MOST]


def _fewest(cohort: Cohort) -> int:
    return min(len(set(cohort.patients[cohort.labels == label])) for label in (0, 1))


def _bars(cohort: Cohort, of: list[Trait]) -> list[Bar]:
    """Figures of the traits, the one that tells most first."""
    # A line misses a trait of which both extremes mean disease; the better of the two counts.
    best = probe_cohort(cohort, of, model="best").sort_values("low", ascending=False, kind="stable")
    columns = best[["trait", "auc", "low", "high"]].to_numpy().tolist()
    return [Bar(str(name), *map(float, figures)) for name, *figures in columns]


def _told(bars: list[Bar]) -> str:
    return ", ".join(f"{bar.name} {bar.value:.3f}" for bar in bars if _severity(bar))


def _part(cohort: Cohort) -> str:
    if len(cohort) <= MOST_PROBED:
        return ""
    return f" On {MOST_PROBED:,} of {len(cohort):,} images at most, drawn by patient."


def _severity(bar: Bar) -> Severity | None:
    if bar.low >= ERROR and bar.name in NEVER_MEDICAL:
        return "error"
    return "warning" if bar.low >= WARNING else "note" if bar.low >= NOTE else None


def _extremes(cohort: Cohort, of: list[Trait], names: list[str]) -> tuple[Example, ...]:
    """Show the two lowest and two highest images of the strongest trait that is a number."""
    trait = next((t for name in names for t in of if t.name == name and t.is_number), None)
    if trait is None:
        return ()
    values = trait.values[:, 0]
    order = np.argsort(values, kind="stable")
    chosen = list(dict.fromkeys(order[[0, -1, 1 % len(order), -min(2, len(order))]].tolist()))
    ids, labels = cohort.table["image_id"].astype(str), cohort.labels
    return tuple(
        Example(
            f"{trait.name} {values[i]:.4g}: {ids.iloc[i]} ({cohort.classes[int(labels[i])]})",
            (ids.iloc[i],),
        )
        for i in chosen
    )


@cohort_check(id="shortcuts.drift", needs=("label", "split"))
def drift(audit: AuditInput) -> Iterator[Finding]:
    """Traits in which train and test differ within one class."""
    table, labels = audit.readable.table, audit.readable.labels
    found: list[tuple[str, Bar]] = []
    for label, name in enumerate(audit.cohort.classes):
        rows = np.flatnonzero((labels == label) & table["split"].isin(["train", "test"]).to_numpy())
        is_test = (table["split"].to_numpy()[rows] == "test").astype(int)
        if not 0 < is_test.sum() < len(rows):
            continue
        patients = audit.readable.patients[rows]
        for trait in audit.traits:
            if not trait.is_number or np.ptp(trait.values) == 0 or trait.name == "date":
                continue
            bar = _either_way(trait, rows, is_test, patients)
            found.append((name, bar))
    apart = [(name, bar) for name, bar in found if bar.low >= WARNING]
    if apart:
        told = ", ".join(f"{bar.name} of {name} {bar.value:.2f}" for name, bar in apart)
        yield Finding(
            "shortcuts.drift", "warning", "Train and test differ in traits of the files",
            f"ROC-AUC of telling test from train within a class: {told}.",
            len(apart), (),
            "The two sides were not collected in the same way. A gap between the cross-validated "
            "and the test figure may come from that, and need not be leakage.",
            "Report both figures, say that the sides differ, and look for the reason in how "
            "they were collected.", SHORTCUTS,
            tuple(Bar(f"{bar.name}, {name}", *bar[1:]) for name, bar in apart),
        )  # fmt: skip


def _either_way(trait: Trait, rows: Rows, is_test: Rows, patients: npt.NDArray[np.str_]) -> Bar:
    """Measure how far a trait is apart, whichever side has the larger values."""
    values = trait.values[rows, 0]
    auc, low, high = auc_with_interval(is_test, values, patients, resamples=200)
    if auc < 0.5:
        auc, low, high = 1 - auc, 1 - high, 1 - low
    return Bar(trait.name, auc, low, high)
