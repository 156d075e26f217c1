"""Tables of images, and labels of any kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medclf_lite.errors import MedclfError
from medclf_lite.sources import class_folders, from_folder, from_manifest
from medclf_lite.sources.labels import label_columns


def images(root: Path, n: int = 8) -> list[str]:
    rng = np.random.default_rng(0)
    for i in range(n):
        (root / f"s{i % 2}").mkdir(exist_ok=True)
        pixels = rng.integers(0, 255, (20, 24), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"s{i % 2}" / f"{i}.png")
    return [f"s{i % 2}/{i}.png" for i in range(n)]


def table(root: Path, **columns: object) -> Path:
    names = images(root)
    pd.DataFrame({"path": names, "label": [0, 1] * 4} | columns).to_csv(root / "t.csv", index=False)
    return root / "t.csv"


def test_a_table_gives_labels_patients_splits_and_further_columns(tmp_path) -> None:
    given = table(tmp_path, subject=[*"ppqqrrss"], set=["training"] * 4 + ["test"] * 4, age=50)
    cohort = from_manifest(given)
    assert cohort.labels.tolist() == [0, 1] * 4
    assert cohort.patients.tolist() == [*"ppqqrrss"]
    assert set(cohort.table["split"]) == {"train", "test"}
    assert cohort.table["age"].tolist() == [50] * 8
    assert cohort.table["width"].tolist() == [24] * 8


def test_without_patients_each_image_is_its_own_or_a_rule_tells(tmp_path) -> None:
    given = table(tmp_path)
    assert from_manifest(given).n_patients == 8
    assert from_manifest(given, root=tmp_path).n_patients == 8


def test_several_classes_and_several_findings_become_columns(tmp_path) -> None:
    classes = from_manifest(table(tmp_path, label=["cyst", "mass", "normal", "cyst"] * 2))
    assert classes.findings == ("normal", "cyst", "mass")
    assert classes.labels.sum(axis=1).tolist() == [1] * 8
    texts = ["Mass|Nodule", "No Finding", "Mass", "Edema;"] * 2
    findings = from_manifest(table(tmp_path, label=texts))
    assert findings.findings == ("Edema;", "Mass", "Nodule")
    assert findings.table["Mass"].tolist() == [1, 0, 1, 0] * 2


def test_rows_without_an_image_are_left_out_by_name(tmp_path) -> None:
    given = table(tmp_path)
    (tmp_path / "s0/0.png").unlink()
    (tmp_path / "s1/1.png").write_bytes(b"no image")
    cohort = from_manifest(given)
    assert len(cohort) == 6
    assert cohort.left_out["path"].tolist() == ["s0/0.png", "s1/1.png"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\n1,2\n", "needs a column of paths"),
        ("path\ns0/0.png\n", "needs a column of labels"),
        ("path,label\ns0/0.png,\n", "Column label of .* is empty in row 0"),
        ("path,label\ns0/0.png,1\ns0/0.png,0\n", "more than once"),
        ("path,label\nno.png,1\n", "No row of .* has an image"),
        ("", "cannot be read as CSV"),
    ],
)
def test_a_wrong_table_is_refused_with_what_is_expected(tmp_path, text, told) -> None:
    images(tmp_path)
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(MedclfError, match=told):
        from_manifest(tmp_path / "t.csv")


def test_a_missing_table_is_named(tmp_path) -> None:
    with pytest.raises(MedclfError, match="There is no file"):
        from_manifest(tmp_path / "no.csv")


def test_the_class_that_sounds_healthy_is_label_0() -> None:
    assert label_columns(["Benign", "Abnormal"]).classes == ("Benign", "Abnormal")
    assert label_columns([2, 0, 2]).columns["label"].tolist() == [1, 0, 1]
    assert label_columns(["x"] * 3).columns["label"].tolist() == [1] * 3
    assert label_columns([0.0, 0.0]).columns["label"].tolist() == [0, 0]
    assert label_columns([(0, 1), (1, 1)]).columns["finding 1"].tolist() == [1, 1]


def test_columns_of_classes_do_not_clash_with_others() -> None:
    assert label_columns(["width", "label", "1"]).findings == (
        "class 1",
        "class label",
        "class width",
    )


def test_labels_that_are_none_are_refused() -> None:
    with pytest.raises(MedclfError, match="200 different labels"):
        label_columns([f"id{i}" for i in range(200)])
    with pytest.raises(MedclfError, match="as many as the others"):
        label_columns([(0, 1), (0,)])


def test_folders_of_four_classes_become_four_columns(tmp_path) -> None:
    rng = np.random.default_rng(0)
    for side in ("train", "test"):
        for name in ("glioma", "meningioma", "notumor", "normal"):
            (tmp_path / side / name).mkdir(parents=True)
            pixels = rng.integers(0, 255, (20, 20), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / side / name / "0.png")
    names = class_folders(tmp_path)
    assert names == ("normal", "glioma", "meningioma", "notumor")
    cohort = from_folder(tmp_path, classes=names, patients="unknown")
    assert cohort.findings == names
    assert cohort.labels.sum() == 8
    assert set(cohort.table["split"]) == {"train", "test"}
    with pytest.raises(MedclfError, match="two classes at least"):
        class_folders(tmp_path / "train" / "glioma")
