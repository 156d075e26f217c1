"""Answers to the exercises: right ones, written differently, and wrong ones that people give."""

from __future__ import annotations

import os
import random
import re
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score, confusion_matrix, roc_auc_score, roc_curve
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedShuffleSplit,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline


class Answers(NamedTuple):
    """Right answers, and wrong ones with a word that the feedback must contain."""

    right: list[Any]
    wrong: list[tuple[Any, str]]


_EVERYBODYS = np.random.default_rng(0)


# --- splits ---------------------------------------------------------------------------------


def by_table(patients: list[str], labels: list[int], seed: int) -> Any:
    ill = pd.Series(labels).groupby(patients).max()
    return train_test_split(list(ill.index), test_size=0.2, random_state=seed, stratify=ill)


def by_hand(patients: list[str], labels: list[int], seed: int) -> Any:
    ill = {p for p, label in zip(patients, labels, strict=True) if label}
    everyone = np.unique(patients)
    rows = StratifiedShuffleSplit(1, test_size=0.2, random_state=seed)
    train, test = next(rows.split(everyone, [p in ill for p in everyone]))
    return set(everyone[train]), set(everyone[test])


def in_hash_order(patients: list[str], labels: list[int], seed: int) -> Any:
    """F03: a set has an order of its own in each run."""
    ill = dict.fromkeys(patients, 0)
    for p, label in zip(patients, labels, strict=True):
        ill[p] |= label
    names = list(set(patients))
    return train_test_split(
        names, test_size=0.2, random_state=seed, stratify=[ill[n] for n in names]
    )


def by_first_label(patients: list[str], labels: list[int], seed: int) -> Any:
    """F04: the first image decides."""
    first: dict[str, int] = {}
    for p, label in zip(patients, labels, strict=True):
        first.setdefault(p, label)
    names = sorted(first)
    return train_test_split(
        names, test_size=0.2, random_state=seed, stratify=[first[n] for n in names]
    )


def by_image(patients: list[str], labels: list[int], seed: int) -> Any:
    train, test = train_test_split(patients, test_size=0.2, random_state=seed, stratify=labels)
    return sorted(set(train)), sorted(set(test))


def by_last_label(patients: list[str], labels: list[int], seed: int) -> Any:
    last = dict(zip(patients, labels, strict=True))
    names = sorted(last)
    return train_test_split(
        names, test_size=0.2, random_state=seed, stratify=[last[n] for n in names]
    )


def once_per_image(patients: list[str], labels: list[int], seed: int) -> Any:
    train, test = by_table(patients, labels, seed)
    return [p for p in patients if p in train], [p for p in patients if p in test]


def without_state(patients: list[str], labels: list[int], seed: int) -> Any:
    ill = pd.Series(labels).groupby(patients).max()
    return train_test_split(list(ill.index), test_size=0.2, stratify=ill)


def without_seed(patients: list[str], labels: list[int], seed: int) -> Any:
    return by_table(patients, labels, 42)


def without_labels(patients: list[str], labels: list[int], seed: int) -> Any:
    return train_test_split(sorted(set(patients)), test_size=0.2, random_state=seed)


def rows_of(patients: list[str], labels: list[int], seed: int) -> Any:
    return train_test_split(range(len(labels)), test_size=0.2, random_state=seed)


def merged(train: pd.DataFrame, test: pd.DataFrame) -> list[str]:
    return train.merge(test, on="patient_id")["patient_id"].unique().tolist()


def by_prefix(train: pd.DataFrame, test: pd.DataFrame) -> set[str]:
    """F02: p10 is taken for p1."""
    return {b for a in train["patient_id"] for b in test["patient_id"] if a[:2] == b[:2]} | (
        set(train["patient_id"]) if len(train) > 3 else set()
    )


# --- evaluation -----------------------------------------------------------------------------


def drawn_patients(table: pd.DataFrame, seed: int, ends: tuple[float, float] = (2.5, 97.5)) -> Any:
    rng = np.random.default_rng(seed)
    parts = [part for _, part in table.groupby("patient_id", sort=True)]
    found = []
    for _ in range(300):
        drawn = pd.concat([parts[i] for i in rng.integers(0, len(parts), len(parts))])
        found.append(roc_auc_score(drawn["label"], drawn["score"]))
    return tuple(np.percentile(found, ends))


def weighted_patients(table: pd.DataFrame, seed: int) -> Any:
    rng = np.random.default_rng(seed + 7)
    codes, names = pd.factorize(table["patient_id"])
    found = []
    for _ in range(400):
        times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)))[codes]
        keep = times > 0
        found.append(roc_auc_score(table["label"][keep], table["score"][keep],
                                   sample_weight=times[keep]))  # fmt: skip
    return [float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))]


def drawn_images(table: pd.DataFrame, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(300):
        drawn = table.iloc[rng.integers(0, len(table), len(table))]
        found.append(roc_auc_score(drawn["label"], drawn["score"]))
    return tuple(np.percentile(found, [2.5, 97.5]))


def drawn_once(table: pd.DataFrame, seed: int) -> Any:
    """A patient drawn twice counts once, so the interval is too narrow."""
    rng = np.random.default_rng(seed)
    names, found = table["patient_id"].unique(), []
    for _ in range(300):
        part = table[table["patient_id"].isin(rng.choice(names, len(names)))]
        found.append(roc_auc_score(part["label"], part["score"]))
    return tuple(np.percentile(found, [2.5, 97.5]))


def mean_of_each(table: pd.DataFrame, seed: int) -> Any:
    means = table.groupby("patient_id", as_index=False).mean()
    return drawn_patients(means, seed)


def by_sorting(labels: np.ndarray, scores: np.ndarray, least: float) -> float:
    ill = np.sort(scores[labels == 1])
    return float(ill[int(np.floor(len(ill) * (1 - least) + 1e-9))])


def by_curve(labels: np.ndarray, scores: np.ndarray, least: float) -> float:
    _, sensitivity, cuts = roc_curve(labels, scores, drop_intermediate=False)
    return float(cuts[int(np.argmax(sensitivity >= least))])


# --- training -------------------------------------------------------------------------------


def counting(losses: list[float], patience: int, best: float = np.inf) -> int:
    last = 0
    for epoch, loss in enumerate(losses, 1):
        if loss < best:
            best, last = loss, epoch
        if epoch - last >= patience:
            return epoch
    return len(losses)


def by_slices(losses: list[float], patience: int) -> int:
    seen = np.nan_to_num(losses, nan=np.inf)
    lowest = np.minimum.accumulate(np.concatenate([[np.inf], seen]))
    new = seen < lowest[:-1]
    for epoch in range(patience, len(losses) + 1):
        if not new[epoch - patience : epoch].any():
            return epoch
    return len(losses)


def as_in_the_tutorial(losses: list[float], patience: int) -> int:
    """F22: a score of NaN is not below the best, so the counter begins anew."""
    best: float | None = None
    waited = 0
    for epoch, loss in enumerate(losses, 1):
        if best is None:
            best = -loss
        elif -loss < best:
            waited += 1
        else:
            best, waited = -loss, 0
        if waited >= patience:
            return epoch
    return len(losses)


def never_anew(losses: list[float], patience: int) -> int:
    best, waited = np.inf, 0
    for epoch, loss in enumerate(losses, 1):
        best, waited = (loss, waited) if loss < best else (best, waited + 1)
        if waited == patience:
            return epoch
    return len(losses)


def frozen(model: Any) -> Any:
    model.train()
    model.backbone.eval().requires_grad_(False)
    return model


def frozen_one_by_one(model: Any) -> Any:
    for part in model.backbone.modules():
        part.training = False
        for weight in part.parameters(recurse=False):
            weight.requires_grad = False
    model.head.train()
    return model


def without_momentum(model: Any) -> Any:
    for part in model.train().backbone.requires_grad_(False).modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.momentum = 0.0
    return model


def without_dropout(model: Any) -> Any:
    frozen(model).head[0].p = 0.0
    return model


def without_statistics(model: Any) -> Any:
    """F16: weights are held, running means are not."""
    for weight in model.backbone.parameters():
        weight.requires_grad = False
    return model.train()


def mode_alone(model: Any) -> Any:
    model.train()
    model.backbone.eval()
    return model


def all_eval(model: Any) -> Any:
    model.backbone.requires_grad_(False)
    return model.eval()


# --- class imbalance ------------------------------------------------------------------------


def by_odds(scores: np.ndarray, old: float, new: float) -> np.ndarray:
    odds = scores / (1 - scores) * (new / (1 - new)) / (old / (1 - old))
    return odds / (1 + odds)


def by_bayes(scores: np.ndarray, old: float, new: float) -> list[float]:
    return [s / old * new / (s / old * new + (1 - s) / (1 - old) * (1 - new)) for s in scores]


# --- start and loading ----------------------------------------------------------------------


def seeded_for_all(seed: int, n: int) -> Any:
    np.random.seed(seed)  # noqa: NPY002
    return np.random.rand(n)  # noqa: NPY002


SUFFIXES = (".jpeg", ".jpg", ".png", ".dcm")


def walked(folder: Path) -> list[str]:
    found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]  # noqa: PTH118
    return sorted(path for path in found if path.lower().endswith(SUFFIXES))


def as_the_tutorial_lists(folder: Path) -> list[str]:
    """F12: folders by name, suffixes by case, no folder within a folder."""
    return sorted(
        str(path) for kind in ("NORMAL", "PNEUMONIA") for path in (folder / kind).iterdir()
        if path.name.endswith((".jpeg", ".jpg", ".png"))
    )  # fmt: skip


# --- preprocessing --------------------------------------------------------------------------


def letterboxed(image: np.ndarray) -> Any:
    scale = 64 / max(image.shape)
    size = tuple(round(n * scale) for n in image.shape)
    small = np.asarray(Image.fromarray(image).resize(size[::-1]))
    high, wide = 64 - size[0], 64 - size[1]
    return np.pad(small, ((high // 2, high - high // 2), (wide // 2, wide - wide // 2)))


def cropped(image: np.ndarray) -> Any:
    n = min(image.shape)
    top, left = ((m - n) // 2 for m in image.shape)
    return np.asarray(Image.fromarray(image[top : top + n, left : left + n]).resize((64, 64)))


def at_the_top(image: np.ndarray) -> Any:
    rows = np.flatnonzero((found := letterboxed(image)).any(axis=1))
    columns = np.flatnonzero(found.any(axis=0))
    return np.roll(found, (-rows[0], -columns[0]), axis=(0, 1))


def on_white(image: np.ndarray) -> Any:
    return np.where((found := letterboxed(image)) == 0, 255, found)


def half_as_large(image: np.ndarray) -> Any:
    small = letterboxed(image)[::2, ::2]
    return np.pad(small, 16)


def by_pairs(values: np.ndarray, labels: np.ndarray) -> float:
    pairs = values[labels == 1][:, None] - values[labels == 0]
    auc = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    return float(0.5 + abs(auc - 0.5))


def by_means(values: np.ndarray, labels: np.ndarray) -> Any:
    up = values[labels == 1].mean() > values[labels == 0].mean()
    return roc_auc_score(labels, values if up else -values)


def without_ties(values: np.ndarray, labels: np.ndarray) -> float:
    auc = (values[labels == 1][:, None] > values[labels == 0]).mean()
    return float(max(auc, 1 - auc))


# --- calibration and cross-validation -------------------------------------------------------


def benefit(labels: np.ndarray, scores: np.ndarray, t: float) -> float:
    (_, false), (_, found) = confusion_matrix(labels, scores >= t, labels=[0, 1])
    return (found - false * t / (1 - t)) / len(labels)


def counted(labels: np.ndarray, scores: np.ndarray, t: float) -> float:
    worth = [1 if y else -t / (1 - t) for y, s in zip(labels, scores, strict=True) if s >= t]
    return sum(worth) / len(labels)


def in_folds(features: Any, labels: Any, patients: Any, folds: Any = None, inside: bool = True,
             score: str = "roc_auc") -> float:  # fmt: skip
    model = make_pipeline(SelectKBest(k=20), LogisticRegression(max_iter=1000))
    if not inside:
        features = SelectKBest(k=20).fit_transform(features, labels)
        model = LogisticRegression(max_iter=1000)
    folds = folds or GroupKFold(5, shuffle=True, random_state=1)
    found = cross_val_score(model, features, labels, groups=patients, cv=folds, scoring=score)
    return float(np.nanmean(found))


def loop_of_folds(features: Any, labels: Any, patients: Any) -> float:
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=3)
    found = []
    for train, test in folds.split(features, labels, patients):
        x, y = features[train], labels[train]
        gap = np.abs(x[y == 1].mean(axis=0) - x[y == 0].mean(axis=0)) / x.std(axis=0)
        best = np.argsort(gap)[-20:]
        model = LogisticRegression(max_iter=1000).fit(x[:, best], y)
        found.append(roc_auc_score(labels[test], model.decision_function(features[test][:, best])))
    return float(np.mean(found))


# --- beyond ---------------------------------------------------------------------------------


def site_by_site(table: pd.DataFrame) -> Any:
    told = {}
    for site in table["site"].unique():
        part = table[table["site"] == site]
        if 0 < part["label"].sum() < len(part):
            told[site] = roc_auc_score(part["label"], part["score"])
    return pd.Series(told)


def one_for_all(table: pd.DataFrame) -> Any:
    """F39: the figure over all sites hides each of them."""
    return dict.fromkeys("AB", roc_auc_score(table["label"], table["score"]))


def with_undefined(table: pd.DataFrame) -> Any:
    return {**site_by_site(table), "C": float("nan")}


def map_by_map(maps: np.ndarray, masks: np.ndarray) -> float:
    hits = 0
    for heat, mask in zip(maps, masks, strict=True):
        hits += bool(mask[heat == heat.max()].all())
    return hits / len(maps)


def unravelled(maps: np.ndarray, masks: np.ndarray) -> Any:
    where = [np.unravel_index(m.argmax(), m.shape) for m in maps]
    return np.mean([mask[at] for mask, at in zip(masks, where, strict=True)])


def as_if_square(maps: np.ndarray, masks: np.ndarray) -> Any:
    side = maps.shape[1]
    where = [divmod(int(m.argmax()), side) for m in maps]
    return np.mean([mask[y % side, x] for mask, (y, x) in zip(masks, where, strict=True)])


def by_box(maps: np.ndarray, masks: np.ndarray) -> Any:
    boxes = masks.any(axis=1, keepdims=True) & masks.any(axis=2, keepdims=True)
    return unravelled(maps, boxes)


def energy(maps: np.ndarray, masks: np.ndarray) -> float:
    heat = np.clip(maps, 0, None)
    return float((heat * masks).sum() / heat.sum())


def kappa_by_table(first: np.ndarray, second: np.ndarray) -> float:
    table = pd.crosstab(first, second).reindex(index=[0, 1], columns=[0, 1], fill_value=0) / len(
        first
    )
    chance = (table.sum(axis=0) * table.sum(axis=1)).sum()
    return float((np.trace(table) - chance) / (1 - chance))


def coin_kappa(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * np.mean(first == second) - 1)


def without_the_count(name: str) -> str:
    parts = name.removesuffix(".jpeg").split("_")
    if parts[0].startswith("person"):
        return "_".join(parts[:2])
    return parts[0][: parts[0].index("IM-") + 7]


def by_regex(name: str) -> str:
    return re.findall(r"^(person\d+_[a-z]+|(?:NORMAL2-)?IM-\d{4})", name)[0]


def before_the_mark(name: str) -> str:
    """F02."""
    return name.split("_")[0] if "_" in name else name.split(".")[0]


ANSWERS: dict[str, Answers] = {
    "splits-1": Answers(
        [0.99, np.float32(0.992), 1],
        [(0.2, "too low"), (0.8, "too low"), (0.04, "too low"), (80, "a percentage, odds")],
    ),
    "splits-2": Answers(
        [4, "line 4", np.int64(4)],
        [
            (3, "as it should be"),
            (5, "chosen already"),
            ("2", "file name"),
            ("the set", "number"),
        ],
    ),
    "splits-3": Answers(
        [by_table, by_hand],
        [
            (in_hash_order, "another run"),
            (by_first_label, "share of ill"),
            (by_image, "both sides"),
            (without_seed, "seed used"),
            (without_labels, "share of ill"),
            (rows_of, "neither side"),
            (by_last_label, "different labels"),
            (once_per_image, "more than once"),
            (without_state, "Two calls"),
        ],
    ),
    "splits-4": Answers(
        [
            merged,
            lambda a, b: set(a["patient_id"]) & set(b["patient_id"]),
            lambda a, b: b.loc[
                b["patient_id"].isin(a["patient_id"]), "patient_id"
            ].drop_duplicates(),
            lambda a, b: b.loc[b["patient_id"].isin(a["patient_id"]), "patient_id"].unique(),
        ],
        [
            (lambda a, b: set(a["image_id"]) & set(b["image_id"]), "you name 0"),
            (lambda a, b: a["patient_id"].tolist(), "twice"),
            (lambda a, b: len(set(a["patient_id"]) & set(b["patient_id"])), "int"),
            (by_prefix, "one side only"),
            (lambda a, b: set(a["image_id"]), "images"),
        ],
    ),
    "evaluation-1": Answers(
        [0.0833, 1 / 12, np.float64(0.085)],
        [(0.9, "too high"), (0.5, "too high"), (0.01, "too low"), (8.3, "a percentage, odds")],
    ),
    "evaluation-2": Answers(
        [5, "Line 5", 5.0],
        [(6, "What threshold"), (2, "there for"), (4, "given later"), (1, "val")],
    ),
    "evaluation-3": Answers(
        [drawn_patients, weighted_patients],
        [
            (drawn_images, "draws images"),
            (lambda t, seed: drawn_patients(t, seed, (16, 84)), "by patient"),
            (lambda t, seed: roc_auc_score(t["label"], t["score"]), "two numbers"),
            (lambda t, seed: drawn_patients(t, seed)[::-1], "below"),
            (drawn_once, "counted twice"),
            (mean_of_each, "not that of"),
            (lambda t, seed: drawn_patients(t, int(_EVERYBODYS.integers(99))), "seed used"),
        ],
    ),
    "evaluation-4": Answers(
        [by_sorting, by_curve],
        [
            (lambda y, s, least: 0.0, "false alarms"),
            (lambda y, s, least: 0.7, "reaches"),
            (lambda y, s, least: np.quantile(s, 1 - least), "false alarms"),
            (lambda y, s, least: np.quantile(s[y == 1], 1 - least, method="lower"), "every score"),
            (lambda y, s, least: np.sort(s[y == 1])[::-1][int(least * y.sum()) - 1], "reaches"),
        ],
    ),
    "training-1": Answers(
        [3.3, 3, np.float64(3.33)],
        [(1, "too low"), (11, "too high"), (0.3, "too low"), (-1, "from 0")],
    ),
    "training-2": Answers(
        [6, "line 6"], [(7, "by now"), (5, "right"), (3, "later"), ("4", "choose an epoch")]
    ),
    "training-3": Answers(
        [counting, by_slices],
        [
            (as_in_the_tutorial, "NaN"),
            (never_anew, "wrong number"),
            (lambda losses, patience: counting(losses, patience, best=1.0), "above 1"),
            (
                lambda losses, patience: counting([*takewhile(lambda x: x == x, losses), 9, 9], 2),
                "",
            ),
            (lambda losses, patience: len(losses), "wrong number"),
            (lambda losses, patience: int(np.nanargmin(losses)) + patience, "wrong number"),
        ],
    ),
    "training-4": Answers(
        [frozen, frozen_one_by_one, without_momentum],
        [
            (without_dropout, "dropout is off"),
            (without_statistics, "drift"),
            (mode_alone, "Weights of the backbone"),
            (all_eval, "dropout is off"),
            (lambda m: m.requires_grad_(False), "Nothing"),
            (lambda m: m.backbone.eval().requires_grad_(False), "Return the model"),
        ],
    ),
    "imbalance-1": Answers(
        [0.5, np.float32(0.48)],
        [(0.9, "the odds"), (0.1, "too low"), (0.19, "too low"), (50, "a percentage, odds")],
    ),
    "imbalance-2": Answers([3, "line 3"], [(4, "By which"), (2, "copied yet"), (5, "after")]),
    "imbalance-3": Answers(
        [lambda y: (y == 0).sum() / (y == 1).sum(), lambda y: float(len(y) / y.sum() - 1)],
        [
            (lambda y: (y == 1).sum() / (y == 0).sum(), "10 ill and 90 well"),
            (lambda y: len(y) / (2 * y.sum()), "keep the weight 1"),  # F18
            (lambda y: 2.0, "the ill only"),  # F17
            (lambda y: [1.0, 9.0], "list"),
        ],
    ),
    "imbalance-4": Answers(
        [by_odds, by_bayes],
        [
            (lambda s, old, new: s * new / old, "not right"),
            (lambda s, old, new: s / (1 - s), "no probability"),
            (lambda s, old, new: s, "not right"),
            (lambda s, old, new: by_odds(s, new, old), "not right"),
            (lambda s, old, new: np.clip(s + new - old, 0, 1), "not right"),
            (lambda s, old, new: by_odds(s, old, new).mean(), "one probability per score"),
        ],
    ),
    "start-1": Answers(
        [3, "line 3"], [(6, "Which line needs it"), (1, "what it needs"), (2, "line 1")]
    ),
    "start-2": Answers(
        [
            lambda seed, n: np.random.default_rng(seed).random(n),
            lambda seed, n: [g.random() for g in [random.Random(seed)] for _ in range(n)],
            lambda seed, n: torch.rand(n, generator=torch.Generator().manual_seed(seed)),
        ],
        [
            (seeded_for_all, "all code shares"),
            (lambda seed, n: _EVERYBODYS.random(n), "same seed"),
            (lambda seed, n: np.random.default_rng(42).random(n), "seed used"),
            (lambda seed, n: np.full(n, seed / 10), "the same"),
            (lambda seed, n: random.Random(seed).random(), "a list"),
        ],
    ),
    "loading-1": Answers(
        [
            walked,
            lambda folder: sorted(
                x for x in folder.glob("**/*") if x.is_file() and x.suffix.lower() in SUFFIXES
            ),
        ],
        [
            (as_the_tutorial_lists, "letter by letter"),
            (lambda f: sorted(x for x in f.rglob("*") if ".png" in x.name.lower()), "missing"),
            (lambda f: sorted(x for x in f.rglob("*") if x.suffix.lower() in SUFFIXES), "a file"),
            (lambda f: [Path(x).name for x in walked(f)], "whole paths"),
            (lambda f: sorted(x for x in f.glob("*/*") if x.is_file()), "within a folder"),
            (lambda folder: sorted(folder.rglob("*.jpeg")), "letter by letter"),
            (lambda folder: sorted(x for x in folder.rglob("*") if x.is_file()), "no image"),
            (lambda folder: walked(folder)[::-1], "not sorted"),
            (lambda folder: len(walked(folder)), "int"),
        ],
    ),
    "loading-2": Answers(
        [1, 1.0, np.float64(0.99)],
        [(0.5, "what the loader yields"), (0.1, "Which labels"), (100, "a percentage, odds")],
    ),
    "eda-1": Answers(
        [
            letterboxed,
            lambda image: Image.fromarray(letterboxed(image)),
            lambda image: torch.from_numpy(letterboxed(image)),
        ],
        [
            (lambda image: np.asarray(Image.fromarray(image).resize((64, 64))), "squashed"),  # F09
            (cropped, "not shown whole"),
            (half_as_large, "smaller than"),
            (at_the_top, "in the middle"),
            (on_white, "not black"),
            (lambda image: letterboxed(image)[:, ::-1], "turned over"),
            (lambda image: letterboxed(image) / 255, "grey values"),
            (lambda image: image, "64 by 64"),
            (lambda image: np.stack([letterboxed(image)] * 3), "grey image"),
        ],
    ),
    "eda-2": Answers(
        [by_pairs, lambda v, y: max(roc_auc_score(y, v), roc_auc_score(y, -v))],
        [
            (lambda v, y: roc_auc_score(y, v), "other way round"),
            (without_ties, "equal values"),
            (by_means, "does not turn the pairs"),
            (lambda v, y: abs(np.corrcoef(v, y)[0, 1]), "from .5"),
        ],
    ),
    "transfer-1": Answers(
        [4, "Line 4"], [(2, "anything else"), (6, "allowed"), (5, "optimizer"), (1, "should")]
    ),
    "transfer-2": Answers(
        [513, 513.0, np.int64(513)],
        [(512, "too low"), (1026, "too high"), (11_000_000, "too high"), (2, "too low")],
    ),
    "calibration-1": Answers(
        [benefit, counted],
        [
            (
                lambda y, s, t: np.mean((s >= t) & (y == 1)) - np.mean((s >= t) & (y == 0)),
                "one ninth",
            ),
            (
                lambda y, s, t: np.mean((s >= t) & (y == 1)) - np.mean((s >= t) & (y == 0)) * t,
                "one ninth",
            ),
            (lambda y, s, t: benefit(y, s, t + 1e-12), "equal to the threshold"),
            (lambda y, s, t: benefit(y, s, t) * len(y), "number of people"),
        ],
    ),
    "calibration-2": Answers(
        [0.75, np.float32(0.76)],
        [
            (0.45, "too low"),
            (0.9, "more cautious"),
            (0.988, "too high"),
            (75, "a percentage, odds"),
        ],
    ),
    "crossval-1": Answers(
        [in_folds, loop_of_folds],
        [
            (partial(in_folds, inside=False), "What learns"),
            (partial(in_folds, score="accuracy"), "Is it a ROC-AUC"),
            (
                partial(in_folds, folds=KFold(5, shuffle=True, random_state=0)),
                "equal images",
            ),  # F27
            (lambda x, y, patients: 0.5, "five features"),
            (lambda x, y, patients: [0.5] * 5, "list"),
        ],
    ),
    "crossval-2": Answers(
        [1.6, 1.5, np.float64(1.64)],
        [(0, "one fold each"), (1, "too low"), (3, "too high"), (5, "other four")],
    ),
    "shortcuts-1": Answers(
        [0.3, 0.29, np.float64(0.31)],
        [(0.5, "more often"), (0.9, "too high"), (0.7, "too high"), (0.1, "one half")],
    ),
    "shortcuts-2": Answers(
        [site_by_site, lambda t: dict(site_by_site(t))],
        [
            (one_for_all, "over all sites"),
            (with_undefined, "no ill"),
            (lambda t: {**site_by_site(t), "D": 0.5}, "no well"),
            (
                lambda t: {
                    s: without_ties(*p[["score", "label"]].to_numpy().T)
                    for s, p in t[t["site"].isin(["A", "B"])].groupby("site")
                },
                "one half",
            ),
            (lambda t: float(site_by_site(t).mean()), "float"),
            (lambda t: {"A": site_by_site(t)["A"]}, "A and B"),
        ],
    ),
    "inside-1": Answers(
        [map_by_map, unravelled],
        [
            (as_if_square, "square"),
            (energy, "of its own"),
            (by_box, "not be a box"),
            (
                lambda maps, masks: np.mean(
                    [(m[k] > 0.5).any() for m, k in zip(maps, masks, strict=True)]
                ),
                "negative",
            ),
        ],
    ),
    "labels-1": Answers(
        [kappa_by_table, cohen_kappa_score],
        [
            (lambda a, b: np.mean(a == b), "throw coins"),
            (coin_kappa, "of their own"),
            (lambda a, b: abs(cohen_kappa_score(a, b)), "negative"),
            (lambda a, b: np.corrcoef(a, b)[0, 1], "you say"),
            (lambda a, b: 90.0, "from -1"),
        ],
    ),
    "capstone-1": Answers([5, "line 5"], [(4, "one use"), (3, "as well"), (2, "choose among")]),
    "trial-1": Answers(
        [without_the_count, by_regex],
        [
            (before_the_mark, "two persons"),
            (lambda name: name, "two IDs"),
            (
                lambda name: name.removeprefix("NORMAL2-").rsplit("_", 1)[0].rsplit("-", 1)[0],
                "person",
            ),
            (lambda name: int(re.findall(r"\d+", name)[0]), "not a text"),
            (lambda name: by_regex(name).removeprefix("NORMAL2-"), "two persons"),
        ],
    ),
    "gallery-1": Answers(
        [0.89, 0.9, np.float64(0.893)],
        [
            (0.8, "too low"),
            (0.85, "typical one"),
            (0.99, "few lie much higher"),
            (89, "a percentage, odds"),
        ],
    ),
}
