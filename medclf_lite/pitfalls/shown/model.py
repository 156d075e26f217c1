"""Faults of augmentation, frozen networks and class weights."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torch import nn

from medclf_lite.audit.finding import EDA, IMBALANCE, TRANSFER
from medclf_lite.pitfalls.cohorts import (
    NONE,
    SIZE,
    Array,
    auc,
    data,
    linear,
    patients,
    pixels,
)
from medclf_lite.pitfalls.registry import Outcome, fault


def with_flips(images, rng):
    flipped = rng.random(len(images)) < 0.5
    return np.where(flipped[:, None, None], images[:, :, ::-1], images)


def without_flips(images, rng):
    shift = rng.integers(-1, 2, len(images))  # a small shift instead
    return np.stack(
        [np.roll(a, s, 1) for a, s in zip(images, shift, strict=True)]
    )


@fault(
    "F08", "Left-right flips where the side has a meaning", EDA, faulty=with_flips,
    fixed=without_flips, figure="ROC-AUC for dextrocardia on new patients", shows="said is lower",
    hurts="A mirrored chest has its heart on the wrong side. Where the side is the answer, flips "
    "teach the model that it means nothing.",
    caught_by=("loaders.flip", "code.flip"),
)  # fmt: skip
def flips(seed: int) -> Outcome:
    train, new = (
        patients(s, n, dextrocardia=0.5, amplitude=NONE)
        for s, n in ((seed, 200), (seed + 5000, 200))
    )
    x, y = (
        pixels(train.cohort).reshape(-1, SIZE, SIZE),
        train.truth["dextrocardia"].to_numpy(),
    )
    new_x, new_y = (
        pixels(new.cohort),
        new.truth["dextrocardia"].to_numpy(),
    )
    found = []
    for augment in (with_flips, without_flips):
        rng = np.random.default_rng(seed)
        seen = np.concatenate(
            [augment(x, rng) for _ in range(4)]
        ).reshape(4 * len(x), -1)
        found.append(
            auc(linear(seen, np.tile(y, 4).astype(int)), new_x, new_y)
        )
    return Outcome(*found)


def freeze_weights(model, batches):
    for weight in model.parameters():
        weight.requires_grad = False
    model.train()
    for images in batches:
        model(images)  # the head would be trained on this


def freeze_all(model, batches):
    for weight in model.parameters():
        weight.requires_grad = False
    model.eval()  # BatchNorm keeps its statistics too
    for images in batches:
        model(images)


def _network(seed: int) -> nn.Sequential:
    """A small network of random filters, whose BatchNorm has seen the source images."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(3),
        nn.Flatten(),
    )


def _images(x: Array) -> torch.Tensor:
    return torch.tensor(
        x.reshape(-1, 1, SIZE, SIZE), dtype=torch.float32
    )


@fault(
    "F16", "Frozen weights, drifting BatchNorm", TRANSFER, faulty=freeze_weights,
    fixed=freeze_all, figure="ROC-AUC on new patients", shows="said is lower",
    hurts="requires_grad=False stops the optimizer, not BatchNorm. Ten underexposed batches "
    "move its statistics, and the head that was fitted before reads other features.",
    caught_by=("model.batchnorm", "code.frozen-batchnorm"),
)  # fmt: skip
def drift(seed: int) -> Outcome:
    x, y = data(seed, 300)
    new_x, new_y = data(seed + 5000, 300)
    darker = [_images(0.2 * x[i : i + 16]) for i in range(0, 160, 16)]
    found = []
    for freeze in (freeze_weights, freeze_all):
        model = _network(seed)
        with torch.no_grad():
            for _ in range(20):  # settle on the source images
                model.train()(_images(x))
            features = model.eval()(_images(x)).numpy()
            head = LogisticRegression(max_iter=300, C=0.1).fit(
                features, y
            )
            freeze(model, darker)
            new = model.eval()(_images(new_x)).numpy()
        found.append(
            float(roc_auc_score(new_y, head.predict_proba(new)[:, 1]))
        )
    return Outcome(*found)


def weights_on_paper():
    class_weights = torch.tensor([1.0, 2.0])  # defined, never used
    return nn.BCEWithLogitsLoss()


def weights_in_the_loss():
    return nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0))


def _pull(loss: nn.Module, label: float) -> float:
    """Measure how hard an image of this label pulls on its logit."""
    logit = torch.zeros(1, requires_grad=True)
    loss(logit, torch.tensor([label])).backward()
    return float(logit.grad.abs())


@fault(
    "F17", "Class weights that no loss holds", IMBALANCE, faulty=weights_on_paper,
    fixed=weights_in_the_loss, figure="pull of an ill image, that of a healthy one being 1",
    shows="said is lower",
    hurts="The line reads as care for the imbalance. The loss does not know of it.",
    caught_by=("code.unused",),
)  # fmt: skip
def unused_weights(seed: int) -> Outcome:
    said, truth = (
        _pull(make(), 1.0) / _pull(make(), 0.0)
        for make in (weights_on_paper, weights_in_the_loss)
    )
    return Outcome(said, truth)
