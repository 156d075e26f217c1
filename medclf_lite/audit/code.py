"""Source code as the checks see it: parsed, never imported, never run."""

from __future__ import annotations

import ast
import json
import os
import re
import tokenize
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from medclf_lite.audit.finding import Example, number, visible
from medclf_lite.errors import MedclfError

LARGEST = 20_000_000  # bytes; a notebook with pictures is large, its code is not
LONGEST = 120  # characters of a line that is shown
SKIPPED = {"node_modules", "site-packages", "__pycache__", "venv", "env", "build", "dist"}
_BODY_MAGICS = ("%%time", "%%capture", "%%timeit", "%%prun")  # what follows is Python
_MAGIC = re.compile(r"^(\s*)([%!?].*|.*\?)$")


@dataclass(frozen=True)
class Cell:
    """A piece of code that was parsed: a cell of a notebook, or a whole file."""

    number: int | None
    lines: tuple[str, ...]
    tree: ast.Module


@dataclass(frozen=True)
class Unit:
    """A file of Python or a notebook, with what its outputs say.

    ``failed`` are the errors in a notebook's outputs, ``counts`` the execution counts of its
    cells in their order.
    """

    path: str
    cells: tuple[Cell, ...]
    failed: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes, in the order of the text."""
        return [node for cell in self.cells for node in _in_order(cell.tree)]

    @cached_property
    def body(self) -> list[ast.stmt]:
        """The statements at the top level of all cells."""
        return [statement for cell in self.cells for statement in cell.tree.body]

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node that holds each node."""
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def _home(self) -> dict[ast.AST, Cell]:
        return {node: cell for cell in self.cells for node in ast.walk(cell.tree)}

    @cached_property
    def place(self) -> dict[ast.AST, int]:
        """Position of each node in the order of the text."""
        return {node: i for i, node in enumerate(self.nodes)}

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for."""
        found = dict[str, str]()
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for a in node.names:
                    first = a.name.split(".")[0]
                    found[a.asname or first] = a.name if a.asname else first
            elif isinstance(node, ast.ImportFrom):
                found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        return found

    @cached_property
    def bound(self) -> dict[str, list[tuple[ast.AST, ast.expr]]]:
        """The assignments to each name, with their values."""
        found = defaultdict[str, list[tuple[ast.AST, ast.expr]]](list)
        for node in self.nodes:
            if not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) or not node.value:
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for name in {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}:
                found[name].append((node, node.value))
        return dict(found)

    def example(self, node: ast.AST) -> Example:
        """Show where a node stands: file, cell, line and the line itself."""
        cell, line = self._home[node], getattr(node, "lineno", 1)
        where = "" if cell.number is None else f", cell {cell.number}"
        text = cell.lines[line - 1].strip()[:LONGEST] if line <= len(cell.lines) else ""
        return Example(f"{self.path}{where}, line {line}: {text}")

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Go up from a node to its cell."""
        while (up := self.parents.get(node)) is not None:
            yield up
            node = up

    def scope(self, node: ast.AST) -> ast.AST | None:
        """Return the function that a node stands in, None at the top level."""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        return next((up for up in self.above(node) if isinstance(up, functions)), None)


@dataclass(frozen=True)
class Code:
    """Files of Python and notebooks, and what could not be read, with the reason."""

    units: tuple[Unit, ...]
    problems: tuple[tuple[str, str], ...] = ()

    def lacks(self, needs: Iterable[str]) -> list[str]:
        """Code lacks nothing that a check of code could need."""
        return []

    @property
    def subject(self) -> str:
        """What was read, in a few words."""
        books = sum(u.path.endswith(".ipynb") for u in self.units)
        parts = [number(books, "notebook")] if books else []
        if books < len(self.units) or not books:
            parts.append(number(len(self.units) - books, "file") + " of Python")
        return " and ".join(parts)


def read_code(paths: str | Path | Iterable[str | Path]) -> Code:
    """Read and parse Python files and notebooks, without running anything in them.

    Parameters
    ----------
    paths : path or iterable of paths
        Files, or folders, in which all .py and .ipynb are read.

    Returns
    -------
    Code
        What cannot be read or parsed is in ``problems``, with the reason.

    Raises
    ------
    MedclfError
        If a path does not exist, or there is no code in a folder.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.py"
    >>> _ = path.write_text("import torch")
    >>> read_code(path).units[0].cells[0].number is None
    True
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    units: list[Unit] = []
    problems: list[tuple[str, str]] = []
    for path in dict.fromkeys(file for each in given for file in _files(Path(each))):
        found, wrong = _read(path)
        problems += wrong
        if found is not None:
            units.append(found)
    return Code(tuple(units), tuple(problems))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise MedclfError(f"There is no file or folder {path} to read code from; check the path.")
    found = []
    for folder, below, names in os.walk(path):  # does not follow links, so no circle
        below[:] = sorted(d for d in below if not d.startswith(".") and d not in SKIPPED)
        found += [Path(folder, n) for n in sorted(names) if n.endswith((".py", ".ipynb"))]
    if not found:
        raise MedclfError(f"There is no .py or .ipynb file in {path}.")
    return found


def _read(path: Path) -> tuple[Unit | None, list[tuple[str, str]]]:
    name = visible(path.as_posix())
    try:
        if path.stat().st_size > LARGEST:
            return None, [(name, f"it has more than {LARGEST:,} bytes")]
        if path.suffix == ".ipynb":
            return _notebook(name, path.read_text(encoding="utf-8"))
        with tokenize.open(path) as file:  # honours a declared encoding
            text = file.read()
    except OSError as problem:
        return None, [(name, f"it cannot be read: {problem.strerror or problem}")]
    except (SyntaxError, UnicodeDecodeError, LookupError) as problem:
        return None, [(name, f"its encoding is not known: {problem}")]
    cell = _parse(text, None)
    if isinstance(cell, str):
        return None, [(name, cell)]
    return Unit(name, (cell,)), []


def _notebook(name: str, text: str) -> tuple[Unit | None, list[tuple[str, str]]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as problem:
        return None, [(name, f"it is not JSON: {str(problem)[:100]}")]
    given = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(given, list):
        return None, [(name, "it is JSON, and not a notebook: it has no list of cells")]
    cells, problems, failed, counts = [], list[tuple[str, str]](), list[str](), list[int]()
    codes = [c for c in given if isinstance(c, dict) and c.get("cell_type") == "code"]
    for i, each in enumerate(codes, 1):
        source = _text(each.get("source"))
        cell = "its source is no text" if source is None else _parse(_plain(source), i)
        if isinstance(cell, str):
            problems.append((f"{name}, cell {i}", cell))
        else:
            cells.append(cell)
        failed += [f"cell {i}: {visible(e)}" for e in _errors(each.get("outputs"))]
        if isinstance(each.get("execution_count"), int):
            counts.append(each["execution_count"])
    return Unit(name, tuple(cells), tuple(failed), tuple(counts)), problems


def _text(source: Any) -> str | None:  # noqa: ANN401 - JSON
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None


def _errors(outputs: Any) -> list[str]:  # noqa: ANN401 - JSON
    rows = outputs if isinstance(outputs, list) else []
    wrong = [o for o in rows if isinstance(o, dict) and o.get("output_type") == "error"]
    return [f"{o.get('ename', 'an error')}: {str(o.get('evalue', ''))[:100]}" for o in wrong]


def _plain(source: str) -> str:
    """Take IPython's own syntax away; every line keeps its number."""
    lines = source.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_BODY_MAGICS):
        return ""
    return "\n".join(_MAGIC.sub(r"\1pass", line) if _is_magic(line) else line for line in lines)


def _is_magic(line: str) -> bool:
    text = line.strip()
    return text.startswith(("%", "!", "?")) or (text.endswith("?") and " " not in text)


def _parse(text: str, number: int | None) -> Cell | str:
    try:
        with warnings.catch_warnings():  # "invalid escape sequence" is the author's matter
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        list(_in_order(tree))  # what is nested too deep fails here, not in a check
    except SyntaxError as problem:
        return f"it is not Python 3: {problem.msg}, line {problem.lineno}"
    except ValueError as problem:
        return f"it is not Python: {problem}"
    except (RecursionError, MemoryError):
        return "it is nested too deep to be parsed"
    return Cell(number, tuple(text.splitlines()), tree)


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    waiting = [tree]  # a list, not recursion: expressions may be nested deep
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))
