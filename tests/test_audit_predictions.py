"""The audit of predictions, figures and splits: each fault is planted in three ways."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pipelines import ArraySet, FolderSet, arrays, caught, silent, tensors, write_folder
from sklearn.metrics import f1_score, roc_curve
from torch.utils.data import DataLoader, TensorDataset

from medclf_lite.audit import check
from medclf_lite.errors import MedclfError
from medclf_lite.metrics import choose_threshold
from medclf_lite.predictions import Predictions


def made(n: int = 400, seed: int = 0, gap: float = 1.5, each: int = 1) -> pd.DataFrame:
    """Calibrated scores of n images, ``each`` a patient."""
    rng = np.random.default_rng(seed)
    label = np.repeat(rng.random(n // each) < 0.5, each).astype(int)
    logit = gap * rng.normal(size=n) + gap**2 * (label - 0.5)  # its own log odds ratio
    return pd.DataFrame({
        "image_id": [f"i{i}" for i in range(n)], "patient_id": [f"p{i // each}" for i in range(n)],
        "label": label, "score": 1 / (1 + np.exp(-logit)),
    })  # fmt: skip


# F01: rows


def test_f01_predictions_that_are_too_few(tmp_path: Path) -> None:
    class Short(FolderSet):
        def __len__(self) -> int:
            return 16

    root = write_folder(tmp_path)
    plants = (
        (Short(root / "test"), made(16)),
        (TensorDataset(*tensors("test")), made(32)),
        (DataLoader(ArraySet(*arrays("test")), batch_size=16, drop_last=True), made(32)),
    )
    for test, predictions in plants:
        caught("predictions.rows", "error", test=test, predictions=predictions)
    assert silent("predictions.rows", test=FolderSet(root / "test"), predictions=made(40))


# F24: where the threshold comes from


def by_youden(table: pd.DataFrame) -> float:
    fpr, tpr, cuts = roc_curve(table["label"], table["score"])
    return float(cuts[(tpr - fpr).argmax()])


def by_f1_on_a_grid(table: pd.DataFrame) -> float:
    grid = np.arange(0.1, 1, 0.1)
    values = [f1_score(table["label"], table["score"] >= t) for t in grid]
    return float(grid[int(np.argmax(values))])


def by_accuracy(table: pd.DataFrame) -> float:
    grid = np.linspace(0.01, 0.99, 99)
    return float(max(grid, key=lambda t: ((table["score"] >= t) == table["label"]).mean()))


@pytest.mark.parametrize(
    ("choose", "severity"),
    [(by_youden, "error"), (by_f1_on_a_grid, "warning"), (by_accuracy, "warning")],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_f24_a_threshold_chosen_on_test(choose, severity, seed) -> None:
    # Few images: the best on one side is then rarely the best on the other.
    test, val = made(60, seed), made(60, seed + 50)
    value = choose(test)
    if value in (0.5, choose(val)):
        pytest.skip("the best threshold is the same on both sides, or the convention")
    given = {"predictions": test, "val_predictions": val, "threshold": value}
    caught("predictions.threshold", severity, **given)
    given["predictions"], given["val_predictions"] = val, test
    assert silent("predictions.threshold", **given)


def test_f24_a_threshold_from_validation_is_rarely_taken_for_one_from_test() -> None:
    alarms = 0
    for seed in range(40):
        test, val = made(200, seed), made(200, seed + 500)
        report = check(only=["predictions.threshold"], predictions=test, val_predictions=val,
                       threshold=by_youden(val))  # fmt: skip
        alarms += any(f.severity != "note" for f in report.findings)
    assert alarms <= 1


def test_f24_without_validation_a_grid_is_no_proof() -> None:
    test = made(60, 3)
    value = by_youden(test)
    caught("predictions.threshold", "error", predictions=test, threshold=value)
    assert silent("predictions.threshold", predictions=test, threshold=0.5)
    for seed in range(8, 14):
        table = made(400, seed)
        coarse = by_f1_on_a_grid(table)
        found = check(only=["predictions.threshold"], predictions=table, threshold=coarse)
        assert {f.severity for f in found.findings} == (set() if coarse == 0.5 else {"note"})


def test_f24_a_threshold_that_knows_its_origin_is_judged_by_it() -> None:
    test, val = (Predictions(made(120, seed)) for seed in (3, 4))
    moved = val.table.assign(image_id="v" + val.table["image_id"])
    for chosen, severities in (
        (choose_threshold(test), {"error"}),
        (choose_threshold(Predictions(moved)), set()),
    ):
        found = check(only=["predictions.threshold"], predictions=test, threshold=chosen)
        assert {f.severity for f in found.findings} == severities
    assert (
        "120 images of 120"
        in caught(
            "predictions.threshold", "error", predictions=test, threshold=choose_threshold(test)
        ).seen
    )


@pytest.mark.parametrize("value", [0.3, 0.37, 0.6])
def test_f24_a_threshold_fixed_beforehand_is_never_an_error(value) -> None:
    found = []
    for seed in range(40):
        report = check(only=["predictions.threshold"], predictions=made(200, seed),
                       val_predictions=made(200, seed + 90), threshold=value)  # fmt: skip
        found += [f.severity for f in report.findings]
    assert "error" not in found
    assert len(found) <= 16


# F25, F26, F39: what is reported


@pytest.mark.parametrize(
    "figures",
    [
        {"auc": 0.95, "accuracy": 0.9},
        pd.DataFrame({"figure": ["AUC-ROC"], "value": [0.9531]}),
        pd.Series({"roc_auc": 0.9}, name="value").to_frame(),
    ],
    ids=["mapping", "table", "series"],
)
def test_f25_figures_without_an_interval(figures) -> None:
    assert caught("predictions.interval", "warning", figures=figures, predictions=made(16)).count
    assert caught("predictions.figures", "note", figures=figures)


def test_f25_figures_with_intervals_are_fine() -> None:
    names = ("auc", "sensitivity", "specificity", "average precision", "prevalence", "Brier")
    figures = {name: (0.9, 0.8, 0.95) for name in names}
    assert silent("predictions.interval", figures=figures)
    assert silent("predictions.figures", figures=figures)


@pytest.mark.parametrize("lacking", ["sensitivity", "average precision", "brier"])
def test_f26_f39_f40_a_figure_that_is_missing_is_named(lacking) -> None:
    full = ("auc", "sensitivity", "specificity", "average precision", "prevalence", "brier")
    figures = {name: 0.9 for name in full if name != lacking}
    finding = caught("predictions.figures", "note", figures=figures)
    words = {"average precision": "precision-recall", "brier": "calibration"}
    assert words.get(lacking, lacking) in finding.seen
    assert finding.count == 1


def test_a_reported_auc_is_held_against_the_predictions() -> None:
    caught("predictions.claims", "error", predictions=made(), figures={"ROC-AUC": 0.999})
    value = check(predictions=made(), figures={"auc": 0.5}, only=["predictions.interval"])
    told = float(value.findings[0].seen.split("ROC-AUC ")[1][:5])
    assert silent("predictions.claims", predictions=made(), figures={"auc": told})


# F27, F29: folds


@pytest.mark.parametrize("plant", ["frame", "object", "columns"])
def test_f27_patients_in_several_folds(plant, tmp_path) -> None:
    table = made(each=2).assign(fold=np.arange(400) % 5)
    given = {
        "frame": lambda: table,
        "object": lambda: Predictions(table),
        "columns": lambda: table.rename(columns={"patient_id": "subject", "score": "prob"}),
    }[plant]()
    assert caught("predictions.folds", "error", cv_predictions=given).count > 100
    by_patient = table.assign(fold=np.arange(400) // 2 % 5)
    assert silent("predictions.folds", cv_predictions=by_patient)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("plant", ["object and table", "file and columns", "folds and arrays"])
def test_f29_a_gap_between_cross_validation_and_test(seed, plant, tmp_path) -> None:
    crossed, test = made(600, seed, gap=3.0), made(300, seed + 9, gap=1.0)
    same = made(300, seed + 20, gap=3.0)
    crossed.to_csv(tmp_path / "cv.csv", index=False)
    forms = {
        "object and table": (Predictions(crossed), lambda t: t),
        "file and columns": (
            tmp_path / "cv.csv", lambda t: {"y_true": t["label"], "y_prob": t["score"]}
        ),
        "folds and arrays": (
            crossed.assign(fold=np.arange(600) % 5),
            lambda t: (t["label"].to_numpy(), t["score"].to_numpy()),
        ),
    }  # fmt: skip
    given, of_test = forms[plant]
    finding = caught("predictions.gap", "warning", cv_predictions=given, predictions=of_test(test))
    assert "+0" in finding.seen
    assert silent("predictions.gap", cv_predictions=given, predictions=of_test(same))


# F40, F39: calibration and subgroups


@pytest.mark.parametrize("plant", ["weighted", "sure", "hard prevalence"])
def test_f40_scores_that_are_not_probabilities(plant) -> None:
    table = made(800)
    logit = np.log(table["score"] / (1 - table["score"]))
    table["score"] = {
        "weighted": lambda: 1 / (1 + np.exp(-(logit + 1.5))),
        "sure": lambda: 1 / (1 + np.exp(-4 * logit)),
        "hard prevalence": lambda: table["score"] ** 3,
    }[plant]()
    caught("predictions.calibration", "warning", predictions=table)


def test_f40_calibrated_scores_raise_few_alarms() -> None:
    alarms = [not silent("predictions.calibration", predictions=made(300, s)) for s in range(20)]
    assert sum(alarms) <= 2


@pytest.mark.parametrize("column", ["site", "subtype", "sex"])
def test_f39_a_subgroup_in_which_disease_is_missed(column) -> None:
    table = made(800)
    names = np.where(np.arange(800) % 3 == 0, "x", "y")
    worse = table.assign(**{column: names})
    rows = (worse[column] == "x") & (worse["label"] == 1)
    worse.loc[rows, "score"] *= 0.5
    assert column in caught("predictions.subgroups", "warning", predictions=worse).seen
    assert silent("predictions.subgroups", predictions=table.assign(**{column: names}))


# Scores, copies, forms


def test_scores_that_cannot_be_ranked() -> None:
    table = made(50)
    for scores in (table["label"], 0.5, table["score"].where(table.index > 3)):
        caught("predictions.values", "error", predictions=table.assign(score=scores))
    assert silent("predictions.values", predictions=table)


def test_repeated_images_and_reversed_scores() -> None:
    table = made(100)
    again = pd.concat([table, table[:7]])
    assert caught("predictions.repeats", "error", predictions=again).count == 7
    caught("predictions.reversed", "error", predictions=table.assign(score=1 - table["score"]))
    assert silent("predictions.repeats", predictions=table)
    assert silent("predictions.reversed", predictions=table)


def test_doubtful_labels_are_noted() -> None:
    table = made(400, gap=4.0)
    flipped = table.assign(
        label=np.where(np.arange(400) % 10 == 0, 1 - table["label"], table["label"])
    )
    finding = caught("predictions.suspect", "note", cv_predictions=flipped)
    assert finding.count >= 20
    assert silent("predictions.suspect", cv_predictions=table)


def test_predictions_are_taken_in_any_usual_form(tmp_path) -> None:
    table = made(40)
    table.to_csv(tmp_path / "p.csv")
    wrong = 1 - table["score"]
    for given in (
        table.assign(score=wrong),
        (table["label"].to_numpy(), wrong.to_numpy()),
        {"y_true": table["label"], "y_prob": wrong},
    ):
        caught("predictions.reversed", predictions=given)
    assert silent("predictions.reversed", predictions=tmp_path / "p.csv")
    for bad, told in (
        ({"a": [1]}, "need a column score"),
        (tmp_path / "no.csv", "cannot be read"),
        ({"score": [0.1], "label": [3]}, "must be 0 or 1"),
        (3, "must be a table"),
    ):
        with pytest.raises(MedclfError, match=told):
            check(predictions=bad)


# F03: the hash seed


IDS = [f"patient{i}" for i in range(60)]


def list_of_set() -> list[str]:
    ids = list(set(IDS))
    random.Random(42).shuffle(ids)
    return ids[:12]


def set_difference() -> dict[str, list[str]]:
    test = set(np.random.default_rng(0).choice(sorted(IDS), 12, replace=False))
    return {"train": [*(set(IDS) - test)][:40], "test": sorted(test)}


def by_hash(ids: list[str]) -> list[str]:
    return [i for i in ids if hash(i) % 5 == 0]


def by_sorted() -> list[str]:
    ids = sorted(set(IDS))
    random.Random(42).shuffle(ids)
    return ids[:12]


def as_set() -> dict[str, set[str]]:
    return {"test": set(by_sorted())}


@pytest.mark.parametrize("split", [list_of_set, set_difference, partial(by_hash, IDS)])
def test_f03_a_split_that_follows_the_hash_seed(split) -> None:
    assert "different hash seeds" in caught("splits.hash-seed", "error", split=split).seen


@pytest.mark.parametrize("split", [by_sorted, as_set, lambda: pd.DataFrame({"id": by_sorted()})])
def test_f03_a_sorted_split_is_the_same_in_every_run(split) -> None:
    assert silent("splits.hash-seed", split=split)


def test_f03_an_unseeded_split_is_told_apart_and_a_failing_one_is_not_judged() -> None:
    assert "Two runs" in caught("splits.hash-seed", split=lambda: random.sample(IDS, 9)).seen
    report = check(only=["splits.hash-seed"], split=lambda: 1 / 0)
    assert "ZeroDivisionError" in report.skipped["splits.hash-seed"]
