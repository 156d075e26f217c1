"""Duplicates: the same image twice, and whether the two rows contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.copies import Groups
from medclf_lite.audit.finding import SPLITS, Example, Finding, Severity, number, of_images
from medclf_lite.audit.registry import cohort_check

_CONFLICTS: tuple[tuple[str, str, Severity], ...] = (
    ("split", "on several sides of the split", "error"),
    ("label", "with different labels", "error"),
    ("patient_id", "under several patients", "warning"),
)


@cohort_check(id="duplicates.exact")
def exact(audit: AuditInput) -> Iterator[Finding]:
    """Images that are the same, byte for byte."""
    yield from _copies(
        audit, "duplicates.exact", audit.same_bytes, "Exact copies", "the same byte for byte"
    )


@cohort_check(id="duplicates.pixels", needs=("images",))
def pixels(audit: AuditInput) -> Iterator[Finding]:
    """Files that differ but show the very same pixels."""
    new = unlike(audit.same_pixels, audit.same_bytes)
    side = audit.looks.side
    yield from _copies(
        audit, "duplicates.pixels", new, "Copies in other files",
        f"different in their bytes and the same in every pixel at {side} x {side}",
    )  # fmt: skip


@cohort_check(id="duplicates.near", needs=("images",))
def near(audit: AuditInput) -> Iterator[Finding]:
    """Images that show nearly the same picture."""
    new = unlike(unlike(audit.near_copies, audit.same_pixels), audit.same_bytes)
    yield from _copies(
        audit, "duplicates.near", new, "Near copies",
        "the same picture after compression, resizing or a change of brightness",
    )  # fmt: skip


def unlike(groups: Groups, known: Groups) -> Groups:
    """Return the groups that are not part of a known one."""
    home = {row: i for i, group in enumerate(known) for row in group}
    return [g for g in groups if len({home.get(row, -1 - row) for row in g}) > 1]


def conflicts(audit: AuditInput, group: tuple[int, ...]) -> list[str]:
    """Return the columns in which a group of copies contradicts itself, the worst first."""
    table = audit.cohort.table.iloc[list(group)]
    labels = table[[*audit.cohort.findings]] if audit.cohort.findings else table[["label"]]
    differs = {
        "split": "split" in table and table["split"].nunique() > 1,
        "label": len(labels.drop_duplicates()) > 1,
        "patient_id": table["patient_id"].nunique() > 1,
    }
    return [column for column, _, _ in _CONFLICTS if differs[column]]


def _copies(audit: AuditInput, id: str, groups: Groups, title: str, what: str) -> Iterator[Finding]:
    if not groups:
        return
    found = {group: conflicts(audit, group) for group in groups}
    images = sum(map(len, groups))
    seen = [f"{number(len(groups), 'group')} of {number(images, 'image')}, {what}"]
    severity: Severity = "note"
    for column, words, level in reversed(_CONFLICTS):
        if n := sum(column in c for c in found.values()):
            seen.insert(1, f"{n} {words}")
            severity = level
    by_rank = sorted(groups, key=lambda g: _rank(found[g]))
    yield Finding(
        id, severity, title, "; ".join(seen) + ".", len(groups),
        tuple(_example(audit, g) for g in by_rank[:5]),
        "A copy in test is an answer that was learnt by heart. A copy under another patient or "
        "label says that an ID or a label is wrong. Copies count twice in every figure.",
        "Keep one image of each group; where labels or patients differ, ask the source, and if "
        "nobody knows, leave the whole group out.", SPLITS,
    )  # fmt: skip


def _rank(columns: list[str]) -> int:
    order = [column for column, _, _ in _CONFLICTS]
    return min((order.index(c) for c in columns), default=len(order))


def _example(audit: AuditInput, group: tuple[int, ...]) -> Example:
    shown = of_images(audit.ids(list(group)))
    rest = f" and {len(group) - len(shown)} more" if len(group) > len(shown) else ""
    return Example(
        " = ".join(e.text for e in shown) + rest, tuple(i for e in shown for i in e.images)
    )
