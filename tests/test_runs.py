"""A run: trained on development patients only, evaluated on patients it has never seen."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from medclf_lite import backbones, images, splits
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.phantom import PhantomSpec, generate
from medclf_lite.runs import RUN_FILE, SPLIT_FILE, RunConfig, evaluate_run, read_run, train_run
from medclf_lite.training.checkpoints import load_weights
from medclf_lite.training.head import head_scores

SMALL = RunConfig(size=48, val=0.25)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    spec = PhantomSpec(n_patients=90, images_per_patient=1, size=48, seed=5)
    return splits.split_patients(generate(spec).cohort, val=0.2, test=0.3, seed=1)


@pytest.fixture(scope="module")
def run(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "first"
    train_run(cohort, out, SMALL)
    return out


def test_training_never_decodes_a_test_image(cohort: Cohort, tmp_path, monkeypatch) -> None:
    seen: set[str] = set()
    real = images.load_pixels

    def watch(part: Cohort, *args, **options):
        seen.update(part.table["image_id"])
        return real(part, *args, **options)

    monkeypatch.setattr("medclf_lite.runs.load_pixels", watch)
    train_run(cohort, tmp_path / "run", SMALL)
    assert seen
    assert not seen & set(cohort.part("test").table["image_id"])


def test_validation_shares_no_patient_with_training(run: Path, cohort: Cohort) -> None:
    table = pd.read_csv(run / SPLIT_FILE)
    sides = table.groupby("split")["patient_id"].agg(set)
    assert not sides["train"] & sides["val"]
    assert not sides["train"] & sides["test"]
    test = set(table.loc[table["split"] == "test", "image_id"])
    assert test == set(cohort.part("test").table["image_id"])


def test_the_saved_model_gives_the_scores_that_were_reported(run: Path, cohort: Cohort) -> None:
    reported = pd.read_csv(run / "validation_predictions.csv").set_index("image_id")["score"]
    val = cohort.take(cohort.table["image_id"].isin(reported.index).to_numpy())
    found = backbones.features(load_weights(run), images.load_pixels(val, SMALL.size))
    again = pd.Series(head_scores(load_weights(run), found), index=val.table["image_id"])
    assert again.to_dict() == pytest.approx(reported.to_dict(), abs=1e-6)


def test_the_images_that_the_threshold_was_chosen_on_are_refused(run: Path, cohort) -> None:
    with pytest.raises(MedclfError, match="threshold was chosen on"):
        evaluate_run(run, cohort, part="val", resamples=100)


def test_evaluation_reports_every_test_image_once_with_intervals(run, cohort) -> None:
    predictions, figures = evaluate_run(run, cohort, resamples=200)
    assert sorted(predictions.table["image_id"]) == sorted(cohort.part("test").table["image_id"])
    auc = figures.loc["roc_auc"]
    assert auc["low"] <= auc["value"] <= auc["high"]


def test_a_patient_that_was_trained_on_is_refused(run: Path, cohort: Cohort) -> None:
    known = pd.read_csv(run / SPLIT_FILE)
    trained = set(known.loc[known["split"] == "train", "image_id"])
    train_rows = cohort.take(cohort.table["image_id"].isin(trained).to_numpy())
    other_names = train_rows.table.assign(image_id=[f"x{i}" for i in range(len(train_rows))])
    external = Cohort(
        other_names.drop(columns="split"), train_rows.images, "a copy under other names", "MIT"
    )
    with pytest.raises(MedclfError, match="were trained on"):
        evaluate_run(run, external, resamples=100)


def test_another_cohort_is_evaluated_whole(run: Path) -> None:
    spec = PhantomSpec(n_patients=24, images_per_patient=1, size=48, seed=77, prevalence=0.5)
    other = generate(spec).cohort
    renamed = other.table.assign(
        image_id="ext-" + other.table["image_id"], patient_id="ext-" + other.table["patient_id"]
    )
    external = Cohort(renamed, other.images, "another hospital", "MIT")
    predictions, _ = evaluate_run(run, external, resamples=100)
    assert len(predictions) == 24


def test_a_folder_with_a_run_is_not_overwritten(run: Path, cohort: Cohort) -> None:
    before = (run / RUN_FILE).read_bytes()
    with pytest.raises(MedclfError, match="already holds a run"):
        train_run(cohort, run, SMALL)
    assert (run / RUN_FILE).read_bytes() == before


def test_an_unfinished_run_is_refused(tmp_path) -> None:
    with pytest.raises(MedclfError, match="no finished run"):
        read_run(tmp_path)


def test_a_run_says_what_it_is_made_of(run: Path) -> None:
    about = json.loads((run / RUN_FILE).read_text())
    assert about["config"]["backbone"] == "lite0"
    assert set(about["versions"]) >= {"torch", "timm", "python"}


def test_finetuning_goes_through_the_same_door(cohort: Cohort, tmp_path) -> None:
    config = RunConfig(
        backbone="tiny_cnn", mode="finetune", size=48, epochs=2, pretrained=False, val=0.25
    )
    val = train_run(cohort, tmp_path / "tuned", config)
    history = pd.read_csv(tmp_path / "tuned" / "history.csv")
    assert history["epoch"].tolist() == [1, 2]
    assert (
        history["images"]
        == (pd.read_csv(tmp_path / "tuned" / SPLIT_FILE)["split"] == "train").sum()
    ).all()
    _, figures = evaluate_run(tmp_path / "tuned", cohort, resamples=100)
    assert len(val)
    assert 0 <= figures.loc["roc_auc", "value"] <= 1


def test_the_augmentation_that_was_asked_for_is_the_one_that_trains(cohort, tmp_path) -> None:
    losses = {}
    for augment in ("none", "pose", "acquisition"):
        config = RunConfig(
            backbone="tiny_cnn", mode="finetune", size=48, epochs=1, val=0.25, augment=augment
        )
        train_run(cohort, tmp_path / augment, config)
        losses[augment] = pd.read_csv(tmp_path / augment / "history.csv")["train_loss"].iloc[0]
    assert len(set(losses.values())) == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"rule": "best"}, "rule is 'best'"),
        ({"rule": "sensitivity"}, "needs a target"),
        ({"mode": "magic"}, "mode is 'magic'"),
        ({"fit": "stretch"}, "fit is 'stretch'"),
        ({"augment": "flip"}, "augment is 'flip'"),
    ],
)
def test_impossible_settings_are_told_before_any_work(setting, message) -> None:
    with pytest.raises(MedclfError, match=message):
        RunConfig(**setting)


@pytest.mark.parametrize("name", [SPLIT_FILE, "threshold.json", "model.safetensors", RUN_FILE])
@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_damaged_run_is_refused_by_name(run: Path, cohort, tmp_path, name, damage) -> None:
    copy = shutil.copytree(run, tmp_path / "copy")
    if damage == "missing":
        (copy / name).unlink()
    else:
        (copy / name).write_bytes((copy / name).read_bytes()[:5])
    with pytest.raises(MedclfError, match=re.escape(name)):
        evaluate_run(copy, cohort, resamples=10)
