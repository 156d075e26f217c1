"""Folders that nobody made on purpose: odd names, links, depths, sizes; nothing goes unseen."""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_sources import ILL, NORMAL, accounted, draw, make, on_disk

from medclf_lite.audit import audit_cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import load_pixels
from medclf_lite.sources import from_folder, headers, open_cohort, scan

IMAGE = draw(Path(tempfile.mkdtemp()) / "x.png", kind="PNG").read_bytes()
ANY_NAME = r"(?s)(?P<patient>.+)"  # (?s): the dot stands for a line break too
letters = st.characters(exclude_characters="/\0", exclude_categories=["Cs"])
names = st.text(letters, min_size=1, max_size=12).filter(lambda n: n not in (".", ".."))
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
contents = st.sampled_from([IMAGE, b"", b"no image", IMAGE[:60]])


def put(root: Path, path: str, content: bytes) -> None:
    """Write a file where the disk lets us; a name may be a folder already, or the reverse."""
    try:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    except OSError:
        return


@settings(max_examples=60, deadline=None)
@given(
    st.booleans(),
    st.dictionaries(paths, contents, max_size=6),
    st.dictionaries(paths, contents, max_size=6),
)
@example(True, {"\n.png": IMAGE, "\x1b[31m/.png": IMAGE}, {"train/NORMAL/a.png": IMAGE})
@example(False, {"a.PNG": IMAGE, "A.png": IMAGE, "ä": IMAGE, "a\u0308": IMAGE}, {"TRAIN": b""})
def test_whatever_lies_in_a_folder_is_in_the_cohort_or_in_the_report(splits, inside, beside):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        home = "train/" if splits else ""
        for name in ("NORMAL", "PNEUMONIA"):
            put(root, f"{home}{name}/kept.png", IMAGE)
        for path, content in inside.items():
            put(root, f"{home}NORMAL/{path}", content)
        for path, content in beside.items():
            put(root, f"beside/{path}", content)
        cohort = from_folder(root, patients=ANY_NAME)
        assert accounted(cohort) == on_disk(root)
        assert not set(cohort.table["image_id"]) & set(cohort.left_out["path"])
        for image_id, label in cohort.table[["image_id", "label"]].itertuples(index=False):
            assert image_id.startswith(f"{home}{('NORMAL', 'PNEUMONIA')[label]}/")
            assert (root / image_id).read_bytes()


def test_a_link_to_a_folder_above_is_not_followed_and_loops_end(tmp_path: Path) -> None:
    root = make(tmp_path / "set")
    draw(tmp_path / "other" / "IM-0009-0001.jpeg")
    here = root / "NORMAL"
    for name, target in {"up": "..", "top": "../..", "me": "me", "a": "b", "b": "a"}.items():
        (here / name).symlink_to(target)
    cohort = from_folder(root)
    assert len(cohort) == 2
    assert cohort.left_out["path"].str.removeprefix("NORMAL/").tolist() == [
        "a", "b", "me", "top/", "up/",
    ]  # fmt: skip
    loop = tmp_path / "loop"
    loop.mkdir()
    (loop / "chest_xray").symlink_to(".")
    with pytest.raises(MedclfError, match="neither the class folders"):
        from_folder(loop)


def test_folders_may_be_nested_deeper_than_python_calls_itself(tmp_path: Path) -> None:
    depth = 200
    draw(tmp_path / "/".join("d" * depth) / "x.png", kind="PNG")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + depth // 2)
    try:
        found = list(scan.walk(tmp_path))
    finally:
        sys.setrecursionlimit(limit)
    assert found == [("d/" * depth + "x.png", None)]


def test_a_folder_whose_name_is_no_unicode_is_reported_and_the_report_can_be_written(
    tmp_path: Path,
) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/set\xff"))
    make(root)
    odd = Path(os.fsdecode(os.fsencode(root / "NORMAL") + b"/dir\xfe"))
    draw(odd / "IM-0009-0001.jpeg")
    cohort = from_folder(root)
    assert len(cohort) == 2
    assert cohort.left_out["path"].tolist() == ["NORMAL/dir\\udcfe/IM-0009-0001.jpeg"]
    report = audit_cohort(cohort)
    page = report.to_html(tmp_path / "audit.html").read_text(encoding="utf-8")
    for text in (page, report.to_json(), report.to_markdown(), cohort.card()):
        assert "set" in text.encode().decode()


def test_class_names_may_be_given_in_either_unicode_form(tmp_path: Path) -> None:
    make(tmp_path, classes=("KR\u00c4NK", "GESUND"))
    cohort = from_folder(tmp_path, classes=("GESUND", "KRA\u0308NK"), patients="kaggle")
    assert cohort.classes == ("GESUND", "KR\u00c4NK")
    with pytest.raises(MedclfError, match="two different names"):
        from_folder(tmp_path, classes=("KRA\u0308NK", "KR\u00c4NK"))


def test_a_file_of_gigabytes_is_left_out_unread(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path)
    huge = tmp_path / "NORMAL" / "IM-0002-0001.png"
    huge.write_bytes(bytes(10_000))
    monkeypatch.setattr(headers, "LARGEST_FILE", 9_999)
    cohort = from_folder(tmp_path)
    assert cohort.left_out["path"].tolist() == ["NORMAL/IM-0002-0001.png"]
    assert "one image of at most" in cohort.left_out["reason"].iloc[0]


def test_a_folder_that_may_not_be_entered_is_reported(tmp_path: Path, monkeypatch) -> None:
    # A folder with r but without x: its files are listed, but nothing can be asked of them.
    shut = draw(make(tmp_path) / "NORMAL" / "shut" / "IM-0002-0001.jpeg").parent
    real = os.stat

    def stat(path, *args, **options):
        if str(path).startswith(f"{shut}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **options)

    monkeypatch.setattr(os, "stat", stat)
    cohort = from_folder(tmp_path)
    assert cohort.left_out.values.tolist() == [
        ["NORMAL/shut/IM-0002-0001.jpeg", "cannot be read: Permission denied"]
    ]
    with pytest.raises(MedclfError, match=r"There is no file or folder .*may not be read"):
        open_cohort(shut / "inner")


def test_two_images_are_a_cohort_and_can_be_audited_and_loaded(tmp_path: Path) -> None:
    cohort = from_folder(make(tmp_path))
    report = audit_cohort(cohort)
    assert {f.id for f in report.findings} == {"counts.few"}
    assert report.skipped["shortcuts.files"].startswith("A class has 1 patient(s)")
    assert load_pixels(cohort, 16).shape == (2, 16, 16)


def test_a_cohort_in_which_no_image_can_be_decoded_is_still_audited(tmp_path: Path) -> None:
    for path in (make(tmp_path) / "NORMAL" / NORMAL, tmp_path / "PNEUMONIA" / ILL):
        path.write_bytes(path.read_bytes()[:-20])
    report = audit_cohort(from_folder(tmp_path))
    assert report.findings[0].id == "files.unreadable"
    assert report.findings[0].count == 2
    assert "no image can be decoded" in report.skipped["duplicates.near"]
