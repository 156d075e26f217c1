"""A small book through the real machinery: what passes, what must fail, what runs again."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

import build
import course_env
import pages
import pytest
import twins
from bs4 import BeautifulSoup

pytest.importorskip("jupyter_book", reason="needs the book extra")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
PYTHON = Path(sys.executable)

INDEX = "# Home\n\nBegin with {doc}`../chapters/one`.\n"
CHAPTER = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# One

A fraction, $\\frac{1}{2}$, and a link to [the result](#the-result-of-it). See {cite}`known`.

```{code-cell} ipython3
from pathlib import Path

import matplotlib.pyplot as plt
from medclf_lite.notebook import claim, glue

with Path("../ran.txt").open("a") as log:
    log.write("x")
```

```{code-cell} ipython3
:tags: [remove-cell, claim]

glue("half", 0.5, ".2f")
glue("all", 5216, ",")
claim(1 < 2, "one is less than two")
```

## The result of it

It is {glue:text}`half` of {glue:text}`all`.

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A line that rises.
---
plt.plot([1, 2]);
```

## References

```{bibliography}
:filter: docname in docnames
```
"""


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """Lay out a course of one chapter, with the real configuration, and an empty home."""
    root, home = tmp_path / "course", tmp_path / "home"
    home.mkdir()
    for name in ("book/_ext", "book/_static"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("_config.yml", "pyproject.toml", "book/pages.py", "book/twins.py",
                 "book/exercise_pages.py"):  # fmt: skip
        shutil.copy(ROOT / name, root / name)
    for name in ("medclf_lite", "chapters"):
        (root / name).mkdir()
    write(root, "_toc.yml", "format: jb-book\nroot: book/index\nchapters:\n- file: chapters/one\n")
    write(root, "book/references.bib", "@misc{known, author={A. B.}, title={T}, year={2020}}\n")
    write(root, "book/index.md", INDEX)
    write(root, "chapters/one.md", CHAPTER)
    for name in ("README.md", ".pytest_cache/README.md", ".venv/lib/notes.md"):  # no pages
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write(root, name, "# Not a page\n\n{doc}`nowhere`\n")
    for module in (build, course_env):
        monkeypatch.setattr(module, "ROOT", root)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MEDCLF_DATA"):
        monkeypatch.delenv(name, raising=False)
    return root


def write(root: Path, name: str, text: str) -> None:
    (root / name).write_text(text, encoding="utf-8")


def built(profile: str = "book") -> bool:
    return build.run_step(build.build_step(profile), PYTHON)


def executions(course: Path) -> int:
    return len((course / "ran.txt").read_text())


def test_a_book_that_is_right_passes_and_is_executed_again_only_where_it_must(course, tmp_path):
    assert built()
    html = course / "_build" / "html"
    page = (html / "chapters" / "one.html").read_text(encoding="utf-8")
    assert ">0.50</span> of <span" in page, "the zero stays, no quotation marks are shown"
    assert ">5,216</span>" in page, "and is no pair of numbers"
    assert 'alt="A line that rises."' in page
    assert "_static/vendor/mathjax/tex-mml-chtml.js" in page
    assert (html / "_static/vendor/mathjax/tex-mml-chtml.js").is_file()
    assert '<meta property="og:title" content="One" />' in page
    assert "og:url" not in page, "no address is known"
    assert "This page does not exist" in (html / "404.html").read_text(encoding="utf-8")
    assert list((tmp_path / "home").rglob("*")) == [], "nothing is written into the reader's home"

    assert built()
    assert executions(course) == 1, "nothing changed"
    write(course, "book/index.md", INDEX + "\nNew.\n")
    assert built()
    assert executions(course) == 1, "only prose changed"
    write(course, "medclf_lite/new.py", "x = 1\n")
    assert built()
    assert executions(course) == 2, "the package changed"


SOLUTION = """
```{code-cell} ipython3
:tags: [solution]

def check(f):
    return f"the check says {f(21)}"

def double(x):
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION
```

```{code-cell} ipython3
print("it gives", double(21))
```

```{code-cell} ipython3
check(double)
```
"""


def test_solutions_are_folded_and_one_switch_leaves_them_out(course, monkeypatch):
    (course / "chapters" / "exercises").mkdir()
    write(course, "chapters/exercises/one.md", CHAPTER.split("# One")[0] + "# Ex\n" + SOLUTION)
    with (course / "_toc.yml").open("a") as toc:
        toc.write("  sections:\n  - file: chapters/exercises/one\n")
    for switch, solved in (("yes", True), ("no", False)):
        monkeypatch.setenv("MEDCLF_SOLUTIONS", switch)
        assert built()
        page = course / "_build" / "html" / "chapters" / "exercises" / "one.html"
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        text = soup.get_text()
        assert ("x + x" in text) == solved
        assert ("Show the solution" in text) == solved
        assert "NotImplementedError" in text
        assert "it gives 42" in text, "it is executed in either case"
        assert ("the check says 42" in text) == solved, "which would give the answer away"


MEET = """import time
from medclf_lite.notebook import effect
Path("{own}").touch()
for _ in range(600):
    if Path("{other}").exists():
        break
    time.sleep(0.1)
assert Path("{other}").exists(), "the other chapter is not executed meanwhile"
found = effect("{own}", "The {own} way's claim", "ROC-AUC",
               {{"claimed": [0.9, 0.7], "true": [0.8, 0.75]}})
"""


def test_chapters_are_executed_at_once_and_their_effects_stand_in_one_table(course, monkeypatch):
    monkeypatch.setenv("MEDCLF_BOOK_JOBS", "2")
    chapters = {"one": "two", "two": "one"}
    for own, other in chapters.items():
        meet = "```{code-cell} ipython3\n" + MEET.format(own=own, other=other) + "```\n"
        text = CHAPTER.replace("# One", f"# Chapter {own}")
        write(course, f"chapters/{own}.md", text.replace("## The result", f"{meet}\n## The result"))
    write(course, "book/effects.md", "# Effects\n\n```{effects}\n```\n")
    pages_ = "".join(f"- file: {name}\n" for name in (*map("chapters/{}".format, chapters),
                                                      "book/effects"))  # fmt: skip
    write(course, "_toc.yml", f"format: jb-book\nroot: book/index\nchapters:\n{pages_}")
    assert built()
    assert executions(course) == 2, "each chapter once"
    page = BeautifulSoup(
        (course / "_build/html/book/effects.html").read_text(encoding="utf-8"), "html.parser"
    )
    rows = [[cell.get_text() for cell in row.find_all("td")] for row in page.select("table tr")]
    assert rows[1:] == [
        [f"Chapter {own}", f"The {own} way's claim", "ROC-AUC", "claimed: 0.800 (0.141)",
         "true: 0.775 (0.035)", "0.025 (0.106)", "1 of 2"] for own in chapters
    ]  # fmt: skip
    links = [link["href"] for link in page.select("table a")]
    assert links == ["../chapters/one.html", "../chapters/two.html"]


def test_a_false_claim_fails_every_build_until_it_is_mended(course, capfd):
    write(course, "chapters/one.md", CHAPTER.replace("claim(1 < 2", "claim(1 > 2"))
    assert not built()
    said = capfd.readouterr()
    assert "The text says: one is less than two" in said.out + said.err
    assert not built(), "a second build must not take the failed page for a good one"
    write(course, "chapters/one.md", CHAPTER)
    assert built()


FAULTS = {
    "a dead link: {doc}`nowhere`": "unknown document",
    "a dead anchor: [x](#not-a-heading)": "not-a-heading",
    "a number that nobody computes: {glue:text}`third`": "third",
    "an unknown work: {cite}`unknown1999`": "unknown1999",
    "a dead picture: ![A chest](nowhere.png)": "nowhere.png",
    '```{code-cell} ipython3\nimport sys\nprint("a warning", file=sys.stderr)\n```': "stderr",
}


def test_each_fault_of_a_page_is_told_and_fails_the_build(course, capfd):
    write(course, "chapters/one.md", CHAPTER + "\n" + "\n\n".join(FAULTS) + "\n")
    assert not built()
    shown = "".join(capfd.readouterr())
    warnings = [line for line in shown.splitlines() if "WARNING" in line or "ERROR" in line]
    for fault, said in FAULTS.items():
        assert any(said in line for line in warnings), fault


def test_a_picture_without_words_fails_the_build(course, capfd):
    start, end = CHAPTER.index("---\nmystnb"), CHAPTER.index("plt.plot")
    write(course, "chapters/one.md", CHAPTER[:start] + CHAPTER[end:])
    assert not built()
    assert "no alt text: ../_images/" in capfd.readouterr().err


@pytest.mark.parametrize(("claimed", "passes"), [("1 < 2", True), ("1 > 2", False)])
def test_claims_are_run_in_the_twins_too(course, capfd, monkeypatch, claimed, passes):
    write(course, "chapters/one.md", CHAPTER.replace("1 < 2", claimed))
    twins.write(course / "chapters")
    (step,) = [step for step in build.test_steps(1) if "nbval" in " ".join(step.command)]
    assert build.run_step(step, PYTHON) is passes
    assert ("The text says: one is less than two" in capfd.readouterr().out) is not passes


def hosts_of_buttons(course: Path) -> set[str]:
    page = (course / "_build" / "html" / "chapters" / "one.html").read_text(encoding="utf-8")
    links = BeautifulSoup(page, "html.parser").select(".article-header-buttons a[href]")
    return {urlsplit(link["href"]).netloc for link in links} - {""}


def test_buttons_stand_on_pages_only_where_the_repository_has_an_address(course):
    twins.write(course / "chapters")
    assert built()
    assert hosts_of_buttons(course) == set()
    project = (course / "pyproject.toml").read_text(encoding="utf-8")
    address = '[project.urls]\nRepository = "https://github.com/me/course"\n\n[project.scripts]'
    write(course, "pyproject.toml", project.replace("[project.scripts]", address))
    assert built()
    wanted = {"github.com", "colab.research.google.com", "kaggle.com", "mybinder.org"}
    assert hosts_of_buttons(course) == wanted


def test_pages_reads_the_project_that_it_lies_in():
    assert pages.ROOT == ROOT
