"""Faults of files and patients, planted in a folder, a table and a data set of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch.utils.data import Dataset

from medclf_lite.audit import Report, audit_cohort, check
from medclf_lite.sources import from_folder, from_manifest

CLASSES = ("well", "ill")
WAYS = ("folder", "table", "data set")
Names = list[tuple[str, int, str]]  # file, label, patient


class Own(Dataset):
    """Files in a list of dictionaries, as a project of one's own may keep them."""

    def __init__(self, root: Path, names: Names) -> None:
        self.root, self.rows = root, [{"f": f, "y": y, "p": p} for f, y, p in names]
        self.paths = [str(root / f) for f, _, _ in names]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> dict[str, object]:
        image = Image.open(self.paths[i]).convert("L").resize((32, 32))
        row = self.rows[i]
        return {"img": np.asarray(image, np.float32)[None], "y": row["y"], "patient": row["p"]}


def names(n: int = 120, each: int = 1) -> Names:
    return [(f"{CLASSES[p % 2]}/p{p:03d}_{k}.jpeg", p % 2, f"p{p:03d}")
            for p in range(n // each) for k in range(each)]  # fmt: skip


def write(
    root: Path, given: Names, size=lambda y, rng: (64, 64), quality=lambda y, rng: 80
) -> None:
    rng = np.random.default_rng(0)
    for file, y, _ in given:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 255, (12, 12), dtype=np.uint8))
        coarse.resize(size(y, rng), Image.Resampling.BILINEAR).save(
            root / file, quality=quality(y, rng)
        )


def audited(way: str, root: Path, given: Names, only: list[str], **columns: list) -> Report:
    if way == "data set":
        of = {f: p for f, _, p in given}
        return check(train=Own(root, given), only=only,
                     patients=lambda path: of[Path(path).relative_to(root).as_posix()])  # fmt: skip
    table = pd.DataFrame(given, columns=["file", "label", "patient_id"]).assign(**columns)
    if way == "table":
        table.to_csv(root / "images.csv", index=False)
        return audit_cohort(from_manifest(root / "images.csv"), only=only)
    table = table.drop(columns="label")
    return audit_cohort(from_folder(root, patients=table, classes=CLASSES), only=only)


def ids(report: Report) -> set[str]:
    assert report.ran, report.skipped
    return {f.id for f in report.findings}


@pytest.mark.parametrize("way", WAYS)
def test_f02_one_class_with_an_id_for_each_image(tmp_path, way) -> None:
    given = names(120, each=3)
    wrong = [(f, y, f"{p}-{i}" if y == 0 else p) for i, (f, y, p) in enumerate(given)]
    write(tmp_path, given)
    assert ids(audited(way, tmp_path, wrong, ["patients.id-rule"])) == {"patients.id-rule"}
    assert ids(audited(way, tmp_path, given, ["patients.id-rule"])) == set()


@pytest.mark.parametrize("way", ["folder", "table"])
def test_f02_ids_that_merge_two_subtypes(tmp_path, way) -> None:
    given = names()
    write(tmp_path, given)
    subtype = ["virus" if i % 4 == 1 else "bacteria" if y else "normal"
               for i, (_, y, _) in enumerate(given)]  # fmt: skip
    merged = [(f, y, f"n{int(p[1:]) // 4}" if y else p) for f, y, p in given]
    check_id = "patients.mixed-subtypes"
    assert ids(audited(way, tmp_path, merged, [check_id], subtype=subtype)) == {check_id}
    assert ids(audited(way, tmp_path, given, [check_id], subtype=subtype)) == set()


@pytest.mark.parametrize("way", WAYS)
def test_f04_patients_with_both_labels(tmp_path, way) -> None:
    given = names()
    both = [(f, y, f"q{i // 3}") for i, (f, y, _) in enumerate(given)]
    write(tmp_path, given)
    check_id = "patients.mixed-labels"
    assert ids(audited(way, tmp_path, both, [check_id])) == {check_id}
    assert ids(audited(way, tmp_path, given, [check_id])) == set()


SHAPES = {
    "aspect": {"size": lambda y, rng: (64 + 20 * y + int(rng.integers(0, 6)), 64)},
    "height": {"size": lambda y, rng: (60, 60 + 25 * y + int(rng.integers(0, 8)))},
    "scale": {"size": lambda y, rng: (s := 64 + 20 * y + int(rng.integers(0, 9)), s)},
}
FILES = {
    "quality": {"quality": lambda y, rng: 60 + 25 * y + int(rng.integers(0, 5))},
    "bytes": {"quality": lambda y, rng: 70 + 9 * y + int(rng.integers(0, 6))},
    "size": {"size": lambda y, rng: (64 + 40 * y, 64 + 40 * y)},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", SHAPES)
def test_f09_the_shape_of_the_file_tells_the_class(tmp_path, way, how) -> None:
    write(tmp_path, names(), **SHAPES[how])
    report = audited(way, tmp_path, names(), ["shortcuts.files"])
    assert any(word in report.findings[0].seen for word in ("aspect", "height", "width"))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("how", FILES)
def test_f10_the_bytes_of_the_file_tell_the_class(tmp_path, way, how) -> None:
    write(tmp_path, names(), **FILES[how])
    report = audited(way, tmp_path, names(), ["shortcuts.files"])
    assert any(word in report.findings[0].seen for word in ("bytes", "JPEG table"))
    assert report.findings[0].severity in ("warning", "error")


@pytest.mark.parametrize("way", WAYS)
def test_f09_f10_files_that_are_alike_raise_no_alarm(tmp_path, way) -> None:
    write(tmp_path, names(), size=lambda y, rng: (64, 60 + int(rng.integers(0, 9))),
          quality=lambda y, rng: int(rng.integers(70, 90)))  # fmt: skip
    report = audited(way, tmp_path, names(), ["shortcuts.files"])
    assert not [f for f in report.findings if f.severity != "note"]


@pytest.mark.parametrize("way", ["folder", "data set", "broken row"])
def test_f12_files_that_are_on_disk_and_in_no_data_set(tmp_path, way) -> None:
    given = names()
    write(tmp_path, given)
    if way == "folder":
        (tmp_path / "ill" / "p999_0.JPG").write_bytes(b"cut")
        report = audited("folder", tmp_path, given, ["files.left-out"])
    elif way == "data set":
        report = audited(way, tmp_path, given[:-9], ["files.left-out"])
    else:
        (tmp_path / given[3][0]).write_bytes(b"")
        report = audited("table", tmp_path, given, ["files.left-out"])
    warned = [f for f in report.findings if f.severity == "warning"]
    assert sum(f.count for f in warned) == (9 if way == "data set" else 1)


@pytest.mark.parametrize("way", ["folder", "table"])
def test_shortcuts_of_one_class_among_four_are_found(tmp_path, way) -> None:
    rng = np.random.default_rng(0)
    kinds = ("normal", "cyst", "mass", "stone")
    given = [(f"{kinds[i % 4]}/p{i:03d}.jpeg", kinds[i % 4], f"p{i:03d}") for i in range(200)]
    for file, kind, _ in given:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        noise = Image.fromarray(rng.integers(0, 255, (40, 40), dtype=np.uint8))
        noise.save(tmp_path / file, quality=90 if kind == "mass" else int(rng.integers(60, 75)))
    table = pd.DataFrame(given, columns=["file", "label", "patient_id"])
    if way == "table":
        table.to_csv(tmp_path / "t.csv", index=False)
        cohort = from_manifest(tmp_path / "t.csv")
    else:
        cohort = from_folder(tmp_path, patients=table[["file", "patient_id"]], classes=kinds)
    (finding,) = audit_cohort(cohort, only=["shortcuts.files"]).findings
    assert finding.severity == "error"
    assert re.search(r"mass: .*JPEG table (1\.000|0\.9\d\d)", finding.seen)
    assert {e.text.rsplit("(")[-1] for e in finding.examples} <= {"mass)", "no mass)"}
