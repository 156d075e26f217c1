"""The audit at size: memory hardly grows with the images, and large cohorts are probed in part."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd

from medclf_lite.audit import audit_cohort, probe_traits
from medclf_lite.audit.looks import look_at
from medclf_lite.audit.probe import MOST_PROBED
from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.images import iter_pixels


def peak_of(n: int) -> int:
    rng = np.random.default_rng(0)
    tracemalloc.start()
    look_at((rng.integers(0, 255, (224, 224), dtype=np.uint8) for _ in range(n)), n)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_an_image_costs_about_a_kilobyte_once_it_was_looked_at() -> None:
    grown = (peak_of(500) - peak_of(100)) / 400
    assert grown < 3_000, f"{grown:.0f} bytes an image; the image itself has 50,176"


def test_images_are_decoded_a_few_at_a_time() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (900, 16, 16), dtype=np.uint8)
    table = pd.DataFrame({"image_id": range(900), "patient_id": range(900), "label": 0})
    cohort = Cohort(table, Arrays(pixels), "made", "CC0")
    tracemalloc.start()
    total = sum(int(image.sum()) for image in iter_pixels(cohort, 224, jobs=2))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total > 0
    assert peak < 0.6 * 900 * 224 * 224


def large(n: int) -> Cohort:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, n)
    table = pd.DataFrame({
        "image_id": np.arange(n), "patient_id": np.arange(n) // 2 * 2 + label, "label": label,
        "width": rng.normal(100 + 5 * label, 10, n),
    })  # fmt: skip
    return Cohort(table, None, "made", "CC0")


def test_a_large_cohort_is_probed_by_some_of_its_patients_and_the_report_says_so() -> None:
    cohort = large(50_000)
    (row,) = probe_traits(cohort, resamples=50).to_dict("records")
    assert MOST_PROBED - 5 <= row["n"] <= MOST_PROBED
    assert 0.6 < row["auc"] < 0.68  # two normals, half a standard deviation apart: .638
    (finding,) = audit_cohort(cohort, only=["shortcuts.files"]).findings
    assert "of 50,000 images at most, drawn by patient" in finding.seen
    whole = probe_traits(large(15_000), resamples=50)
    assert whole["n"].tolist() == [15_000]


def test_a_hundred_thousand_rows_are_checked_in_seconds() -> None:
    report = audit_cohort(large(100_000), only=["counts", "patients", "duplicates", "splits"])
    assert "patients.several-images" in report.ran
