"""Probes of regions and of drift: a planted marker is found where it is, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medclf_lite.audit import probe_drift, probe_regions, probe_traits
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.phantom import PhantomSpec, generate


def cohort(labels: np.ndarray, patients: np.ndarray | None = None) -> Cohort:
    names = [f"i{k}" for k in range(len(labels))]
    who = names if patients is None else patients
    table = pd.DataFrame({"image_id": names, "patient_id": who, "label": labels})
    return Cohort(table, None, "example", "CC0")


def noise(n: int, seed: int, size: int = 56) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 160, (n, size, size)).astype(np.uint8)


def areas(found: pd.DataFrame) -> pd.Series:
    return found.set_index("trait")["auc"]


LABELS = np.arange(160) % 2
PLANTED = {  # what is done to the ill, and which probes must and must not see it
    "a marker in the corner": (np.s_[:, :6, :6], "outside the box", "inside the box"),
    "a spot in the middle": (np.s_[:, 24:32, 24:32], "inside the box", "outside the box"),
}


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_sign_is_seen_by_the_region_that_holds_it(name, seed):
    place, sees, is_blind = PLANTED[name]
    pixels = noise(len(LABELS), seed)
    ill = pixels[LABELS == 1]
    ill[place] = 255
    pixels[LABELS == 1] = ill
    found = areas(probe_regions(cohort(LABELS), pixels))
    assert found[sees] > 0.95
    assert 0.3 < found[is_blind] < 0.7


def test_squashing_wide_files_shows_in_the_detail_ratio_and_blur_in_the_detail():
    pixels = noise(len(LABELS), 3)
    blurred = pixels.copy()
    for k in np.flatnonzero(LABELS == 1):  # the ill were twice as high: along loses detail
        pairs = pixels[k].reshape(28, 2, 56).mean(axis=1)
        pixels[k] = np.repeat(pairs, 2, axis=0).astype(np.uint8)
        both = blurred[k].reshape(28, 2, 28, 2).mean(axis=(1, 3))
        blurred[k] = np.kron(both, np.ones((2, 2))).astype(np.uint8)
    squashed = areas(probe_regions(cohort(LABELS), pixels))
    assert squashed["detail ratio"] > 0.95
    smooth = areas(probe_regions(cohort(LABELS), blurred))
    assert smooth["detail"] > 0.95
    assert smooth["detail ratio"] < 0.8


def test_without_a_sign_the_intervals_hold_one_half():
    misses = 0
    for seed in range(4):
        found = probe_regions(cohort(LABELS), noise(len(LABELS), 10 + seed))
        misses += int(((found["low"] > 0.5) | (found["high"] < 0.5)).sum())
    assert misses <= 5  # of 20 intervals at 95 %, of a cross-validated AUC that leans low


def test_clean_phantoms_show_less_outside_the_lungs_than_confounded_ones():
    found = {}
    for share in (0.5, 0.95):
        spec = PhantomSpec(
            n_patients=300, images_per_patient=1, size=56, seed=2, prevalence=0.5,
            site_confounding=share,
        )  # fmt: skip
        drawn = generate(spec).cohort
        found[share] = areas(probe_regions(drawn, drawn.images.pixels))["outside the box"]
    assert found[0.95] > 0.8
    assert found[0.5] < found[0.95] - 0.1


def test_patients_stay_together_so_a_face_is_no_sign():
    """Each patient has one label and images that look alike: no other patient shares the look."""
    patients = np.repeat(np.arange(40), 5)
    pixels = np.repeat(noise(40, 5), 5, axis=0)
    labels = np.repeat(np.arange(40) % 2, 5)
    found = areas(probe_regions(cohort(labels, patients.astype(str)), pixels))
    assert found["inside the box"] < 0.8


def test_a_named_test_side_is_scored_by_a_model_of_the_others():
    pixels = noise(len(LABELS), 6)
    pixels[LABELS == 1, :6, :6] = 255
    known = cohort(LABELS).with_column("split", np.where(np.arange(160) < 100, "train", "test"))
    pixels[100:] = noise(60, 7)  # the marker is gone
    found = probe_regions(known, pixels, test="test").set_index("trait")
    assert (found["n"] == 60).all()
    assert found.loc["outside the box", "auc"] < 0.75


@pytest.mark.parametrize("box", [(0.5, 0.2, 0, 1), (0, 1, 0, 1), (-0.1, 1, 0, 1), (0.5, 0.5, 0, 1)])
def test_an_impossible_box_is_refused(box):
    with pytest.raises(MedclfError, match="box"):
        probe_regions(cohort(LABELS), noise(len(LABELS), 0), box=box)


def test_drift_is_found_where_it_was_planted_and_comes_first():
    here, there = noise(100, 1), noise(100, 2)
    there[:, :6, :6] = 255
    found = probe_drift(cohort(LABELS[:100]), cohort(LABELS[:100]), (here, there))
    assert found.loc[0, "auc"] > 0.95
    assert {"outside the box", "four corners", "border ring"} & set(found["trait"][:3])


def test_two_draws_of_one_kind_are_not_told_apart():
    found = probe_drift(cohort(LABELS), cohort(LABELS), (noise(160, 3), noise(160, 4)))
    assert found["auc"].between(0.3, 0.7).all()


def test_drift_between_sizes_is_refused():
    with pytest.raises(MedclfError, match="one size"):
        probe_drift(cohort(LABELS), cohort(LABELS), (noise(160, 0), noise(160, 0, size=48)))


@pytest.mark.parametrize("probe", [probe_regions, probe_traits])
def test_a_cohort_of_findings_is_told_to_take_one(probe):
    table = cohort(LABELS).table.rename(columns={"label": "Mass"})
    several = Cohort(table, None, "example", "CC0", findings=("Mass",))
    with pytest.raises(MedclfError, match=r"cohort\.finding"):
        probe(several, pixels=noise(len(LABELS), 0))
