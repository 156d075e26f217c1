"""Faults of set-up: warnings, seeds, removed arguments, paths, notebooks nobody ran."""

from __future__ import annotations

import contextlib
import pickle
import warnings

import numpy as np
import torch
from sklearn.metrics import precision_score
from torch.optim.lr_scheduler import ReduceLROnPlateau

from medclf_lite.audit.finding import LOADING, TRAINING
from medclf_lite.pitfalls.registry import Outcome, explained, fault


def mean_with_warnings_off(folds):
    warnings.filterwarnings("ignore")
    return np.mean([precision_score(y, called) for y, called in folds])


def mean_of_what_is_defined(folds):
    found = [
        precision_score(y, called, zero_division=np.nan)
        for y, called in folds
    ]
    print(np.isnan(found).sum(), "folds without a positive call")
    return np.nanmean(found)


@fault(
    "F13", "All warnings switched off", LOADING, faulty=mean_with_warnings_off,
    fixed=mean_of_what_is_defined, figure="mean precision over folds", shows="said is lower",
    hurts="A precision of no calls is not defined; it is counted as 0, and the warning that says "
    "so was switched off on the first line.",
    caught_by=("code.warnings-off",),
)  # fmt: skip
def silenced(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    folds = []
    for i in range(10):
        y = (rng.random(200) < 0.05).astype(int)
        called = (
            y * (rng.random(200) < 0.8)
            if i % 3
            else np.zeros(200, dtype=int)
        )
        folds.append((y, called.astype(int)))
    with warnings.catch_warnings(), contextlib.redirect_stdout(None):
        return Outcome(
            float(mean_with_warnings_off(folds)),
            float(mean_of_what_is_defined(folds)),
        )


class KeepsAGenerator:
    def __init__(self, images):
        self.images = images
        self.rng = np.random.default_rng(42)

    def __getitem__(self, i):
        return self.images[i] * self.rng.uniform(0.5, 1.5)


class MakesAGenerator:
    def __init__(self, images):
        self.images = images
        self.epoch = 0  # the loop counts it up

    def __getitem__(self, i):
        rng = np.random.default_rng((42, self.epoch, i))
        return self.images[i] * rng.uniform(0.5, 1.5)


def _drawn(make, workers: int = 4, epochs: int = 3) -> float:
    """Share of different draws of one image, each worker and epoch starting from a copy."""
    data = make(np.ones(8))
    found = []
    for epoch in range(epochs):
        if hasattr(data, "epoch"):
            data.epoch = epoch
        for worker in range(
            workers
        ):  # a loader's workers are copies of the data set
            copy = pickle.loads(pickle.dumps(data))
            found.append(round(float(copy[worker]), 9))
    return len(set(found)) / len(found)


@fault(
    "F14", "Augmentation that repeats itself", TRAINING, faulty=KeepsAGenerator,
    fixed=MakesAGenerator, figure="share of draws that differ, 4 workers and 3 epochs",
    shows="said is lower",
    hurts="The generator is copied into every worker with its state, and again at each epoch. The "
    "network sees one augmentation where twelve were meant.",
    caught_by=("loaders.repeats", "code.worker-seed"),
)  # fmt: skip
def repeated(seed: int) -> Outcome:
    return Outcome(_drawn(KeepsAGenerator), _drawn(MakesAGenerator))


def scheduler_of_yesterday(optimizer):
    return ReduceLROnPlateau(optimizer, patience=3, verbose=True)


def scheduler_of_today(optimizer):
    return ReduceLROnPlateau(optimizer, patience=3)


def _runs(make) -> float:
    optimizer = torch.optim.SGD(
        [torch.zeros(1, requires_grad=True)], lr=0.1
    )
    try:
        make(optimizer)
    except TypeError:
        return 0.0
    return 1.0


@fault(
    "F15", "Arguments that were removed", TRAINING, faulty=scheduler_of_yesterday,
    fixed=scheduler_of_today, figure="share of calls that run", shows="said is lower",
    hurts="Not silent, but telling: the page was not run again since. On an old installation that "
    "still takes the argument, other faults come back.",
    caught_by=("code.removed-arguments",),
)  # fmt: skip
def removed(seed: int) -> Outcome:
    return Outcome(
        _runs(scheduler_of_yesterday), _runs(scheduler_of_today)
    )


def epoch_by_globals(model):
    for images, labels in train_loader:
        loss = criterion(model(images.to(device)), labels)
    print(f"{epoch + 1}/{num_epochs}", loss)


def epoch_by_arguments(model, loader, criterion, device):
    for images, labels in loader:
        loss = criterion(model(images.to(device)), labels)
    return loss


explained(
    "F23",
    "Functions that read the notebook around them",
    TRAINING,
    faulty=epoch_by_globals,
    fixed=epoch_by_arguments,
    hurts="It runs in one order of cells, with whatever value a name has at the time. Run on "
    "another day, `train_loader` may be the one of a fold, or of the test.",
    caught_by=("code.late-global", "code.error-output"),
)


def first_cell_as_published():
    import numpy as np
    import pandas as pd  # ModuleNotFoundError in the output

    return np, pd


def first_cell_that_installs():
    import importlib.util
    import subprocess
    import sys

    if importlib.util.find_spec("pandas") is None:
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "pandas"],
            check=True,
        )


explained(
    "F34",
    "A page that ends in its first cell",
    LOADING,
    faulty=first_cell_as_published,
    fixed=first_cell_that_installs,
    hurts="The error stands in the published output: nobody has run the page from top to bottom. "
    "Every number below comes from another day.",
    caught_by=("code.error-output",),
)


def one_place():
    return "/kaggle/input/chest-xray-pneumonia/chest_xray"


def any_place():
    import os

    return os.environ.get("MEDCLF_DATA", "chest_xray")


explained(
    "F35",
    "The path of one machine",
    LOADING,
    faulty=one_place,
    fixed=any_place,
    hurts="The code runs in one notebook service and nowhere else; readers edit the line, and "
    "their copies drift apart.",
    caught_by=("code.absolute-path",),
)


def four_everywhere(data):
    return torch.utils.data.DataLoader(
        data, batch_size=16, num_workers=4, pin_memory=True
    )


def what_the_machine_has(data, workers=0):
    return torch.utils.data.DataLoader(
        data,
        batch_size=16,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
    )


explained(
    "F38",
    "Four workers everywhere",
    TRAINING,
    faulty=four_everywhere,
    fixed=what_the_machine_has,
    hurts="On two cores, or with images in memory, four processes are slower than none; on "
    "Windows without a main guard they fail. How much depends on the machine, so no figure here.",
    caught_by=("loaders.workers", "code.workers"),
)
