"""Code that evaluates: thresholds, intervals, curves, and looks at the test side."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.code_names import (
    assigned_to,
    bindings,
    calls,
    given_words,
    last_name,
    mentions,
    told,
    words,
)
from medclf_lite.audit.finding import EDA, EVALUATION, Finding
from medclf_lite.audit.registry import code_check

THRESHOLD = re.compile(r"(?i)thr|cut_?off|cut_?point|operating|best_t\b|t_best|t_opt")
PICKS = {"argmax", "nanargmax", "idxmax", "argmin", "argsort"}
TEST = re.compile(r"(?i)(^|_)test(_|$|s|[A-Z])|^test")
FIGURES = ("roc_auc_score", "accuracy_score", "f1_score", "classification_report",
           "balanced_accuracy_score", "average_precision_score", "recall_score")  # fmt: skip
LOOKS = re.compile(
    r"(?i)plot|show|hist|analy[sz]e|explor|eda|describe|imbalance|distribution|visuali"
)
JUDGES = re.compile(
    r"(?i)roc|confusion|result|metric|pred|evaluat|curve|calib|score|grad_?cam|loss"
)


@code_check(id="code.test-threshold")
def test_threshold(code: Code) -> Iterator[Finding]:
    """Thresholds that are picked on test images."""
    yield from told(
        code, "code.test-threshold", "error", "A threshold is picked on the test images", _picked,
        "Chosen where it is judged, a threshold makes the figure too good: by several points with "
        "few patients.",
        "Choose it on validation patients: medclf_lite.metrics.choose_threshold carries its "
        "origin along.", EVALUATION,
    )  # fmt: skip


def _picked(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if not isinstance(node, ast.Assign) or not mentions(node.targets[0], THRESHOLD):
            continue
        if not _is_pick(unit, node.value):
            continue
        scope = unit.scope(node)
        if isinstance(scope, ast.FunctionDef):
            if _called_with_test(unit, scope):
                yield node
        elif _comes_from_test(unit, node.value):
            yield node


def _is_pick(unit: Unit, value: ast.expr, depth: int = 0) -> bool:
    """Tell whether a value is the best of several, directly or by an index found before."""
    for node in ast.walk(value):
        if isinstance(node, ast.Call):
            name = last_name(node.func)
            if name in PICKS or (
                name in ("max", "min") and any(k.arg == "key" for k in node.keywords)
            ):
                return True
    names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
    return depth < 2 and any(
        re.search(r"(?i)idx|index|best|^i$|^ix$|arg", name) and _is_pick(unit, v, depth + 1)
        for name in names for _, v in bindings(unit, name) if v is not value
    )  # fmt: skip


def _comes_from_test(unit: Unit, value: ast.expr) -> bool:
    """Follow the names back, and ask whether the test side is among their origins."""
    seen, waiting = set[str](), [value]
    on_val = False
    while waiting:
        node = waiting.pop()
        found = words(node)
        if any(TEST.search(w) for w in found):
            return True
        on_val |= any(re.search(r"(?i)val", w) for w in found)
        for name in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - seen:
            seen.add(name)
            waiting += [v for _, v in bindings(unit, name)]
    return False


def _called_with_test(unit: Unit, function: ast.FunctionDef) -> bool:
    named = any(TEST.search(a.arg) for a in function.args.args)
    used = calls(unit, function.name)
    given = [
        word for c in used for a in [*c.args, *[k.value for k in c.keywords]] for word in words(a)
    ]
    inside = any(TEST.search(w) for s in function.body for w in words(s))
    return named or inside or any(TEST.search(word) for word in given)


@code_check(id="code.bare-figure")
def bare_figure(code: Code) -> Iterator[Finding]:
    """Figures that are printed without an interval."""
    yield from told(
        code, "code.bare-figure", "note", "Figures without an interval", _bare,
        "A figure read off few patients may be anything, and without an interval nobody can tell.",
        "medclf_lite.metrics.evaluate gives intervals that resample patients.", EVALUATION,
    )  # fmt: skip


def _bare(unit: Unit) -> Iterator[ast.AST]:
    if mentions(
        unit, r"(?i)bootstrap|interval|confidence|resampl|delong|percentile|\bci\b|_ci\b|ci_"
    ):
        return
    yield from list(calls(unit, *FIGURES))[:1]


@code_check(id="code.pr-area")
def pr_area(code: Code) -> Iterator[Finding]:
    """Precision-recall curves without their area or the prevalence."""
    yield from told(
        code, "code.pr-area", "note", "A precision-recall curve without its area", _no_area,
        "A curve cannot be compared by eye, and precision means nothing without the prevalence: "
        "the same scores give an area of .92, .66 or .26 at three prevalences.",
        "Report average_precision_score, and draw the prevalence as a line.", EVALUATION,
    )  # fmt: skip


def _no_area(unit: Unit) -> Iterator[ast.AST]:
    if not any(True for _ in calls(unit, "average_precision_score", "auc", "trapz", "trapezoid")):
        yield from calls(unit, "precision_recall_curve")


@code_check(id="code.test-looked-at")
def looked_at(code: Code) -> Iterator[Finding]:
    """The test side in plots and counts that come before evaluation."""
    yield from told(
        code, "code.test-looked-at", "note", "The test side is looked at", _looks,
        "What was seen there shapes what is tried next, and the test is no longer one.",
        "Look at train. Open the test side once, at the end.", EDA,
    )  # fmt: skip


def _looks(unit: Unit) -> Iterator[ast.AST]:
    for call in calls(unit):
        name = last_name(call.func)
        if LOOKS.search(name) and not JUDGES.search(name):
            given = given_words(call)
            whole = [w for w in given if TEST.search(w) and not JUDGES.search(w)]
            if whole and not JUDGES.search(" ".join(given)) and not JUDGES.search(
                assigned_to(unit, call)):  # fmt: skip
                yield call
