"""The committed figures of the real sets: complete, sane, and what the sets give today."""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jupytext
import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom
from sklearn.utils.class_weight import compute_class_weight

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.notebook import real_results
from medclf_lite.sources import from_folder

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "book" / "real_results.json"
RESULTS = json.loads(FILE.read_text(encoding="utf-8"))
# What was known of the sets before these functions were written: value and tolerance.
KNOWN = {
    ("counts", "train_normal"): (1341, 0), ("counts", "train_pneumonia"): (3875, 0),
    ("counts", "val_normal"): (8, 0), ("counts", "val_pneumonia"): (8, 0),
    ("counts", "test_normal"): (234, 0), ("counts", "test_pneumonia"): (390, 0),
    ("patients", "train_tutorial"): (2976, 0), ("patients", "train_right"): (3654, 0),
    ("patients", "all_tutorial"): (3257, 0), ("patients", "all_right"): (4097, 0),
    ("patients", "normal_tutorial"): (1341, 0), ("patients", "normal_right"): (1211, 0),
    ("patients", "pneumonia_tutorial"): (1635, 0), ("patients", "pneumonia_right"): (2443, 0),
    ("patients", "ids_that_mix_subtypes"): (808, 0),
    ("patients", "most_images_of_one_patient"): (30, 0),
    ("duplicates", "groups"): (30, 0), ("duplicates", "images"): (62, 0),
    # A public repository's random 70/15/15 split: 333 of 879.
    ("image_split", "leaking_share_mean"): (333 / 879, 0.01),
    ("frozen", "cv_patient"): (0.9962, 0.001), ("frozen", "cv_image"): (0.9961, 0.001),
    ("frozen", "test"): (0.9624, 0.001),
    ("frozen", "test_when_folds_mix_both_sets"): (0.973, 0.004),
    ("frozen", "specificity_at_half"): (0.515, 0.015),
    ("frozen", "test_images"): (624, 0),
    ("pneumoniamnist", "val_matched"): (521, 0), ("pneumoniamnist", "val_leaking"): (222, 0),
    ("pneumoniamnist", "test_leaking"): (0, 0),
    ("nih", "images"): (112_120, 0), ("nih", "patients"): (30_805, 0),
    ("nih", "patients_with_more_than_one_image"): (13_302, 0), ("nih", "most_images"): (184, 0),
    ("nih", "patients_on_two_sides"): (0, 0),
    ("small_validation", "low"): (0.72, 0.03), ("small_validation", "high"): (1.0, 0),
}  # fmt: skip
SHORTCUTS = {
    "shortcuts_native": {
        "bytes": 0.9974, "bits per pixel": 0.9987, "height": 0.9244, "width": 0.8873,
        "aspect": 0.8751, "JPEG table": 0.9995, "mode": 0.5315,
    },
    "shortcuts_224": {"bytes": 0.889, "intensity sd": 0.697, "intensity mean": 0.469},
}  # fmt: skip
PRIVATE = re.compile(r"^/|(?i:\b[a-z]:\\)|/(home|root|tmp|work|Users)/|\.jpe?g")


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Walk to every number and text, with the keys that lead there."""
    if isinstance(node, dict | list):
        for key, below in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(below, (*path, str(key)))
    else:
        yield path, node


# What the chapters ask for


def asks(cell: str) -> bool:
    return "real_results(" in cell


def code_cells(text: str) -> list[str]:
    cells = jupytext.reads(text, fmt="md:myst").cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    return [re.sub(r"(?m)^\s*[%!].*$", "pass", cell) for cell in code]


def run_what_asks(text: str) -> dict[str, str]:
    """Run the cells of a chapter that ask for real figures, and return what they glue."""
    shown: dict[str, str] = {}
    cells = code_cells(text)
    names: dict[str, Any] = {}
    for cell in cells if any(map(asks, cells)) else []:
        imports = [n for n in ast.parse(cell).body if isinstance(n, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), "imports", "exec"), names)

    def glue(name: str, value: object, spec: str = "") -> None:
        shown[name] = format(value, spec)

    names |= {"real_results": lambda *keys: real_results(*keys, start=ROOT), "glue": glue}
    for cell in filter(asks, cells):
        exec(compile(cell, "cell", "exec"), names)
    return shown


def chapter(cell: str) -> str:
    return f"# A page\n\n```{{code-cell}} ipython3\n{cell}\n```\n"


@pytest.mark.parametrize("path", sorted((ROOT / "chapters").glob("*.md")), ids=lambda p: p.stem)
def test_every_figure_that_a_chapter_asks_for_is_there(path: Path) -> None:
    shown = run_what_asks(path.read_text(encoding="utf-8"))
    assert all(shown.values()), "a glued figure is empty"


def test_a_chapter_that_asks_for_more_is_noticed() -> None:
    known = 'for key in ("groups", "images"):\n    glue(key, real_results("duplicates", key), ",")'
    assert run_what_asks(chapter(known)) == {"groups": "30", "images": "62"}
    with pytest.raises(MedclfError, match="pairs"):
        run_what_asks(chapter(known.replace("groups", "pairs")))
    with pytest.raises(KeyError, match="gone"):
        run_what_asks(chapter('glue("x", real_results("frozen")["gone"], ".3f")'))


# The file by itself


@pytest.mark.parametrize(("path", "known"), KNOWN.items(), ids=lambda v: "-".join(map(str, v)))
def test_figures_are_those_known_of_the_sets(path, known) -> None:
    value, within = known
    assert real_results(*path, start=ROOT) == pytest.approx(value, abs=within, rel=0)


@pytest.mark.parametrize("name", SHORTCUTS)
def test_shortcuts_are_those_known_of_the_sets(name: str) -> None:
    found = {row["trait"]: row["auc"] for row in RESULTS[name]}
    known = SHORTCUTS[name]
    assert {t: found[t] for t in known} == pytest.approx(known, abs=0.001)


def test_intervals_hold_their_value_and_shares_lie_between_0_and_1() -> None:
    for row in RESULTS["shortcuts_224"] + RESULTS["shortcuts_native"]:
        assert 0 <= row["low"] <= row["auc"] <= row["high"] <= 1, row
    frozen, split = RESULTS["frozen"], RESULTS["image_split"]
    assert 0.5 < frozen["test_low"] < frozen["test"] < frozen["test_high"] < 1
    assert 0 < split["low"] < split["leaking_share_mean"] < split["high"] < 1
    for path, value in leaves(RESULTS):
        # Differences have a sign, and misses of a share are counted in images.
        is_other = {"difference", "against_frozen", "rare"} & set(path[:-1])
        if re.search(r"share|auc|cv_|chance|gap|^low$|^high$", path[-1]) and not is_other:
            assert 0 <= value <= 1, path


def test_a_mean_of_folds_is_the_mean_of_its_folds() -> None:
    for by in ("image", "patient"):
        folds = RESULTS["frozen"][f"cv_{by}_folds"]
        assert RESULTS["frozen"][f"cv_{by}"] == pytest.approx(np.mean(folds), abs=1e-12)


def test_reading_the_cache_is_faster_than_decoding() -> None:
    times = RESULTS["decoding"]
    assert 0 < times["cached_pass_seconds"] < times["first_pass_seconds"]


def test_images_of_one_number_and_subtype_are_neighbours_and_of_two_subtypes_are_not() -> None:
    who = RESULTS["who_is_who"]
    assert who["same_number_and_subtype"] > 50 * who["same_number_and_subtype_by_chance"]
    assert who["same_number_other_subtype"] < 0.002


def test_the_evaluation_of_the_official_test_part_hangs_together() -> None:
    found = RESULTS["evaluation"]
    every = {p[:-1]: v for p, v in leaves(found) if p[-1] == "value"}
    for path, value in every.items():
        node = found
        for key in path:
            node = node[key]
        assert 0 <= node["low"] <= value <= node["high"] <= 1, path
    ill = found["test"]["prevalence"]["value"]
    assert ill == pytest.approx(390 / 624, abs=1e-5)
    rules = [{"threshold": 0.5} | found["at_half"], *found["rules"].values()]
    for at in rules:
        sensitivity, specificity = at["sensitivity"]["value"], at["specificity"]["value"]
        alarms = ill * sensitivity + (1 - ill) * (1 - specificity)
        assert at["ppv"]["value"] == pytest.approx(ill * sensitivity / alarms, abs=1e-4)
        mean = (sensitivity + specificity) / 2
        assert at["balanced_accuracy"]["value"] == pytest.approx(mean, abs=1e-4)
        assert mean <= found["limit_on_test"]["balanced_accuracy"] + 1e-4
    rules.sort(key=lambda at: at["threshold"])
    for lower, higher in pairwise(rules):
        assert lower["sensitivity"]["value"] >= higher["sensitivity"]["value"]
        assert lower["specificity"]["value"] <= higher["specificity"]["value"]
    raw, auc = found["raw_pixels"], found["test"]["roc_auc"]["value"]
    assert raw["difference"] == pytest.approx(auc - raw["auc"], abs=1e-4)
    assert (raw["low"], raw["high"]) == pytest.approx(
        (raw["delong_low"], raw["delong_high"]), abs=0.005
    )


def test_the_weights_of_the_classes_are_those_of_scikit_learn() -> None:
    found = RESULTS["imbalance"]["weights"]
    labels = np.repeat([0, 1], [found["negatives"], found["positives"]])
    assert Counter(labels.tolist()) == {
        0: RESULTS["counts"]["train_normal"], 1: RESULTS["counts"]["train_pneumonia"],
    }  # fmt: skip
    normal, ill = compute_class_weight("balanced", classes=np.array([0, 1]), y=labels)
    told = found["tutorial_weight_normal"], found["tutorial_weight_pneumonia"]
    assert told == pytest.approx((normal, ill))
    assert told == pytest.approx((1.9448173, 0.6730323), abs=1e-7)  # what the tutorial printed
    assert found["right_pos_weight"] == pytest.approx(ill / normal)
    for key, weight in (("right", ill / normal), ("wrong", ill)):
        share = np.average(labels, weights=np.where(labels == 1, weight, 1))
        assert found[f"effective_prevalence_{key}"] == pytest.approx(share)


def test_what_was_seen_inside_hangs_together() -> None:
    found = RESULTS["inside"]
    at = (np.arange(224) + 0.5) / 224
    near = np.minimum(at, 1 - at)
    ring = np.mean([[y < 0.1 or x < 0.1 for x in near] for y in near])
    assert found["area"]["ring"] == pytest.approx(ring, abs=1e-4)
    assert found["area"]["corners"] == pytest.approx(np.mean(near < 0.2) ** 2, abs=1e-4)
    alarms = [found["true_alarms"], found["false_alarms"]]
    assert 0 < sum(a["images"] for a in alarms) < found["images"]
    for part in [row[k] for row in alarms for k in row if k != "images"]:
        assert 0 <= part["low"] <= part["value"] <= part["high"] <= 1
    covered = found["covered"]
    assert covered["nothing"]["low"] < RESULTS["frozen"]["test"] < covered["nothing"]["high"]
    assert covered["all_but_ring"]["high"] < covered["nothing"]["low"]
    assert all(abs(r) < 1 for draws in found["forgetting"].values() for r in draws)


def test_provenance_is_complete_and_nothing_private_is_in_the_file() -> None:
    origin = RESULTS["provenance"]
    assert re.fullmatch(r"[0-9a-f]{16}", origin["fingerprint"])
    assert {"numpy", "scikit-learn", "torch", "timm"} <= origin["versions"].keys()
    assert all(origin[k] for k in ("data", "command", "python", "machine", "cores", "seeds"))
    assert FILE.stat().st_size < 45_000, "figures only, no rows of images"
    assert not [path for path, value in leaves(RESULTS) if PRIVATE.search(str(value))]


@pytest.mark.parametrize("planted", ["/data/set", "C:\\data", "in /home/me/set", "a/b_1.jpeg"])
def test_a_path_or_file_name_among_the_figures_is_noticed(planted: str) -> None:
    found = leaves({"provenance": {"data": [planted]}})
    assert [p for p, value in found if PRIVATE.search(value)] == [("provenance", "data", "0")]


# The sets themselves


@pytest.fixture(scope="module")
def cohort(real_data: Path) -> Cohort:
    return from_folder(real_data / "chest_xray_224" / "chest_xray", jobs=2)


@pytest.fixture(scope="module")
def counting() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("real_counts")


def expected_leak(patients: np.ndarray, train: float = 0.7) -> float:
    """Share of test images with another image of their patient in train, by probability."""
    n = len(patients)
    images = np.unique(patients, return_counts=True)[1]
    none = hypergeom(n - 1, int(train * n), images - 1).pmf(0)
    return float((images * (1 - none)).sum() / n)


@pytest.mark.real
def test_the_figures_are_of_this_very_set(cohort) -> None:
    assert cohort.fingerprint == RESULTS["provenance"]["fingerprint"]


@pytest.mark.real
def test_images_copies_and_patients_counted_from_names_and_bytes_alone(real_data) -> None:
    files = sorted((real_data / "chest_xray_224" / "chest_xray").rglob("*.jpeg"))
    sides = Counter("_".join(f.parts[-3:-1]).lower() for f in files)
    assert sides == RESULTS["counts"]
    same = Counter(hashlib.sha256(f.read_bytes()).hexdigest() for f in files)
    sizes = [k for k in same.values() if k > 1]
    assert {"groups": len(sizes), "images": sum(sizes)} == RESULTS["duplicates"]
    rule = re.compile(r"person\d+_(bacteria|virus)|(NORMAL2-)?IM-\d+")
    people = Counter(rule.match(f.name)[0] for f in files if "train" in f.parts)
    found = RESULTS["patients"]
    assert len(people) == found["train_right"]
    tested = {rule.match(f.name)[0] for f in files if "test" in f.parts}
    assert len(tested) == RESULTS["evaluation"]["test_patients"]
    for kind, figures in RESULTS["evaluation"]["subtypes"].items():
        assert sum(p.endswith(kind) for p in tested) == figures["patients"]
    assert sum("person" in p for p in people) == found["pneumonia_right"]
    once = sum(k == 1 for p, k in people.items() if "person" in p)
    assert once == found["pneumonia_patients_with_one_image"]


@pytest.mark.real
@pytest.mark.parametrize("name", ["patients", "image_split", "tutorial_split"])
def test_counts_computed_today_are_the_same(cohort, counting, name: str) -> None:
    assert getattr(counting, name)(cohort) == pytest.approx(RESULTS[name], abs=1e-9)


@pytest.mark.real
def test_a_random_split_leaks_as_much_as_probability_says(cohort) -> None:
    expected = expected_leak(cohort.patients)
    assert RESULTS["image_split"]["leaking_share_mean"] == pytest.approx(expected, abs=0.01)


@pytest.mark.real
def test_native_shortcuts_computed_today_are_the_same(real_data, counting) -> None:
    facts = pd.read_csv(real_data / "chest_xray_native_sample" / "native_facts_1566.csv")
    for today, kept in zip(
        counting.native_shortcuts(facts), RESULTS["shortcuts_native"], strict=True
    ):
        assert today == pytest.approx(kept, abs=1e-3)


@pytest.mark.real
def test_figures_of_the_other_sets_computed_today_are_the_same(real_data, counting) -> None:
    matches = real_data / "pneumoniamnist" / "match_to_kaggle_names.csv"
    assert counting.pneumoniamnist(matches) == RESULTS["pneumoniamnist"]
    today = counting.nih(real_data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz")
    kept = {k: v for k, v in RESULTS["nih"].items() if "seconds" not in k}
    assert {k: today[k] for k in kept} == pytest.approx(kept, abs=1e-9)
    csv = pd.read_csv(real_data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz")
    expected = expected_leak(csv["Patient ID"].to_numpy())
    assert kept["image_split_leaking_share"] == pytest.approx(expected, abs=0.01)


@pytest.mark.real
def test_the_images_looked_into_are_drawn_from_the_official_test_part(cohort) -> None:
    test = np.flatnonzero(cohort.table["split"] == "test")
    rows = np.random.default_rng(0).choice(test, RESULTS["inside"]["images"], replace=False)
    assert len(set(cohort.patients[rows])) == RESULTS["inside"]["patients"]


@pytest.mark.real
def test_the_weights_computed_today_are_the_same(cohort, counting) -> None:
    weights = importlib.import_module("real_imbalance").weights
    today = weights(cohort.part("train").labels)
    assert today == pytest.approx(RESULTS["imbalance"]["weights"], abs=1e-9)


# What was measured for chapters 4, 7, 9, 10 and 12, and the fine-tuned network


def test_calibration_in_validation_says_nothing_of_the_test() -> None:
    found = RESULTS["calibration"]
    assert found["val"]["ece_high"] < found["test"]["ece_low"]
    for side in ("val", "test", "test_after"):
        assert 0 <= found[side]["ece_low"] <= found[side]["ece"] <= found[side]["ece_high"] <= 1
    # A temperature changes no order.
    assert found["test"]["roc_auc"] == pytest.approx(found["test_after"]["roc_auc"], abs=1e-12)
    ill = found["test"]["prevalence"]
    for row in found["net_benefit"]:
        odds = row["threshold"] / (1 - row["threshold"])
        assert row["treat_all"] == pytest.approx(ill - (1 - ill) * odds)
        assert row["model"] <= ill


def test_cross_validation_and_the_test_are_those_of_the_frozen_features() -> None:
    found = RESULTS["cross_validation"]
    assert found["patient"]["mean"] == pytest.approx(RESULTS["frozen"]["cv_patient"], abs=0.001)
    assert found["test"]["value"] == pytest.approx(RESULTS["frozen"]["test"], abs=0.002)
    gap = found["difference"]
    assert gap["value"] == pytest.approx(found["pooled"]["value"] - found["test"]["value"])
    assert gap["low"] < gap["value"] < gap["high"]
    for by in ("patient", "image"):
        assert found[by]["worst_fold"] <= found[by]["mean"] <= found[by]["best_fold"]


def test_learning_curves_rise_and_features_beat_pixels_on_the_test() -> None:
    found = RESULTS["transfer"]
    sizes = list(map(str, found["sizes"]))
    for way in ("frozen", "pixels"):
        assert found[way][sizes[-1]]["test"] > found[way][sizes[0]]["test"]
    assert all(found["frozen"][n]["test"] > found["pixels"][n]["test"] for n in sizes)


def test_shortcuts_on_the_test_are_those_known_of_the_set() -> None:
    found = RESULTS["shortcuts"]["on_test"]
    assert found["bytes"]["auc"] == pytest.approx(0.834, abs=0.001)
    assert found["8 x 8 pixels"]["auc"] == pytest.approx(0.885, abs=0.005)
    for rows in (found, RESULTS["shortcuts"]["in_train"]):
        for row in rows.values():
            assert 0 <= row["low"] <= row["auc"] <= row["high"] <= 1


def test_the_fine_tuned_network_passes_the_bar_that_was_set_for_it() -> None:
    found = RESULTS["fine_tuning"]
    assert found["test"] >= 0.975
    assert found["minutes"] < 30
    assert found["test_low"] < found["test"] < found["test_high"]
    assert found["figures"]["roc_auc"]["value"] == pytest.approx(found["test"])
    assert found["test_images"] == 624
    best = max(epoch["val_auc"] for epoch in found["epochs"])
    assert found["val"] == pytest.approx(best, abs=1e-4), "the epoch was chosen on validation"
    by = found["by_augmentation"]
    assert by["acquisition"]["test"] > by["pose"]["test"] > by["none"]["test"]
    assert len(by["acquisition"]["tests"]) == by["acquisition"]["seeds"]


@pytest.mark.real
def test_the_numbers_in_the_names_of_normals_are_as_told(cohort) -> None:
    normal = cohort.table[cohort.labels == 0]
    number = normal["image_id"].str.extract(r"IM-(\d+)")[0].astype(int)
    is_second = normal["image_id"].str.contains("NORMAL2")
    is_test = normal["split"] == "test"
    for name, rows in (("IM", ~is_second), ("NORMAL2", is_second)):
        found = RESULTS["shortcuts"]["numbers"][name]
        assert number[rows & is_test].max() == found["test_most"]
        assert number[rows & ~is_test].min() == found["train_least"]
        assert found["test_most"] < found["train_least"]


@pytest.mark.real
def test_rare_findings_are_counted_as_today(real_data, counting) -> None:
    from medclf_lite.sources import from_nih

    nih = from_nih(real_data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz")
    labels = importlib.import_module("real_labels")
    assert labels.several_findings(nih) == RESULTS["labels"]["nih"]


def test_the_audits_of_the_real_sets_say_what_is_known_of_them() -> None:
    of = {name: {f["id"]: f for f in RESULTS["audit"][name]["findings"]}
          for name in ("chest_xray_224", "native_sample", "pneumoniamnist")}  # fmt: skip
    small = of["chest_xray_224"]
    assert "30 groups of 62 images" in small["duplicates.exact"]["seen"]
    assert "1 under several patients" in small["duplicates.exact"]["seen"]
    assert not {"duplicates.near", "duplicates.pixels", "splits.copies"} & small.keys()
    assert "bytes 0.889" in small["shortcuts.files"]["seen"]
    assert "726 patients of 4,097" in small["patients.several-images"]["seen"]
    native = of["native_sample"]
    assert native["shortcuts.files"]["severity"] == "error"
    modes = [f["seen"] for f in RESULTS["audit"]["native_sample"]["findings"]
             if f["id"] == "files.mode"]  # fmt: skip
    assert any("329 L, 31 RGB" in seen for seen in modes)
    assert "duplicates.near" not in native
    assert of["pneumoniamnist"]["splits.copies"]["severity"] == "error"
    assert RESULTS["audit"]["tutorial"]["n_faults"] >= 28
