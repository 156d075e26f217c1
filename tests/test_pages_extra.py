"""What stands beside the chapters: pictures, glossary, citation, addresses, platforms, PDF."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import build
import course_repository
import not_found
import pytest
import social_card
import yaml
from packaging.specifiers import SpecifierSet

import medclf_lite

print_pdf = pytest.importorskip("print_pdf", reason="needs the book extra")
pypdf = pytest.importorskip("pypdf")

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "book" / "_static" / "pictures"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SVG = "{http://www.w3.org/2000/svg}"
LEAST_TEXT = 10.5  # pixels, on a phone where the picture is 358 pixels wide
NAMED = "https://someone.github.io/course"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# --- drawn pictures ------------------------------------------------------------------------


def picture_faults(text: str) -> list[str]:
    try:
        tree = ElementTree.fromstring(text)
    except ElementTree.ParseError as problem:
        return [f"no XML: {problem}"]
    found = [f"no {tag}" for tag in ("title", "desc") if not (tree.findtext(SVG + tag) or "")]
    width = float(tree.get("viewBox", "0 0 480 0").split()[2])
    sizes = [float(size) for size in re.findall(r"font-size[:=]\"?([\d.]+)", text)]
    found += [f"small text: {size}" for size in sizes if size * 358 / width < LEAST_TEXT]
    outside = re.findall(r"(?:href|src)=|url\((?!#)|@import|<script|<image|<foreignObject", text)
    return found + [f"reaches outside: {part}" for part in outside]


def drawn() -> list[Path]:
    return sorted(path for path in PICTURES.glob("*.svg") if path.stem != "social_card")


@pytest.mark.parametrize("path", drawn(), ids=lambda path: path.stem)
def test_a_picture_speaks_and_needs_nothing_from_outside(path):
    assert picture_faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("</svg>", "", "no XML"),
        (r"<title.*?</title>", "", "no title"),
        (r">[^<]*</desc>", "></desc>", "no desc"),
        ("font-size:15px", "font-size:11px", "small text"),
        ("</svg>", "<image href='https://a.example/x.png'/></svg>", "reaches outside"),
        ("</style>", "a{fill:url(https://a.example/x)}</style>", "reaches outside"),
    ],
)
def test_a_fault_of_a_picture_is_found(old, new, said):
    text = re.sub(old, new, (PICTURES / "pipeline.svg").read_text(encoding="utf-8"))
    assert any(fault.startswith(said) for fault in picture_faults(text))


def test_each_picture_stands_in_one_chapter_with_words_and_a_caption():
    text = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "chapters").glob("*.md"))
    form = (
        r":::\{figure-md\}\n:class: picture\n\n!\[([^\]]{40,})\]\((\S+)\)\n\n([^\n:]{20,})\n:::\n"
    )
    shown = re.findall(form, text)
    assert sorted(Path(place).stem for _, place, _ in shown) == [p.stem for p in drawn()]
    assert len(shown) == text.count("_static/pictures/") == 8


def test_the_card_has_the_size_that_sites_expect():
    header = (ROOT / "book" / social_card.CARD).read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(header[i : i + 4], "big") for i in (16, 20)] == [1200, 630]
    assert not re.search("href|<image", (PICTURES / "social_card.svg").read_text(encoding="utf-8"))


# --- glossary and citation -----------------------------------------------------------------


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def glossary_faults(text: str) -> list[str]:
    body = text.split("```{glossary}\n")[1].split("\n```")[0]
    entries = [entry.strip("\n").splitlines() for entry in re.split(r"\n(?=\S)", body)]
    merged: list[list[str]] = []
    for entry in entries:  # a term without a definition is another name of the next one
        if merged and not merged[-1][-1].startswith(" "):
            merged[-1] = [*merged.pop(), *entry]
        else:
            merged.append(entry)
    terms = [entry[0] for entry in merged]
    found = [] if terms == sorted(terms, key=str.casefold) else ["not in order"]
    for term, entry in zip(terms, merged, strict=True):
        links = re.findall(r"\]\(\.\./(chapters/\w+\.md)#([\w-]+)\)", " ".join(entry))
        found += [] if links else [f"no chapter: {term}"]
        for name, anchor in links:
            page = read(name) if (ROOT / name).exists() else ""
            if anchor not in map(slug, re.findall(r"^#{2,3} (.+)$", page, re.MULTILINE)):
                found.append(f"no such place: {name}#{anchor}")
    return found


def test_each_term_leads_to_the_place_where_it_is_taught():
    text = read("book/glossary.md")
    assert glossary_faults(text) == []
    assert len(re.findall(r"^\S.*\n    ", text, re.MULTILINE)) >= 50


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("accuracy\n", "zeal\n", "not in order"),
        ("#hidden-strata", "#strata", "no such place: chapters/10"),
        ("chapters/12_labels", "chapters/12_label", "no such place: chapters/12_label.md"),
        (" [Chapter 8](../chapters/08_class_imbalance.md#accuracy-at-99-to-1)", "",
         "no chapter: accuracy"),
    ],
)  # fmt: skip
def test_a_fault_of_the_glossary_is_found(old, new, said):
    assert any(fault.startswith(said) for fault in glossary_faults(read("book/glossary.md")
                                                                   .replace(old, new)))  # fmt: skip


def test_the_citation_agrees_with_the_file_and_the_package():
    cited = yaml.safe_load(read("CITATION.cff"))
    assert cited["version"] == PROJECT["version"] == medclf_lite.__version__
    assert cited["license"] == PROJECT["license"]
    entry = dict(re.findall(r"(\w+) += \{+([^}]+)\}+", read("book/citation.md")))
    assert entry == {
        "author": cited["authors"][0]["name"],
        **{name: cited[name] for name in ("title", "version", "license")},
    }


def test_the_new_pages_stand_in_the_contents():
    listed = re.findall(r"file: book/(\w+)", read("_toc.yml"))
    assert {"glossary", "dataset_card", "platforms", "citation"} <= set(listed)


# --- address, card, 404 --------------------------------------------------------------------


def configured(folder: Path, address: str) -> SimpleNamespace:
    urls = f'[project.urls]\nDocumentation = "{address}"\n' if address else ""
    (folder / "pyproject.toml").write_text(f'[project]\nname = "c"\n{urls}', encoding="utf-8")
    config = SimpleNamespace()
    social_card.set_address(SimpleNamespace(srcdir=folder), config)
    return config


@pytest.mark.parametrize("written", [NAMED, f"{NAMED}/", f" {NAMED}//"])
def test_the_books_address_comes_from_one_place_and_ends_in_a_slash(tmp_path, written):
    config = configured(tmp_path, written)
    assert config.html_baseurl == config.ogp_site_url == f"{NAMED}/"
    assert config.ogp_image == social_card.CARD


@pytest.mark.parametrize(
    "written", ["", "course", "file:///course", f"{NAMED}/<script>", "https://"]
)
def test_without_an_address_no_tag_holds_one(tmp_path, written):
    config = configured(tmp_path, written)
    assert (config.html_baseurl, config.ogp_site_url, config.ogp_image) == ("", "", None)
    assert course_repository.book_address(tmp_path) is None
    tag = '<meta property="og:{}" content="{}" />\n'
    tags = {kind: tag.format(kind, kind) for kind in ("title", "url", "image")}
    context = {"metatags": "".join(tags.values())}
    social_card.clean(None, "one", "", context, doctree=object())
    assert context["metatags"] == tags["title"]
    absolute = {"metatags": tag.format("url", f"{NAMED}/one.html")}
    social_card.clean(None, "one", "", kept := dict(absolute), doctree=object())
    assert kept == absolute


@pytest.mark.parametrize(("address", "base"), [(f"{NAMED}/", '<base href="/course/">\n'), ("", "")])
def test_the_page_for_wrong_addresses_finds_its_links_from_any_depth(address, base):
    app = SimpleNamespace(config=SimpleNamespace(html_baseurl=address))
    ((name, context, _),) = not_found.add_page(app)
    not_found.set_base(app, name, "", context, None)
    assert context.get("metatags", "") == base
    not_found.set_base(app, "book/index", "", other := {}, None)
    assert other == {}
    assert re.findall('href="([^"]+)"', context["body"]) == ["book/index.html", "search.html"]


# --- platforms -----------------------------------------------------------------------------

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(not BASH or os.name == "nt", reason="needs bash")


def run_with(stand_in: str, name: str, script: str, *arguments: str, folder: Path):
    """Run a script with a stand-in for one program; return the result and what that was asked."""
    program = folder / "bin" / name
    program.parent.mkdir()
    program.write_text(f'#!{BASH}\necho "$*" >> "{folder}/asked"\n{stand_in}\n', encoding="utf-8")
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    run = subprocess.run([BASH, ROOT / script, *arguments], cwd=folder, capture_output=True,
                         text=True, env={**os.environ, "PATH": path})  # fmt: skip
    return run, (folder / "asked").read_text(encoding="utf-8")


@needs_bash
@pytest.mark.parametrize(("is_open", "does"), [("", "issue create"), ("7", "issue comment 7")])
def test_a_failure_opens_an_issue_or_adds_to_the_open_one(tmp_path, is_open, does):
    (tmp_path / "log").write_text("torch is gone\n", encoding="utf-8")
    gh = f'[ "$2" = list ] && echo "{is_open}"; exit 0'
    run, asked = run_with(gh, "gh", ".github/report.sh", "log", "https://a.example/1",
                          folder=tmp_path)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert does in asked
    assert "torch is gone" in asked
    assert "https://a.example/1" in asked


@needs_bash
def test_a_failure_before_there_is_a_log_is_told_too(tmp_path):
    run, asked = run_with("exit 0", "gh", ".github/report.sh", "log", "https://a.example/1",
                          folder=tmp_path)  # fmt: skip
    assert run.returncode == 0
    assert "issue create" in asked


@needs_bash
@pytest.mark.parametrize("replaced", [False, True])
def test_in_colabs_image_its_own_torch_must_stay(tmp_path, replaced):
    python = (
        f'[ "$1" = -c ] && {{ echo x >> n; {"wc -l < n" if replaced else "echo 2.9"}; }}; exit 0'
    )
    run, asked = run_with(python, "python", ".github/colab.sh", folder=tmp_path)
    assert run.returncode == int(replaced), run.stderr
    assert ("pip replaced" in run.stderr) == replaced
    assert ("--nbval-lax" in asked) != replaced


def test_the_weekly_run_uses_what_is_in_the_repository():
    flow = yaml.safe_load(read(".github/workflows/colab.yml"))
    (job,) = flow["jobs"].values()
    assert flow[True]["schedule"][0]["cron"].split()[-1] == "1", "YAML reads `on` as true"
    assert flow["permissions"] == {"contents": "read", "issues": "write"}
    assert job["env"]["IMAGE"].startswith("us-docker.pkg.dev/colab-images/public/")
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    scripts = re.findall(r"\.github/\w+\.sh", commands)
    assert scripts == [".github/colab.sh", ".github/report.sh"]
    assert all((ROOT / script).is_file() for script in scripts)
    assert job["steps"][-1]["if"].startswith("failure()")


def test_binder_installs_this_package_with_the_pins_on_a_python_that_it_takes():
    version = read("binder/runtime.txt").strip().removeprefix("python-")
    assert version in SpecifierSet(PROJECT["requires-python"])
    (command,) = [line for line in read("binder/postBuild").splitlines() if "pip install" in line]
    assert " -c constraints.txt . " in command
    assert os.name == "nt" or os.access(ROOT / "binder" / "postBuild", os.X_OK)


def test_the_devcontainer_makes_the_environment_that_it_names():
    container = json.loads(read(".devcontainer/devcontainer.json"))
    target = container["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}:", read("Makefile"), re.MULTILINE)
    settings = container["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith("/.venv/bin/python")
    assert container["image"].rpartition(":")[2] in SpecifierSet(PROJECT["requires-python"])


# --- the book on paper ---------------------------------------------------------------------

PAGE = """<html><head>{next}</head><body><h1>{title}#</h1><p>Some words.</p>
<a href="{other}">the other</a> <a href="gone.html">gone</a>
<a href="https://a.example/">outside</a></body></html>"""


@pytest.fixture
def html(tmp_path) -> Path:
    """Two pages, the second in another folder, which lead to each other."""
    root = tmp_path / "a book" / "html"  # a space, as in many a home
    pages = {"book/index.html": ("Home", "../chapters/one.html"),
             "chapters/one.html": ("One", "../book/index.html")}  # fmt: skip
    for name, (title, other) in pages.items():
        (root / name).parent.mkdir(parents=True)
        following = f'<link rel="next" href="{other}">' if title == "Home" else ""
        text = PAGE.format(next=following, title=title, other=other)
        (root / name).write_text(text, encoding="utf-8")
    return root


def links_of(pdf: Path) -> list[list[object]]:
    """Links of each sheet: an address, or the number of the sheet that it leads to."""
    reader, found = pypdf.PdfReader(pdf), []
    for sheet in reader.pages:
        links = [a.get_object() for a in sheet.get("/Annots", [])]
        found.append([link["/A"]["/URI"] if "/A" in link
                      else reader.get_page_number(link["/Dest"][0].get_object())
                      for link in links])  # fmt: skip
    return found


def test_pages_are_printed_in_the_order_of_the_book(html):
    assert [p.name for p in print_pdf.pages_in_order(html)] == ["index.html", "one.html"]
    (html / "chapters" / "one.html").unlink()
    with pytest.raises(print_pdf.PrintError, match=r"no page one\.html.*make book"):
        print_pdf.pages_in_order(html)


def test_joined_pages_lead_to_each_other_and_never_to_a_file(html, tmp_path):
    from pypdf.annotations import Link

    pages, parts = print_pdf.pages_in_order(html), {}
    addresses = [pages[1].as_uri() + "#x", (html / "gone.html").as_uri(), "https://a.example/"]
    for i, page in enumerate(pages):
        writer = pypdf.PdfWriter()
        for _ in range(2):
            writer.add_blank_page(100, 100)
        for address in addresses if i == 0 else []:
            writer.add_annotation(0, Link(rect=(0, 0, 9, 9), url=address))
        parts[page] = tmp_path / f"{i}.pdf"
        writer.write(parts[page])
    assert print_pdf.merge(parts, tmp_path / "pdf" / "book.pdf") == 4
    assert links_of(tmp_path / "pdf" / "book.pdf") == [[2, "https://a.example/"], [], [], []]
    outline = pypdf.PdfReader(tmp_path / "pdf" / "book.pdf").outline
    assert [entry.title for entry in outline] == ["Home", "One"]


@pytest.mark.parametrize("named", ["", "no-such-browser"])
def test_without_a_browser_it_says_what_to_install(html, monkeypatch, capsys, named):
    monkeypatch.setenv("MEDCLF_BROWSER", named)
    monkeypatch.setenv("PATH", str(html))
    monkeypatch.setattr(print_pdf, "APPS", ())
    monkeypatch.setattr(print_pdf, "HTML", html)
    assert print_pdf.main() == 2
    said = capsys.readouterr().err
    assert "Printing needs Chromium, Chrome or Edge" in said
    assert "MEDCLF_BROWSER=/path" in said
    assert named in said


def test_a_browser_that_prints_nothing_is_told(html, tmp_path):
    with pytest.raises(print_pdf.PrintError, match=r"did not print index\.html"):
        print_pdf.print_page(shutil.which("git"), html / "book/index.html", tmp_path / "a.pdf")


def test_a_book_that_is_not_built_is_not_printed(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "HTML", tmp_path)
    with pytest.raises(build.SetupError, match="make book"):
        build.pdf(build.parse(["pdf"]))


@pytest.mark.slow
def test_a_browser_prints_the_pages_into_one_pdf(html, monkeypatch, capsys):
    monkeypatch.delenv("MEDCLF_BROWSER", raising=False)
    try:
        print_pdf.find_browser()
    except print_pdf.PrintError:
        pytest.skip("no browser on this machine")
    monkeypatch.setattr(print_pdf, "ROOT", html)
    monkeypatch.setattr(print_pdf, "HTML", html)
    monkeypatch.setattr(print_pdf, "PDF", html / "pdf" / "book.pdf")
    assert print_pdf.main() == 0
    assert "2 sheets in pdf/book.pdf" in capsys.readouterr().out
    assert links_of(html / "pdf" / "book.pdf") == [[1, "https://a.example/"],
                                                   [0, "https://a.example/"]]  # fmt: skip
    assert b"file:" not in (html / "pdf" / "book.pdf").read_bytes()
