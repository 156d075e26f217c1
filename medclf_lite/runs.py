"""The whole street as two calls: train a run into a folder, evaluate it on held-out images."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd
from accelerate import PartialState
from torch.utils.data import DataLoader

from medclf_lite import backbones, loaders, metrics, splits, training
from medclf_lite.augment import acquisition_augment, medical_augment
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import load_pixels
from medclf_lite.predictions import Predictions
from medclf_lite.run_files import (
    HISTORY_FILE,
    RUN_FILE,
    SPLIT_FILE,
    RunConfig,
    read_run,
    read_split,
    read_threshold,
    save_run,
)

__all__ = ["RUN_FILE", "SPLIT_FILE", "RunConfig", "evaluate_run", "read_run", "train_run"]

AUGMENTS = {"pose": medical_augment(), "acquisition": acquisition_augment(), "none": None}


class _Work(TypedDict):
    """How decoding and feature extraction are done."""

    cache: Path | None
    jobs: int
    progress: bool


def train_run(
    cohort: Cohort,
    out: Path,
    config: RunConfig | None = None,
    *,
    cache: Path | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Predictions:
    """Train a classifier on the development patients and write it, with its threshold, to a folder.

    Images of the split ``test`` are neither decoded nor counted. Where the cohort has no
    split, its patients are divided into train, val and test first.

    Parameters
    ----------
    cohort : Cohort
        A binary cohort with images.
    out : pathlib.Path
        Folder for weights, split, threshold and validation predictions; made if missing.
    config : RunConfig, optional
    cache : pathlib.Path, optional
        Folder for decoded pixels and features.
    jobs : int
        Parallel decoders and feature extractors.
    progress : bool
        Show progress bars.

    Returns
    -------
    Predictions
        Of the validation images, with the model as saved.

    Raises
    ------
    MedclfError
        If the cohort cannot be split by patient, or ``out`` already holds a run.
    """
    config = config or RunConfig()
    if (out / RUN_FILE).exists():
        raise MedclfError(f"{out} already holds a run; choose another folder or delete it.")
    cohort = _divided(cohort, config)
    out.mkdir(parents=True, exist_ok=True)  # now, not after minutes of training
    model = backbones.build(config.backbone, pretrained=config.pretrained, seed=config.seed)
    development = cohort.take((cohort.table["split"] != "test").to_numpy())
    work: _Work = {"cache": cache, "jobs": jobs, "progress": progress}
    pixels = load_pixels(development, config.size, fit=config.fit, **work)
    train, val = (development.table["split"].to_numpy() == side for side in ("train", "val"))
    if config.mode == "frozen":
        found = backbones.features(backbones.freeze(model), pixels, **work)
        part = development.take(train)
        training.fit_head(model, found[train], part.labels, part.patients, seed=config.seed)
        scores = training.head_scores(model, found[val])
    else:
        history = _finetune(model, development, pixels, config, progress=progress)
        scores = training.head_scores(model, backbones.features(model, pixels[val], **work))
    predictions = Predictions.of(development.take(val), scores)
    processes = PartialState()  # one, unless torchrun or accelerate has started several
    if processes.is_main_process:
        if config.mode == "finetune":
            history.to_csv(out / HISTORY_FILE, index=False)
        save_run(out, model, predictions, cohort, config)
    processes.wait_for_everyone()
    return predictions


def _divided(cohort: Cohort, config: RunConfig) -> Cohort:
    """Give the cohort a validation side; a test side that it has stays as it is."""
    has_split = "split" in cohort.table
    divide = splits.split_train_val if has_split else splits.split_patients
    return divide(cohort, val=config.val, seed=config.seed)


def _finetune(
    model: backbones.Classifier,
    development: Cohort,
    pixels: npt.NDArray[np.uint8],
    config: RunConfig,
    *,
    progress: bool,
) -> pd.DataFrame:
    """Train every layer; the best epoch on the validation images is kept."""

    def load(side: str, augment: loaders.Augmentation | None) -> DataLoader[loaders.Item]:
        rows = (development.table["split"] == side).to_numpy()
        return loaders.make_loader(
            development.take(rows), pixels[rows], train=side == "train", augment=augment,
            batch_size=config.batch_size, seed=config.seed,
        )  # fmt: skip

    settings = training.TrainConfig(
        epochs=config.epochs, lr=config.lr, layer_decay=config.layer_decay, seed=config.seed
    )
    train_loader, val_loader = load("train", AUGMENTS[config.augment]), load("val", None)
    result = training.train(model, train_loader, val_loader, settings, progress=progress)
    return result.history


def evaluate_run(
    run: Path,
    cohort: Cohort,
    *,
    part: str = "test",
    resamples: int = 2000,
    cache: Path | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> tuple[Predictions, pd.DataFrame]:
    """Evaluate a finished run on images that it has never seen.

    Parameters
    ----------
    run : pathlib.Path
        Folder written by :func:`train_run`.
    cohort : Cohort
        The cohort of the run, of which ``part`` is evaluated, or another one: then all of it.
    part : str
        Split to evaluate.
    resamples : int
        Patient-level bootstrap resamples behind the intervals.
    cache, jobs, progress
        As in :func:`train_run`.

    Returns
    -------
    predictions : Predictions
    figures : pandas.DataFrame
        From :func:`medclf_lite.metrics.evaluate`.

    Raises
    ------
    MedclfError
        If the folder holds no finished run, or an evaluated patient was trained on.
    """
    config = RunConfig(**read_run(run)["config"])
    chosen = _held_out(cohort, read_split(run), part)
    threshold = read_threshold(run)
    model = training.load_weights(run)
    work: _Work = {"cache": cache, "jobs": jobs, "progress": progress}
    pixels = load_pixels(chosen, config.size, fit=config.fit, **work)
    scores = training.head_scores(model, backbones.features(model, pixels, **work))
    predictions = Predictions.of(chosen, scores)
    return predictions, metrics.evaluate(
        predictions, threshold, resamples=resamples, seed=config.seed
    )


def _held_out(cohort: Cohort, known: pd.DataFrame, part: str) -> Cohort:
    side = cohort.table["image_id"].map(known.set_index("image_id")["split"])
    if side.notna().all():
        chosen = cohort.with_column("split", side).part(part)
    else:
        chosen = cohort.part(part) if "split" in cohort.table else cohort
    trained = set(known.loc[known["split"] == "train", "patient_id"])
    seen = sorted(trained & set(chosen.table["patient_id"]))
    if seen:
        raise MedclfError(
            f"{len(seen)} patients of the images to evaluate were trained on (the first is "
            f"{seen[0]!r}). Evaluate on patients the model has never seen, or give the other "
            "cohort patient IDs of its own."
        )
    return chosen
