"""Code that divides data: patients, sets, folds, and what is fitted before."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.code_names import (
    PATIENT,
    assigned_to,
    bindings,
    calls,
    constant,
    in_loop,
    keyword,
    last_name,
    mentions,
    told,
    words,
)
from medclf_lite.audit.finding import CROSS_VALIDATION, SPLITS, Finding
from medclf_lite.audit.registry import code_check

BY_IMAGE = ("KFold", "StratifiedKFold", "ShuffleSplit", "StratifiedShuffleSplit",
            "RepeatedStratifiedKFold", "RepeatedKFold")  # fmt: skip
WITHOUT_ORDER = ("sorted", "len", "set", "isin", "print")
BY_GROUP = re.compile(r"Group(K|S)|LeaveOneGroupOut|PatientKFold|split_patients|LeavePGroups")
DIVIDES = re.compile(
    r"^(train_test_split|random_split|shuffle|permutation|sample|choice|choices|\w*KFold|"
    r"\w*ShuffleSplit)$"
)


@code_check(id="code.first-underscore")
def first_underscore(code: Code) -> Iterator[Finding]:
    """Patients that are read off file names by cutting at a character."""
    yield from told(
        code, "code.first-underscore", "warning", "Patients are cut out of file names", _cut_names,
        "Names of different classes often follow different patterns. In the Kaggle chest X-rays "
        "the text before the first underscore makes each normal image a patient of its own and "
        "merges bacterial and viral cases that share a number.",
        "Write a rule for each pattern that stops at names it does not match "
        "(medclf_lite.patients.patient_ids), or use a table of patients.", SPLITS,
    )  # fmt: skip


def _cut_names(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Call):
            continue
        call = node.value
        cuts = last_name(call.func) in ("split", "partition", "rsplit") and call.args
        if cuts and constant(call.args[0]) in ("_", "-", ".") and constant(node.slice) == 0:
            scope = unit.scope(node)
            name = scope.name if isinstance(scope, ast.FunctionDef) else ""
            if PATIENT.search(assigned_to(unit, node)) or PATIENT.search(name):
                yield node


@code_check(id="code.set-order")
def set_order(code: Code) -> Iterator[Finding]:
    """Splits that draw from a set made into a list."""
    yield from told(
        code, "code.set-order", "warning", "The order of a set goes into a split", _set_lists,
        "The order of a set of texts follows the interpreter's hash seed, which is new in each "
        "run: random_state=42 gives another split tomorrow.",
        "sorted(set(ids)); and audit.check(split=...) divides under two hash seeds.", SPLITS,
    )  # fmt: skip


def _set_lists(unit: Unit) -> Iterator[ast.AST]:
    if not any(DIVIDES.match(last_name(call.func)) for call in calls(unit)):
        return
    for node in unit.nodes:
        if isinstance(node, ast.Call) and last_name(node.func) in ("list", "tuple", "array"):
            given = node.args[0] if node.args else None
        elif isinstance(node, ast.List) and len(node.elts) == 1:
            only = node.elts[0]
            given = only.value if isinstance(only, ast.Starred) else None
        else:
            continue
        if given is not None and _is_set(unit, given) and not _ordered_after(unit, node):
            yield node


def _is_set(unit: Unit, node: ast.expr, depth: int = 0) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    if isinstance(node, ast.Call):
        return last_name(node.func) in ("set", "frozenset", "difference", "intersection", "union")
    if isinstance(node, ast.BinOp):
        return _is_set(unit, node.left, depth) and isinstance(
            node.op, ast.Sub | ast.BitOr | ast.BitAnd
        )
    if isinstance(node, ast.Name) and depth < 3:
        given = bindings(unit, node.id)
        return bool(given) and all(_is_set(unit, value, depth + 1) for _, value in given)
    return False


def _ordered_after(unit: Unit, node: ast.AST) -> bool:
    """Tell whether the list is sorted, only counted, or put into another set."""
    for up in unit.above(node):
        if isinstance(up, ast.Call) and last_name(up.func) in (
            "sorted",
            "len",
            "set",
            "isin",
            "print",
        ):
            return True
        if isinstance(up, ast.stmt):
            break
    target = assigned_to(unit, node)
    return any(
        isinstance(call.func, ast.Attribute) and last_name(call.func.value) == target
        for call in calls(unit, "sort")
    )


@code_check(id="code.first-label")
def first_label(code: Code) -> Iterator[Finding]:
    """Patients whose label is that of their first image."""
    yield from told(
        code, "code.first-label", "warning", "A patient's label is that of the first image",
        _first_labels,
        "Patients with images of both classes are stratified by chance, by the order of their "
        "files. Nobody is told how many they are.",
        "Count the patients with both labels, and take a rule that you state, such as the maximum: "
        "medclf_lite.splits.split_patients does.", SPLITS,
    )  # fmt: skip


def _first_labels(unit: Unit) -> Iterator[ast.AST]:
    about = re.compile(r"(?i)label|target|class|\by\b")
    for node in unit.nodes:
        if isinstance(node, ast.If) and _is_absent(node.test) and len(node.body) == 1:
            (only,) = node.body
            stores = isinstance(only, ast.Assign) and isinstance(only.targets[0], ast.Subscript)
            if stores and mentions(node, PATIENT) and mentions(only, about):
                yield only
        elif isinstance(node, ast.Call) and last_name(node.func) == "setdefault":
            if len(node.args) == 2 and mentions(node, PATIENT) and mentions(node, about):
                plain = not isinstance(node.args[1], ast.List | ast.Dict | ast.Set | ast.Call)
                if plain:
                    yield node
        elif isinstance(node, ast.Call) and last_name(node.func) in ("first", "nth", "head"):
            grouped = "groupby" in words(node.func)
            if grouped and mentions(node.func, PATIENT) and mentions(node.func, about):
                yield node


def _is_absent(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.NotIn)


@code_check(id="code.list-membership")
def list_membership(code: Code) -> Iterator[Finding]:
    """Look-ups in a list for every image."""
    yield from told(
        code, "code.list-membership", "note", "Each image is looked up in a list", _list_look_ups,
        "The time grows with the square of the number: minutes at a hundred thousand images, hours "
        "at a million.",
        "Make a set of the list once, or use DataFrame.isin.", SPLITS,
    )  # fmt: skip


def _list_look_ups(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.In | ast.NotIn):
            continue
        right = node.comparators[0]
        if isinstance(right, ast.Name) and in_loop(unit, node):
            given = [value for _, value in bindings(unit, right.id)]
            if given and all(_is_long_list(value) for value in given):
                yield node


def _is_long_list(value: ast.expr) -> bool:
    if isinstance(value, ast.ListComp):
        return True
    listed = ("list", "sorted", "tolist", "train_test_split", "sample", "choices", "readlines")
    return isinstance(value, ast.Call) and last_name(value.func) in listed


@code_check(id="code.image-folds")
def image_folds(code: Code) -> Iterator[Finding]:
    """Images that are divided where patients should be."""
    yield from told(
        code, "code.image-folds", "error", "Images are divided although patients are known",
        _image_folds,
        "Images of one person come on both sides. The model can recognise the person, and the "
        "figure says more than it will do for new patients.",
        "StratifiedGroupKFold(...).split(x, y, groups=patients), or "
        "medclf_lite.splits.PatientKFold and split_patients.", CROSS_VALIDATION,
    )  # fmt: skip


def _image_folds(unit: Unit) -> Iterator[ast.AST]:
    if not mentions(unit, PATIENT):
        return
    for call in calls(unit, *BY_IMAGE, "random_split", "train_test_split"):
        if not _takes_patients(unit, call) and _divides_images(unit, call):
            yield call


def _divides_images(unit: Unit, call: ast.Call) -> bool:
    name = last_name(call.func)
    if name == "random_split":
        return not mentions(call, PATIENT)
    if name == "train_test_split":
        first = call.args[0] if call.args else call
        by_patient = mentions(call, PATIENT) or _of_patients(unit, first)
        return not by_patient and not mentions(unit, BY_GROUP)
    splits = _splits_of(unit, call)
    return bool(splits) and not any(mentions(s, PATIENT) or keyword(s, "groups") for s in splits)


def _splits_of(unit: Unit, made: ast.Call) -> list[ast.Call]:
    """Calls of ``split`` on what a splitter was assigned to."""
    name = assigned_to(unit, made)
    return [c for c in calls(unit, "split") if isinstance(c.func, ast.Attribute) and (
        c.func.value is made or (name and " ".join(words(c.func.value)) == name))]  # fmt: skip


def _takes_patients(unit: Unit, node: ast.AST) -> bool:
    """Tell whether the function around a node is handed patients."""
    scope = unit.scope(node)
    return isinstance(scope, ast.FunctionDef) and mentions(scope.args, PATIENT)


def _of_patients(unit: Unit, node: ast.expr) -> bool:
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return any(mentions(value, PATIENT) for name in names for _, value in bindings(unit, name))
