"""The audit of the real chest X-ray set gives the figures that are known of it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medclf_lite.audit import Report, audit_cohort, probe_traits
from medclf_lite.audit.copies import close_pairs, exact_groups, perceptual_hashes
from medclf_lite.cohort import Cohort
from medclf_lite.images import load_pixels
from medclf_lite.sources import from_folder

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def cohort(real_data: Path) -> Cohort:
    return from_folder(real_data / "chest_xray_224")


@pytest.fixture(scope="module")
def pixels(cohort: Cohort) -> np.ndarray:
    return load_pixels(cohort, 224, fit="squash", jobs=2)


@pytest.fixture(scope="module")
def report(cohort: Cohort, pixels) -> Report:
    return audit_cohort(cohort, pixels=pixels, jobs=2)


@pytest.fixture(scope="module")
def native_facts(real_data: Path) -> pd.DataFrame:
    return pd.read_csv(real_data / "chest_xray_native_sample" / "native_facts_1566.csv")


def aucs(cohort: Cohort, **options) -> pd.Series:
    return probe_traits(cohort, resamples=20, **options).set_index("trait")["auc"]


def agree(found: pd.Series, known: dict[str, float], within: float = 0.001) -> None:
    assert found[[*known]].to_dict() == pytest.approx(known, abs=within)


# Copies


def test_the_set_has_thirty_groups_of_exact_copies(cohort, report) -> None:
    groups = exact_groups(cohort)
    assert (len(groups), sum(map(len, groups))) == (30, 62)
    by_id = {f.id: f for f in report.findings}
    assert by_id["duplicates.exact"].severity == "warning", "none across splits or labels"
    assert "1 under several patients" in by_id["duplicates.exact"].seen
    assert "NORMAL2-IM-0095-0001" in by_id["duplicates.exact"].examples[0].text
    assert "NORMAL2-IM-0096-0001" in by_id["duplicates.exact"].examples[0].text
    assert not {"duplicates.pixels", "duplicates.near", "splits.copies"} & by_id.keys()


def test_short_perceptual_hashes_give_false_alarms_and_long_ones_only_the_copies(
    cohort, pixels
) -> None:
    hashed = [imagehash.phash(Image.fromarray(p), hash_size=8).hash.ravel() for p in pixels]
    short = close_pairs(np.packbits(np.array(hashed), axis=1).view(np.uint64), 4)
    differs = [
        (of[short[:, 0]] != of[short[:, 1]]).sum() for of in (cohort.patients, cohort.labels)
    ]
    assert (len(short), *differs) == (250, 217, 39)
    long = close_pairs(perceptual_hashes(pixels), 24)
    copies = {pair for group in exact_groups(cohort) for pair in combinations(group, 2)}
    assert set(map(tuple, long.tolist())) == copies


# Patients


def test_by_number_and_subtype_no_patient_is_on_two_sides(report) -> None:
    ids = {f.id for f in report.findings}
    assert not ids & {"splits.patients", "patients.id-rule", "patients.mixed-subtypes"}


def test_the_tutorials_rule_is_caught(real_data) -> None:
    wrong = from_folder(real_data / "chest_xray_224", patients="tutorial")
    found = {f.id: f for f in audit_cohort(wrong, only=["patients", "splits.patients"]).findings}
    assert "patients.id-rule" in found
    assert found["patients.mixed-subtypes"].count == 979
    assert found["splits.patients"].count == 170


# Shortcuts


def test_shortcuts_at_224_pixels(cohort, pixels) -> None:
    known = {"bytes": 0.889, "intensity sd": 0.697, "intensity mean": 0.469}
    agree(aucs(cohort, pixels=pixels), known)


def test_shortcuts_carry_over_to_the_official_test(cohort, pixels) -> None:
    kept = (cohort.table["split"] != "val").to_numpy()
    found = aucs(cohort.take(kept), pixels=pixels[kept], test="test")
    agree(found, {"bytes": 0.834})
    # Of our seventh of the side; other widths are measured below.
    agree(found, {"border ring": 0.814, "four corners": 0.808}, within=0.005)


@pytest.mark.parametrize(
    ("grid", "part", "auc", "within"),
    [
        (56, "ring", 0.837, 0.002),
        (56, "corners", 0.820, 0.010),
        (8, "all", 0.885, 0.002),
        (14, "all", 0.909, 0.002),
    ],
)
def test_coarse_pixels_borders_and_corners_tell_the_label_of_the_test_set(
    cohort, pixels, grid, part, auc, within
) -> None:
    small = np.array([
        np.asarray(Image.fromarray(p).resize((grid, grid), Image.Resampling.BOX)) for p in pixels
    ], dtype=float)  # fmt: skip
    inside = np.zeros((grid, grid), bool)
    inside[4:-4, 4:-4] = True
    edge = np.abs(np.arange(grid) - (grid - 1) / 2) > grid / 2 - 8
    shown = {"ring": ~inside, "corners": np.outer(edge, edge), "all": np.ones_like(inside)}[part]
    x, y, split = small[:, shown], cohort.labels, cohort.table["split"].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model.fit(x[split == "train"], y[split == "train"])
    scores = model.predict_proba(x[split == "test"])[:, 1]
    truth = y[split == "test"]
    assert roc_auc_score(truth, scores) == pytest.approx(auc, abs=within)
    if grid == 8:
        assert (scores[truth == 0] < 0.5).mean() == pytest.approx(0.35, abs=0.01)


def native_cohort(facts: pd.DataFrame) -> Cohort:
    table = pd.DataFrame({
        "image_id": facts["name"], "patient_id": facts["patient"],
        "label": (facts["cls"] == "PNEUMONIA").astype(int), "n_bytes": facts["bytes"],
        "width": facts["w"], "height": facts["h"], "mode": facts["mode"],
        "compression": facts["lum_qtable_sum"],
    })  # fmt: skip
    return Cohort(table, None, "native facts", "CC BY 4.0")


def test_shortcuts_of_1566_native_files(native_facts) -> None:
    cohort = native_cohort(native_facts)
    known = {
        "bytes": 0.997, "bits per pixel": 0.999, "height": 0.924, "width": 0.887,
        "aspect": 0.875, "mode": 0.531, "JPEG table": 0.9995,
    }  # fmt: skip
    agree(aucs(cohort), known)
    (finding,) = audit_cohort(cohort, only=["shortcuts.files"]).findings
    assert finding.severity == "error"


def test_one_fixed_rule_on_the_jpeg_table_needs_no_fit(native_facts) -> None:
    ill = native_facts["cls"] == "PNEUMONIA"
    assert round(roc_auc_score(ill, native_facts["lum_qtable_sum"]), 4) == 0.9996
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    spread = native_facts[["std"]]
    scores = cross_val_predict(
        model, spread, ill, groups=native_facts["patient"], cv=folds, method="predict_proba"
    )
    assert roc_auc_score(ill, scores[:, 1]) == pytest.approx(0.713, abs=0.002)


def test_native_normals_are_grey_and_85_of_pneumonia_are_stored_as_colour(native_facts) -> None:
    assert native_facts.groupby(["cls", "mode"]).size().to_dict() == {
        ("NORMAL", "L"): 403, ("PNEUMONIA", "L"): 1078, ("PNEUMONIA", "RGB"): 85,
    }  # fmt: skip


def test_the_native_sample_gives_itself_away(real_data) -> None:
    sample = from_folder(real_data / "chest_xray_native_sample")
    found = aucs(sample)
    assert found[["bytes", "bits per pixel", "JPEG table"]].min() > 0.99
    agree(found, {"height": 0.930, "width": 0.892, "aspect": 0.878, "intensity sd": 0.751})
    by_id = {f.id: f for f in audit_cohort(sample, only=["files", "shortcuts"]).findings}
    assert by_id["shortcuts.files"].severity == "error"
    assert by_id["files.mode"].count == 31, "as many RGB files hold grey"
