"""Answers to the exercises: right ones, written differently, and wrong ones that people give."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split


class Answers(NamedTuple):
    """Right answers, and wrong ones with a word that the feedback must contain."""

    right: list[Any]
    wrong: list[tuple[Any, str]]


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


def by_sorting(labels: np.ndarray, scores: np.ndarray, least: float) -> float:
    ill = np.sort(scores[labels == 1])
    return float(ill[int(np.floor(len(ill) * (1 - least) + 1e-9))])


def by_curve(labels: np.ndarray, scores: np.ndarray, least: float) -> float:
    _, sensitivity, cuts = roc_curve(labels, scores, drop_intermediate=False)
    return float(cuts[int(np.argmax(sensitivity >= least))])


# --- training -------------------------------------------------------------------------------


def counting(losses: list[float], patience: int) -> int:
    best, last = np.inf, 0
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


ANSWERS: dict[str, Answers] = {
    "splits-1": Answers(
        [0.99, np.float32(0.992), 1],
        [(0.2, "too low"), (0.8, "too low"), (0.04, "too low"), (80, "not a percentage")],
    ),
    "splits-2": Answers(
        [4, "line 4", np.int64(4)],
        [
            (3, "as it should be"),
            (5, "what line 4 gave"),
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
            (rows_of, "no side"),
        ],
    ),
    "splits-4": Answers(
        [
            merged,
            lambda a, b: set(a["patient_id"]) & set(b["patient_id"]),
            lambda a, b: b.loc[
                b["patient_id"].isin(a["patient_id"]), "patient_id"
            ].drop_duplicates(),
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
        [0.0833, 1 / 12, np.float64(0.09)],
        [(0.9, "too high"), (0.5, "too high"), (0.01, "too low"), (8.3, "not a percentage")],
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
        ],
    ),
    "evaluation-4": Answers(
        [by_sorting, by_curve],
        [
            (lambda y, s, least: 0.0, "false alarms"),
            (lambda y, s, least: 0.5, "reaches"),
            (lambda y, s, least: float(np.quantile(s, 1 - least)), ""),
            (lambda y, s, least: float(np.quantile(s[y == 0], least)), "reaches"),
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
            (lambda losses, patience: len(losses), "wrong number"),
            (lambda losses, patience: int(np.nanargmin(losses)) + patience, ""),
        ],
    ),
    "training-4": Answers(
        [frozen, frozen_one_by_one],
        [
            (without_statistics, "drift"),
            (mode_alone, "Weights of the backbone"),
            (all_eval, "dropout is off"),
            (lambda m: m.requires_grad_(False), "Nothing"),
            (lambda m: m.backbone.eval().requires_grad_(False), "Return the model"),
        ],
    ),
    "imbalance-1": Answers(
        [0.5, np.float32(0.48)],
        [(0.9, "the odds"), (0.1, "too low"), (0.19, "too low"), (50, "not a percentage")],
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
            (lambda s, old, new: by_odds(s, old, new).mean(), "one probability a score"),
        ],
    ),
}
