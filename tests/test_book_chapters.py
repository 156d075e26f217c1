"""The chapters keep the form that readers rely on; each check is tried on a planted fault first.

A check takes a chapter and returns what is wrong, one line each; an empty list means all is well.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
import pytest
import yaml

from medclf_lite.pitfalls import known_faults

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 72  # longer lines are cut off on the page
SECTIONS = (
    "What just happened",
    "On the real data",
    "In your own project",
    "The rules of this section",
    "Check yourself",
    "Exercises",
    "References",
)
OPENING = (
    r"\*\*You will be able to\*\* .+\*\*Time\*\*: (about )?\d+ minutes\. \*\*You need\*\*:\s.+",
    r":::\{admonition\} Predict first\n:class: tip\n",
    r"\n```\{bibliography\}\n:filter: docname in docnames\n```",
)
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


class Chapter(NamedTuple):
    """A page: its text, its cells, and where its links begin."""

    text: str
    cells: list[Any]
    folder: Path

    @classmethod
    def of(cls, text: str, folder: Path = ROOT / "chapters") -> Chapter:
        return cls(text, jupytext.reads(text, fmt="md:myst").cells, folder)

    @property
    def code(self) -> list[Any]:
        return [cell for cell in self.cells if cell.cell_type == "code"]

    @property
    def prose(self) -> str:
        """Text outside code cells."""
        return "\n\n".join(cell.source for cell in self.cells if cell.cell_type == "markdown")

    @property
    def words(self) -> str:
        """Prose without its fenced blocks of code, with directives kept."""
        return "\n".join(line for line, is_code in fenced(self.prose) if not is_code)


def fenced(prose: str) -> Iterator[tuple[str, bool]]:
    """Yield each line, and whether it stands in a block of code; a directive is no such block."""
    fence, is_code = "", False
    for line in prose.splitlines():
        opened = re.match(r"(`{3,})(.*)", line)
        if fence:
            yield line, is_code
            fence = "" if line.strip() == fence else fence
        elif opened:
            fence, is_code = opened[1], not opened[2].startswith("{")
            yield line, is_code
        else:
            yield line, False


def tags(cell: Any) -> list[str]:
    return cell.metadata.get("tags", [])


def names_called(tree: ast.AST) -> Iterator[str]:
    """Yield the dotted name of each call that runs when the code runs, not inside a `def`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            continue
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        yield from names_called(node)


def parsed(cell: Any) -> ast.Module:
    """Parse a cell, its magics taken out."""
    return ast.parse(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", cell.source))


# --- the checks ----------------------------------------------------------------------------


def long_lines(chapter: Chapter) -> list[str]:
    lines = [line for cell in chapter.code for line in cell.source.splitlines()]
    lines += [line for line, is_code in fenced(chapter.prose) if is_code]
    return [f"{len(line)} characters: {line}" for line in lines if len(line) > WIDTH]


def missing_parts(chapter: Chapter) -> list[str]:
    found = [f"no {part}" for part in OPENING if not re.search(part, chapter.text, re.DOTALL)]
    headings = re.findall(r"^## (.+)$", chapter.words, re.MULTILINE)
    found += [f"no section '{title}'" for title in SECTIONS if title not in headings]
    there = [title for title in headings if title in SECTIONS]
    if not found and there != list(SECTIONS):
        found.append(f"sections in another order: {', '.join(there)}")
    if len(re.findall(r"^# ", chapter.words, re.MULTILINE)) != 1:
        found.append("not one title")
    front = yaml.safe_load(chapter.text.split("---")[1])
    if front["kernelspec"] != KERNEL or "text_representation" not in front["jupytext"]:
        found.append("no kernel or format in the front matter")
    return found


def set_up(chapter: Chapter) -> list[str]:
    first = chapter.code[0]
    found = []
    if 'find_spec("medclf_lite") is None' not in first.source or "%pip install" not in first.source:
        found.append("the first cell does not install the package where it is missing")
    if "hide-input" not in tags(first):
        found.append("the first cell is not tagged hide-input")
    return found


DRAWS = re.compile(
    r"plots\.(?!use_style)\w+|plt\.(subplots|figure|imshow|plot|show)|.+\.plot(\.\w+)?"
)


def pictures_without_words(chapter: Chapter) -> list[str]:
    own: set[str] = set()  # functions of the chapter that draw
    found = []
    for cell in chapter.code:
        tree = parsed(cell)
        own |= {
            node.name for node in tree.body if isinstance(node, ast.FunctionDef) and draws(node)
        }
        drawn = [name for name in names_called(tree) if DRAWS.fullmatch(name) or name in own]
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        hidden = {"remove-cell", "remove-output"} & set(tags(cell))
        if drawn and not hidden and len(alt.split()) < 3:
            found.append(f"no alt text in words for {drawn[0]}")
    bare = re.findall(r"!\[\s*\]\(([^)]+)\)", chapter.words)
    for block in re.findall(r"(?ms)^```\{(?:image|figure)\}(.*?)^```", chapter.words):
        if not re.search(r"^:alt: \S", block, re.MULTILINE):
            bare.append(block.split()[0])
    return found + [f"no alt text for {path}" for path in bare]


def draws(tree: ast.AST) -> bool:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return any(DRAWS.fullmatch(ast.unparse(call.func)) for call in calls)


def glue_names(chapter: Chapter) -> list[str]:
    patterns = []
    for cell in chapter.code:
        for node in ast.walk(parsed(cell)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "glue":
                patterns.append(_pattern(node.args[0]))
    used = re.findall(r"\{glue:\w+\}`([^`]+)`", chapter.words)
    if "```{gallery}" in chapter.text:  # its text comes from the register of faults
        used += [f"gallery-{f.id}-said" for f in known_faults() if f.demonstrate is not None]
    fits = [[p for p in patterns if re.fullmatch(p, name)] for name in used]
    found = [f"not glued: {name}" for name, fit in zip(used, fits, strict=True) if not fit]
    unused = set(patterns) - {p for fit in fits for p in fit}
    return found + [f"glued and not used: {p}".replace("\\", "") for p in sorted(unused)]


def _pattern(name: ast.expr) -> str:
    """Turn the name that a cell glues into a pattern: an f-string fits any text in its gaps."""
    parts = name.values if isinstance(name, ast.JoinedStr) else [name]
    return "".join(re.escape(p.value) if isinstance(p, ast.Constant) else ".+" for p in parts)


def claims(chapter: Chapter) -> list[str]:
    found = []
    for cell in chapter.code:
        calls = [c for c in ast.walk(parsed(cell)) if isinstance(c, ast.Call)]
        has_claim = any(ast.unparse(call.func) == "claim" for call in calls)
        if has_claim and not {"claim", "remove-cell"} <= set(tags(cell)):
            found.append(f"a claim in a cell without its tags: {cell.source[:40]!r}")
        if "claim" in tags(cell) and not has_claim:
            found.append(f"tagged claim, and claims nothing: {cell.source[:40]!r}")
    if not any("claim" in tags(cell) for cell in chapter.code):
        found.append("no claim at all")
    return found


def slug(heading: str) -> str:
    """Anchor of a heading, as MyST makes it."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


def dead_links(chapter: Chapter) -> list[str]:
    found = []
    for named in re.findall(r"\{doc\}`(?:[^`<]*<)?([^`>]+)>?`", chapter.words):
        if not (chapter.folder / f"{named}.md").resolve().is_file():
            found.append(f"no page {named}")
    anchors = {slug(h) for h in re.findall(r"^#{1,3} (.+)$", chapter.words, re.MULTILINE)}
    anchors |= set(re.findall(r"^(?:\(|:label: )([\w-]+)(?:\)=)?$", chapter.words, re.MULTILINE))
    for link in re.findall(r"\[[^\]]+\]\(([^)\s]+)\)", chapter.words):
        path, _, anchor = link.partition("#")
        if re.match(r"https?://|mailto:", link):
            continue
        if path and not (chapter.folder / path).exists():
            found.append(f"no file {path}")
        if anchor and not path and anchor not in anchors:
            found.append(f"no heading #{anchor}")
    return found


def cited(chapter: Chapter) -> set[str]:
    named = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", chapter.words)
    return {key.strip() for keys in named for key in keys.split(",")}


def bibliography() -> list[str]:
    text = (ROOT / "book/references.bib").read_text(encoding="utf-8")
    return re.findall(r"^@\w+\{([^,\s]+),", text, re.MULTILINE)


def unknown_citations(chapter: Chapter) -> list[str]:
    return [f"not in references.bib: {key}" for key in sorted(cited(chapter) - set(bibliography()))]


def exercises(chapter: Chapter) -> list[str]:
    asked = re.findall(r"^```\{exercise\}.*\n:label: (\S+)$", chapter.words, re.MULTILINE)
    solved = re.findall(r"^```\{solution\} (\S+)$", chapter.words, re.MULTILINE)
    found = [f"no solution of {label}" for label in asked if label not in solved]
    found += [f"a solution of nothing: {label}" for label in solved if label not in asked]
    questions = re.findall(r"^\d+\. ", section(chapter, "Check yourself"), re.MULTILINE)
    answers = re.findall(r"^:::\{dropdown\} Answer$", chapter.words, re.MULTILINE)
    if len(questions) != len(answers) or not questions:
        found.append(f"{len(questions)} questions, {len(answers)} answers")
    return found if asked else [*found, "no exercise"]


def section(chapter: Chapter, title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", chapter.words, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def left_behind(chapter: Chapter) -> list[str]:
    code = "\n".join(cell.source for cell in chapter.code)
    if "mkdtemp" in code and "rmtree" not in code:
        return ["a temporary folder is made and not removed"]
    return []


CHECKS: list[Callable[[Chapter], list[str]]] = [
    long_lines,
    missing_parts,
    set_up,
    pictures_without_words,
    glue_names,
    claims,
    dead_links,
    unknown_citations,
    exercises,
    left_behind,
]


# --- each check on a page that is right, and on planted faults -------------------------------

GOOD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A title

**You will be able to** do a thing.
**Time**: 15 minutes. **You need**: {doc}`../book/index`.

```{code-cell} ipython3
:tags: [hide-input]

if find_spec("medclf_lite") is None:
    %pip install .
```

:::{admonition} Predict first
:class: tip
Which?
:::

```{code-cell} ipython3
folder = tempfile.mkdtemp()
def shown(x):
    plots.radiographs(x)
```

## A result: yes, or no?

See {cite:t}`zech2018` and [above](#a-result-yes-or-no), [the bib](../book/references.bib),
[a place](#a-place), [an exercise](#do-it) and [the web](https://example.org/#x).

(a-place)=

```{code-cell} ipython3
---
mystnb:
  image:
    alt: Twelve chest radiographs.
---
shown(pixels);
```

```python
x = 1
```

```{code-cell} ipython3
:tags: [remove-cell, claim]

for key in ("a", "b"):
    glue(f"one-{key}-x", 1)
glue("two", 2, ".2f")
claim(1 < 2, "one is less")
```

It is {glue:text}`one-a-x`, and {glue:text}`two`.

## What just happened

## On the real data

## In your own project

## The rules of this section

## Check yourself

1. Why?

:::{dropdown} Answer
Because.
:::

## Exercises

```{exercise} Do
:label: do-it
Do it.
```

```{solution} do-it
:class: dropdown
Done.
```

```{code-cell} ipython3
:tags: [remove-cell]

shutil.rmtree(folder)
```

## References

```{bibliography}
:filter: docname in docnames
```
"""

ALT = "---\nmystnb:\n  image:\n    alt: Twelve chest radiographs.\n---\n"
LONG = "x = " + "1" * 69

PLANTED = [
    (long_lines, "shown(pixels);", LONG, "73 characters"),
    (long_lines, "glue(\"two\", 2, \".2f\")", LONG, "73 characters"),
    (long_lines, "x = 1\n", f"{LONG}\n", "73 characters"),
    (missing_parts, "**You will be able to** do a thing.\n", "", "You will be able to"),
    (missing_parts, "15 minutes", "a while", "Time"),
    (missing_parts, "Predict first", "Think", "Predict first"),
    (missing_parts, "name: python3\n", "name: other\n", "no kernel"),
    (missing_parts, "# A title", "Some text", "not one title"),
    (missing_parts, "\n## What just happened", "\n# What just happened", "What just happened"),
    (missing_parts, "## On the real data\n\n## In your own project",
     "## In your own project\n\n## On the real data", "another order"),
    (missing_parts, ":filter: docname in docnames\n", "", "bibliography"),
    *[(missing_parts, f"## {title}\n", "", f"no section '{title}'") for title in SECTIONS],
    (set_up, "%pip install .", "pass", "does not install"),
    (set_up, ":tags: [hide-input]\n\n", "", "hide-input"),
    (pictures_without_words, ALT, "", "for shown"),
    (pictures_without_words, f"{ALT}shown(pixels);", "plots.counts(cohort);", "for plots.counts"),
    (pictures_without_words, f"{ALT}shown(pixels);", "ax = table.plot.bar()", "for table.plot.bar"),
    (pictures_without_words, f"{ALT}shown(pixels);", "fig, ax = plt.subplots()", "plt.subplots"),
    (pictures_without_words, "alt: Twelve chest radiographs.", "alt: Figure 1", "for shown"),
    (pictures_without_words, "## Exercises", "![](a.png)", "for a.png"),
    (pictures_without_words, "## Exercises", "```{figure} a.png\n:name: x\n```", "for a.png"),
    (glue_names, "text}`two`", "text}`three`", "not glued: three"),
    (glue_names, "text}`one-a-x`", "text}`one-a-y`", "not glued: one-a-y"),
    (glue_names, ", and {glue:text}`two`", "", "glued and not used: two"),
    (claims, "[remove-cell, claim]", "[remove-cell]", "without its tags"),
    (claims, "[remove-cell, claim]", "[claim]", "without its tags"),
    (claims, 'claim(1 < 2, "one is less")', "1 < 2", "claims nothing"),
    (claims, '\nclaim(1 < 2, "one is less")', "", "claims nothing"),
    (dead_links, "`../book/index`", "`../book/preface`", "no page ../book/preface"),
    (dead_links, "`../book/index`", "`the preface <../book/preface>`", "no page ../book/preface"),
    (dead_links, "(#a-result-yes-or-no)", "(#a-result)", "no heading #a-result"),
    (dead_links, "(a-place)=\n", "", "no heading #a-place"),
    (dead_links, "(../book/references.bib)", "(references.bib)", "no file references.bib"),
    (unknown_citations, "`zech2018`", "`zech2018, zech1918`", "references.bib: zech1918"),
    (exercises, "```{solution} do-it", "```{solution} do-at", "no solution of do-it"),
    (exercises, ":label: do-it\n", "", "a solution of nothing"),
    (exercises, ":::{dropdown} Answer", ":::{note}", "1 questions, 0 answers"),
    (exercises, "1. Why?", "Why?", "0 questions, 1 answers"),
    (left_behind, "shutil.rmtree(folder)", "pass", "not removed"),
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_check_passes_a_chapter_that_is_right(check):
    assert check(Chapter.of(GOOD)) == []


@pytest.mark.parametrize(("check", "old", "new", "said"), PLANTED)
def test_check_finds_a_planted_fault(check, old, new, said):
    assert old in GOOD
    found = check(Chapter.of(GOOD.replace(old, new, 1)))
    assert any(said in line for line in found), found


def test_every_check_has_been_tried_on_a_planted_fault():
    assert {check for check, *_ in PLANTED} == set(CHECKS)


# --- the chapters --------------------------------------------------------------------------

SOURCES = sorted((ROOT / "chapters").glob("*.md"))
PAGES = sorted((ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_chapter_keeps_its_form(check, source):
    found = check(Chapter.of(source.read_text(encoding="utf-8")))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
@pytest.mark.parametrize("check", [dead_links, unknown_citations], ids=lambda check: check.__name__)
def test_page_has_no_dead_link(check, page):
    found = check(Chapter.of(page.read_text(encoding="utf-8"), ROOT / "book"))
    assert not found, "\n".join(found)


def test_all_chapters_install_the_package_with_the_same_cell():
    cells = {Chapter.of(path.read_text(encoding="utf-8")).code[0].source for path in SOURCES}
    assert len(cells) == 1


def test_no_label_stands_twice_in_the_book():
    labels = [
        label
        for path in SOURCES
        for label in re.findall(r"^:label: (\S+)$", path.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(labels) == len(set(labels))


def listed(toc: dict[str, Any]) -> list[str]:
    """Name every page of a table of contents, in its order."""
    parts = toc.get("parts", [toc])
    chapters = [c for part in parts for c in part.get("chapters", [])]
    pages = [page["file"] for c in chapters for page in (c, *c.get("sections", []))]
    return [toc["root"], *pages]


def missing_from_contents(toc: dict[str, Any], root: Path) -> list[str]:
    there = {
        path.relative_to(root).with_suffix("").as_posix()
        for folder in ("chapters", "chapters/exercises", "book")
        for path in (root / folder).glob("*.md")
    }
    pages = listed(toc)
    twice = sorted({name for name in pages if pages.count(name) > 1})
    found = [f"not in _toc.yml: {name}" for name in sorted(there - set(pages))]
    found += [f"in _toc.yml, and no file: {name}" for name in pages if name not in there]
    return found + [f"twice in _toc.yml: {name}" for name in twice]


def test_contents_name_every_page_once():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    assert missing_from_contents(toc, ROOT) == []
    chapters = [name for name in listed(toc) if re.match(r"chapters/\d", name)]
    assert chapters == sorted(chapters), "chapters stand in the order of their numbers"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["chapters/a"], "not in _toc.yml: chapters/b"),
        (["chapters/a", "chapters/b", "chapters/c"], "in _toc.yml, and no file: chapters/c"),
        (["chapters/a", "chapters/b", "chapters/a"], "twice in _toc.yml: chapters/a"),
    ],
)
def test_a_wrong_table_of_contents_is_found(tmp_path, names, said):
    for name in ("book/index.md", "chapters/a.md", "chapters/b.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    toc = {"root": "book/index", "parts": [{"chapters": [{"file": name} for name in names]}]}
    assert missing_from_contents(toc, tmp_path) == [said]


def test_no_work_is_listed_twice():
    keys = bibliography()
    assert len(keys) == len(set(keys)) > 10
