"""Faults of splitting: who is a patient, in what order, and what the split is used for."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier

from medclf_lite.audit.finding import SPLITS
from medclf_lite.patients import kaggle_patient, tutorial_patient
from medclf_lite.pitfalls.cohorts import (
    NONE,
    Array,
    data,
    parts,
    patients,
    pixels,
)
from medclf_lite.pitfalls.registry import Outcome, fault, source_of


def first_part(name):
    return name.split("_")[0] if "_" in name else name


def by_pattern(name):
    patient = kaggle_patient(name)  # number and subtype, or series
    if patient is None:
        raise ValueError(f"{name}: no pattern of names fits")
    return patient


def _named(
    seed: int, n: int, each: int
) -> tuple[Array, Array, list[str]]:
    """Patients without any disease, under names like those of the Kaggle set."""
    cohort = patients(seed, n, each, amplitude=NONE).cohort
    number = pd.factorize(cohort.table["patient_id"])[0]
    names = [
        f"person{p}_virus_{i}" if label else f"IM-{p:04d}-{i:04d}"
        for i, (p, label) in enumerate(
            zip(number, cohort.labels, strict=True)
        )
    ]
    return pixels(cohort), cohort.labels, names


def _auc_of_neighbours(
    x: Array, y: Array, new_x: Array, new_y: Array
) -> float:
    """Score by the nearest image: a model that can only recognise people."""
    model = KNeighborsClassifier(3).fit(x, y)
    return float(roc_auc_score(new_y, model.predict_proba(new_x)[:, 1]))


@fault(
    "F02", "Patients cut out of file names", SPLITS, faulty=first_part, fixed=by_pattern,
    hurts="The rule fits the names of one class and makes each image of the other a patient of "
    "its own. The split 'by patient' is then a split by image for that class. In this "
    "demonstration there is no disease to be seen at all.",
    figure="ROC-AUC on held-out patients",
    caught_by=("patients.id-rule", "patients.mixed-subtypes", "code.first-underscore"),
)  # fmt: skip
def wrong_rule(seed: int) -> Outcome:
    x, y, names = _named(seed, 60, 6)
    said, truth = (
        _held_out(x, y, np.array([rule(name) for name in names]), seed)
        for rule in (tutorial_patient, kaggle_patient)
    )
    return Outcome(said, truth)


def _held_out(x: Array, y: Array, who: Array, seed: int) -> float:
    _, held = parts(sorted(set(who)), 0.3, seed)
    test = np.isin(who, held)
    return _auc_of_neighbours(x[~test], y[~test], x[test], y[test])


def draw_from_a_set(patients):
    ids = list(set(patients))
    random.Random(42).shuffle(ids)
    return ids[: len(ids) // 5]


def draw_from_a_sorted_list(patients):
    ids = sorted(set(patients))
    random.Random(42).shuffle(ids)
    return ids[: len(ids) // 5]


def _in_two_interpreters(function, seed: int) -> float:
    """Share of the test patients that are the same under two hash seeds."""
    code = (
        f"import random\n{source_of(function)}\n"
        f"print(*{function.__name__}(['p%d' % (i * 7 + {seed}) for i in range(100)]))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": str(s)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for s in (seed % 1000 + 1, seed % 1000 + 2)
    ]
    return len(set(runs[0]) & set(runs[1])) / len(runs[0])


@fault(
    "F03", "The order of a set goes into the split", SPLITS, faulty=draw_from_a_set,
    fixed=draw_from_a_sorted_list, figure="share of test patients who are the same tomorrow",
    shows="said is lower",
    hurts="The order of a set of texts follows the interpreter's hash seed. The seed 42 does not "
    "bring the split back: tomorrow most test patients are others, and some of today's are then "
    "trained on.",
    caught_by=("splits.hash-seed", "code.set-order"),
)  # fmt: skip
def hash_seed(seed: int) -> Outcome:
    return Outcome(
        _in_two_interpreters(draw_from_a_set, seed),
        _in_two_interpreters(draw_from_a_sorted_list, seed),
    )


def label_of_first_image(images):
    label = {}
    for patient, ill in images:
        if patient not in label:
            label[patient] = ill
    return label


def ever_ill(images):
    label = {}
    for patient, ill in images:
        label[patient] = max(ill, label.get(patient, 0))
    return label


@fault(
    "F04", "A patient's label is that of the first image", SPLITS, faulty=label_of_first_image,
    fixed=ever_ill, figure="share of patients in the stratum 'ill'", shows="said is lower",
    hurts="Patients who fall ill later are filed as healthy, by the order of their files, and the "
    "sides of the split are balanced for a label that is not theirs.",
    caught_by=("patients.mixed-labels", "code.first-label"),
)  # fmt: skip
def first_label(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    onset = rng.integers(
        0, 8, 200
    )  # the study at which a patient falls ill; most never do
    images = [
        (p, int(k >= onset[p])) for p in range(200) for k in range(4)
    ]
    said, truth = (
        np.mean([*rule(images).values()])
        for rule in (label_of_first_image, ever_ill)
    )
    return Outcome(float(said), float(truth))


def look_up_in_a_list(images, train):
    return [i for i in images if i.patient in train]


def look_up_in_a_set(images, train):
    train = set(train)
    return [i for i in images if i.patient in train]


class _Counted(str):
    """A patient ID that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        type(self).compared += 1
        return str.__eq__(self, str(other))

    __hash__ = str.__hash__


@fault(
    "F05", "Each image is looked up in a list", SPLITS, faulty=look_up_in_a_list,
    fixed=look_up_in_a_set, figure="comparisons for an image, at 400 patients",
    hurts="The work grows with the square of the number: what takes a second for a thousand "
    "images takes hours for a million.",
    caught_by=("code.list-membership",),
)  # fmt: skip
def look_ups(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    train = [_Counted(f"p{i}") for i in rng.permutation(400)]
    images = pd.Series(
        [_Counted(f"p{i}") for i in rng.integers(0, 800, 300)]
    )
    rows = [type("Image", (), {"patient": p}) for p in images]
    found = []
    for search in (look_up_in_a_list, look_up_in_a_set):
        _Counted.compared = 0
        search(rows, train)
        found.append(_Counted.compared / len(rows))
    return Outcome(*found)


def train_on_the_folder(split, folder):
    train, val = split  # made with care, by patient
    return folder, val  # and then the stock folder was loaded


def train_on_the_split(split, folder):
    train, val = split
    return train, val


@fault(
    "F06", "A careful split that nothing uses", SPLITS, faulty=train_on_the_folder,
    fixed=train_on_the_split, figure="ROC-AUC on the validation patients",
    hurts="The validation patients are in the folder that is trained on. Here there is no disease "
    "to be seen: the model recognises every image it has learnt.",
    caught_by=("sides.split", "sides.images", "code.unused"),
)  # fmt: skip
def dead_split(seed: int) -> Outcome:
    x, y = data(seed, 150, amplitude=NONE)
    split = parts(range(150), 0.3, seed)
    outcome = []
    for choose in (train_on_the_folder, train_on_the_split):
        train, val = choose(split, list(range(150)))
        outcome.append(
            _auc_of_neighbours(x[train], y[train], x[val], y[val])
        )
    return Outcome(*outcome)


def best_on_sixteen(models, val):
    return max(models, key=lambda model: auc_of(model, val[:16]))


def best_on_all(models, val):
    return max(models, key=lambda model: auc_of(model, val))


def auc_of(model, images):
    return roc_auc_score(
        [i.label for i in images], [i.score[model] for i in images]
    )


class _Judged:
    """An image with its label and the scores of many models that are equally good."""

    def __init__(self, label: int, score: Array) -> None:
        self.label, self.score = label, score


@fault(
    "F07", "Sixteen images choose the model", SPLITS, faulty=best_on_sixteen, fixed=best_on_all,
    figure="ROC-AUC of the model that was chosen",
    hurts="Of twenty equally good models the luckiest wins, and its figure is its luck. Early "
    "stopping and schedulers that look at these images follow the same chance.",
    caught_by=("counts.small-side", "loaders.small"),
)  # fmt: skip
def best_of_twenty(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    label = np.arange(400) % 2
    score = 0.8 * label[:, None] + rng.normal(size=(400, 20))
    images = [
        _Judged(int(y), s) for y, s in zip(label, score, strict=True)
    ]
    chosen = best_on_sixteen(range(20), images)
    return Outcome(
        auc_of(chosen, images[:16]), auc_of(chosen, images[16:])
    )
