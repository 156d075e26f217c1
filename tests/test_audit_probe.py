"""The shortcut probe: its AUC and interval, and what it says where there is nothing to find."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from audit_cohorts import clean

from medclf_lite.audit import probe_traits
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError


def test_what_a_cohort_has_is_probed_and_what_it_lacks_is_absent() -> None:
    assert set(probe_traits(clean(mode="L"))["trait"]) == {
        "bytes", "width", "height", "aspect", "bits per pixel", "mode", "site", "intensity mean",
        "intensity sd", "border ring", "four corners",
    }  # fmt: skip
    bare = clean().table[["image_id", "patient_id", "label", "width"]]
    assert probe_traits(Cohort(bare, None, "a table", "CC0"))["trait"].tolist() == ["width"]


def test_traits_that_know_nothing_are_near_one_half_and_constants_are_at_it() -> None:
    probes = probe_traits(clean(mode="L")).set_index("trait")
    assert probes.loc["mode", ["auc", "low", "high"]].tolist() == [0.5, 0.5, 0.5]
    assert (probes["low"] < 0.55).all()
    assert probes["auc"].between(0.38, 0.62).all()


def test_images_of_one_patient_stay_in_one_fold() -> None:
    # Each patient has a site of its own: learnt by heart, it says nothing about the others.
    patient = np.repeat(np.arange(120), 4)
    table = pd.DataFrame({
        "image_id": [f"i{i}" for i in range(480)], "patient_id": [f"p{p}" for p in patient],
        "label": patient % 2, "site": [f"s{p}" for p in patient],
    })  # fmt: skip
    (auc,) = probe_traits(Cohort(table, None, "made", "CC0"))["auc"]
    assert auc == pytest.approx(0.5, abs=0.1)


def test_a_test_side_is_scored_by_what_the_others_taught() -> None:
    cohort = clean()
    test = (cohort.table["split"] == "test").to_numpy()
    # The trait means the opposite in test.
    width = 1000 + 300 * np.where(test, 1 - cohort.labels, cohort.labels) + np.arange(len(test)) % 9
    probes = probe_traits(clean(width=width), test="test").set_index("trait")
    assert probes.loc["width", "auc"] < 0.05
    assert probes.loc["width", "n"] == test.sum()


def test_missing_values_are_a_trait_of_their_own() -> None:
    cohort = clean()
    width = cohort.table["width"].where(cohort.labels == 1)
    probes = probe_traits(replace(cohort, table=cohort.table.assign(width=width)))
    assert probes.set_index("trait").loc["width", "auc"] == 1


def test_the_same_call_gives_the_same_figures() -> None:
    first, again = probe_traits(clean(), model="best"), probe_traits(clean(), model="best")
    pd.testing.assert_frame_equal(first, again)
    assert not probe_traits(clean(), seed=1)["auc"].equals(probe_traits(clean())["auc"])


@pytest.mark.parametrize(
    ("cohort", "options", "message"),
    [
        (clean(label=1), {}, "0 patient"),
        (clean(), {"test": "tset"}, "tset"),
        (clean().take(np.flatnonzero(clean().labels == 1)), {"test": "test"}, "both classes"),
        (clean(), {"pixels": np.zeros((3, 8, 8), np.uint8)}, "480 rows"),
        (clean(), {"pixels": np.zeros((480, 8, 8))}, "must be uint8.*float64"),
        (clean(), {"pixels": np.zeros((480, 8, 8, 3), np.uint8)}, "must be uint8 of shape"),
    ],
)
def test_what_cannot_be_probed_is_refused(cohort, options, message) -> None:
    with pytest.raises(MedclfError, match=message):
        probe_traits(cohort, **options)
