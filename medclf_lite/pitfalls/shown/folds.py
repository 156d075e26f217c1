"""Faults of cross-validation and resampling: whose folds, which images, what was invented."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    cross_val_predict,
)
from sklearn.neighbors import KNeighborsClassifier

from medclf_lite.audit.finding import CROSS_VALIDATION, IMBALANCE
from medclf_lite.pitfalls.cohorts import (
    FAINT,
    SIZE,
    auc,
    data,
    linear,
    patients,
    pixels,
)
from medclf_lite.pitfalls.registry import Outcome, explained, fault


def folds_of_images(model, x, y, patients):
    folds = KFold(5, shuffle=True, random_state=42)
    return cross_val_predict(
        model, x, y, cv=folds, method="predict_proba"
    )


def folds_of_patients(model, x, y, patients):
    return cross_val_predict(
        model,
        x,
        y,
        groups=patients,
        cv=GroupKFold(5),
        method="predict_proba",
    )


@fault(
    "F27", "Folds of images", CROSS_VALIDATION, faulty=folds_of_images, fixed=folds_of_patients,
    figure="ROC-AUC, cross-validated and on new patients",
    hurts="Each fold is judged by a model that has seen other images of the same people. With a "
    "faint disease, recognising the person is the easier task.",
    caught_by=("splits.patients", "sides.patients", "predictions.folds", "code.image-folds"),
)  # fmt: skip
def image_folds(seed: int) -> Outcome:
    cohort = patients(seed, 60, 6, amplitude=FAINT).cohort
    x, y = pixels(cohort), cohort.labels
    model = KNeighborsClassifier(3)
    said = roc_auc_score(
        y, folds_of_images(model, x, y, cohort.patients)[:, 1]
    )
    new_x, new_y = data(seed + 5000, 300, amplitude=FAINT)
    return Outcome(float(said), auc(model.fit(x, y), new_x, new_y))


def one_transform(images, rows, augment):
    images = augment(images)  # the data set has one transform
    return images[rows["train"]], images[rows["val"]]


def one_transform_each(images, rows, augment):
    return augment(images[rows["train"]]), images[rows["val"]]


@fault(
    "F28", "Validation images that are augmented", CROSS_VALIDATION, faulty=one_transform,
    fixed=one_transform_each, figure="ROC-AUC on the validation images", shows="said is lower",
    hurts="Shifted, noisy images are harder than the images themselves, and others each time: the "
    "figure is too low and differs from run to run.",
    caught_by=("loaders.random", "code.augmented-folds"),
)  # fmt: skip
def augmented(seed: int) -> Outcome:
    x, y = data(seed, 400)
    rows = {"train": np.arange(250), "val": np.arange(250, 400)}
    found = []
    for make in (one_transform, one_transform_each):
        train, val = make(x, rows, lambda images: _moved(images, seed))
        found.append(
            auc(linear(train, y[rows["train"]]), val, y[rows["val"]])
        )
    return Outcome(*found)


def _moved(images, seed):
    """Shift, darken or brighten, and add noise; an image is always changed alike."""
    found = []
    for i, image in enumerate(images):
        rng = np.random.default_rng((seed, i))
        shifted = np.roll(
            image.reshape(SIZE, SIZE), rng.integers(-3, 4, 2), (0, 1)
        )
        noisy = shifted * rng.uniform(0.6, 1.4) + rng.normal(
            0, 0.08, shifted.shape
        )
        found.append(noisy.ravel())
    return np.array(found)


def by_patient_alone(model, x, y, patients, sites):
    return cross_val_predict(
        model,
        x,
        y,
        groups=patients,
        cv=GroupKFold(5),
        method="predict_proba",
    )


def by_site(model, x, y, patients, sites):
    return cross_val_predict(
        model,
        x,
        y,
        groups=sites,
        cv=LeaveOneGroupOut(),
        method="predict_proba",
    )


@fault(
    "F29", "Cross-validation promises what another hospital does not keep", CROSS_VALIDATION,
    faulty=by_patient_alone, fixed=by_site,
    figure="ROC-AUC, cross-validated by patient at two sites and tested at a third",
    hurts="The folds are by patient and nothing leaks. At the two sites disease and site go "
    "together, at the third there is nothing to read off. Leakage is real, and it is not the "
    "answer to everything: hold a site out before the test does it for you.",
    caught_by=("predictions.gap", "shortcuts.drift"),
)  # fmt: skip
def gap(seed: int) -> Outcome:
    here = patients(
        seed, 300, amplitude=(0.2, 0.4), site_confounding=0.85
    ).cohort
    x, y = pixels(here), here.labels
    model = linear(x, y)
    score = by_patient_alone(
        model, x, y, here.patients, here.table["site"]
    )[:, 1]
    there = data(seed + 5000, 300, amplitude=(0.2, 0.4), sites=("C",))
    return Outcome(float(roc_auc_score(y, score)), auc(model, *there))


def overwrites_labels():
    for fold, (a, b) in enumerate(folds.split(images, labels)):
        for inputs, labels in loader(a):
            fit(inputs, labels)


def keeps_labels():
    for fold, (a, b) in enumerate(folds.split(images, labels)):
        for inputs, target in loader(a):
            fit(inputs, target)


explained(
    "F30",
    "A loop that overwrites what it goes over",
    CROSS_VALIDATION,
    faulty=overwrites_labels,
    fixed=keeps_labels,
    hurts="It works, since the generator took the labels before they were overwritten. Ask for "
    "them once more, or call split again, and they are the last batch's. No figure: today it is "
    "right, by luck.",
    caught_by=("code.overwritten",),
)


def invent_then_divide(x, y, rng):
    x, y = invent(x, y, rng)
    rows = rng.permutation(len(y))
    return x[rows[100:]], y[rows[100:]], x[rows[:100]], y[rows[:100]]


def divide_then_invent(x, y, rng):
    rows = rng.permutation(len(y))
    train, test = rows[100:], rows[:100]
    return *invent(x[train], y[train], rng), x[test], y[test]


def invent(x, y, rng):
    """Make cases between neighbours, as SMOTE does."""
    rare = x[y == 1]
    more = int((y == 0).sum() - len(rare))
    a = rare[rng.integers(0, len(rare), more)]
    near = (
        KNeighborsClassifier(2)
        .fit(rare, np.zeros(len(rare)))
        .kneighbors(a)[1][:, 1]
    )
    made = a + rng.random((more, 1)) * (rare[near] - a)
    return np.concatenate([x, made]), np.r_[y, np.ones(more, int)]


@fault(
    "F32", "Synthetic cases, recommended and forbidden on one page", IMBALANCE,
    faulty=invent_then_divide, fixed=divide_then_invent,
    figure="ROC-AUC on the test images and on new patients",
    hurts="Cases that were invented before the split lie next to their parents on both sides: "
    "the test is solved by the nearest image, and new patients are not.",
    caught_by=("code.smote", "code.fit-before-split"),
)  # fmt: skip
def invented(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    x, y = data(seed, 300, amplitude=FAINT, prevalence=0.15)
    train_x, train_y, test_x, test_y = invent_then_divide(x, y, rng)
    model = KNeighborsClassifier(5).fit(train_x, train_y)
    new = data(seed + 5000, 300, amplitude=FAINT, prevalence=0.15)
    return Outcome(auc(model, test_x, test_y), auc(model, *new))
