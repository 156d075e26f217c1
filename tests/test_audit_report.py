"""Reports: order, exit codes, hostile names, and the same text every time."""

from __future__ import annotations

import errno
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from audit_cohorts import clean, noise, opened, write_clean
from rich.console import Console

from medclf_lite.audit import (
    AuditInput,
    Bar,
    Example,
    Finding,
    Report,
    audit_cohort,
    cohort_check,
    known_checks,
    registry,
)
from medclf_lite.audit import (
    finding as finding_module,
)
from medclf_lite.errors import MedclfError

HOSTILE = "sick500_<script>alert(1)<img src=x onerror=y>`|*[é]\x1b[31m.png"


def finding(severity: str = "note", **changes: object) -> Finding:
    given = {"id": "made.up", "title": "T", "seen": "S", "count": 1, "examples": (), "why": "W",
             "do": "D", "chapter": "C"}  # fmt: skip
    return Finding(severity=severity, **(given | changes))


def report(*findings: Finding) -> Report:
    return Report(findings, clean(), ("made.up",), {"not.run": "needs <b>date</b>"})


def printed(shown: Report) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    shown.print(console)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = write_clean(tmp_path_factory.mktemp("hostile"))
    noise(np.random.default_rng(9)).save(root / "PNEUMONIA" / HOSTILE)
    (root / "PNEUMONIA" / HOSTILE.replace(".png", "2.png")).write_bytes(
        (root / "PNEUMONIA" / HOSTILE).read_bytes()
    )
    (root / "PNEUMONIA" / HOSTILE.replace(".png", "3.png")).write_bytes(b"")
    return audit_cohort(opened(root), only=["files", "duplicates"])


@pytest.mark.parametrize(
    ("worst", "codes"),
    [
        (None, (0, 0, 0, 0)),
        ("note", (0, 0, 1, 0)),
        ("warning", (0, 1, 1, 0)),
        ("error", (1, 1, 1, 0)),
    ],
)
def test_exit_codes(worst, codes) -> None:
    shown = report(*([finding(worst)] if worst else []))
    limits = ("error", "warning", "note", "never")
    assert tuple(shown.exit_code(limit) for limit in limits) == codes
    with pytest.raises(MedclfError, match="sometimes"):
        shown.exit_code("sometimes")


def test_the_worst_comes_first_and_the_same_cohort_gives_the_same_report() -> None:
    label = clean().labels.copy()
    label[-1] = 1 - label[-1]
    first = audit_cohort(clean(label=label, split="train"))
    ranks = [("error", "warning", "note").index(f.severity) for f in first.findings]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 1
    again = audit_cohort(clean(label=label, split="train"))
    assert first.to_json() == again.to_json()
    assert first.to_markdown() == again.to_markdown()


def test_checks_that_cannot_run_are_named_with_what_they_need() -> None:
    shown = audit_cohort(clean())
    assert shown.skipped["splits.dates"] == "needs date"
    assert "Not run: counts.dates, splits.dates (needs date)." in shown.to_markdown().replace(
        "\\", ""
    )
    assert set(shown.ran) | set(shown.skipped) == {c.id for c in known_checks(kind="cohort")}


def test_json_holds_every_finding_with_its_evidence() -> None:
    bars = (Bar("width", 0.9, 0.8, 1.0),)
    content = json.loads(report(finding(bars=bars, examples=(Example("é", ("i1",)),))).to_json())
    assert content["images"] == 480
    (one,) = content["findings"]
    assert one["bars"] == [{"name": "width", "value": 0.9, "low": 0.8, "high": 1.0}]
    assert one["examples"] == [{"text": "é", "images": ["i1"]}]


def test_the_terminal_says_what_why_and_what_to_do() -> None:
    text = re.sub(r"\x1b\[[\d;]*m", "", printed(audit_cohort(clean(label=1))))
    assert "ERROR   Only one class" in text
    for word in ("seen", "why", "do", "read", "01_loading_and_inspection", "Not run"):
        assert word in text


def test_a_finding_keeps_five_examples_and_refuses_an_unknown_severity() -> None:
    assert len(finding(examples=tuple(Example(str(i)) for i in range(9))).examples) == 5
    with pytest.raises(MedclfError, match="fatal"):
        finding("fatal")


# hostile names


def test_a_file_name_cannot_steer_the_terminal(hostile) -> None:
    text = printed(hostile)
    assert "\\x1b[31m" in text
    assert set(re.findall(r"\x1b\[[\d;]*m", text)).isdisjoint({"\x1b[31m"})
    assert "[é]" in text  # not taken for markup


def test_a_file_name_cannot_act_in_markdown(hostile) -> None:
    text = hostile.to_markdown()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\\`\\|\\*\\[é\\]" in text


ODD = (
    "a" * 5000, "two\nlines\r\n# heading", "</li><script>x</script>", "\x1b]0;title\x07",
    "&amp;<b>", "| a | b |", "[link](javascript:x)", "\u202etxt.exe", "$(rm -rf x)",
)  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_items_do_no_harm_in_any_format(name, tmp_path) -> None:
    shown = report(finding("error", examples=(Example(name, (name,)),), seen=name, title=name))
    told = json.loads(shown.to_json())["findings"][0]
    assert told["examples"][0]["images"] == [name]
    assert "\n" not in told["seen"]
    text = printed(shown)
    assert not re.search(r"\x1b(?!\[[\d;]*m)", text)
    assert "\u202e" not in text
    for line in shown.to_markdown().splitlines():
        assert not line.startswith("# heading")
        assert "<script" not in line
        assert not re.search(r"(?<!\\)\]\(javascript", line)
    page = Page(shown.to_html(tmp_path / "r.html").read_text(encoding="utf-8"))
    assert not {"script", "b"} & {tag for tag, _ in page.elements}


class Page(HTMLParser):
    """Collects the elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.said += data


def test_a_file_name_cannot_act_in_html(hostile, tmp_path) -> None:
    page = Page(hostile.to_html(tmp_path / "a.html").read_text(encoding="utf-8"))
    assert not [e for e in page.elements if e[0] == "script" or "onerror" in e[1]]
    assert "<script>alert(1)<img src=x onerror=y>`|*[é]" in page.said
    (alt, *_) = [a["alt"] for tag, a in page.elements if tag == "img"]
    assert "<script>" in alt


def test_every_text_of_a_finding_is_escaped_in_html(tmp_path) -> None:
    bad = "\"'><script>x</script>"
    words = dict.fromkeys(("title", "seen", "why", "do", "chapter"), bad)
    evidence = {"examples": (Example(bad, ("i0001",)),), "bars": (Bar(bad, 0.9, 0.8, 1.0),)}
    shown = report(finding(**words, **evidence))
    page = Page(shown.to_html(tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.elements}
    assert page.said.count(bad) >= 7
    assert "needs <b>date</b>" in page.said


def test_the_page_stands_alone_and_shows_the_images_concerned(hostile, tmp_path) -> None:
    text = hostile.to_html(tmp_path / "a.html").read_text(encoding="utf-8")
    page = Page(text)
    pictures = [attributes for tag, attributes in page.elements if tag == "img"]
    assert len(pictures) == 2  # the two copies; the empty file has no picture
    assert all(p["src"].startswith("data:image/jpeg;base64,") and p["alt"] for p in pictures)
    assert not {"link", "script", "iframe"} & {tag for tag, _ in page.elements}
    assert "url(" not in text
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text


def test_a_chart_has_a_bar_a_trait_and_says_it_in_words(tmp_path) -> None:
    bars = tuple(
        Bar(f"trait {i}", i / 4, max(0, i / 4 - 0.1), min(1, i / 4 + 0.1)) for i in range(5)
    )
    page = Page(report(finding(bars=bars)).to_html(tmp_path / "a.html").read_text(encoding="utf-8"))
    drawn = [float(a["width"]) for tag, a in page.elements if tag == "rect"]
    assert drawn == pytest.approx([380 * bar.value for bar in bars], abs=0.11)
    (chart,) = [a for tag, a in page.elements if tag == "svg"]
    assert "trait 4 1.00" in chart["aria-label"]


def test_a_page_that_cannot_be_written_says_where_and_what_to_do(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    for place in ("no/such/folder/a.html", "file/a.html", "."):
        with pytest.raises(
            MedclfError, match=r"cannot be written to .*Choose a folder that exists"
        ):
            report().to_html(tmp_path / place)

    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(MedclfError, match="No space left on device"):
        report().to_html(tmp_path / "a.html")


# the register


@pytest.fixture
def register(monkeypatch) -> dict[str, registry.Check]:
    known_checks()
    monkeypatch.setattr(registry, "_REGISTER", dict(registry._REGISTER))
    return registry._REGISTER


def test_a_check_is_one_small_function(register) -> None:
    @cohort_check(id="made.all-equal", needs=("dose",))
    def all_equal(audit: AuditInput):
        """Doses that are all the same."""
        if audit.cohort.table["dose"].nunique() == 1:
            yield finding("error", id="made.all-equal")

    only = ["made"]
    assert audit_cohort(clean(), only=only).skipped == {"made.all-equal": "needs dose"}
    assert audit_cohort(clean(dose=1), only=only).worst == "error"
    assert audit_cohort(clean(dose=range(480)), only=only).findings == ()


def test_an_id_is_given_once_and_a_wrong_one_is_refused(register) -> None:
    with pytest.raises(MedclfError, match=r"counts\.few"):
        cohort_check(id="counts.few")(lambda audit: [])
    with pytest.raises(MedclfError, match=r"group\.name"):
        cohort_check(id="few")(lambda audit: [])
    with pytest.raises(MedclfError, match="cuonts"):
        audit_cohort(clean(), only=["cuonts"])
    cohort_check(id="made.other")(lambda audit: [finding()])
    with pytest.raises(RuntimeError, match=r"made\.up"):
        audit_cohort(clean(), only=["made"])


def test_every_check_is_described_and_belongs_to_a_group() -> None:
    for each in known_checks():
        assert each.about.endswith(".")
        assert Path(each.run.__code__.co_filename).stem.startswith(each.id.split(".")[0])


def test_the_audit_changes_nothing() -> None:
    cohort = clean()
    before = (cohort.fingerprint, cohort.images.pixels.copy())
    audit_cohort(cohort)
    assert cohort.fingerprint == before[0]
    assert np.array_equal(cohort.images.pixels, before[1])


def test_the_chapters_that_findings_name_exist() -> None:
    chapters = Path(__file__).resolve().parents[1] / "chapters"
    named = [
        v for k, v in vars(finding_module).items() if re.match(r"\d\d_", str(v)) and k.isupper()
    ]
    assert len(named) > 5
    for name in named:
        assert (chapters / f"{name}.md").is_file()
