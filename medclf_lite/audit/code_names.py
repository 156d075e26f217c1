"""Names in source code: what a call is called, what it was imported as, where a name is bound."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.finding import Finding, Severity, number

PATIENT = re.compile(r"patient|subject|\bpid\b|_pid|pid_|case_?id", re.IGNORECASE)
IMAGES = (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".dcm", ".bmp")
Match = Callable[[Unit], Iterable[ast.AST]]


def told(
    code: Code, id: str, severity: Severity, title: str, find: Match, why: str, do: str,
    chapter: str,
) -> Iterator[Finding]:  # fmt: skip
    """Give one finding for all places that a function finds."""
    places = [(unit, node) for unit in code.units for node in find(unit)]
    if places:
        yield Finding(
            id, severity, title, f"{number(len(places), 'place')} in the code.", len(places),
            tuple(unit.example(node) for unit, node in places[:5]), why, do, chapter,
        )  # fmt: skip


def calls(unit: Unit, *names: str) -> Iterator[ast.Call]:
    """Find calls of what has one of these last names; all calls if none is given."""
    for node in unit.nodes:
        if isinstance(node, ast.Call) and (not names or last_name(node.func) in names):
            yield node


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name: ``models.resnet18`` is ``resnet18``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def dotted(unit: Unit, node: ast.AST) -> str:
    """Return a dotted name in full, with what the first part was imported as."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ".".join(reversed(parts))
    return ".".join([unit.imports.get(node.id, node.id), *reversed(parts)])


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value of a keyword argument."""
    return next((k.value for k in call.keywords if k.arg == name), None)


def constant(node: ast.AST | None) -> object:
    """Return the value of a constant, None if it is none."""
    return node.value if isinstance(node, ast.Constant) else None


def words(node: ast.AST) -> list[str]:
    """All names, attributes, arguments and short texts below a node."""
    found = []
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            found.append(each.id)
        elif isinstance(each, ast.Attribute):
            found.append(each.attr)
        elif isinstance(each, ast.arg):
            found.append(each.arg)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            found.append(each.value[:60])
    return found


def given_words(call: ast.Call) -> list[str]:
    """All names and short texts in the arguments of a call."""
    given = [*call.args, *(k.value for k in call.keywords)]
    return [word for argument in given for word in words(argument)]


def mentions(node: ast.AST | Unit, pattern: str | re.Pattern[str]) -> bool:
    """Tell whether a name or text below a node, or in a file, matches."""
    nodes = node.body if isinstance(node, Unit) else [node]
    return any(re.search(pattern, word) for n in nodes for word in words(n))


def bindings(unit: Unit, name: str) -> list[tuple[ast.AST, ast.expr]]:
    """Find the assignments to a name, each with its value."""
    return unit.bound.get(name, [])


def names_of(target: ast.AST) -> list[str]:
    """Names that an assignment target binds."""
    return [n.id for n in ast.walk(target) if isinstance(n, ast.Name)]


def assigned_to(unit: Unit, node: ast.AST) -> str:
    """Return the name, attribute or key that an expression ends up in; empty if in none."""
    for up in unit.above(node):
        if isinstance(up, ast.Assign):
            return " ".join(words(up.targets[0]))
        if isinstance(up, ast.AnnAssign | ast.NamedExpr):
            return " ".join(words(up.target))
        if isinstance(up, ast.FunctionDef):
            return up.name
        if isinstance(up, ast.Dict):
            keys = [k for k, v in zip(up.keys, up.values, strict=True) if k and node in ast.walk(v)]
            if keys:
                return " ".join(words(keys[0]))
        if isinstance(up, ast.keyword) and up.arg:
            return up.arg
    return ""


def in_loop(unit: Unit, node: ast.AST) -> bool:
    """Tell whether a node stands in a loop or comprehension of its own function."""
    loops = (ast.For, ast.While, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.GeneratorExp,
             ast.DictComp)  # fmt: skip
    for up in unit.above(node):
        if isinstance(up, loops):
            return True
        if isinstance(up, ast.FunctionDef | ast.Lambda):
            return False
    return False
