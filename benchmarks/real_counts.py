"""Figures on the real data sets that need no network: who is who, splits, file traits."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from medclf_lite import splits
from medclf_lite.audit import probe_traits
from medclf_lite.cohort import Cohort
from medclf_lite.patients import patient_ids
from medclf_lite.sources import from_nih

SEEDS = range(20)
MATCHED = 0.97  # correlation from which two images are taken for the same


def patients(cohort: Cohort) -> dict[str, Any]:
    """Count patients by the right rule and by the tutorial's, in train and in all."""
    names = [Path(i).name for i in cohort.table["image_id"]]
    table = cohort.table.assign(tutorial=patient_ids(names, "tutorial"))
    train = table[table["split"] == "train"]
    per_class = train.groupby("label").agg(
        right=("patient_id", "nunique"), tutorial=("tutorial", "nunique")
    )
    images_each = train[train["label"] == 1].groupby("patient_id").size()
    mixed = train[train["label"] == 1].groupby("tutorial")["subtype"].nunique()
    return {
        "train_right": int(train["patient_id"].nunique()),
        "train_tutorial": int(train["tutorial"].nunique()),
        "all_right": int(table["patient_id"].nunique()),
        "all_tutorial": int(table["tutorial"].nunique()),
        "normal_right": int(per_class.loc[0, "right"]),
        "normal_tutorial": int(per_class.loc[0, "tutorial"]),
        "pneumonia_right": int(per_class.loc[1, "right"]),
        "pneumonia_tutorial": int(per_class.loc[1, "tutorial"]),
        "ids_that_mix_subtypes": int((mixed > 1).sum()),
        "most_images_of_one_patient": int(images_each.max()),
        "pneumonia_patients_with_one_image": int((images_each == 1).sum()),
    }


def image_split(cohort: Cohort) -> dict[str, Any]:
    """Divide images 70/15/15 at random, as many do, and count whose patient is in train."""
    rows = []
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(cohort))
        train, test = order[: int(0.7 * len(order))], order[int(0.85 * len(order)) :]
        known = set(cohort.patients[train])
        rows.append(np.mean([p in known for p in cohort.patients[test]]))
    return {
        "leaking_share_mean": float(np.mean(rows)),
        "low": float(min(rows)),
        "high": float(max(rows)),
        "seeds": len(rows),
    }


def tutorial_split(cohort: Cohort) -> dict[str, Any]:
    """Split by the tutorial's IDs and count validation images whose patient is in train."""
    train = cohort.part("train")
    wrong = np.array(patient_ids([Path(i).name for i in train.table["image_id"]], "tutorial"))
    rows = []
    for seed in SEEDS:
        ids = np.unique(wrong)
        _, held = train_test_split(ids, test_size=0.2, random_state=seed)
        is_val = np.isin(wrong, held)
        known = set(train.patients[~is_val])
        rows.append(float(np.mean([p in known for p in train.patients[is_val]])))
    return {"leaking_share_mean": float(np.mean(rows)), "low": min(rows), "high": max(rows)}


def native_shortcuts(facts: pd.DataFrame) -> list[dict[str, Any]]:
    """Probe the traits of original files, of which a table without pixels is kept."""
    table = pd.DataFrame({
        "image_id": facts["name"], "patient_id": facts["patient"],
        "label": (facts["cls"] == "PNEUMONIA").astype(int), "n_bytes": facts["bytes"],
        "width": facts["w"], "height": facts["h"], "mode": facts["mode"],
        "compression": facts["lum_qtable_sum"],
    })  # fmt: skip
    cohort = Cohort(table, None, "original files, a sample", "CC BY 4.0")
    return probe_traits(cohort).to_dict("records")


def pneumoniamnist(matches: Path) -> dict[str, int]:
    """Count validation and test images of PneumoniaMNIST whose patient is in its train side."""
    table = pd.read_csv(matches)
    table = table[table["corr"] > MATCHED]
    table["patient"] = patient_ids(table["name"].tolist(), "kaggle")
    known = set(table.loc[table["mnist_split"] == "train", "patient"])
    found: dict[str, int] = {}
    for side in ("val", "test"):
        people = table.loc[table["mnist_split"] == side, "patient"]
        found |= {f"{side}_matched": len(people), f"{side}_leaking": int(people.isin(known).sum())}
    return found


def nih(csv: Path) -> dict[str, Any]:
    """Split 112,120 images of 30,805 patients, by image and by patient."""
    cohort = from_nih(csv)
    start = time.perf_counter()
    split = splits.split_patients(cohort, val=0.1, test=0.2, seed=0)
    seconds = time.perf_counter() - start
    sides = split.table.groupby("patient_id")["split"].nunique()
    order = np.random.default_rng(0).permutation(len(cohort))
    known = set(cohort.patients[order[: int(0.7 * len(order))]])
    test = cohort.patients[order[int(0.8 * len(order)) :]]
    each = cohort.table.groupby("patient_id").size()
    return {
        "images": len(cohort),
        "patients": cohort.n_patients,
        "patients_with_more_than_one_image": int((each > 1).sum()),
        "most_images": int(each.max()),
        "patient_split_seconds": seconds,
        "patients_on_two_sides": int((sides > 1).sum()),
        "image_split_leaking_share": float(np.mean([p in known for p in test])),
        "largest_prevalence_gap": float(_gap(split)),
    }


def _gap(split: Cohort) -> float:
    means = split.table.groupby("split")[list(split.findings)].mean()
    return float((means.max() - means.min()).max())
