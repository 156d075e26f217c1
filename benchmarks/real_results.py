"""Compute the book's real-data figures and write them, with their provenance, as JSON.

Usage: ``make real-results DATA=...``, or ``python benchmarks/real_results.py DATA [--only
SECTION ...]``, where DATA holds ``chest_xray_224/chest_xray``, ``pneumoniamnist/``,
``nih_metadata/`` and ``chest_xray_native_sample/native_facts_1566.csv``. No pixel enters the
results, only figures computed from them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from real_audit import audits
from real_calibration import calibration
from real_counts import (
    SEEDS,
    image_split,
    native_shortcuts,
    nih,
    patients,
    pneumoniamnist,
    tutorial_split,
)
from real_cross_validation import cross_validation
from real_evaluation import evaluation
from real_fine_tuning import fine_tuning
from real_imbalance import imbalance
from real_inside import inside
from real_labels import labels
from real_shortcuts import shortcuts
from real_transfer import transfer
from real_world import SIZE, World, head
from scipy.stats import norm
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from medclf_lite import metrics, splits
from medclf_lite._files import write_atomically
from medclf_lite.audit import exact_groups, probe_traits
from medclf_lite.cohort import Cohort
from medclf_lite.images import load_pixels
from medclf_lite.patients import patient_ids
from medclf_lite.predictions import Predictions


def folds(x: np.ndarray, cohort: Cohort, splitter: Any, groups: np.ndarray | None) -> list[float]:
    """Score each held-out fold by ROC-AUC."""
    y = cohort.labels
    found = []
    for train, val in splitter.split(x, y, groups):
        scores = head().fit(x[train], y[train]).predict_proba(x[val])[:, 1]
        found.append(float(roc_auc_score(y[val], scores)))
    return found


def frozen(x: np.ndarray, cohort: Cohort) -> dict[str, Any]:
    """Cross-validate frozen features by image and by patient, then ask the official test."""
    is_test = (cohort.table["split"] == "test").to_numpy()
    train, test = cohort.take(~is_test), cohort.take(is_test)
    by_image = folds(x[~is_test], train, StratifiedKFold(5, shuffle=True, random_state=0), None)
    by_patient = folds(x[~is_test], train, splits.PatientKFold(5, seed=0), train.patients)
    scores = head().fit(x[~is_test], train.labels).predict_proba(x[is_test])[:, 1]
    predictions = Predictions.of(test, scores)
    interval = metrics.auc_interval(predictions, resamples=10_000, seed=0)
    by_delong = metrics.delong_interval(predictions, by_patient=False)
    return {
        "size": SIZE, "backbone": "EfficientNet-Lite0, ImageNet",
        "cv_image": float(np.mean(by_image)), "cv_patient": float(np.mean(by_patient)),
        "cv_patient_folds": by_patient, "cv_image_folds": by_image,
        "test": interval.value, "test_low": interval.low, "test_high": interval.high,
        "test_images": len(test), "test_patients": test.n_patients,
        "test_by_image_low": by_delong.low, "test_by_image_high": by_delong.high,
        "test_when_folds_mix_both_sets": folds_on_test(x, cohort, is_test),
        "specificity_at_half": float((scores[test.labels == 0] < 0.5).mean()),
    }  # fmt: skip


def folds_on_test(x: np.ndarray, cohort: Cohort, is_test: np.ndarray) -> float:
    """Score the official test rows when test-like images are in training too."""
    scores = np.empty(len(cohort))
    y = cohort.labels
    for train, val in splits.PatientKFold(5, seed=0).split(x, y, cohort.patients):
        scores[val] = head().fit(x[train], y[train]).predict_proba(x[val])[:, 1]
    return float(roc_auc_score(y[is_test], scores[is_test]))


def who_is_who(x: np.ndarray, cohort: Cohort) -> dict[str, float]:
    """Ask whether a number that a bacterial and a viral case share means one person.

    For each pneumonia image of train: is its nearest neighbour among the others (cosine of
    standardised frozen features) of the same number and subtype, or of the same number and
    the other subtype? Chance is the share of such images among the others.
    """
    rows = ((cohort.table["split"] == "train") & (cohort.labels == 1)).to_numpy()
    z = StandardScaler().fit_transform(x[rows])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    likeness = z @ z.T
    np.fill_diagonal(likeness, -np.inf)
    nearest = likeness.argmax(axis=1)
    names = [Path(i).name for i in cohort.table["image_id"][rows]]
    number = np.array(patient_ids(names, "tutorial"))
    person = cohort.patients[rows]
    same_person = person[:, None] == person
    same_number = number[:, None] == number
    found: dict[str, float] = {"images": int(rows.sum())}
    every = np.arange(len(nearest))
    for name, alike in (("same_number_and_subtype", same_person),
                        ("same_number_other_subtype", same_number & ~same_person)):  # fmt: skip
        np.fill_diagonal(alike, False)
        found[name] = float(alike[every, nearest].mean())
        found[f"{name}_by_chance"] = float(alike.sum(axis=1).mean() / (len(nearest) - 1))
    return found


def small_validation(cohort: Cohort) -> dict[str, Any]:
    """Read a model of true AUC .894 off as few images as the stock validation folder has."""
    n = cohort.part("val").counts()["images"]
    shift = 2**0.5 * norm.ppf(0.894)  # two normals so far apart have this AUC
    rng = np.random.default_rng(0)
    well = rng.standard_normal((20_000, 1, int(n.iloc[0])))
    ill = rng.standard_normal((20_000, int(n.iloc[1]), 1)) + shift
    readings = (ill > well).mean(axis=(1, 2))
    low, high = np.quantile(readings, [0.025, 0.975])
    return {"true": float(norm.cdf(shift / 2**0.5)), "mean": float(readings.mean()),
            "low": float(low), "high": float(high), "n": int(n.sum())}  # fmt: skip


def decoding(cohort: Cohort) -> dict[str, Any]:
    """Time one pass of decoding against one pass over the cache, 1,000 images, one core."""
    part = cohort.take(np.arange(1000))
    times = []
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(2):
            start = time.perf_counter()
            np.asarray(load_pixels(part, SIZE, fit="squash", cache=cache)).sum()
            times.append(time.perf_counter() - start)
    return {"images": 1000, "first_pass_seconds": times[0], "cached_pass_seconds": times[1]}


def duplicates(world: World) -> dict[str, int]:
    """Count groups of identical files, and the images in them."""
    copies = exact_groups(world.cohort)
    return {"groups": len(copies), "images": sum(map(len, copies))}


SECTIONS: dict[str, Callable[[World], Any]] = {
    "counts": lambda w: {
        f"{a}_{b}".lower(): int(n) for (a, b), n in w.cohort.counts()["images"].items()
    },
    "patients": lambda w: patients(w.cohort),
    "duplicates": duplicates,
    "image_split": lambda w: image_split(w.cohort),
    "tutorial_split": lambda w: tutorial_split(w.cohort),
    "shortcuts_224": lambda w: probe_traits(w.cohort, pixels=w.pixels, jobs=w.jobs).to_dict(
        "records"
    ),
    "shortcuts_native": lambda w: native_shortcuts(
        pd.read_csv(w.data / "chest_xray_native_sample" / "native_facts_1566.csv")
    ),
    "who_is_who": lambda w: who_is_who(w.features, w.cohort),
    "frozen": lambda w: frozen(w.features, w.cohort),
    "fine_tuning": fine_tuning,
    "small_validation": lambda w: small_validation(w.cohort),
    "decoding": lambda w: decoding(w.cohort),
    "pneumoniamnist": lambda w: pneumoniamnist(
        w.data / "pneumoniamnist" / "match_to_kaggle_names.csv"
    ),
    "evaluation": evaluation,
    "imbalance": imbalance,
    "inside": inside,
    "transfer": transfer,
    "cross_validation": cross_validation,
    "calibration": calibration,
    "shortcuts": shortcuts,
    "labels": labels,
    "audit": audits,
    "nih": lambda w: nih(w.data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz"),
}


def main() -> None:
    """Compute all sections, or those asked for, and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("book/real_results.json"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/real"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    options = parser.parse_args()
    world = World(options.data, options.cache, options.jobs)
    found = {}
    for name in options.only:
        begin = time.perf_counter()
        found[name] = SECTIONS[name](world)
        print(f"{name}: {time.perf_counter() - begin:.1f} s", flush=True)
    # Read as late as possible: the other sections may have been written meanwhile.
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    known |= {"provenance": provenance(world.cohort), **found}
    ordered = {name: known[name] for name in ("provenance", *SECTIONS) if name in known} | known
    text = json.dumps(ordered, indent=1, ensure_ascii=False) + "\n"
    write_atomically(options.out, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    print(f"Wrote {options.out}")


def provenance(cohort: Cohort) -> dict[str, Any]:
    """Say which data, versions and seeds the figures come from."""
    return {
        "data": "Kermany, Zhang and Goldbaum, doi:10.17632/rscbjbr9sj.2, CC BY 4.0, resized to "
        "224 x 224",
        "command": "make real-results DATA=...",
        "fingerprint": cohort.fingerprint,
        "versions": {p: version(p) for p in ("numpy", "scikit-learn", "torch", "timm")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "seeds": len(SEEDS),
    }


if __name__ == "__main__":
    main()
