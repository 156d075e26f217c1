"""Each check finds the fault that was planted for it, and is silent on a clean cohort."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from audit_cohorts import RULE, clean, found, noise, nothing, opened, write_clean
from PIL import Image

from medclf_lite.audit import audit_cohort
from medclf_lite.audit.checks.counts import hanley_mcneil
from medclf_lite.cohort import Cohort
from medclf_lite.patients import patient_ids
from medclf_lite.sources import from_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_clean(tmp_path / "images")


def test_a_clean_cohort_in_memory_has_no_warning_and_no_error() -> None:
    report = audit_cohort(clean())
    assert {f.severity for f in report.findings} <= {"note"}, report.to_markdown()
    assert "duplicates.near" in report.ran


def test_a_clean_folder_has_no_warning_and_no_error(folder) -> None:
    report = audit_cohort(opened(folder))
    assert {f.severity for f in report.findings} <= {"note"}, report.to_markdown()
    assert "files.unreadable" in report.ran


# files


def test_left_out_images_warn_and_other_files_are_only_noted(folder) -> None:
    (folder / "PNEUMONIA" / "sick900_1.png").write_bytes(b"")
    (folder / "notes.txt").write_text("x")
    findings = audit_cohort(opened(folder), only=["files.left-out"]).findings
    assert [(f.severity, f.examples[0].text) for f in findings] == [
        ("warning", "PNEUMONIA/sick900_1.png"), ("note", "notes.txt"),
    ]  # fmt: skip
    assert "zero bytes" in findings[0].seen


def test_a_truncated_file_is_found_and_the_other_checks_go_on(folder) -> None:
    buffer = io.BytesIO()
    noise(np.random.default_rng(7), 64).save(buffer, "JPEG")
    (folder / "PNEUMONIA" / "sick901_1.jpeg").write_bytes(buffer.getvalue()[:1500])
    report = audit_cohort(opened(folder))
    bad = next(f for f in report.findings if f.id == "files.unreadable")
    assert bad.severity == "error"
    assert bad.count == 1
    assert bad.examples[0].images == ("PNEUMONIA/sick901_1.jpeg",)
    assert {"duplicates.near", "shortcuts.pixels"} <= set(report.ran)


def test_a_png_called_jpeg_is_found(folder) -> None:
    noise(np.random.default_rng(7)).save(folder / "NORMAL" / "well902_1.jpeg", format="PNG")
    finding = found(opened(folder), "files.extension")
    assert "1 named JPEG, in truth PNG" in finding.seen


def test_mixed_modes_warn_and_three_equal_channels_are_noted(folder) -> None:
    assert nothing(opened(folder), "files.mode")
    grey = noise(np.random.default_rng(7))
    grey.convert("RGB").save(folder / "NORMAL" / "well903_1.png")
    findings = audit_cohort(opened(folder), only=["files.mode"]).findings
    assert [(f.severity, f.count) for f in findings] == [("warning", 1), ("note", 1)]


def test_true_colour_is_not_called_grey(folder) -> None:
    colour = Image.merge("RGB", [noise(np.random.default_rng(i)) for i in range(3)])
    colour.save(folder / "NORMAL" / "well904_1.png")
    assert found(opened(folder), "files.mode").severity == "warning"


def test_a_16_bit_image_among_8_bit_images_is_found(folder) -> None:
    deep = np.random.default_rng(3).integers(0, 65535, (32, 32), dtype=np.uint16)
    Image.fromarray(deep).save(folder / "NORMAL" / "well905_1.png")
    finding = found(opened(folder), "files.depth")
    assert (finding.severity, finding.count) == ("warning", 1)
    assert "16 bits" in finding.seen


def test_an_exif_orientation_is_found(folder) -> None:
    image = noise(np.random.default_rng(3))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "NORMAL" / "well906_1.jpeg", exif=exif)
    assert found(opened(folder), "files.orientation").count == 1
    word = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\0up" + bytes(8)
    image.save(folder / "NORMAL" / "well906_1.jpeg", exif=word)
    assert nothing(opened(folder), "files.orientation")


def test_a_possible_bomb_is_found(folder, monkeypatch, recwarn) -> None:
    noise(np.random.default_rng(3), 64).save(folder / "NORMAL" / "well907_1.png")
    cohort = opened(folder)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    finding = found(cohort, "files.large")
    assert finding.examples[0].images == ("NORMAL/well907_1.png",)
    assert not [w for w in recwarn if w.category is Image.DecompressionBombWarning]


def test_one_name_in_two_folders_is_found(folder) -> None:
    noise(np.random.default_rng(8)).save(folder / "PNEUMONIA" / "well001_1.png")
    finding = found(opened(folder), "files.same-name")
    assert (finding.severity, finding.count) == ("note", 2)


# counts


def test_one_class_is_an_error_and_stops_no_other_check() -> None:
    report = audit_cohort(clean(label=1))
    assert report.worst == "error"
    assert report.findings[0].id == "counts.one-class"
    assert not [f for f in report.findings if f.id.startswith("shortcuts")]


def test_imbalance_is_noted_with_the_accuracy_of_saying_the_larger_class() -> None:
    cohort = clean()
    rare = clean(label=(np.arange(len(cohort)) % 10 == 0).astype(int))
    finding = found(rare, "counts.imbalance")
    assert finding.severity == "note"
    assert "0.900" in finding.why
    assert nothing(cohort, "counts.imbalance")


def test_few_patients_name_the_class_that_lacks_them() -> None:
    finding = found(clean().take(range(60)), "counts.few")
    assert "24 patients of class PNEUMONIA" in finding.seen


def test_eight_and_eight_validation_images_are_too_few() -> None:
    cohort = clean()
    rows = np.flatnonzero(cohort.table["split"] == "val")
    kept = np.r_[rows[cohort.labels[rows] == 0][:8], rows[cohort.labels[rows] == 1][:8]]
    small = cohort.take(np.r_[np.flatnonzero(cohort.table["split"] != "val"), kept])
    findings = audit_cohort(small, only=["counts.small-side"]).findings
    assert findings[0].severity == "warning"
    assert "8 and 8 patients" in findings[0].seen
    assert "from 0.74 to 1.00" in findings[0].seen


def test_the_error_of_an_auc_matches_simulation() -> None:
    rng = np.random.default_rng(0)
    # For exponential scores the formula is exact: AUC = r / (1 + r) with r = 9.
    positive, negative = rng.exponential(9, (4000, 30)), rng.exponential(1, (4000, 40))
    aucs = (positive[:, :, None] > negative[:, None, :]).mean((1, 2))
    assert hanley_mcneil(0.9, 30, 40) == pytest.approx(aucs.std(), rel=0.05)


def test_images_without_a_side_and_a_missing_side_are_found() -> None:
    split = clean().table["split"].copy()
    split[split == "test"] = None
    findings = audit_cohort(clean(split=split), only=["counts.sides"]).findings
    assert [f.severity for f in findings] == ["error", "warning"]
    assert findings[0].count == split.isna().sum()
    assert nothing(clean(), "counts.sides")
    assert nothing(clean().part("train"), "counts.sides")


def test_dates_that_cannot_be_read_are_found_and_not_guessed() -> None:
    date = np.full(len(clean()), "2020-05-01", dtype=object)
    date[:3], date[3] = "03/04/2021", None
    finding = found(clean(date=date), "counts.dates")
    assert (finding.severity, finding.count) == ("warning", 3)
    assert finding.examples[0].text == "i0000: 03/04/2021"
    assert nothing(clean(date=clean().table.index), "counts.dates")


# patients


def test_patients_with_several_images_are_counted() -> None:
    finding = found(clean(), "patients.several-images")
    assert "120 patients of 360 hold 50% of the images; the most is 2" in finding.seen


def test_a_patient_with_both_labels_is_found() -> None:
    label = clean().table["label"].to_numpy().copy()
    label[-1] = 1 - label[-1]
    finding = found(clean(label=label), "patients.mixed-labels")
    assert finding.count == 1
    assert len(finding.examples[0].images) == 2
    assert nothing(clean(), "patients.mixed-labels")


def _kaggle(rule: str) -> Cohort:
    names = [f"IM-{i:04d}-{k:04d}" for i in range(60) for k in range(1 + (i % 3 == 0))]
    n_normal = len(names)
    names += [f"person{i}_{s}_{k}" for i in range(40) for s in ("bacteria", "virus")
              for k in range(1 + i % 2)]  # fmt: skip
    kinds = ["normal" if n.startswith("IM") else n.split("_")[1] for n in names]
    table = pd.DataFrame({
        "image_id": names, "patient_id": patient_ids(names, rule), "subtype": kinds,
        "label": (np.arange(len(names)) >= n_normal).astype(int),
    })  # fmt: skip
    return Cohort(table, None, "names", "CC0")


def test_the_tutorials_id_rule_is_caught_twice_and_the_right_rule_is_not() -> None:
    finding = found(_kaggle("tutorial"), "patients.id-rule")
    assert finding.title == "Each image of NORMAL has a patient ID of its own"
    mixed = found(_kaggle("tutorial"), "patients.mixed-subtypes")
    assert mixed.count == 40
    assert nothing(_kaggle("kaggle"), "patients.id-rule")
    assert nothing(_kaggle("kaggle"), "patients.mixed-subtypes")


def test_ids_that_only_number_the_images_warn_and_true_single_images_are_noted() -> None:
    ids = clean().table["image_id"]
    assert found(clean(patient_id=ids), "patients.all-single").severity == "warning"
    assert found(clean(patient_id="p" + ids), "patients.all-single").severity == "note"
    assert nothing(clean(), "patients.all-single")


@pytest.mark.parametrize("word", ["unknown", " N/A ", "", "nan"])
def test_unknown_patients_are_found(word: str) -> None:
    ids = clean().table["patient_id"].to_numpy(dtype=object).copy()
    ids[:3] = word
    assert found(clean(patient_id=ids), "patients.unknown").count == 3
    assert nothing(clean(), "patients.unknown")


# duplicates


def _copied(a: int, b: int, **same: str) -> Cohort:
    """Copy the image of row a over that of row b; `same` names columns to copy along."""
    cohort = clean()
    cohort.images.pixels[b] = cohort.images.pixels[a]
    table = cohort.table.copy()
    for column in ("label", "split", "patient_id", "site", "subtype"):
        if column not in same.get("but", ""):
            table.loc[b, column] = table.loc[a, column]
    return replace(cohort, table=table)


@pytest.mark.parametrize(
    ("but", "severity"),
    [("", "note"), ("patient_id", "warning"), ("label", "error"), ("split", "error")],
)
def test_a_copy_is_as_bad_as_its_worst_contradiction(but: str, severity: str) -> None:
    finding = found(_copied(1, 14, but=but), "duplicates.exact")  # rows of two labels and sides
    assert (finding.severity, finding.count) == (severity, 1)
    assert finding.examples[0].images == ("i0001", "i0014")


def test_no_copy_no_finding() -> None:
    assert all(nothing(clean(), f"duplicates.{kind}") for kind in ("exact", "pixels", "near"))


def test_the_same_pixels_in_another_file_are_told_from_the_same_bytes(folder) -> None:
    source = folder / "NORMAL" / "well001_1.png"
    shutil.copy(source, folder / "NORMAL" / "well001_2.png")
    Image.open(folder / "NORMAL" / "well003_1.png").save(folder / "NORMAL" / "well003_2.tif")
    cohort = opened(folder)
    assert "well001_2" in found(cohort, "duplicates.exact").examples[0].text
    other = found(cohort, "duplicates.pixels")
    assert other.count == 1
    assert "well003_2" in other.examples[0].text
    assert nothing(cohort, "duplicates.near")


# splits


def test_a_patient_on_two_sides_is_an_error() -> None:
    split = clean().table["split"].to_numpy(dtype=object).copy()
    split[-1] = "val" if split[-1] != "val" else "train"
    finding = found(clean(split=split), "splits.patients")
    assert (finding.severity, finding.count) == ("error", 1)
    assert len(finding.examples[0].images) == 2
    assert nothing(clean(), "splits.patients")


def test_a_copy_on_two_sides_is_an_error() -> None:
    finding = found(_copied(1, 14, but="split"), "splits.copies")
    assert (finding.severity, finding.count) == ("error", 1)
    assert nothing(_copied(1, 14), "splits.copies")


def test_a_side_without_a_class_is_an_error() -> None:
    cohort = clean()
    keep = (cohort.table["split"] != "test") | (cohort.table["label"] == 0)
    finding = found(cohort.take(keep.to_numpy()), "splits.one-class")
    assert finding.examples[0].text.startswith("test: only NORMAL")
    assert nothing(cohort, "splits.one-class")


def test_a_difference_in_prevalence_must_be_larger_than_chance() -> None:
    cohort = clean()
    test, label = cohort.table["split"] == "test", cohort.table["label"]
    fewer = cohort.take((~test | (label == 0) | (np.arange(len(cohort)) % 3 == 0)).to_numpy())
    finding = found(fewer, "splits.prevalence")
    assert "train 40" in finding.seen
    two = np.flatnonzero(test & (label == 0))[:2]
    assert nothing(cohort.take(np.r_[np.flatnonzero(~test), two]), "splits.prevalence")
    assert nothing(cohort, "splits.prevalence")


def test_overlap_in_time_is_noted() -> None:
    split = clean().table["split"]
    year = np.where(split == "test", "2021-05-01", "2020-05-01").astype(object)
    assert nothing(clean(date=year), "splits.dates")
    year[np.flatnonzero(split == "train")[:4]] = "2022-01-01"
    assert found(clean(date=year), "splits.dates").count == 4


def test_dates_may_be_numbers_or_have_a_zone_each() -> None:
    split = clean().table["split"]
    years = np.where(split == "test", 2021, 2020)
    assert nothing(clean(date=years), "splits.dates")
    years[np.flatnonzero(split == "train")[:4]] = 2021
    assert "4 images of train from 2021" in found(clean(date=years), "splits.dates").seen
    zone = np.where(np.arange(len(split)) % 2, "+02:00", "Z").astype(object)
    assert found(clean(date="2020-05-01T10:00:00" + zone), "splits.dates").severity == "note"


def test_a_test_side_without_a_new_site_is_noted_and_new_sites_are_named() -> None:
    assert "All 2 sites of test are in train too" in found(clean(), "splits.sites").seen
    site = clean().table["site"].mask(clean().table["split"] == "test", "east")
    assert "1 site that train has not: east" in found(clean(site=site), "splits.sites").seen


# shortcuts


def test_bytes_that_follow_the_label_are_an_error_with_a_chart() -> None:
    cohort = clean()
    finding = found(clean(n_bytes=5000 + 3000 * cohort.labels + np.arange(len(cohort))),
                    "shortcuts.files")  # fmt: skip
    assert finding.severity == "error"
    assert finding.bars[0].value > 0.95
    assert finding.examples[0].text.startswith(("bytes", "bits per pixel"))


def test_a_width_that_follows_the_label_is_a_warning_for_it_may_follow_age() -> None:
    cohort = clean()
    width = 900 + 300 * cohort.labels + np.arange(len(cohort)) % 7
    finding = found(clean(width=width, n_bytes=width * 900 // 8), "shortcuts.files")
    assert dict((b.name, b.value) for b in finding.bars)["width"] > 0.95
    only_width = replace(cohort, table=cohort.table.drop(columns=["n_bytes"]).assign(width=width))
    assert found(only_width, "shortcuts.files").severity == "warning"


def test_a_trait_of_which_both_extremes_mean_disease_is_found() -> None:
    cohort = clean()
    height = np.where(cohort.labels == 1, 1000 + 200 * (-1) ** np.arange(len(cohort)), 1000)
    table = cohort.table.drop(columns=["n_bytes", "width"]).assign(height=height)
    assert found(replace(cohort, table=table), "shortcuts.files").severity == "warning"


@pytest.mark.parametrize("where", ["corner", "brightness"])
def test_a_marker_in_a_corner_and_a_brighter_class_are_found(where: str) -> None:
    cohort = clean()
    pixels = cohort.images.pixels
    for row in np.flatnonzero(cohort.labels):
        if where == "corner":
            pixels[row, :4, :4] = 255
        else:
            pixels[row] = pixels[row] // 2 + 60
    finding = found(cohort, "shortcuts.pixels")
    strong = {bar.name for bar in finding.bars if bar.low > 0.9}
    wanted = {"corner": "four corners", "brightness": "intensity sd"}[where]
    assert wanted in strong


def test_a_site_that_follows_the_label_is_found() -> None:
    site = np.where(clean().labels == 1, "clinic", "ward")
    assert found(clean(site=site), "shortcuts.records").bars[0].name == "site"
    assert nothing(clean(), "shortcuts.records")


def test_train_and_test_of_other_machines_are_found() -> None:
    split = clean().table["split"]
    width = 1000 + 300 * (split == "test") + np.arange(len(split)) % 7
    finding = found(clean(width=width), "shortcuts.drift")
    assert {bar.name for bar in finding.bars} >= {"width, NORMAL", "width, PNEUMONIA"}
    assert nothing(clean(), "shortcuts.drift")


def test_jpeg_tables_that_follow_the_label_are_an_error(tmp_path) -> None:
    rng = np.random.default_rng(5)
    for i in range(120):
        name = ("NORMAL/well" if i % 2 else "PNEUMONIA/sick") + f"{i}_1.jpeg"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise(rng).save(tmp_path / name, quality=90 if i % 2 else 60)
    finding = found(from_folder(tmp_path, patients=RULE), "shortcuts.files")
    assert finding.severity == "error"
    assert {b.name: b.value for b in finding.bars}["JPEG table"] == 1


NUMBERS = clean().table["width"].astype(object)
SMALL = NUMBERS < 950


@pytest.mark.parametrize(
    "columns",
    [
        {"width": "wide"}, {"width": np.nan}, {"height": 0}, {"height": NUMBERS.mask(SMALL)},
        {"width": NUMBERS.mask(SMALL, "1e999")}, {"n_bytes": NUMBERS.mask(SMALL, "?")},
        {"n_bytes": NUMBERS.astype("Int64").mask(SMALL)}, {"site": np.nan},
        {"site": [1 if i % 2 else "a" for i in range(480)]}, {"split": None}, {"subtype": None},
        {"mode": ["L" if i % 2 else None for i in range(480)]}, {"patient_id": "p"},
        {"date": "soon"}, {"compression": np.inf}, {"sha256": None}, {"split": "fold1"},
        {"patient_id": [i if i % 2 else f"p{i}" for i in range(480)]}, {"image_id": range(480)},
    ],
)  # fmt: skip
def test_odd_columns_stop_no_audit(columns: dict[str, object]) -> None:
    cohort = clean(**columns)
    report = audit_cohort(
        cohort.take(range(150)), only=["counts", "patients", "shortcuts", "splits"]
    )
    assert report.to_json()
    assert report.ran


@pytest.mark.parametrize("rows", [[0], [0, 14], [0, 360], [0, 14, 5]])
def test_a_handful_of_images_stop_no_audit(rows: list[int]) -> None:
    report = audit_cohort(clean().take(rows))
    assert report.findings
    assert "duplicates.near" in report.ran


def test_a_multi_label_cohort_is_audited_where_it_can_be() -> None:
    table = clean().table.drop(columns=["label", "subtype"]).assign(a=[0, 1] * 240, b=1)
    cohort = Cohort(table, clean().images, "many findings", "CC0", findings=("a", "b"))
    report = audit_cohort(cohort)
    assert report.skipped["patients.mixed-labels"] == "needs one label an image"
    assert {"duplicates.exact", "splits.patients", "patients.several-images"} <= set(report.ran)
    cohort.images.pixels[7] = cohort.images.pixels[2]
    assert found(cohort, "duplicates.exact").severity == "error"
