"""Compute the book's real-data figures and write them, with their provenance, as JSON.

Usage: ``python benchmarks/real_results.py DATA [--out book/real_results.json]`` where DATA
holds ``chest_xray_224/chest_xray``, ``chest_xray_native_sample/native_facts_1566.csv``,
``pneumoniamnist/`` and ``nih_metadata/``. No pixel enters the results, only figures computed
from them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from real_counts import (
    SEEDS,
    image_split,
    native_shortcuts,
    nih,
    patients,
    pneumoniamnist,
    tutorial_split,
)
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medclf_lite import backbones, metrics, splits
from medclf_lite.audit import exact_groups, probe_traits
from medclf_lite.cohort import Cohort
from medclf_lite.images import load_pixels
from medclf_lite.patients import patient_ids
from medclf_lite.predictions import Predictions
from medclf_lite.sources import from_folder

SIZE = 224


def head() -> Any:
    """Give the classifier that stands on frozen features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))


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


def main() -> None:
    """Compute everything and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("book/real_results.json"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/real"))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    results = compute(options.data, options.cache, options.jobs)
    options.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(f"Wrote {options.out}")


def compute(data: Path, cache: Path, jobs: int) -> dict[str, Any]:
    """Compute every figure, in the order of the results file."""
    cohort = from_folder(data / "chest_xray_224" / "chest_xray", jobs=jobs)
    facts = pd.read_csv(data / "chest_xray_native_sample" / "native_facts_1566.csv")
    pixels = load_pixels(cohort, SIZE, fit="squash", cache=cache, jobs=jobs, progress=True)
    model = backbones.freeze(backbones.build("lite0"))
    x = np.asarray(backbones.features(model, pixels, cache=cache, jobs=jobs, progress=True))
    copies = exact_groups(cohort)
    return {
        "provenance": provenance(cohort),
        "counts": {f"{a}_{b}".lower(): int(n) for (a, b), n in cohort.counts()["images"].items()},
        "patients": patients(cohort),
        "duplicates": {"groups": len(copies), "images": sum(map(len, copies))},
        "image_split": image_split(cohort),
        "tutorial_split": tutorial_split(cohort),
        "shortcuts_224": probe_traits(cohort, pixels=pixels, jobs=jobs).to_dict("records"),
        "shortcuts_native": native_shortcuts(facts),
        "who_is_who": who_is_who(x, cohort),
        "frozen": frozen(x, cohort),
        "small_validation": small_validation(cohort),
        "decoding": decoding(cohort),
        "pneumoniamnist": pneumoniamnist(data / "pneumoniamnist" / "match_to_kaggle_names.csv"),
        "nih": nih(data / "nih_metadata" / "Data_Entry_2017_v2020.csv.gz"),
    }


def provenance(cohort: Cohort) -> dict[str, Any]:
    """Say which data, versions and seeds the figures come from."""
    return {
        "data": "Kermany, Zhang and Goldbaum, doi:10.17632/rscbjbr9sj.2, CC BY 4.0, resized to "
        "224 x 224",
        "command": "python benchmarks/real_results.py DATA",
        "fingerprint": cohort.fingerprint,
        "versions": {p: version(p) for p in ("numpy", "scikit-learn", "torch", "timm")},
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "seeds": len(SEEDS),
    }


if __name__ == "__main__":
    main()
