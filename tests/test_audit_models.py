"""The audit of models, losses and training: each fault is planted in three ways."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from pipelines import ArraySet, FrameSet, arrays, caught, network, silent, table, tensors
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Sampler,
    TensorDataset,
    WeightedRandomSampler,
)

from medclf_lite.audit import check
from medclf_lite.backbones import build, freeze


def memory(side: str) -> TensorDataset:
    return TensorDataset(*tensors(side))


# F16: BatchNorm under frozen weights


def frozen_sequential() -> nn.Module:
    model = network()
    for p in model[:2].parameters():
        p.requires_grad = False
    return model


class Wrapped(nn.Module):
    """A backbone and a head, as people write it."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*list(network())[:5])
        self.backbone.requires_grad_(False)
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        return self.head(self.backbone(x))


class Careful(Wrapped):
    def train(self, mode: bool = True):
        super().train(mode)
        self.backbone.eval()
        return self


def frozen_by_name() -> nn.Module:
    model = Wrapped()
    model.requires_grad_(True)
    for name, p in model.named_parameters():
        p.requires_grad_(not name.startswith("backbone.1") and "head" in name)
    return model.train()


@pytest.mark.parametrize("make", [frozen_sequential, Wrapped, frozen_by_name])
def test_f16_frozen_layers_that_drift(make) -> None:
    model = make()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    finding = caught("model.batchnorm", "error", train=memory("train"), model=model)
    assert finding.count == 1
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()), "it was a copy"


def test_f16_layers_set_to_eval_do_not_drift() -> None:
    by_hand = Wrapped().train()
    by_hand.backbone.eval()
    for model in (Careful(), by_hand, network(), freeze(build("tiny_cnn"))):
        assert silent("model.batchnorm", train=memory("train"), model=model)


# F18: pos_weight against the counts


def unbalanced(share: float = 0.75) -> tuple[torch.Tensor, torch.Tensor]:
    x, _ = tensors("train")
    return x, (torch.arange(len(x)) % 4 < 4 * share).float()


@pytest.mark.parametrize("plant", ["formula", "inverse", "softmax"])
def test_f18_weights_that_do_not_balance(plant) -> None:
    x, y = unbalanced()
    n, ill = len(y), float(y.sum())
    loss, data = {
        "formula": lambda: (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(n / (2 * ill))),
                            TensorDataset(x, y)),
        "inverse": lambda: (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([ill / (n - ill)])),
                            DataLoader(ArraySet(arrays("train")[0], y.numpy()), batch_size=8)),
        "softmax": lambda: (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])),
                            FrameSet(table()[:72].assign(label=y.int().tolist()), None)),
    }[plant]()  # fmt: skip
    finding = caught("loss.pos-weight", train=data, loss=loss)
    assert finding.severity == ("warning" if plant == "softmax" else "error")


def test_f18_right_weights_and_none_are_fine() -> None:
    x, y = unbalanced()
    ratio = (y == 0).sum() / y.sum()
    counts = torch.tensor([(y == 0).sum(), y.sum()])
    for loss in (
        nn.BCEWithLogitsLoss(),
        nn.BCEWithLogitsLoss(pos_weight=ratio),
        nn.CrossEntropyLoss(weight=len(y) / (2 * counts)),
        nn.MSELoss(),
    ):
        assert silent("loss.pos-weight", train=TensorDataset(x, y), loss=loss)


# F19: corrected twice


class Evenly(Sampler):
    def __init__(self, y) -> None:
        self.y = np.asarray(y)

    def __len__(self) -> int:
        return len(self.y)

    def __iter__(self):
        rng = np.random.default_rng()
        coin = rng.random(len(self.y)) < 0.5
        rows = [np.flatnonzero(self.y == v) for v in (0, 1)]
        return iter([int(rng.choice(rows[int(c)])) for c in coin])


@pytest.mark.parametrize("plant", ["weighted sampler", "own sampler", "copies"])
def test_f19_a_sampler_and_a_weighted_loss(plant) -> None:
    x, y = unbalanced()
    data = TensorDataset(x, y)
    weights = torch.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum())
    rare = [i for i in range(len(y)) if y[i] == 0]
    frame = table()[:72].assign(label=y.int().tolist())
    copied = pd.concat([frame, *[frame.iloc[rare]] * 2])
    train = {
        "weighted sampler": lambda: DataLoader(data, sampler=WeightedRandomSampler(weights, 72)),
        "own sampler": lambda: DataLoader(data, batch_size=8, sampler=Evenly(y)),
        "copies": lambda: FrameSet(copied.rename(columns={"image_id": "path"}), None),
    }[plant]()
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1 / 3]))
    finding = caught("loss.twice", "error", train=train, loss=loss)
    assert "75.0%" in finding.seen


def test_f19_one_correction_is_not_two() -> None:
    x, y = unbalanced()
    data = TensorDataset(x, y)
    weights = torch.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum())
    balanced = DataLoader(data, sampler=WeightedRandomSampler(weights, 72))
    assert silent("loss.twice", train=balanced, loss=nn.BCEWithLogitsLoss())
    weighted = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1 / 3]))
    assert silent("loss.twice", train=DataLoader(data, shuffle=True), loss=weighted)


# F21, F20: what was kept, and how its loss was computed


def scored(model: nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.eval()(x).sigmoid().double().numpy().ravel()


@pytest.mark.parametrize("plant", ["auc", "loss", "acc"])
def test_f21_the_last_weights_in_place_of_the_best(plant) -> None:
    model = network()
    x, y = tensors("val")
    p = scored(model, x)
    now = {
        "auc": roc_auc_score(y, p),
        "loss": log_loss(y, p),
        "acc": ((p > 0.5) == y.numpy()).mean(),
    }
    better = now[plant] - 0.1 if plant == "loss" else now[plant] + 0.1
    worse = now[plant] + 0.2 if plant == "loss" else now[plant] - 0.2
    history, val = {
        "auc": lambda: (pd.DataFrame({"val_auc": [worse, better, now["auc"]]}), memory("val")),
        "loss": lambda: ([{"epoch": i, "val_loss": v} for i, v in
                          enumerate([worse, better, now["loss"]])],
                         DataLoader(TensorDataset(x, y), batch_size=16)),
        "acc": lambda: ({"Val Acc": [worse, better, now["acc"]]}, ArraySet(*arrays("val"))),
    }[plant]()  # fmt: skip
    finding = caught("training.kept", "warning", val=val, model=model, history=history)
    assert "epoch 3 of 3" in finding.seen
    assert "in epoch 2" in finding.seen


def test_f21_the_best_weights_are_fine_and_foreign_ones_are_not_judged() -> None:
    model = network()
    x, y = tensors("val")
    now = roc_auc_score(y, scored(model, x))
    val = TensorDataset(x, y)
    assert silent("training.kept", val=val, model=model, history={"val_auc": [now - 0.1, now]})
    report = check(only=["training.kept"], val=val, model=model, history={"val_auc": [now + 0.2]})
    assert "no epoch" in report.skipped["training.kept"]


@pytest.mark.parametrize("size", [11, 15, 32])
def test_f20_a_mean_of_batch_means(size) -> None:
    torch.manual_seed(1)
    x, y = tensors("val")
    y = y.sort().values  # the short last batch is of one class
    model = nn.Sequential(nn.Flatten(), nn.Linear(48 * 48, 1))
    p = torch.tensor(scored(model, x))
    each = -(y * p.log() + (1 - y) * (1 - p).log())
    means = torch.stack([part.mean() for part in each.split(size)]).mean()
    val = DataLoader(TensorDataset(x, y), batch_size=size)
    wrong, right = ({"val_loss": [0.9, float(v)]} for v in (means, each.mean()))
    assert caught("training.batch-means", "note", val=val, model=model, history=wrong)
    assert silent("training.batch-means", val=val, model=model, history=right)


# F22: NaN


class TutorialStyle:
    """Compares score < best; NaN is never smaller."""

    def __init__(self, patience: int = 5) -> None:
        self.patience, self.counter, self.best, self.early_stop = patience, 0, None, False

    def __call__(self, val_loss, model):
        score = -val_loss
        if self.best is None:
            self.best = score
        elif score < self.best:
            self.counter += 1
            self.early_stop = self.counter >= self.patience
        else:
            self.best, self.counter = score, 0
        return self.early_stop


class StepStyle:
    def __init__(self) -> None:
        self.best, self.bad, self.should_stop = math.inf, 0, False

    def step(self, loss):
        if loss > self.best:
            self.bad += 1
        else:
            self.best, self.bad = loss, 0
        self.should_stop = self.bad > 3


class SafeStep(StepStyle):
    def step(self, loss):
        if not loss < self.best:  # NaN is not smaller
            self.bad += 1
        else:
            self.best, self.bad = loss, 0
        self.should_stop = self.bad > 3


class Raises(StepStyle):
    def step(self, loss):
        if not math.isfinite(loss):
            raise ValueError("the loss is not finite")
        super().step(loss)


@pytest.mark.parametrize(
    "stopper", [TutorialStyle(), StepStyle(), lambda new, best: not (new >= best)],
    ids=["call", "step", "function"],
)  # fmt: skip
def test_f22_nan_stops_nothing(stopper) -> None:
    caught("training.nan", "error", stopper=stopper)
    assert getattr(stopper, "best", None) in (None, math.inf), "a copy was fed"


@pytest.mark.parametrize("stopper", [SafeStep(), Raises(), lambda new, best: new < best])
def test_f22_stoppers_that_see_nan_are_fine(stopper) -> None:
    assert silent("training.nan", stopper=stopper)


def test_f22_a_history_that_goes_on_after_nan() -> None:
    history = {"loss": [0.7, float("nan"), float("nan")], "lr": [1, 1, 1], "note": [np.nan] * 3}
    assert "1 epoch followed" in caught("training.went-on", "error", history=history).seen
    assert silent("training.went-on", history={"loss": [0.7, 0.6], "never": [np.nan, np.nan]})


# F36: one image


class Squeezes(nn.Module):
    def __init__(self, how) -> None:
        super().__init__()
        self.net, self.how = network(), how

    def forward(self, x):
        return self.how(self.net(x))


@pytest.mark.parametrize("how", [torch.squeeze, lambda out: out.squeeze(), lambda o: o.T.squeeze()])
def test_f36_one_image_changes_the_shape(how) -> None:
    caught("model.one-image", "error", test=memory("test"), model=Squeezes(how))


def test_f36_a_named_dimension_is_fine() -> None:
    for how in (lambda out: out.squeeze(1), lambda out: out.flatten(), lambda out: out):
        assert silent("model.one-image", test=memory("test"), model=Squeezes(how))


# Heads, losses, optimizers


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (network(1), nn.CrossEntropyLoss()),
        (network(1, nn.Sigmoid()), nn.BCEWithLogitsLoss()),
        (network(2, nn.Softmax(dim=1)), nn.CrossEntropyLoss()),
        (network(2), nn.BCEWithLogitsLoss()),
        (network(1), nn.BCELoss()),
    ],
)
def test_heads_that_do_not_match(model, loss) -> None:
    caught("model.head", "error", train=memory("train"), model=model, loss=loss)


def test_several_findings_need_a_sigmoid_each() -> None:
    x, y = tensors("train")
    several = TensorDataset(x, torch.stack([y, 1 - y, y], dim=1))
    caught("model.head", "error", train=several, model=network(3), loss=nn.CrossEntropyLoss())
    caught("model.head", "error", train=several, model=network(2), loss=nn.BCEWithLogitsLoss())
    assert silent("model.head", train=several, model=network(3), loss=nn.BCEWithLogitsLoss())


def test_heads_that_match() -> None:
    x, _ = tensors("train")
    classes = TensorDataset(x, torch.arange(len(x)) % 3)
    for data, model, loss in (
        (memory("train"), network(1), nn.BCEWithLogitsLoss()),
        (memory("train"), network(1, nn.Sigmoid()), nn.BCELoss()),
        (memory("train"), network(2), nn.CrossEntropyLoss()),
        (classes, network(3), nn.CrossEntropyLoss()),
    ):
        assert silent("model.head", train=data, model=model, loss=loss)


def test_a_model_that_does_not_take_the_images() -> None:
    caught("model.raises", "error", train=memory("train"), model=network(channels=3))
    assert silent("model.raises", train=memory("train"), model=network())


def test_parameters_that_nobody_trains() -> None:
    model = network()
    stale = torch.optim.SGD(model.parameters(), lr=0.1)
    model[-1] = nn.Linear(8, 1)
    assert caught("model.untrained", "error", model=model, optimizer=stale).count == 2
    fresh = torch.optim.SGD(model.parameters(), lr=0.1)
    assert silent("model.untrained", model=model, optimizer=fresh)
    caught("model.untrained", "error", model=network().requires_grad_(False))


def test_sides_in_parts_are_one_side_to_the_loss() -> None:
    x, y = unbalanced()
    halves = ConcatDataset([TensorDataset(x[:36], y[:36]), TensorDataset(x[36:], y[36:])])
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0))
    caught("loss.pos-weight", "error", train=halves, loss=loss)
