"""Faults of training: weights, means, kept models, NaN, batches of one."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from medclf_lite.audit.finding import IMBALANCE, TRAINING
from medclf_lite.pitfalls.cohorts import data
from medclf_lite.pitfalls.registry import Outcome, fault


def weight_of_two_classes(labels):
    n, n_ill = len(labels), sum(labels)
    return n / (2 * n_ill)  # as for a softmax over two classes


def weight_of_one_logit(labels):
    n, n_ill = len(labels), sum(labels)
    return (n - n_ill) / n_ill


@fault(
    "F18", "The wrong formula for pos_weight", IMBALANCE, faulty=weight_of_two_classes,
    fixed=weight_of_one_logit, figure="share of the loss that label 1 gets (balanced: 0.5)",
    hurts="n / (2 n_pos) belongs to two weights side by side. As pos_weight, alone, it does not "
    "balance: with three quarters ill, label 1 still gets two thirds of the loss.",
    caught_by=("loss.pos-weight",),
)  # fmt: skip
def pos_weight(seed: int) -> Outcome:
    labels = (np.random.default_rng(seed).random(2000) < 0.75).astype(
        int
    )
    ill, well = labels.sum(), (1 - labels).sum()
    said, truth = (
        rule(labels) * ill / (rule(labels) * ill + well)
        for rule in (weight_of_two_classes, weight_of_one_logit)
    )
    return Outcome(float(said), float(truth))


def corrected_twice(x, y, rng):
    ill, well = np.flatnonzero(y), np.flatnonzero(y == 0)
    half = len(y) // 2  # a balanced sampler
    rows = np.r_[rng.choice(ill, half), rng.choice(well, half)]
    weight = {0: 1.0, 1: len(well) / len(ill)}  # and a weighted loss
    return LogisticRegression(class_weight=weight).fit(x[rows], y[rows])


def not_corrected(x, y, rng):
    return LogisticRegression().fit(
        x, y
    )  # choose the threshold instead


@fault(
    "F19", "Imbalance corrected twice", IMBALANCE, faulty=corrected_twice, fixed=not_corrected,
    figure="mean risk it predicts, where 5 % are ill",
    hurts="A sampler and a weighted loss each shift the scores; together they overshoot. The "
    "ranking hardly changes, every probability is wrong.",
    caught_by=("loss.twice", "code.sampler-and-weights", "predictions.calibration"),
)  # fmt: skip
def twice(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    y = (rng.random(4000) < 0.05).astype(int)
    x = rng.normal(size=(4000, 8)) + 0.5 * y[:, None]
    found = [
        fit(x[:2000], y[:2000], rng)
        .predict_proba(x[2000:])[:, 1]
        .mean()
        for fit in (corrected_twice, not_corrected)
    ]
    return Outcome(*found)


def mean_of_means(losses, batch=16):
    batches = [
        losses[i : i + batch] for i in range(0, len(losses), batch)
    ]
    return sum(b.mean() for b in batches) / len(batches)


def mean_of_images(losses, batch=16):
    batches = [
        losses[i : i + batch] for i in range(0, len(losses), batch)
    ]
    return sum(b.sum() for b in batches) / len(losses)


@fault(
    "F20", "The mean of batch means", TRAINING, faulty=mean_of_means, fixed=mean_of_images,
    figure="validation loss of 65 images", shows="spread",
    hurts="The one image of the last batch counts as much as sixteen others. A small effect, and "
    "one that changes with the batch size.",
    caught_by=("training.batch-means", "code.batch-means"),
)  # fmt: skip
def means(seed: int) -> Outcome:
    losses = np.random.default_rng(seed).exponential(0.4, 65)
    return Outcome(mean_of_means(losses), mean_of_images(losses))


def keep_the_last(model, epochs, fit, judge):
    best, best_score = None, -math.inf
    for _ in range(epochs):
        fit(model)
        if judge(model) > best_score:
            best, best_score = model, judge(model)  # no copy
    return best


def keep_the_best(model, epochs, fit, judge):
    best, best_score = None, -math.inf
    for _ in range(epochs):
        fit(model)
        if judge(model) > best_score:
            best, best_score = copy.deepcopy(model), judge(model)
    return best


@fault(
    "F21", "The last weights in place of the best", TRAINING, faulty=keep_the_last,
    fixed=keep_the_best, figure="log loss of the kept weights on new patients",
    hurts="Without a copy, the best is the very model that training goes on changing. After forty "
    "epochs it has learnt its patients by heart; it ranks new ones almost as well and is far too "
    "sure of itself.",
    caught_by=("training.kept", "code.last-saved"),
)  # fmt: skip
def last_for_best(seed: int) -> Outcome:
    x, y = data(seed, 400)
    new_x, new_y = data(seed + 5000, 600)
    reduce = make_pipeline(
        StandardScaler(), PCA(40, random_state=0), StandardScaler()
    )
    x, new_x = reduce.fit_transform(x), reduce.transform(new_x)
    found = []
    for keep in (keep_the_last, keep_the_best):
        model = MLPClassifier(
            32, learning_rate_init=0.01, random_state=seed
        )
        kept = keep(
            model,
            40,
            lambda m: m.partial_fit(x[:200], y[:200], classes=[0, 1]),
            lambda m: 1 - log_loss(y[200:], m.predict_proba(x[200:])),
        )
        found.append(log_loss(new_y, kept.predict_proba(new_x)))
    return Outcome(*found)


class StopsUnlessWorse:
    def __init__(self, patience=3):
        self.best, self.bad, self.patience = math.inf, 0, patience

    def __call__(self, loss):
        if loss > self.best:  # NaN is never greater
            self.bad += 1
        else:
            self.best, self.bad = loss, 0
        return self.bad >= self.patience


class StopsUnlessBetter(StopsUnlessWorse):
    def __call__(self, loss):
        if not math.isfinite(loss):
            return True
        if loss < self.best:
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        return self.bad >= self.patience


@fault(
    "F22", "NaN counts as an improvement", TRAINING, faulty=StopsUnlessWorse,
    fixed=StopsUnlessBetter, figure="epochs trained after the loss became NaN, of 40",
    hurts="Every comparison with NaN is false, so a NaN loss did not get worse. It becomes the "
    "best, and training goes on to the end with weights that are lost.",
    caught_by=("training.nan", "training.went-on", "code.nan-stop"),
)  # fmt: skip
def not_a_number(seed: int) -> Outcome:
    falling = np.linspace(0.7, 0.4, 10) + np.random.default_rng(
        seed
    ).normal(0, 0.002, 10)
    found = []
    for make in (StopsUnlessWorse, StopsUnlessBetter):
        stop, after = make(), 0
        for loss in falling:
            stop(loss)
        for _ in range(40):
            after += 1
            if stop(math.nan):
                break
        found.append(float(after))
    return Outcome(*found)


def score_with_squeeze(model, loader):
    scores = []
    for images in loader:
        found = torch.sigmoid(model(images)).squeeze()
        scores.extend(found.tolist())
    return scores


def score_with_its_batch(model, loader):
    scores = []
    for images in loader:
        found = torch.sigmoid(model(images))  # (batch, findings)
        scores.extend(found.tolist())
    return scores


@fault(
    "F36", "squeeze() on a last batch of one", TRAINING, faulty=score_with_squeeze,
    fixed=score_with_its_batch, figure="rows of scores for 17 images with three findings",
    hurts="The last batch of one loses its batch: its three findings are taken for three images, "
    "and the table has two rows too many. With one finding the loop stops instead.",
    caught_by=("model.one-image", "predictions.rows", "code.squeeze"),
)  # fmt: skip
def squeezed(seed: int) -> Outcome:
    torch.manual_seed(seed)
    model = nn.Linear(4, 3).requires_grad_(False)
    loader = torch.randn(17, 4).split(8)
    said, truth = (
        len(score(model, loader))
        for score in (score_with_squeeze, score_with_its_batch)
    )
    return Outcome(said, truth)


def all_batches(images, size=16):
    return images.split(size)


def full_batches(images, size=16):
    return [b for b in images.split(size) if len(b) == size]


@fault(
    "F37", "A last training batch of one", TRAINING, faulty=all_batches, fixed=full_batches,
    figure="share of epochs that end, 65 images in batches of 16", shows="said is lower",
    hurts="BatchNorm has no spread to take from one image and raises, after all other batches "
    "have been trained on. 64 patients ran well; the 65th stops it.",
    caught_by=("loaders.last-batch",),
)  # fmt: skip
def batch_of_one(seed: int) -> Outcome:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)
    ).train()
    images = torch.randn(65, 4)

    def epoch(batches):
        for batch in batches:
            model(batch)

    return Outcome(
        *(
            _ends(lambda d=divide: epoch(d(images)))
            for divide in (all_batches, full_batches)
        )
    )


def _ends(run) -> float:
    try:
        run()
    except (TypeError, ValueError):
        return 0.0
    return 1.0
