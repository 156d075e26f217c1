"""Code as such: what could not be read, hidden warnings, order of cells, paths, dead names."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from medclf_lite.audit.code import Code, Unit
from medclf_lite.audit.code_names import calls, constant, keyword, last_name, names_of, told
from medclf_lite.audit.finding import LOADING, SPLITS, TRAINING, Example, Finding, number
from medclf_lite.audit.registry import code_check

PLACE = re.compile(r"^(/kaggle/|/content/|/home/|/Users/|/mnt/|/media/|/data\d*/|[A-Za-z]:[\\/])")
MADE = re.compile(
    r"(?i)^(proper|balanced|weighted|clean|new)_|(train|val|test)\w*_?(dataset|set|loader|sampler|"
    r"subset|samples|ds|dl)$|^(dataset|loader|sampler|subset)s?$|weights?$|_(criterion|sampler)$"
)
MAKES = re.compile(
    r"(?i)dataset|folder|subset|loader|sampler|tensor|loss|weight|split|create|make|build|get_|"
    r"compute|implement|array|bincount"
)
COUNTED = ("len", "print", "display", "type")


@code_check(id="code.unreadable")
def unreadable(code: Code) -> Iterator[Finding]:
    """Code that could not be read or parsed."""
    if code.problems:
        yield Finding(
            "code.unreadable", "error", "Code that could not be read",
            f"{number(len(code.problems), 'file or cell', 'files or cells')}.", len(code.problems),
            tuple(Example(f"{path}: {why}") for path, why in code.problems[:5]),
            "What cannot be parsed does not run, and no check has seen it.",
            "Open it and mend it; notebooks are JSON with a list of cells.", LOADING,
        )  # fmt: skip


@code_check(id="code.error-output")
def error_output(code: Code) -> Iterator[Finding]:
    """Notebooks that were saved with an error, or with cells run out of order."""
    failed = [(u.path, e) for u in code.units for e in u.failed]
    if failed:
        yield Finding(
            "code.error-output", "error", "A notebook was saved with an error in it",
            f"{number(len(failed), 'error')} in the outputs.", len(failed),
            tuple(Example(f"{path}, {e}") for path, e in failed[:5]),
            "Nobody has run it to the end; what follows the error comes from another day.",
            "Restart and run all cells, in CI: pytest --nbval.", LOADING,
        )  # fmt: skip
    mixed = [u for u in code.units if list(u.counts) != sorted(u.counts)]
    if mixed:
        yield Finding(
            "code.error-output", "warning", "Cells were run out of order",
            f"{number(len(mixed), 'notebook')} whose execution counts do not rise.", len(mixed),
            tuple(Example(u.path) for u in mixed[:5]),
            "The outputs belong to an order that nobody can repeat.",
            "Restart and run all cells before you save.", LOADING,
        )  # fmt: skip


@code_check(id="code.warnings-off")
def warnings_off(code: Code) -> Iterator[Finding]:
    """Warnings that are all switched off."""
    yield from told(
        code, "code.warnings-off", "warning", "All warnings are switched off", _ignores,
        "Undefined metrics, removed functions and failed convergence speak through warnings.",
        "Silence one: warnings.filterwarnings('ignore', message=..., module=...).", LOADING,
    )  # fmt: skip


def _ignores(unit: Unit) -> Iterator[ast.AST]:
    for call in calls(unit, "filterwarnings", "simplefilter"):
        first = constant(call.args[0] if call.args else keyword(call, "action"))
        narrow = len(call.args) > 1 or any(k.arg in ("category", "message", "module")
                                           for k in call.keywords)  # fmt: skip
        inside = any(isinstance(up, ast.With) for up in unit.above(call))
        if first == "ignore" and not narrow and not inside:
            yield call
    for node in unit.nodes:
        if isinstance(node, ast.Assign) and last_name(node.targets[0]) == "PYTHONWARNINGS":
            yield node


@code_check(id="code.absolute-path")
def absolute_path(code: Code) -> Iterator[Finding]:
    """Paths of one machine."""
    yield from told(
        code, "code.absolute-path", "note", "A path of one machine is written into the code",
        lambda unit: (n for n in unit.nodes if PLACE.match(str(constant(n)))),
        "The code runs there and nowhere else.",
        "Read it from an argument or an environment variable.", LOADING,
    )  # fmt: skip


@code_check(id="code.overwritten")
def overwritten(code: Code) -> Iterator[Finding]:
    """Names that a loop goes over and that its body binds anew."""
    yield from told(
        code, "code.overwritten", "warning", "A loop overwrites what it goes over", _rebound,
        "It works as long as the generator has taken its copy, and gives wrong folds once it has "
        "not.",
        "Use another name in the body.", TRAINING,
    )  # fmt: skip


def _rebound(unit: Unit) -> Iterator[ast.AST]:
    for loop in (n for n in unit.nodes if isinstance(n, ast.For)):
        inner = [n for n in ast.walk(loop.iter) if isinstance(n, ast.Call) and n.args]
        used = {name for call in inner for arg in call.args for name in names_of(arg)}
        used -= {last_name(c.func) for c in inner} | set(names_of(loop.target))
        for node in (n for s in loop.body for n in ast.walk(s)):
            target = node.target if isinstance(node, ast.For) else None
            if isinstance(node, ast.Assign):
                target = node.targets[0]
            if isinstance(target, ast.Name | ast.Tuple) and used & set(names_of(target)):
                yield node
                break


@code_check(id="code.late-global")
def late_global(code: Code) -> Iterator[Finding]:
    """Functions that read names which are made later, outside of them."""
    yield from told(
        code, "code.late-global", "warning", "A function reads names that are made later", _late,
        "It runs in one order of cells only, and takes whatever value the name has at the time.",
        "Hand everything over as arguments; run the notebook from a fresh kernel.", TRAINING,
    )  # fmt: skip


def _late(unit: Unit) -> Iterator[ast.AST]:
    first: dict[str, int] = {}
    for statement in unit.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            first.setdefault(statement.name, -1)  # functions may call later ones
            continue
        for name in _bound_by(statement):
            first.setdefault(name, unit.place[statement])
    for statement in unit.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            here = unit.place[statement]
            free = {n.id: n for n in ast.walk(statement) if isinstance(n, ast.Name)
                    and isinstance(n.ctx, ast.Load)}  # fmt: skip
            local = _locals(statement) | set(dir(builtins))
            # A CONSTANT may stand below: nobody binds it twice.
            late = [
                node
                for name, node in free.items()
                if first.get(name, -1) > here and name not in local and not name.isupper()
            ]
            yield from sorted(late, key=lambda n: unit.place[n])[:1]


def _bound_by(statement: ast.stmt) -> set[str]:
    found = set[str]()
    for node in ast.walk(statement):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {a.asname or a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _locals(function: ast.AST) -> set[str]:
    found = set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {a.asname or a.name.split(".")[0] for a in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
    return found


@code_check(id="code.unused")
def unused(code: Code) -> Iterator[Finding]:
    """Splits, data sets, samplers and weights that are made and never used."""
    yield from told(
        code, "code.unused", "warning", "A split, data set or weight is never used", _dead,
        "Dead code reads as care: the patients were divided, the classes weighted, and training "
        "took something else.",
        "Hand it over where it was meant to go, or take it out; audit.check(train=..., "
        "cohort=...) compares what is yielded with the split.", SPLITS,
    )  # fmt: skip


def _dead(unit: Unit) -> Iterator[ast.AST]:
    for node in unit.nodes:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        makes = any(MAKES.search(last_name(n.func)) for n in ast.walk(node.value)
                    if isinstance(n, ast.Call))  # fmt: skip
        scope = unit.scope(node)
        for name in (n for t in node.targets if isinstance(t, ast.Name) for n in names_of(t)):
            if makes and MADE.search(name) and not _is_used(unit, name, scope):
                yield node


def _is_used(unit: Unit, name: str, scope: ast.AST | None) -> bool:
    """Tell whether a name of this scope is read, other than to be counted or shown."""
    for node in unit.nodes:
        if not isinstance(node, ast.Name) or node.id != name or isinstance(node.ctx, ast.Store):
            continue
        home = unit.scope(node)
        if home is not scope and (scope is not None or _makes_own(home, name)):
            continue
        if not _only_counted(unit, node):
            return True
    return False


def _makes_own(function: ast.AST | None, name: str) -> bool:
    return function is not None and name in _locals(function)


def _only_counted(unit: Unit, node: ast.AST) -> bool:
    for up in unit.above(node):
        if isinstance(up, ast.Call) and last_name(up.func) in COUNTED:
            return True
        if isinstance(up, ast.stmt):
            return False
    return False
