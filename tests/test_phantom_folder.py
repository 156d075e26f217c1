"""The phantom as files: a folder that could be the Kaggle set, and all that the names tell."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import roc_auc_score

from medclf_lite import audit, sources, splits
from medclf_lite.errors import MedclfError
from medclf_lite.patients import patient_ids, subtypes
from medclf_lite.phantom import Phantom, PhantomSpec, generate, write_folder
from medclf_lite.phantom.folder import NATIVE_SIDE, plan
from medclf_lite.phantom.population import draw_population
from medclf_lite.phantom.projection import Grid

CLASSES = ("NORMAL", "PNEUMONIA")
SPEC = PhantomSpec(n_patients=150, seed=31, size=64)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate(SPEC)


@pytest.fixture(scope="module")
def folder(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(phantom, tmp_path_factory.mktemp("phantom"))


def contents(place: Path) -> dict[str, bytes]:
    files = (p for p in place.rglob("*") if p.is_file())
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in files}


def planned(**options: object) -> pd.DataFrame:
    spec = PhantomSpec(**options)
    return plan(draw_population(spec), spec.seed, CLASSES)


# --- names and sides ------------------------------------------------------------------------

cohorts = st.builds(
    dict,
    n_patients=st.integers(25, 150),
    seed=st.integers(0, 9999),
    images_per_patient=st.sampled_from([1, 3, 12, "kaggle"]),
    prevalence=st.floats(0.3, 0.7),
    bacteria_share=st.floats(0, 1),
)


@given(options=cohorts)
@settings(max_examples=40, deadline=None)
def test_the_right_rule_gives_back_exactly_the_patients(options: dict) -> None:
    rows = planned(**options)
    assert rows["file"].is_unique
    right = pd.Series(patient_ids(rows["file"].tolist(), "kaggle"))
    assert (right.groupby(rows["patient"]).nunique() == 1).all()
    assert (rows["patient"].groupby(right).nunique() == 1).all()
    assert subtypes(rows["file"].tolist()) == rows["subtype"].tolist()


@given(options=cohorts)
@settings(max_examples=40, deadline=None)
def test_a_patient_is_on_one_side_and_each_side_has_both_classes(options: dict) -> None:
    rows = planned(**options)
    assert (rows.groupby("patient")["home"].nunique() == 1).all()
    images = rows.groupby(["side", "label"]).size().unstack()
    assert set(images.index) == {"train", "val", "test"}
    assert images.notna().all(axis=None)
    each = options["images_per_patient"]
    assert images.loc["val"].max() <= (12 if each == 12 else 8)
    expected = rows["side"] + "/" + rows["label"].map(dict(enumerate(CLASSES)))
    assert (rows["home"] == expected).all()


@given(options=cohorts)
@settings(max_examples=20, deadline=None)
def test_the_side_of_a_patient_does_not_depend_on_the_order_of_the_rows(options: dict) -> None:
    spec = PhantomSpec(**options)
    table = draw_population(spec)
    mixed = plan(table.sample(frac=1, random_state=0), spec.seed, CLASSES)
    usual = plan(table, spec.seed, CLASSES)
    sides = [
        rows.drop_duplicates("patient").set_index("patient")["side"] for rows in (usual, mixed)
    ]
    pd.testing.assert_series_equal(*sides, check_like=True)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_val_has_8_and_8_images_and_test_the_share_of_the_kaggle_set(seed: int) -> None:
    rows = planned(n_patients=600, seed=seed)
    images = rows.groupby(["side", "label"]).size()
    assert images["val"].tolist() == [8, 8]
    people = rows.drop_duplicates("patient")
    in_test = (people["side"] == "test").groupby(people["label"]).mean()
    assert in_test.to_numpy() == pytest.approx([225 / 1444, 203 / 2653], abs=0.005)
    assert (people["side"] == "test").mean() == pytest.approx(0.104, abs=0.01)


def test_another_seed_puts_other_patients_into_the_test_part() -> None:
    one, other = (set(planned(seed=s).query("side == 'test'")["patient"]) for s in (1, 2))
    assert len(one & other) < 0.5 * len(one)


def test_every_pattern_of_names_in_the_kaggle_set_occurs() -> None:
    names = planned(n_patients=400)["file"]
    for pattern in (
        r"IM-\d{4}-0001\.jpeg", r"IM-\d{4}-0001-\d{4}\.jpeg", r"NORMAL2-IM-\d{4}-0001\.jpeg",
        r"NORMAL2-IM-\d{4}-0001-\d{4}\.jpeg", r"person\d+_bacteria_\d+\.jpeg",
        r"person\d+_virus_\d+\.jpeg", r"person\d+_bacteria_\d+_1\.jpeg",
    ):  # fmt: skip
        assert names.str.fullmatch(pattern).any(), pattern


@pytest.mark.parametrize(("n_patients", "prevalence"), [(5, 0.5), (100, 1.0), (100, 0.0)])
def test_a_cohort_without_enough_of_a_class_is_refused(
    n_patients: int, prevalence: float, tmp_path: Path
) -> None:
    spec = PhantomSpec(n_patients=n_patients, prevalence=prevalence, size=32, images_per_patient=1)
    with pytest.raises(MedclfError, match=r"\d patients of (NORMAL|PNEUMONIA)"):
        write_folder(generate(spec), tmp_path / "files")
    assert not list(tmp_path.iterdir())


# --- the files ------------------------------------------------------------------------------


def test_every_file_is_in_the_cohort_and_none_is_left_out(phantom: Phantom, folder: Path) -> None:
    cohort = sources.from_folder(folder)
    assert len(cohort) == len(phantom)
    assert len(cohort.left_out) == 0
    assert cohort.n_patients == phantom.cohort.n_patients
    assert set(cohort.table["extension"]) == {".jpeg"}
    beside = sources.from_folder(folder.parent).left_out
    assert beside["path"].tolist() == ["../phantom.csv"]


def test_files_have_the_traits_that_the_tables_promise(phantom: Phantom, folder: Path) -> None:
    tables = {}
    rows = plan(phantom._artist.table, SPEC.seed, CLASSES)
    for row in rows.itertuples():
        with Image.open(folder / row.home / row.file) as image:
            scale = SPEC.size / NATIVE_SIDE
            assert image.size == (round(row.width * scale), round(row.height * scale))
            assert image.mode == row.mode
            tables.setdefault(row.jpeg_quality, set()).add(tuple(image.quantization[0]))
            grey = np.asarray(image)
            assert grey.ndim == 2 or (grey == grey[..., :1]).all()
    assert {len(found) for found in tables.values()} == {1}
    assert len(set.union(*tables.values())) == len(tables) >= 2
    assert (rows["mode"] == "RGB").any()


def test_each_file_shows_the_study_that_its_row_names(phantom: Phantom, folder: Path) -> None:
    rows = plan(phantom._artist.table, SPEC.seed, CLASSES)
    for i in range(0, len(rows), 10):
        shown = np.asarray(Image.open(folder / rows["home"][i] / rows["file"][i]).convert("L"))
        grid = Grid.with_aspect(*shown.shape)
        both = np.array([i, (i + len(rows) // 2) % len(rows)])
        own, other = np.abs(phantom._artist.draw(both, grid) - shown.astype(float)).mean((1, 2))
        assert own < other / 2


def test_height_and_bytes_predict_the_label_only_if_confounded(
    folder: Path, tmp_path: Path
) -> None:
    spec = PhantomSpec(n_patients=300, size=48, seed=5, images_per_patient=1, file_confounding=0.0)
    calm = sources.from_folder(write_folder(generate(spec), tmp_path)).table
    told = sources.from_folder(folder).table
    for trait in ("height", "width", "n_bytes"):
        assert roc_auc_score(told["label"] == 0, told[trait]) > 0.8, trait
        assert abs(roc_auc_score(calm["label"] == 0, calm[trait]) - 0.5) < 0.1, trait


def test_two_writings_give_the_same_bytes(phantom: Phantom, folder: Path, tmp_path: Path) -> None:
    again = write_folder(generate(SPEC), tmp_path / "new" / "place")
    assert contents(again.parent) == contents(folder.parent)


def test_small_phantoms_of_every_site_can_be_written(tmp_path: Path) -> None:
    spec = PhantomSpec(n_patients=30, size=32, sites=("A", "B", "C"), portable_marker=(0.5, 0.5))
    cohort = sources.from_folder(write_folder(generate(spec), tmp_path))
    assert cohort.n_patients == 30
    assert cohort.table["height"].min() > 8


# --- what the table beside the folder adds --------------------------------------------------


def test_the_table_gives_patients_sites_and_dates_to_the_files(
    phantom: Phantom, folder: Path
) -> None:
    known = sources.from_folder(folder, patients=folder.parent / "phantom.csv")
    by_name = sources.from_folder(folder)
    assert len(pd.unique(by_name.table["patient_id"] + known.table["patient_id"])) == 150
    assert (known.labels == by_name.labels).all()
    truth = phantom.cohort.table.set_index("image_id").loc[known.table["phantom_image"]]
    for column in ("patient_id", "label", "subtype", "site", "view", "age", "sex", "follow_up"):
        assert known.table[column].tolist() == truth[column].tolist(), column
    assert (pd.to_datetime(known.table["date"]).to_numpy() == truth["date"].to_numpy()).all()


def test_the_joined_cohort_can_be_divided_by_date_and_by_site(folder: Path) -> None:
    known = sources.from_folder(folder, patients=folder.parent / "phantom.csv")
    by_date = splits.split_by_date(known)
    assert set(by_date.table["split"]) == {"train", "val", "test"}
    by_site = splits.hold_out_site(known, "B")
    assert set(by_site.part("test").table["site"]) == {"B"}


@pytest.mark.parametrize("seed", [31, 1, 2, 3])
def test_the_audit_sees_both_faults_of_the_tutorials_rule(seed: int, tmp_path: Path) -> None:
    spec = PhantomSpec(n_patients=150, seed=seed, size=32)
    where = write_folder(generate(spec), tmp_path)
    wrong = sources.from_folder(where, patients="tutorial")
    found = {f.id for f in audit.audit_cohort(wrong, only=["patients"]).findings}
    assert {"patients.id-rule", "patients.mixed-subtypes"} <= found
    right = audit.audit_cohort(sources.from_folder(where), only=["patients"]).findings
    assert {f.id for f in right} == {"patients.several-images"}


# --- what must not happen -------------------------------------------------------------------


@pytest.mark.parametrize("there", ["folder", "file", "dangling link", "table"])
def test_nothing_is_overwritten(there: str, phantom: Phantom, tmp_path: Path) -> None:
    target = tmp_path / ("phantom.csv" if there == "table" else "chest_xray")
    if there == "folder":
        target.mkdir()
    elif there == "dangling link":
        target.symlink_to(tmp_path / "nowhere")
    else:
        target.write_text("mine")
    with pytest.raises(MedclfError, match="there already"):
        write_folder(phantom, tmp_path)
    assert list(tmp_path.iterdir()) == [target]
    assert target.is_dir() or target.is_symlink() or target.read_text() == "mine"


def test_a_place_that_is_a_file_is_refused(phantom: Phantom, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for place in (tmp_path / "notes.txt", tmp_path / "notes.txt" / "below"):
        with pytest.raises(MedclfError, match="cannot be written"):
            write_folder(phantom, place)


@pytest.mark.parametrize(
    "end", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_when_writing_stops_half_way_nothing_is_left(
    end: BaseException, phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, written = Image.Image.save, []

    def stop(self: Image.Image, *args: object, **options: object) -> None:
        if len(written) == 20:
            raise end
        written.append(args)
        save(self, *args, **options)

    monkeypatch.setattr(Image.Image, "save", stop)
    expected = MedclfError if isinstance(end, OSError) else KeyboardInterrupt
    with pytest.raises(expected, match="No space left" if expected is MedclfError else None):
        write_folder(phantom, tmp_path)
    assert len(written) == 20
    assert not list(tmp_path.iterdir())
