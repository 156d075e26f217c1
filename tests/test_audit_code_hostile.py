"""Source code that is broken or hostile is reported, never run, and never a crash."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from medclf_lite.audit import check
from medclf_lite.audit.code_run import audit_code
from medclf_lite.errors import MedclfError

HOSTILE = "a<script>alert(1)<img>`|*\x1b[31m\n.py"


def problem(path: Path) -> str:
    (finding,) = audit_code(path, only=["code.unreadable"]).findings
    assert finding.severity == "error"
    return finding.examples[0].text


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.ipynb", b"{not json", "it is not JSON"),
        ("a.ipynb", b"", "it is not JSON"),
        ("a.ipynb", b"[1, 2]", "no list of cells"),
        ("a.ipynb", b'{"cells": 3}', "no list of cells"),
        ("a.ipynb", b"\xff\xfe{}", "encoding"),
        ("a.ipynb", b"[" * 100_000, "it is not JSON"),
        ("a.py", b"print 'Python 2'", "not Python 3"),
        ("a.py", b"def f(:\n", "not Python 3"),
        ("a.py", b"x = 1\x00", "not Python"),
        ("a.py", b"# -*- coding: klingon -*-", "encoding"),
        ("a.py", "s = 'größe'".encode("latin-1"), "encoding"),
        ("a.py", b"(" * 100_000 + b")" * 100_000, "not Python|nested too deep"),
        ("a.py", b"x = " + b"-" * 200_000 + b"1", "nested too deep"),
    ],
    ids=range(13),
)
def test_code_that_cannot_be_read_is_named_with_the_reason(tmp_path, name, content, told) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    text = problem(path)
    assert name in text
    assert any(t in text for t in told.split("|")), text


def test_one_broken_cell_does_not_hide_the_others(tmp_path) -> None:
    cells = [
        {"cell_type": "code", "source": "print 'old'"},
        {"cell_type": "code", "source": None},
        {"cell_type": "code", "source": 3},
        {"cell_type": "code"},
        "no cell",
        {"cell_type": "code", "source": ["import warnings\n", "warnings.filterwarnings('ignore')"]},
        {"cell_type": "code", "source": "%%bash\nrm -rf x", "outputs": 5, "execution_count": "1"},
    ]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    report = audit_code(path)
    assert {f.id: f.count for f in report.findings} == {
        "code.unreadable": 4, "code.warnings-off": 1}  # fmt: skip


def test_code_is_never_run(tmp_path) -> None:
    mark = tmp_path / "ran"
    source = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    (tmp_path / "a.py").write_text(source)
    (tmp_path / "conftest.py").write_text(source)
    notebook = {"cells": [{"cell_type": "code", "source": source}]}
    (tmp_path / "b.ipynb").write_text(json.dumps(notebook))
    audit_code(tmp_path)
    check(code=tmp_path)
    assert not mark.exists()


def test_hostile_names_and_lines_cannot_act_in_any_report(tmp_path) -> None:
    (tmp_path / HOSTILE).write_text("import warnings\nwarnings.filterwarnings('ignore') # <b>|`")
    report = audit_code(tmp_path)
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    report.print(console)
    assert "\x1b[31m\n" not in console.file.getvalue()
    assert "\\x1b[31m" in console.file.getvalue()
    assert "<script" not in report.to_markdown()
    page = report.to_html(tmp_path / "r.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert json.loads(report.to_json())["source"] is None


def test_large_files_and_circles_of_links_are_survived(tmp_path) -> None:
    (tmp_path / "big.py").write_text("x = 1\n" * 60_000)
    (tmp_path / "huge.py").write_bytes(b"#" * 20_000_001)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    text = {e.text for e in audit_code(tmp_path, only=["code.unreadable"]).findings[0].examples}
    assert any("huge.py: it has more than 20,000,000 bytes" in t for t in text)
    assert any("gone.py: it cannot be read" in t for t in text)
    assert len(text) == 2


def test_a_path_without_code_is_refused(tmp_path) -> None:
    with pytest.raises(MedclfError, match="There is no file or folder"):
        audit_code(tmp_path / "no.py")
    with pytest.raises(MedclfError, match=r"no \.py or \.ipynb"):
        audit_code(tmp_path)


def test_a_long_script_is_read_in_seconds(tmp_path) -> None:
    part = (
        "def f{i}(a, b):\n    x = [r for r in a if r not in b]\n    y = g(x, k={i}).split('_')[0]\n"
    )
    text = "import numpy as np\nfrom torchvision import models\n" + "".join(
        part.replace("{i}", str(i)) for i in range(2000)
    )
    (tmp_path / "long.py").write_text(text)
    started = time.process_time()
    audit_code(tmp_path)
    assert time.process_time() - started < 60  # it was minutes when names were looked up anew
