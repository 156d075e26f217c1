"""What can be said of the labels of the real sets: doubts, several findings, rare ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from real_world import World, head
from sklearn.model_selection import GroupShuffleSplit, cross_val_predict

from medclf_lite import metrics, splits
from medclf_lite.cohort import Cohort
from medclf_lite.predictions import Predictions
from medclf_lite.sources import from_nih

SEEDS = range(20)
PATIENTS = 2000  # of the NIH set, drawn anew for each seed
RAREST = "Hernia"


def labels(world: World) -> dict[str, Any]:
    """Doubts about the training labels of the Kaggle set, and findings of the NIH table."""
    nih = from_nih(world.data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz")
    return {"suspects": suspects(world), "nih": several_findings(nih), "rare": rare(nih)}


def suspects(world: World) -> dict[str, float]:
    """Count training images whose label the other patients' images contradict."""
    train = world.cohort.take(~world.is_test)
    scores = cross_val_predict(
        head(), world.features[~world.is_test], train.labels, groups=train.patients,
        cv=splits.PatientKFold(5, seed=0), method="predict_proba",
    )[:, 1]  # fmt: skip
    found = metrics.suspect_labels(Predictions.of(train, scores))
    suspect = found[found["suspect"]]
    kind = train.table.set_index("image_id").loc[suspect["image_id"], "subtype"]
    counts = kind.value_counts()
    return {
        "images": len(train), "suspect": len(suspect),
        "patients": int(suspect["patient_id"].nunique()),
        **{f"suspect_{name}": int(counts.get(name, 0)) for name in ("normal", "bacteria", "virus")},
    }  # fmt: skip


def several_findings(nih: Cohort) -> dict[str, Any]:
    """Share of images with several findings, and each finding's share by view."""
    each = nih.labels.sum(axis=1)
    view = nih.table["view"]
    shares = nih.table.groupby(view)[list(nih.findings)].mean()
    return {
        "none": float((each == 0).mean()), "two_or_more": float((each > 1).mean()),
        "of_those_with_any": float((each[each > 0] > 1).mean()), "most": int(each.max()),
        "ap": float((view == "AP").mean()),
        "share": {
            name: {"all": float(nih.table[name].mean()), **shares[name].to_dict()}
            for name in nih.findings
        },
    }  # fmt: skip


def rare(nih: Cohort) -> dict[str, Any]:
    """Divide small cohorts by patient, with and without regard to the findings."""
    everyone = np.unique(nih.patients)
    found: dict[str, list[int]] = {"by_chance": [], "stratified": []}
    expected = []
    for seed in SEEDS:
        some = np.random.default_rng(seed).choice(everyone, PATIENTS, replace=False)
        part = nih.take(np.isin(nih.patients, some))
        chance = GroupShuffleSplit(1, test_size=0.2, random_state=seed)
        _, rows = next(chance.split(part.labels, groups=part.patients))
        found["by_chance"].append(int(part.table[RAREST].iloc[rows].sum()))
        divided = splits.split_patients(part, val=0.1, test=0.2, seed=seed)
        found["stratified"].append(int(divided.part("test").table[RAREST].sum()))
        expected.append(0.2 * part.table[RAREST].sum())
    gaps = {k: np.abs(np.array(v) - expected) for k, v in found.items()}
    return {
        "finding": RAREST, "patients": PATIENTS, "seeds": len(expected),
        "expected": float(np.mean(expected)),
        **{
            f"{k}_{name}": float(value)
            for k, v in found.items()
            for name, value in (
                ("gap", gaps[k].mean()), ("none_in_test", np.mean(np.array(v) == 0)),
                ("least", min(v)), ("most", max(v)),
            )
        },
    }  # fmt: skip
