"""Sources: every file in the cohort or in the report, and a clear word for each odd folder."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medclf_lite import sources
from medclf_lite.audit import audit_cohort
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.sources import from_folder, from_nih, from_npz, open_cohort

NORMAL, ILL = "IM-0001-0001.jpeg", "person1_virus_6.jpeg"


def draw(path: Path, size: tuple[int, int] = (12, 10), kind: str = "JPEG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.frombuffer(hashlib.sha256(os.fsencode(path)).digest() * 99, np.uint8)
    Image.fromarray(grey[: size[0] * size[1]].reshape(size[::-1])).save(path, kind)
    return path


def make(root: Path, *splits: str, classes: tuple[str, ...] = ("NORMAL", "PNEUMONIA")) -> Path:
    for split in splits or ("",):
        for name, stem in zip(classes, (NORMAL, ILL), strict=False):
            draw(root / split / name / stem)
    return root


def accounted(cohort: Cohort) -> set[str]:
    return set(cohort.table["image_id"]) | set(cohort.left_out["path"])


def on_disk(root: Path) -> set[str]:
    return {p.relative_to(root).as_posix() for p in root.rglob("*") if not p.is_dir()}


# Folders


def test_splits_labels_and_file_traits_come_from_one_pass(tmp_path: Path) -> None:
    cohort = from_folder(make(tmp_path, "train", "val", "test"))
    table = cohort.table.set_index("image_id")
    assert set(table["split"]) == {"train", "val", "test"}
    assert table.loc[f"train/PNEUMONIA/{ILL}", "label"] == 1
    row, path = table.loc[f"test/NORMAL/{NORMAL}"], tmp_path / "test" / "NORMAL" / NORMAL
    assert (row["label"], row["subtype"], row["patient_id"]) == (0, "normal", "IM-0001")
    assert (row["width"], row["height"], row["mode"]) == (12, 10, "L")
    assert (row["content"], row["extension"]) == ("JPEG", ".jpeg")
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert row["n_bytes"] == path.stat().st_size
    assert not len(cohort.left_out)


def test_each_file_is_read_once(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "train")
    real, seen = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda p: (seen.append(p), real(p))[1])
    cohort = from_folder(tmp_path)
    assert len(seen) == len(cohort) == len(set(seen))


def test_threads_change_nothing(tmp_path: Path) -> None:
    make(tmp_path, "train", "test")
    assert from_folder(tmp_path).fingerprint == from_folder(tmp_path, jobs=4).fingerprint


def test_class_folders_without_splits_give_no_split_column(tmp_path: Path) -> None:
    cohort = from_folder(make(tmp_path, classes=("A", "B")), classes=("B", "A"), patients="kaggle")
    assert "split" not in cohort.table
    assert cohort.classes == ("B", "A")
    assert cohort.table.set_index("image_id").loc[f"A/{NORMAL}", "label"] == 1


@pytest.mark.parametrize("above", ["", "chest_xray", "chest_xray/chest_xray"])
def test_the_nested_kaggle_download_is_the_same_cohort(above: str, tmp_path: Path) -> None:
    make(tmp_path / above, "train", "test")
    for level in Path(above).parents:
        (tmp_path / level / "__MACOSX").mkdir(exist_ok=True)
    cohort = from_folder(tmp_path)
    assert sorted(cohort.table["image_id"])[0] == f"test/NORMAL/{NORMAL}"
    assert cohort.images.root == tmp_path / above
    beside = [f"{'../' * (i + 1)}__MACOSX/" for i in range(len(Path(above).parents))]
    assert sorted(cohort.left_out["path"]) == sorted(beside)


def test_a_second_copy_inside_the_download_is_reported_and_not_read_twice(tmp_path: Path) -> None:
    make(tmp_path / "chest_xray", "train", "test")
    make(tmp_path / "chest_xray" / "chest_xray", "train", "test")
    cohort = from_folder(tmp_path)
    assert len(cohort) == 4
    assert cohort.left_out["path"].str.startswith("chest_xray/").tolist() == [True] * 4


def test_split_names_in_use_elsewhere_are_understood(tmp_path: Path) -> None:
    cohort = from_folder(make(tmp_path, "training", "Valid", "testing"))
    assert set(cohort.table["split"]) == {"train", "val", "test"}
    other = from_folder(make(tmp_path / "x", "fold1", "fold2"))
    assert set(other.table["split"]) == {"fold1", "fold2"}


def test_every_file_is_in_the_cohort_or_in_the_report(tmp_path: Path) -> None:
    place = make(tmp_path, "train") / "train" / "PNEUMONIA"
    whole = draw(tmp_path / "whole", size=(60, 50)).read_bytes()
    odd = {
        "person2_virus_1.JPG": whole, "notes.txt": b"please check", ".DS_Store": b"\0",
        "person3_virus_1.jpeg": b"", "person4_virus_1.jpeg": b"no image", "README": b"text",
        "person5_virus_1.dcm": b"no DICOM", "person6_virus_1.jpeg": whole[: len(whole) // 2],
        "scan.gif": b"GIF89a", "._person1_virus_6.jpeg": b"Mac", "UPPER.TXT": b"x",
    }  # fmt: skip
    for name, content in odd.items():
        (place / name).write_bytes(content)
    draw(place / "person7_virus_1.png", kind="JPEG")
    draw(place / "deeper" / "person8_virus_1.TIFF", kind="TIFF")
    draw(place / ".ipynb_checkpoints" / "person1_virus_6-checkpoint.jpeg")
    draw(tmp_path / "train" / "COVID" / "person9_virus_1.jpeg")
    (tmp_path / "labels.csv").write_text("a,b")
    (place / "nowhere.jpeg").symlink_to(tmp_path / "gone")
    os.mkfifo(place / "pipe.jpeg")

    cohort = from_folder(tmp_path)
    assert accounted(cohort) == on_disk(tmp_path)
    assert not set(cohort.table["image_id"]) & set(cohort.left_out["path"])
    reason = {p.rsplit("/", 1)[-1]: r for p, r in cohort.left_out.itertuples(index=False)}
    for name, word in {
        "notes.txt": "extension is .txt", ".DS_Store": "hidden", "person3_virus_1.jpeg": "zero",
        "person4_virus_1.jpeg": "not a JPEG", "README": "not a JPEG", "nowhere.jpeg": "nowhere",
        "person5_virus_1.dcm": "not a JPEG", "scan.gif": "extension is .gif",
        "pipe.jpeg": "not a regular", "person9_virus_1.jpeg": "outside", "labels.csv": "outside",
        "person1_virus_6-checkpoint.jpeg": "hidden", "UPPER.TXT": "extension is .TXT",
    }.items():  # fmt: skip
        assert word in reason[name], name
    table = cohort.table.set_index(cohort.table["image_id"].str.rsplit("/").str[-1])
    assert table.loc["person7_virus_1.png", ["content", "extension"]].tolist() == ["JPEG", ".png"]
    assert {"person2_virus_1.JPG", "person6_virus_1.jpeg", "person8_virus_1.TIFF"} <= {*table.index}
    assert "left out" in cohort.card()


@pytest.mark.parametrize(
    ("kind", "word"),
    [("pages", "2 pages"), ("bomb", "fill the memory"), ("header", "header cannot be read")],
)
def test_images_that_cannot_be_one_are_left_out(kind: str, word: str, tmp_path: Path) -> None:
    from test_images import SMOOTH, bomb, encode

    content = {
        "pages": encode(SMOOTH, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]),
        "bomb": bomb(),
        "header": encode(SMOOTH, "JPEG")[:30],
    }[kind]
    (make(tmp_path) / "NORMAL" / "odd.png").write_bytes(content)
    cohort = from_folder(tmp_path)
    assert cohort.left_out["path"].tolist() == ["NORMAL/odd.png"]
    assert word in cohort.left_out["reason"].iloc[0]


def test_names_beyond_ascii_are_kept_and_impossible_ones_reported(tmp_path: Path) -> None:
    rule = r"(?P<patient>Fall\d+)"
    draw(tmp_path / "GESUND" / "Fall1_Müller_胸.png", kind="PNG")
    draw(tmp_path / "KRA\u0308NK" / "Fall2 ✓.jpeg")
    bad = os.fsencode(tmp_path / "GESUND") + b"/Fall3_\xff.png"
    Path(os.fsdecode(bad)).write_bytes((tmp_path / "GESUND" / "Fall1_Müller_胸.png").read_bytes())
    cohort = from_folder(tmp_path, classes=("GESUND", "KR\u00c4NK"), patients=rule)
    assert cohort.table["patient_id"].tolist() == ["Fall1", "Fall2"]
    assert cohort.left_out.iloc[0].tolist()[0] == "GESUND/Fall3_\\udcff.png"
    assert "not valid Unicode" in cohort.left_out["reason"].iloc[0]
    assert len(cohort.fingerprint) == 16


def test_links_are_followed_and_no_folder_is_entered_twice(tmp_path: Path) -> None:
    store = make(tmp_path / "store", classes=("NORMAL", "PNEUMONIA"))
    root = tmp_path / "root"
    root.mkdir()
    for name in ("NORMAL", "PNEUMONIA"):
        (root / name).symlink_to(store / name)
    (store / "NORMAL" / "again").symlink_to(store / "NORMAL")
    (store / "NORMAL" / "IM-0002-0001.jpeg").symlink_to(store / "NORMAL" / NORMAL)
    cohort = from_folder(root)
    assert len(cohort) == 3
    assert cohort.left_out.values.tolist() == [
        ["NORMAL/again/", "a link to a folder that was read already, or that holds this one"]
    ]


def test_what_may_not_be_read_is_reported(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path)
    locked = draw(tmp_path / "NORMAL" / "IM-0002-0001.jpeg")
    closed = draw(tmp_path / "NORMAL" / "closed" / "IM-0003-0001.jpeg").parent
    reads, lists = Path.read_bytes, os.listdir

    def deny(real, path):
        def check(given):
            if Path(given) == path:
                raise PermissionError(13, "Permission denied")
            return real(given)

        return check

    monkeypatch.setattr(Path, "read_bytes", deny(reads, locked))
    monkeypatch.setattr(os, "listdir", deny(lists, closed))
    cohort = from_folder(tmp_path)
    assert len(cohort) == 2
    assert cohort.left_out["path"].tolist() == ["NORMAL/IM-0002-0001.jpeg", "NORMAL/closed/"]
    assert cohort.left_out["reason"].str.contains("Permission denied").all()
    monkeypatch.setattr(os, "listdir", deny(lists, tmp_path))
    with pytest.raises(MedclfError, match="cannot be listed: Permission denied"):
        from_folder(tmp_path)


def other_names(root: Path) -> None:
    for split in ("train", "test"):
        (root / split / "NORMAL").rename(root / split / "BENIGN")
        (root / split / "PNEUMONIA").rename(root / split / "MALIGNANT")


def rename(old: str, new: str):
    return lambda root: (root / old).rename(root / new)


DAMAGE = {
    "misspelt": rename("test/PNEUMONIA", "test/PNEUMONA"),
    "lower case": rename("train/NORMAL", "train/normal"),
    "one class": rename("test/NORMAL", "NOT_HERE"),
    "empty class": lambda root: (root / "test/NORMAL" / NORMAL).unlink(),
    "unreadable class": lambda root: (root / "test/NORMAL" / NORMAL).write_bytes(b""),
    "hidden files only": rename(f"test/NORMAL/{NORMAL}", "test/NORMAL/.DS_Store"),
    "both": lambda root: draw(root / "NORMAL" / NORMAL),
    "other classes": other_names,
}


def damaged(root: Path, how: str) -> Path:
    if how in DAMAGE:
        DAMAGE[how](make(root, "train", "test"))
    ready = {"missing": root / "nowhere", "file": root / "x.jpeg"}
    return draw(ready[how]) if how == "file" else ready.get(how, root)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "There is no folder .*nowhere.*check the path"),
        ("file", "is a file; expected a folder"),
        ("empty", "is empty. Expected split/class"),
        ("misspelt", "Is 'PNEUMONA' a misspelt 'PNEUMONIA'?"),
        ("lower case", "Is 'normal' a misspelt 'NORMAL'?"),
        ("one class", "test has no class folder 'NORMAL'; it has the folders PNEUMONIA"),
        ("empty class", "NORMAL is empty. Every class folder needs images"),
        ("unreadable class", "1 files were left out, the first is .*: zero bytes"),
        ("hidden files only", "holds no readable image.*DS_Store': hidden file"),
        ("both", "both the class folder 'NORMAL' and split folders"),
        ("other classes", r"BENIGN, MALIGNANT.*classes=\(...\)"),
    ],
)
def test_a_damaged_folder_says_what_was_found_and_what_to_do(how, message, tmp_path) -> None:
    with pytest.raises(MedclfError, match=message):
        from_folder(damaged(tmp_path, how))


def test_a_name_that_the_patient_rule_does_not_match_stops_the_source(tmp_path: Path) -> None:
    make(tmp_path)
    draw(tmp_path / "NORMAL" / "holiday.jpeg")
    with pytest.raises(MedclfError, match=r"does not match 'NORMAL/holiday\.jpeg'"):
        from_folder(tmp_path)
    with pytest.raises(MedclfError, match="two different names"):
        from_folder(tmp_path, classes=("NORMAL", "NORMAL"))


def test_a_metadata_table_gives_patients_and_further_columns(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "NORMAL" / "empty.png").write_bytes(b"")
    rows = pd.DataFrame({"file": [ILL, NORMAL, "empty.png"], "patient_id": ["02", "01", "03"],
                         "site": ["west", "east", "east"], "age": [40, 50, 60]})  # fmt: skip
    path = tmp_path / "who.csv"
    rows.to_csv(path, index=False)
    for form in (rows, path, str(path)):
        table = from_folder(tmp_path, patients=form).table
        assert table["patient_id"].tolist() == ["01", "02"]
        assert table["site"].tolist() == ["east", "west"]
        assert table["age"].tolist() == [50, 40]
        assert "subtype" not in table
    with pytest.raises(MedclfError, match=r"column\(s\) label, which"):
        from_folder(tmp_path, patients=rows.assign(label=1))
    with pytest.raises(MedclfError, match="files have no row"):
        from_folder(tmp_path, patients=rows.iloc[1:])


# MedMNIST


def npz(path: Path, **changes) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 6), ("val", 2), ("test", 4)):
        arrays[f"{split}_images"] = rng.integers(0, 255, (n, 5, 7), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).astype(np.uint8)[:, None]
    arrays |= changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def test_npz_keeps_splits_labels_and_pixels(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz")
    people = [f"p{i // 2}" for i in range(12)]
    cohort = from_npz(path, patients=people)
    assert cohort.table["split"].tolist() == ["train"] * 6 + ["val"] * 2 + ["test"] * 4
    assert cohort.patients.tolist() == people
    with np.load(path) as file:
        assert np.array_equal(cohort.part("test").images.pixels, file["test_images"])
        assert np.array_equal(cohort.part("val").labels, file["val_labels"].ravel())
    changed = from_npz(npz(path, val_images=np.zeros((2, 5, 7), np.uint8)), patients=people)
    assert changed.fingerprint != cohort.fingerprint, "the fingerprint sees the pixels"


def test_patients_must_be_chosen_and_unknown_is_said(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz")
    for wrong in (None, "kaggle"):
        with pytest.raises(MedclfError, match=r"holds no patient IDs.*patients='unknown'"):
            from_npz(path, patients=wrong)
    with pytest.raises(MedclfError, match="3 patient IDs for 12 images"):
        from_npz(path, patients=["a", "b", "c"])
    with pytest.raises(MedclfError, match="missing"):
        from_npz(path, patients=[None] * 12)
    cohort = from_npz(path, patients="unknown")
    assert cohort.n_patients == len(cohort)
    assert "patients unknown: each image counts as its own patient" in cohort.card()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": None}, "lacks val_labels"),
        ({"train_images": np.zeros((6, 5, 7, 3), np.uint8)}, "must be grey.*6, 5, 7, 3"),
        ({"train_images": np.zeros((6, 5, 7))}, "float64"),
        ({"train_images": np.zeros((6, 0, 7), np.uint8)}, r"must be grey.*\(6, 0, 7\)"),
        ({"val_images": np.zeros((2, 5, 6), np.uint8)}, r"train 5 x 7, val 5 x 6, test 5 x 7"),
        ({"train_labels": np.arange(6)}, r"one 0 or 1.*\[0, 1, 2, 3, 4\]"),
        ({"train_labels": np.zeros((6, 14), int)}, r"shape \(6, 14\)"),
        ({"train_labels": np.array([{}] * 6)}, "cannot be read as .npz.*pickle"),
        ({f"{s}_{k}": None for s in ("train", "val", "test") for k in ("images", "labels")}
         | {"x": np.zeros(1)}, "it has x. Expected the layout"),
    ],
)  # fmt: skip
def test_npz_of_another_layout_is_refused(changes, message, tmp_path: Path) -> None:
    with pytest.raises(MedclfError, match=message):
        from_npz(npz(tmp_path / "x.npz", **changes), patients="unknown")


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut", b"text", "npy"])
def test_npz_that_cannot_be_read_is_named(content, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    if content == "npy":
        np.save(path.open("wb"), np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(MedclfError, match=r"x\.npz"):
        from_npz(path, patients="unknown")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1), damage=st.dictionaries(st.floats(0, 0.999), st.integers(0, 255)))
def test_a_damaged_npz_is_a_medclf_error_or_reads_as_before(save, cut, damage) -> None:
    images = np.random.default_rng(0).integers(0, 255, (4, 6, 6), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npz"
        save(path, train_images=images, train_labels=[0, 1, 0, 1])
        content = bytearray(path.read_bytes())
        for place, value in damage.items():
            content[int(place * len(content))] = value
        path.write_bytes(content[: max(1, int(cut * len(content)))])
        try:
            cohort = from_npz(path, patients="unknown")
        except MedclfError:
            return
        assert np.array_equal(cohort.images.pixels, images)


def test_an_npz_with_one_class_is_a_cohort_and_the_audit_says_so(tmp_path: Path) -> None:
    sizes = {"train": 6, "val": 2, "test": 4}
    changes = {f"{split}_labels": np.ones(n, np.uint8) for split, n in sizes.items()}
    cohort = from_npz(npz(tmp_path / "x.npz", **changes), patients="unknown")
    assert audit_cohort(cohort).findings[0].id == "counts.one-class"


# NIH


NIH = pd.DataFrame({
    "Image Index": ["00000001_000.png", "00000001_001.png", "00000002_000.png"],
    "Finding Labels": ["Cardiomegaly|Effusion", "No Finding", "Hernia"],
    "Follow-up #": [0, 1, 0], "Patient ID": [1, 1, 2], "Patient Age": ["058Y", "59", "013M"],
    "Patient Gender": ["M", "M", "F"], "View Position": ["PA", "AP", "PA"],
    "OriginalImage[Width": [9, 8, 7], "Height]": [6, 5, 4], "OriginalImagePixelSpacing[x": 0.1,
})  # fmt: skip


def nih(path: Path, **changes) -> Path:
    table = NIH.assign(**{k: v for k, v in changes.items() if v is not None})
    table.drop(columns=[k for k, v in changes.items() if v is None]).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["entry.csv", "entry.csv.gz"])
def test_nih_labels_become_one_column_a_finding(name: str, tmp_path: Path) -> None:
    cohort = from_nih(nih(tmp_path / name))
    assert cohort.labels.shape == (3, 14)
    assert cohort.labels.sum(1).tolist() == [2, 0, 1]
    assert cohort.table[["Cardiomegaly", "Hernia"]].values.tolist() == [[1, 0], [0, 0], [0, 1]]
    assert cohort.table["patient_id"].tolist() == ["00000001", "00000001", "00000002"]
    assert cohort.table["age"].tolist() == [58, 59, 1]
    assert cohort.table["follow_up"].tolist() == [0, 1, 0]
    assert cohort.table["view"].tolist() == ["PA", "AP", "PA"]
    assert cohort.images is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"View Position": None}, "lacks the column.*View Position"),
        ({"Finding Labels": ["Mass", "Covid", "Mass"]}, "'Covid'.*00000001_001.png"),
        ({"Finding Labels": ["Mass", "", "Mass"]}, "no finding for image 00000001_001"),
        ({"Patient Age": ["58", "old", "1"]}, "the age 'old'"),
        ({"Finding Labels": ["Mass", "No Finding|Mass", "Mass"]}, "beside a finding.*1_001.png"),
        ({"Finding Labels": ["", "", ""]}, "no finding for image 00000001_000"),
        ({"Patient Sex": ["M", "M", "F"]}, "two columns for one thing"),
        ({"Image Index": ["a.png", "a.png", "b.png"]}, "'a.png'; an image ID must name one"),
        ({"Patient ID": [1, "", 2]}, "patient_id is empty in row 1"),
    ],
)
def test_nih_tables_with_other_values_are_refused(changes, message, tmp_path: Path) -> None:
    with pytest.raises(MedclfError, match=message):
        from_nih(nih(tmp_path / "entry.csv", **changes))


def test_nih_images_are_found_at_any_depth_and_a_part_must_be_wanted(tmp_path: Path) -> None:
    csv, folder = nih(tmp_path / "entry.csv"), tmp_path / "png"
    for i, name in enumerate(NIH["Image Index"][1:]):
        draw(folder / f"images_00{i}" / "images" / name, kind="PNG")
    draw(folder / "stranger.png", kind="PNG")
    with pytest.raises(MedclfError, match=r"1 of 3 rows have no file.*00000001_000\.png"):
        from_nih(csv, images=folder)
    cohort = from_nih(csv, images=folder, partial=True)
    assert cohort.table["image_id"].tolist() == NIH["Image Index"].tolist()[1:]
    assert [Path(p).name for p in cohort.images.paths] == cohort.table["image_id"].tolist()
    assert cohort.table["width"].tolist() == [12, 12]
    assert cohort.left_out.values.tolist() == [
        ["00000001_000.png", "row without a file"],
        ["stranger.png", "no row in the table"],
    ]
    with pytest.raises(MedclfError, match="no folder"):
        from_nih(csv, images=tmp_path / "gone")


def test_a_hidden_image_is_not_taken_for_the_one_that_nih_names(tmp_path: Path) -> None:
    csv, folder = nih(tmp_path / "entry.csv"), tmp_path / "png"
    for name in NIH["Image Index"]:
        draw(folder / name, kind="PNG")
        draw(folder / ".trash" / name, kind="PNG")
        draw(folder / "again" / name, kind="PNG")
    cohort = from_nih(csv, images=folder)
    assert len(cohort) == 3
    assert not [p for p in cohort.images.paths if ".trash" in p]
    reasons = cohort.left_out["reason"].str.split(";").str[0].value_counts()
    assert reasons.to_dict() == {"hidden file": 3, "a second file of this name": 3}
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(MedclfError, match=r"None of the 3 images.*zero bytes"):
        from_nih(csv, images=folder)


@pytest.mark.parametrize("text", ["", "Image Index,Finding Labels\n", "a;b\n1;2\n"])
def test_an_nih_table_without_rows_or_with_semicolons_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "entry.csv").write_text(text)
    with pytest.raises(MedclfError, match=r"entry\.csv (cannot be read|has no rows|lacks)"):
        from_nih(tmp_path / "entry.csv")


# Downloads, without a network


def test_kaggle_download_opens_what_the_package_fetched(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path / "chest_xray", "train", "val", "test")
    asked = []
    fake = SimpleNamespace(dataset_download=lambda name: (asked.append(name), str(tmp_path))[1])
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    cohort = sources.download_kaggle()
    assert asked == ["paultimothymooney/chest-xray-pneumonia"]
    assert len(cohort) == 6
    assert cohort.licence == "CC BY 4.0"


def test_pneumoniamnist_download_opens_what_the_package_fetched(tmp_path, monkeypatch) -> None:
    def fetch(split, download, root, size):
        npz(Path(root) / f"pneumoniamnist{'' if size == 28 else f'_{size}'}.npz")

    monkeypatch.setitem(sys.modules, "medmnist", SimpleNamespace(PneumoniaMNIST=fetch))
    for size in (28, 64):
        cohort = sources.download_pneumoniamnist(
            patients="unknown", size=size, folder=tmp_path / "new"
        )
        assert len(cohort) == 12
        assert "patients unknown" in cohort.source
    with pytest.raises(MedclfError, match="holds no patient IDs"):
        sources.download_pneumoniamnist(folder=tmp_path)
    with pytest.raises(MedclfError, match="sizes"):
        sources.download_pneumoniamnist(patients="unknown", size=32, folder=tmp_path)


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("kagglehub", sources.download_kaggle),
        ("medmnist", lambda: sources.download_pneumoniamnist(patients="unknown", folder=".")),
    ],
)
def test_a_missing_package_or_network_says_what_to_do(package, call, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MedclfError, match=rf"needs the package {package}: pip install .*\[data\]"):
        call()

    real = sources.download.importlib.import_module

    def broken(name):
        if name == package:
            raise RuntimeError("operator torchvision::nms does not exist")
        return real(name)

    monkeypatch.setattr(sources.download.importlib, "import_module", broken)
    with pytest.raises(MedclfError, match=rf"needs the package {package}.*torchvision::nms"):
        call()
    monkeypatch.setattr(sources.download.importlib, "import_module", real)

    def offline(*args, **options):
        raise ConnectionError("Name or service not known")

    fake = SimpleNamespace(dataset_download=offline, PneumoniaMNIST=offline)
    monkeypatch.setitem(sys.modules, package, fake)
    with pytest.raises(MedclfError, match=r"ConnectionError: Name or service.*by hand from https"):
        call()


# Dispatch


def test_open_cohort_knows_each_kind(tmp_path: Path) -> None:
    assert len(open_cohort(make(tmp_path / "folder"), patients="tutorial")) == 2
    assert len(open_cohort(str(npz(tmp_path / "x.npz")), patients="unknown")) == 12
    assert len(open_cohort(nih(tmp_path / "x.csv.gz"))) == 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gone", {}, "There is no file or folder .*gone"),
        ("x.txt", {}, "is not a kind of cohort"),
        ("x.csv", {"patients": "kaggle"}, "needs a column of paths, one of path"),
    ],
)
def test_open_cohort_refuses_what_it_does_not_know(name, options, message, tmp_path) -> None:
    for known in ("x.txt", "x.csv"):
        (tmp_path / known).write_text("a")
    with pytest.raises(MedclfError, match=message):
        open_cohort(tmp_path / name, **options)


def test_the_phantom_is_a_source() -> None:
    from medclf_lite.phantom import PhantomSpec

    spec = PhantomSpec(n_patients=12, size=48, seed=3)
    cohort = sources.from_phantom(spec)
    same = open_cohort("phantom", n_patients=12, size=48, seed=3)
    assert np.array_equal(cohort.images.pixels, same.images.pixels)
    assert cohort.fingerprint == same.fingerprint
    with pytest.raises(MedclfError, match="PhantomSpec has no option 'patients'"):
        open_cohort("phantom", patients="kaggle")


# Real data


@pytest.mark.real
def test_the_real_folder_has_the_published_counts(real_data: Path) -> None:
    cohort = from_folder(real_data / "chest_xray_224", jobs=2)
    assert cohort.images.root.name == "chest_xray"
    assert cohort.left_out["path"].tolist() == ["../manifest.csv"]
    images = cohort.counts()["images"]
    assert images.unstack().loc[["train", "val", "test"]].values.tolist() == [
        [1341, 3875], [8, 8], [234, 390]
    ]  # fmt: skip
    ill = cohort.table[cohort.table["label"] == 1].groupby(["split", "subtype"]).size()
    assert ill.to_dict() == {("train", "bacteria"): 2530, ("train", "virus"): 1345,
                             ("test", "bacteria"): 242, ("test", "virus"): 148,
                             ("val", "bacteria"): 8}  # fmt: skip
    assert (cohort.n_patients, cohort.part("train").n_patients) == (4097, 3654)
    wrong = from_folder(real_data / "chest_xray_224", patients="tutorial", jobs=2)
    assert (wrong.n_patients, wrong.part("train").n_patients) == (3257, 2976)
    groups = cohort.table.groupby("sha256").size()
    known = pd.read_csv(real_data / "chest_xray_224" / "manifest.csv")
    assert set(cohort.table["sha256"]) == set(known["sha256"])
    assert (int((groups > 1).sum()), int(groups[groups > 1].sum())) == (30, 62)


@pytest.mark.real
def test_the_real_native_files_have_the_published_traits(real_data: Path) -> None:
    root = real_data / "chest_xray_native_sample"
    table = from_folder(root).table
    known = pd.read_csv(root / "manifest.csv").set_index("name")
    table = table.set_index(table["image_id"].str.rsplit("/").str[-1])
    assert len(table) == 360
    known = known.loc[table.index]
    for mine, theirs in {"width": "w", "height": "h", "mode": "mode", "n_bytes": "bytes",
                         "sha256": "sha"}.items():  # fmt: skip
        assert table[mine].tolist() == known[theirs].tolist(), mine


@pytest.mark.real
def test_the_real_nih_and_medmnist_tables_have_the_published_counts(real_data: Path) -> None:
    nih = open_cohort(real_data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz")
    assert (len(nih), nih.n_patients, nih.labels.shape[1]) == (112_120, 30_805, 14)
    each = nih.table.groupby("patient_id").size()
    assert (int((each > 1).sum()), int(each.max())) == (13_302, 184)
    ap = nih.table["view"] == "AP"
    assert round(ap[nih.table["Pneumonia"] == 1].mean(), 2) == 0.56
    assert round(ap[nih.labels.sum(1) == 0].mean(), 2) == 0.35
    mnist = open_cohort(real_data / "pneumoniamnist" / "pneumoniamnist.npz", patients="unknown")
    sizes = mnist.table["split"].value_counts()
    assert sizes.loc[["train", "val", "test"]].tolist() == [4708, 524, 624]


@pytest.mark.real
def test_nearly_half_of_medmnists_val_shares_a_patient_with_train_and_none_of_test(
    real_data: Path,
) -> None:
    matches = pd.read_csv(real_data / "pneumoniamnist" / "match_to_kaggle_names.csv")
    sure = matches[matches["corr"] > 0.97]  # the others may be another file
    patients = {split: set(rows["patient"]) for split, rows in sure.groupby("mnist_split")}
    val = sure.loc[sure["mnist_split"] == "val", "patient"]
    assert not patients["test"] & (patients["train"] | patients["val"])
    assert (len(val), int(val.isin(patients["train"]).sum())) == (521, 222)
