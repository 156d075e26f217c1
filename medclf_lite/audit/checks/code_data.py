"""Code that loads data: lengths, file names, channels, sizes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.code_names import (
    IMAGES,
    bindings,
    calls,
    constant,
    dotted,
    in_loop,
    keyword,
    last_name,
    mentions,
    told,
    words,
)
from medclf_lite.audit.finding import EDA, LOADING, Finding, Severity
from medclf_lite.audit.registry import code_check

WITH_SIDES = re.compile(
    r"chest|x-?ray|cxr|lung|thora|cardi|heart|pneumon|mammo|breast|\bhip\b|brain|knee", re.I
)
FLIPS = {"RandomHorizontalFlip", "HorizontalFlip", "RandomFlip", "fliplr", "hflip",
         "horizontal_flip", "mirror", "RandFlip", "RandFlipd"}  # fmt: skip


@code_check(id="code.truncated-length")
def truncated_length(code: Code) -> Iterator[Finding]:
    """Data sets whose length is cut off or fixed."""
    yield from told(
        code, "code.truncated-length", "error", "A data set's length is cut off", _short_lengths,
        "Images beyond the length are never seen. Samples are often sorted by class, so a whole "
        "class may be missing while the accuracy rises.",
        "Return len(self.samples); take a part with Subset, drawn by patient, where it is needed.",
        LOADING,
    )  # fmt: skip


def _short_lengths(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if not isinstance(node, ast.FunctionDef) or node.name != "__len__":
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.Return) and each.value is not None and _is_cut(each.value):
                yield each


def _is_cut(value: ast.expr) -> bool:
    if isinstance(value, ast.Constant):
        return isinstance(value.value, int) and value.value > 1
    for node in ast.walk(value):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            return True
        if isinstance(node, ast.Call) and last_name(node.func) == "min":
            return any(isinstance(constant(a), int) for a in node.args)
    return False


@code_check(id="code.flip")
def flip(code: Code) -> Iterator[Finding]:
    """Left-right flips."""
    sided = any(mentions(unit, WITH_SIDES) for unit in code.units)
    severity: Severity = "warning" if sided else "note"
    yield from told(
        code, "code.flip", severity, "Images are flipped left to right", _flips,
        "A mirrored chest has its heart on the wrong side, and side markers read backwards. Where "
        "the side carries meaning, flips teach that it carries none.",
        "Leave the flip out, or show on new patients that it helps and harms no finding: "
        "medclf_lite.augment.medical_augment has none.", EDA,
    )  # fmt: skip


def _flips(unit: Unit) -> Iterator[ast.AST]:
    for call in calls(unit):
        if last_name(call.func) in FLIPS or constant(keyword(call, "horizontal_flip")) is True:
            yield call


@code_check(id="code.squashed")
def squashed(code: Code) -> Iterator[Finding]:
    """Images that are stretched to a square."""
    yield from told(
        code, "code.squashed", "note", "Images are stretched to a square", _squashes,
        "The shape of the file stays in the picture as distortion. Where the shape goes with the "
        "class, as in the Kaggle chest X-rays, it is a shortcut.",
        "Keep the aspect: pad to a square first (medclf_lite.images, fit='letterbox').", EDA,
    )  # fmt: skip


def _squashes(unit: Unit) -> Iterator[ast.AST]:
    if mentions(unit, r"(?i)letterbox|\bpad\b|padd|CenterCrop|center_crop|LongestMaxSize"):
        return
    for call in calls(unit, "Resize", "resize"):
        sizes = [*call.args, *[k.value for k in call.keywords if k.arg in ("size", "dsize")]]
        pair = any(isinstance(a, ast.Tuple | ast.List) and len(a.elts) == 2 for a in sizes)
        two = last_name(call.func) == "Resize" and (len(call.args) == 2 or bool(
            keyword(call, "height") and keyword(call, "width")))  # fmt: skip
        if pair or two:
            yield call


@code_check(id="code.grey-to-rgb")
def grey_to_rgb(code: Code) -> Iterator[Finding]:
    """Grey images that are made three channels."""
    yield from told(
        code, "code.grey-to-rgb", "note", "Images are made three channels", _colours,
        "Three equal channels take three times the memory and tell nothing more. Colour images "
        "among grey ones are hidden by the same line.",
        "Load one channel (.convert('L')), and build the network for it: in_chans=1 in timm sums "
        "the first weights.", EDA,
    )  # fmt: skip


def _colours(unit: Unit) -> Iterator[ast.AST]:
    return (call for call in calls(unit) if _makes_three(call))


def _makes_three(call: ast.Call) -> bool:
    name, args = last_name(call.func), call.args
    first = constant(args[0]) if args else None
    if name == "Grayscale":
        return 3 in (first, constant(keyword(call, "num_output_channels")))
    if name == "cvtColor":
        return len(args) > 1 and last_name(args[1]) == "COLOR_GRAY2RGB"
    if name in ("stack", "concatenate", "dstack", "cat"):
        return bool(args) and _thrice(args[0])
    return (name == "convert" and first == "RGB") or (name in ("repeat", "expand") and first == 3)


def _thrice(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return 3 in (constant(node.left), constant(node.right))
    if not isinstance(node, ast.List | ast.Tuple) or len(node.elts) != 3:
        return False
    return len({ast.dump(e) for e in node.elts}) == 1


@code_check(id="code.extensions")
def extensions(code: Code) -> Iterator[Finding]:
    """File names that are matched with upper and lower case told apart."""
    yield from told(
        code, "code.extensions", "warning", "Image files are picked by a case-sensitive name",
        _case_sensitive,
        "IMG.JPG and IMG.JPEG are left out without a word, and so is every format that nobody "
        "thought of. What is lost is rarely spread evenly over the classes.",
        "Compare name.lower(), count what was left out, and say so: "
        "medclf_lite.sources.from_folder keeps a list.", LOADING,
    )  # fmt: skip


def _case_sensitive(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if isinstance(node, ast.Call) and last_name(node.func) == "endswith" and node.args:
            if _of_images(unit, node.args[0]) and not _lowered(unit, node.func):
                yield node
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.Eq):
            about = mentions(node.left, r"^(suffix|splitext|ext|extension)$")
            if about and _of_images(unit, node.comparators[0]) and not _lowered(unit, node.left):
                yield node


def _of_images(unit: Unit, node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return any(_of_images(unit, v) for _, v in bindings(unit, node.id) if v is not node)
    texts = [str(constant(n)) for n in ast.walk(node) if isinstance(n, ast.Constant)]
    if any(t != t.lower() for t in texts):
        return False  # capitals are among them: somebody has thought of it
    return any((t.startswith(".") and t in IMAGES) or t in ("jpeg", "jpg", "png") for t in texts)


def _lowered(unit: Unit, node: ast.AST) -> bool:
    if any(w in ("lower", "casefold", "upper") for w in words(node)):
        return True
    names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]
    return any(
        w in ("lower", "casefold") for name in names for _, v in bindings(unit, name)
        for w in words(v)
    )  # fmt: skip


@code_check(id="code.pixel-list")
def pixel_list(code: Code) -> Iterator[Finding]:
    """Pixels that are gathered in Python lists."""
    yield from told(
        code, "code.pixel-list", "note", "Pixels are gathered in a Python list", _pixel_lists,
        "Each pixel becomes an object of some thirty bytes: twenty radiographs are millions of "
        "them. The histogram is slow and counts large images more.",
        "Add up np.bincount(image.ravel(), minlength=256) / image.size, image by image.", EDA,
    )  # fmt: skip


def _pixel_lists(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if isinstance(node, ast.Call) and last_name(node.func) == "extend" and node.args:
            given = node.args[0]
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
            given = node.value
        else:
            continue
        if not in_loop(unit, node):
            continue
        flat = {"getdata", "flatten", "ravel", "tolist", "flat"} & set(words(given))
        if flat and mentions(given, r"(?i)im(g|age)|pixel|gr[ae]y|arr|scan"):
            yield node


@code_check(id="code.removed-arguments")
def removed(code: Code) -> Iterator[Finding]:
    """Arguments that today's libraries no longer take."""
    yield from told(
        code, "code.removed-arguments", "error", "Arguments that were removed", _removed_calls,
        "The code stops with a TypeError or runs on an old installation only, whose other faults "
        "have been mended since.",
        "torchvision: weights='DEFAULT' in place of pretrained=True. ReduceLROnPlateau: leave "
        "verbose out and print get_last_lr(). np.float: float.", LOADING,
    )  # fmt: skip


def _removed_calls(unit: Unit) -> Iterator[ast.AST]:
    of_torchvision = any("torchvision" in full for full in unit.imports.values())
    for call in calls(unit):
        name = dotted(unit, call.func)
        if keyword(call, "pretrained") is not None and of_torchvision:
            of_models = "torchvision.models" in name or isinstance(call.func, ast.Subscript)
            if of_models or name.startswith("models."):
                yield call
        elif last_name(call.func) == "ReduceLROnPlateau" and keyword(call, "verbose") is not None:
            yield call
    for node in unit.nodes:
        if isinstance(node, ast.Attribute) and dotted(unit, node) in (
            "numpy.float", "numpy.int", "numpy.bool8", "numpy.object", "numpy.product",
        ):  # fmt: skip
            yield node
