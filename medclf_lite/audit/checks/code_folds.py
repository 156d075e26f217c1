"""Code that makes folds: augmented validation images, and what is fitted before the split."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.code_names import (
    assigned_to,
    bindings,
    calls,
    in_loop,
    keyword,
    last_name,
    mentions,
    names_of,
    told,
    words,
)
from medclf_lite.audit.finding import CROSS_VALIDATION, SPLITS, Finding
from medclf_lite.audit.registry import code_check

RANDOM = re.compile(
    r"(?i)^random(?!_state|_split|_seed|$)\w+|ColorJitter|\bAug|augment|GaussianNoise|train_t(f|ra)|"
    r"(train|aug)\w*transform|transform\w*(train|aug)|Affine|Rotate|HorizontalFlip|ElasticTransform"
)
_CALL_OF_SPLIT = ("split", "train_test_split", "random_split")


@code_check(id="code.augmented-folds")
def augmented_folds(code: Code) -> Iterator[Finding]:
    """Validation images that carry the augmentation of training."""
    yield from told(
        code, "code.augmented-folds", "error", "Validation images are augmented", _augmented,
        "Subset shares the transform of the whole. An augmented image is harder than the image, "
        "and another one each time: the figure is too low and differs from run to run.",
        "Make two data sets of the same files, one without augmentation, and take the validation "
        "rows from that.", CROSS_VALIDATION,
    )  # fmt: skip


def _augmented(unit: Unit) -> Iterator[ast.AST]:
    for call in calls(unit):
        transform = keyword(call, "transform") or keyword(call, "augment")
        target = assigned_to(unit, call)
        held_out = re.search(r"(?i)val|test", target) and not re.search(r"(?i)train", target)
        if transform is not None and held_out and _is_random(unit, transform):
            yield call
    if mentions(unit, r"(?i)\.?dataset\.transform$") or not mentions(unit, RANDOM):
        return
    shared = [c for c in calls(unit, "Subset") if len(c.args) > 1]
    for call in shared:
        target = assigned_to(unit, call)
        base = ast.dump(call.args[0])
        train = [c for c in shared if ast.dump(c.args[0]) == base
                 and re.search(r"(?i)train|\btr\b", assigned_to(unit, c))]  # fmt: skip
        if train and re.search(r"(?i)val|test|hold", target) and not _base_is_plain(unit, call):
            yield call


def _is_random(unit: Unit, node: ast.expr) -> bool:
    if mentions(node, RANDOM):
        return True
    return isinstance(node, ast.Name) and any(
        mentions(v, RANDOM) for _, v in bindings(unit, node.id)
    )


def _base_is_plain(unit: Unit, call: ast.Call) -> bool:
    """Tell whether the data set was made without random transforms, where that can be seen."""
    names = names_of(call.args[0])
    values = [v for name in names for _, v in bindings(unit, name) if isinstance(v, ast.Call)]
    given = [t for v in values if (t := keyword(v, "transform")) is not None]
    return bool(values) and not any(_is_random(unit, t) for t in given)


@code_check(id="code.fit-before-split")
def fit_before_split(code: Code) -> Iterator[Finding]:
    """Selection or resampling on all data, before they are divided."""
    yield from told(
        code, "code.fit-before-split", "warning", "Something is fitted before the split",
        _fitted_before,
        "Features that were selected, or images that were invented, with the test images in view "
        "carry the answers over. Selection on noise alone reads as a good model.",
        "Divide first; put every fitted step into a Pipeline that is fitted on the training part.",
        SPLITS,
    )  # fmt: skip


def _fitted_before(unit: Unit) -> Iterator[ast.AST]:
    fits = [c for c in calls(unit, "fit_transform", "fit_resample", "fit_sample")]
    divides = [c for c in calls(unit, *_CALL_OF_SPLIT)
               if last_name(c.func) != "split" or len(c.args) > 1]  # fmt: skip
    for fit in fits:
        if in_loop(unit, fit) or mentions(fit, r"(?i)train|\btr\b|fold"):
            continue
        made = {name for up in unit.above(fit) if isinstance(up, ast.Assign)
                for target in up.targets for name in names_of(target)}  # fmt: skip
        later = [d for d in divides if unit.place[d] > unit.place[fit]
                 and unit.scope(d) is unit.scope(fit)]  # fmt: skip
        if any(made & set(words(a)) for d in later for a in d.args):
            yield fit


@code_check(id="code.smote")
def smote(code: Code) -> Iterator[Finding]:
    """Synthetic images made between real ones."""
    yield from told(
        code, "code.smote", "warning", "Synthetic cases are made by SMOTE", _smotes,
        "Between two radiographs lies the picture of nobody. The classes come out balanced and the "
        "probabilities wrong.",
        "Leave the images as they are and choose the threshold; if you must, resample the training "
        "part only, and look at what was made.", CROSS_VALIDATION,
    )  # fmt: skip


def _smotes(unit: Unit) -> Iterator[ast.AST]:
    return (c for c in calls(unit) if re.search(r"SMOTE|ADASYN", last_name(c.func)))
