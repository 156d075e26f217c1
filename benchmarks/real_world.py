"""What every real-data figure is computed from: the cohort, its pixels, its frozen features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from medclf_lite import backbones, splits, training
from medclf_lite.cohort import Cohort
from medclf_lite.images import load_pixels
from medclf_lite.predictions import Predictions
from medclf_lite.sources import from_folder

SIZE = 224
SEED = 0
Rows = npt.NDArray[np.bool_]


def head() -> Pipeline:
    """Give a new, unfitted classifier for frozen features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))


@dataclass(frozen=True)
class World:
    """The real sets in a folder, read and computed when first asked for.

    ``pixels`` is uint8 (n, 224, 224) and ``features`` float32 (n, 1280), both in the order of
    ``cohort``, whose column ``split`` is the official one. ``sides`` has validation patients
    taken out of train; its test side is the official one too.
    """

    data: Path
    cache: Path
    jobs: int = 1

    @cached_property
    def cohort(self) -> Cohort:
        """All 5,856 images, with their official split."""
        return from_folder(self.data / "chest_xray_224" / "chest_xray", jobs=self.jobs)

    @cached_property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """Decoded images."""
        return load_pixels(
            self.cohort, SIZE, fit="squash", cache=self.cache, jobs=self.jobs, progress=True
        )

    @cached_property
    def features(self) -> npt.NDArray[np.float32]:
        """Features of a network trained on photographs, not changed."""
        model = backbones.freeze(backbones.build("lite0"))
        found = backbones.features(
            model, self.pixels, cache=self.cache, jobs=self.jobs, progress=True
        )
        return np.asarray(found)

    @cached_property
    def sides(self) -> npt.NDArray[np.str_]:
        """Give "train", "val" or "test" for each row: val by patient, test as published."""
        train = self.cohort.take(~self.is_test)
        train = train.with_column("split", np.full(len(train), "train"))
        divided = splits.split_train_val(train, val=0.15, seed=SEED)
        found = np.full(len(self.cohort), "test", dtype="<U5")
        found[~self.is_test] = divided.table["split"].to_numpy(dtype=np.str_)
        return found

    @property
    def is_test(self) -> Rows:
        """Mask of the official test rows."""
        return (self.cohort.table["split"] == "test").to_numpy()

    def rows(self, side: str) -> npt.NDArray[np.intp]:
        """Rows of a side: train, val or test."""
        return np.flatnonzero(self.sides == side)

    @cached_property
    def model(self) -> backbones.Classifier:
        """The network behind ``features``, with a linear head fitted on side train."""
        model = backbones.freeze(backbones.build("lite0"))
        train = self.rows("train")
        training.fit_head(
            model, self.features[train], self.cohort.labels[train], self.cohort.patients[train],
            seed=SEED,
        )  # fmt: skip
        return model

    @cached_property
    def scores(self) -> npt.NDArray[np.float64]:
        """Scores of every image by that head on frozen features."""
        return training.head_scores(self.model, self.features)

    def predictions(self, side: str, scores: Any = None) -> Predictions:
        """Scores of one side, of the head on frozen features unless others are given.

        ``scores`` has one entry for each image of the whole cohort.
        """
        rows = self.rows(side)
        given = self.scores if scores is None else np.asarray(scores)
        return Predictions.of(self.cohort.take(rows), given[rows])
