"""What a run is made of, and the files that it leaves in its folder."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from medclf_lite import metrics
from medclf_lite._files import write_atomically
from medclf_lite.backbones.classifier import Classifier
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import Fit
from medclf_lite.predictions import Predictions
from medclf_lite.training.checkpoints import save_weights

SPLIT_FILE, RUN_FILE, THRESHOLD_FILE = "split.csv", "run.json", "threshold.json"
VALIDATION_FILE, HISTORY_FILE = "validation_predictions.csv", "history.csv"
Mode = Literal["frozen", "finetune"]
Augment = Literal["pose", "acquisition", "none"]


@dataclass(frozen=True)
class RunConfig:
    """What a run is made of.

    Parameters
    ----------
    backbone : str
        One of :func:`medclf_lite.backbones.names`.
    mode : {"frozen", "finetune"}
        ``frozen`` fits a linear head on fixed features; ``finetune`` trains every layer.
    size : int
        Side of the square image in pixels.
    fit : {"letterbox", "squash"}
        How an image becomes square.
    val : float
        Share of the development patients held out for validation.
    rule, target : str, float or None
        How the threshold is chosen on the validation images.
    augment : {"pose", "acquisition", "none"}
        Random changes of the training images, for ``finetune`` only: small ones
        (:func:`medclf_lite.augment.medical_augment`), or strong ones of all that differs
        between machines (:func:`medclf_lite.augment.acquisition_augment`).
    epochs, batch_size, lr, layer_decay : int, int, float, float
        For ``finetune`` only; see :class:`medclf_lite.training.TrainConfig`.
    pretrained : bool, optional
        Start from ImageNet weights; by default wherever the backbone has them.
    seed : int
        Seeds the split, the head and the training.
    """

    backbone: str = "lite0"
    mode: Mode = "frozen"
    size: int = 224
    fit: Fit = "letterbox"
    val: float = 0.15
    rule: str = "youden"
    target: float | None = None
    augment: Augment = "pose"
    epochs: int = 6
    batch_size: int = 32
    lr: float = 3e-4
    layer_decay: float = 1.0
    pretrained: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        # Told now, not after minutes of training.
        metrics.check_rule(self.rule, self.target)
        for name, known in (("mode", Mode), ("fit", Fit), ("augment", Augment)):
            if getattr(self, name) not in get_args(known):
                raise MedclfError(
                    f"{name} is {getattr(self, name)!r}; expected one of "
                    f"{', '.join(get_args(known))}."
                )


def save_run(
    out: Path,
    model: Classifier,
    predictions: Predictions,
    cohort: Cohort,
    config: RunConfig,
) -> None:
    """Write a finished run: split, validation predictions, threshold, weights, and what made it."""
    threshold = metrics.choose_threshold(predictions, config.rule, target=config.target)
    cohort.table[["image_id", "patient_id", "split"]].to_csv(out / SPLIT_FILE, index=False)
    predictions.to_csv(out / VALIDATION_FILE)
    _write_json(out / THRESHOLD_FILE, threshold.to_dict())
    save_weights(model, out, size=config.size, fit=config.fit, classes=cohort.classes)
    packages = ("torch", "timm", "scikit-learn", "numpy", "medclf-lite")
    about = {
        "config": asdict(config),
        "fingerprint": cohort.fingerprint,
        "source": cohort.source,
        "versions": {p: version(p) for p in packages} | {"python": platform.python_version()},
    }
    # Written last: a folder without it is a run that did not finish.
    _write_json(out / RUN_FILE, about)


def read_run(run: Path) -> Mapping[str, Any]:
    """Read what a finished run is made of.

    Raises
    ------
    MedclfError
        If the folder holds no finished run.
    """
    if not (run / RUN_FILE).is_file():
        raise MedclfError(
            f"{run} holds no finished run ({RUN_FILE} is missing). Run `medclf train` first."
        )
    return _read_json(run / RUN_FILE)


def read_threshold(run: Path) -> metrics.Threshold:
    """Read the threshold of a finished run, with the images that it was chosen on."""
    return metrics.Threshold.from_dict(_read_json(run / THRESHOLD_FILE))


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise MedclfError(
            f"{path} cannot be read ({problem}): the run is damaged. Train it again."
        ) from problem
    return content


def read_split(run: Path) -> pd.DataFrame:
    """Read ``image_id``, ``patient_id`` and ``split`` of all images of a run, as text."""
    path = run / SPLIT_FILE
    columns = ["image_id", "patient_id", "split"]
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, usecols=columns)
    except (OSError, ValueError) as problem:
        raise MedclfError(
            f"{path} cannot be read ({problem}), so it is not known which patients were trained "
            "on. Train the run again."
        ) from problem


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
