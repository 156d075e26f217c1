"""The synthetic cohort: deterministic to the byte, and true to what its specification says."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import euclidean_distances

from medclf_lite.errors import MedclfError
from medclf_lite.phantom import Phantom, PhantomSpec, generate
from medclf_lite.phantom.anatomy import draw_anatomy, draw_poses
from medclf_lite.phantom.population import draw_population
from medclf_lite.phantom.projection import Grid, project

SPEC = PhantomSpec(
    n_patients=24, images_per_patient=2, seed=8, sites=("A", "B", "C"), prevalence=0.5,
    portable_marker=(0.3, 0.3), dextrocardia=0.2, label_noise=0.2,
)  # fmt: skip
ALL_SICK = PhantomSpec(n_patients=40, images_per_patient=1, seed=2, prevalence=1.0, pose=0.0)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate(SPEC)


@pytest.fixture(scope="module")
def sick() -> Phantom:
    return generate(ALL_SICK)


def pixels(phantom: Phantom) -> np.ndarray:
    return phantom.cohort.images.pixels


def people(**options: object) -> pd.DataFrame:
    """Draw a large population, one study a patient; no image is drawn."""
    return draw_population(PhantomSpec(**{"n_patients": 3000, "images_per_patient": 1, **options}))


# --- the same specification gives the same bytes --------------------------------------------


def digest(made: Phantom) -> str:
    text = made.cohort.table.to_csv() + made.truth.to_csv()
    return hashlib.sha256(text.encode() + pixels(made).tobytes() + made.masks.tobytes()).hexdigest()


def test_another_process_with_another_hash_seed_draws_the_same_bytes(phantom: Phantom) -> None:
    code = "import test_phantom as t; print(t.digest(t.generate(t.SPEC)))"
    here = {"PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "4711"}
    command = [sys.executable, "-c", code]
    found = subprocess.check_output(command, env=os.environ | here, text=True)
    assert found.strip() == digest(phantom)


def test_another_seed_draws_other_patients(phantom: Phantom) -> None:
    other = generate(dataclasses.replace(SPEC, seed=9))
    assert (pixels(other) != pixels(phantom)).mean(axis=(1, 2)).min() > 0.5


@given(
    rows=st.lists(st.integers(0, 2 * SPEC.n_patients - 1), max_size=12),
    chunk=st.none() | st.integers(1, 40),
)
@settings(max_examples=25, deadline=None)
def test_any_rows_in_chunks_of_any_size_are_the_same_images(
    phantom: Phantom, rows: list[int], chunk: int | None
) -> None:
    assert (phantom.render(rows=rows, chunk=chunk) == pixels(phantom)[rows]).all()


def test_a_mask_of_rows_means_these_rows(phantom: Phantom) -> None:
    mask = np.arange(len(phantom)) % 5 == 0
    assert (phantom.render(rows=mask) == pixels(phantom)[mask]).all()


@given(
    few=st.integers(1, 45), more=st.integers(0, 60), seed=st.integers(0, 9999),
    prevalence=st.floats(0, 1), each=st.sampled_from([1, 3, "kaggle"]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_no_value_depends_on_how_many_patients_there_are(
    few: int, more: int, seed: int, prevalence: float, each: int | str
) -> None:
    spec = PhantomSpec(
        n_patients=few, seed=seed, prevalence=prevalence, images_per_patient=each, label_noise=0.1
    )
    short = draw_population(spec)
    long = draw_population(dataclasses.replace(spec, n_patients=few + more))
    pd.testing.assert_frame_equal(short, long[long["patient"] < few])


def test_the_images_of_the_first_patients_stay_when_others_are_added(phantom: Phantom) -> None:
    fewer = generate(dataclasses.replace(SPEC, n_patients=7))
    assert (pixels(fewer) == pixels(phantom)[: len(fewer)]).all()


def test_a_study_does_not_depend_on_how_often_others_come(phantom: Phantom) -> None:
    more = generate(dataclasses.replace(SPEC, images_per_patient=5))
    first = (more.cohort.table["follow_up"] < 2).to_numpy()
    assert (pixels(more)[first] == pixels(phantom)).all()
    pd.testing.assert_frame_equal(more.truth[first].reset_index(drop=True), phantom.truth)


# --- who comes when to which site -----------------------------------------------------------


@given(blocks=st.integers(1, 30), prevalence=st.floats(0, 1), seed=st.integers(0, 9999))
@settings(max_examples=40, deadline=None)
def test_the_share_of_sick_patients_is_the_prevalence_to_one_patient(
    blocks: int, prevalence: float, seed: int
) -> None:
    n = 20 * blocks
    drawn = people(n_patients=n, prevalence=prevalence, seed=seed)
    assert abs(drawn["true_label"].sum() - n * prevalence) < 1 + 1e-9


@pytest.mark.parametrize("seed", [21, 22, 23])
@pytest.mark.parametrize("strength", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_site_and_label_go_together_as_far_as_asked(strength: float, seed: int) -> None:
    drawn = people(site_confounding=strength, seed=seed)
    at_b = (drawn["site"] == "B").groupby(drawn["label"]).mean()
    assert at_b[1] == pytest.approx(strength, abs=0.05)
    assert at_b[0] == pytest.approx(1 - strength, abs=0.05)


def test_with_three_sites_the_middle_one_takes_both_classes_alike() -> None:
    drawn = people(sites=("A", "B", "C"), site_confounding=0.9, n_patients=6000)
    share = pd.crosstab(drawn["label"], drawn["site"], normalize="index")
    assert share["B"].to_numpy() == pytest.approx([1 / 3, 1 / 3], abs=0.04)
    assert share.loc[1, "C"] > 0.5 > 0.15 > share.loc[0, "C"]


def test_a_patient_stays_at_one_site(phantom: Phantom) -> None:
    assert (phantom.cohort.table.groupby("patient_id")["site"].nunique() == 1).all()


def test_after_the_change_of_policy_site_and_label_are_independent() -> None:
    drawn = people(site_confounding=0.95, policy_change=0.7, days=1000, n_patients=6000)
    late = drawn["date"] >= pd.Timestamp("2015-01-01") + pd.Timedelta(700, "D")
    assert late.mean() == pytest.approx(0.3, abs=0.03)
    apart = [
        (part["site"] == "B").groupby(part["label"]).mean().diff().iloc[-1]
        for part in (drawn[~late], drawn[late])
    ]
    assert apart[0] == pytest.approx(0.9, abs=0.05)
    assert apart[1] == pytest.approx(0, abs=0.07)


def test_label_noise_is_in_the_labels_and_the_truth_but_not_in_the_images() -> None:
    clean = PhantomSpec(n_patients=40, images_per_patient=2, seed=4, site_confounding=0.9)
    right, wrong = generate(clean), generate(dataclasses.replace(clean, label_noise=0.3))
    flipped = wrong.cohort.labels != wrong.truth["true_label"]
    assert 0.1 < flipped.mean() < 0.5
    assert (right.cohort.labels == wrong.truth["true_label"]).all()
    assert (wrong.cohort.table.groupby("patient_id")["label"].nunique() == 1).all()
    assert (pixels(right) == pixels(wrong)).all()
    normal = wrong.cohort.table["subtype"] == "normal"
    assert (normal == (wrong.cohort.labels == 0)).all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4])
def test_the_share_of_wrong_labels_is_the_one_asked_for(share: float) -> None:
    drawn = people(label_noise=share, seed=77)
    assert (drawn["label"] != drawn["true_label"]).mean() == pytest.approx(share, abs=0.03)


def test_shares_of_people_and_views_are_those_asked_for() -> None:
    drawn = people(
        bacteria_share=0.7, child_share=0.25, dextrocardia=0.1, ap_share=(0.2, 0.8),
        portable_marker=(0.0, 0.5),
    )  # fmt: skip
    ill = drawn["label"] == 1
    assert (drawn.loc[ill, "subtype"] == "bacteria").mean() == pytest.approx(0.7, abs=0.04)
    assert drawn["child"].mean() == pytest.approx(0.25, abs=0.03)
    assert drawn["dextrocardia"].mean() == pytest.approx(0.1, abs=0.03)
    assert (drawn["age"] < 18).equals(drawn["child"])
    assert drawn["age"].between(1, 90).all()
    at_ap = (drawn["view"] == "AP").groupby(ill).mean()
    assert at_ap.to_numpy() == pytest.approx([0.2, 0.8], abs=0.04)
    portable = (drawn["marker"] == "P").groupby(ill).mean()
    assert portable.to_numpy() == pytest.approx([0.0, 0.5], abs=0.04)
    assert (people(markers=False, n_patients=50)["marker"] == "").all()


def test_images_a_patient_are_counted_as_in_the_kaggle_set() -> None:
    drawn = people(images_per_patient="kaggle", n_patients=6000)
    each = drawn.groupby(["label", "patient"]).size()
    assert (each[1] == 1).mean() == pytest.approx(0.755, abs=0.03)
    assert (each[1] > 3).mean() == pytest.approx(0.082, abs=0.02)
    assert each.max() <= 30
    assert 1 < each[0].mean() < each[1].mean() < 2


def test_studies_follow_each_other_in_time() -> None:
    drawn = people(n_patients=300, images_per_patient=4, days=400)
    assert (drawn["follow_up"] == drawn.groupby("patient").cumcount()).all()
    gap = drawn.groupby("patient")["date"].diff().dropna()
    assert gap.min() >= pd.Timedelta(2, "D")
    first = drawn[drawn["follow_up"] == 0]["date"]
    assert first.min() >= pd.Timestamp("2015-01-01")
    assert first.max() < pd.Timestamp("2015-01-01") + pd.Timedelta(400, "D")


def test_a_lesion_grows_and_shrinks_between_studies_and_the_normals_have_none() -> None:
    drawn = people(n_patients=400, images_per_patient=4)
    ill = drawn[drawn["true_label"] == 1]
    change = ill.groupby("patient")["severity"].agg(lambda s: s.iloc[-1] - s.iloc[0])
    assert (change < -0.1).sum() > (change > 0.1).sum() > 20
    assert ill["severity"].between(0, 1).all()
    low, high = PhantomSpec().amplitude
    assert np.allclose(ill["amplitude"], low + (high - low) * ill["severity"])
    assert (drawn.loc[drawn["true_label"] == 0, ["severity", "amplitude"]] == 0).all(axis=None)


# --- the traits of the files ----------------------------------------------------------------


@pytest.mark.parametrize("seed", [31, 32])
def test_file_traits_predict_the_label_if_and_only_if_asked(seed: int) -> None:
    for strength, low, high in ((1.0, 0.85, 1.0), (0.5, 0.6, 0.85), (0.0, 0.46, 0.54)):
        drawn = people(file_confounding=strength, seed=seed)
        drawn["tallness"] = drawn["height"] / drawn["width"]
        for trait in ("height", "width", "tallness", "jpeg_quality"):
            auc = roc_auc_score(drawn["label"] == 0, drawn[trait])
            assert low <= auc <= high, (strength, trait)
        in_colour = (drawn["mode"] == "RGB").groupby(drawn["label"]).mean()
        assert in_colour[1] > 0.01
        assert (in_colour[0] == 0) == (strength == 1.0)


@pytest.mark.real
def test_native_sizes_are_distributed_as_in_the_kaggle_set(real_data: Path) -> None:
    real = pd.read_csv(real_data / "chest_xray_native_sample" / "native_facts_1566.csv")
    drawn = people(n_patients=8000, prevalence=0.5)
    for label, name in enumerate(("NORMAL", "PNEUMONIA")):
        theirs, ours = real[real["cls"] == name], drawn[drawn["label"] == label]
        for them, us in (
            (theirs["w"], ours["width"]),
            (theirs["h"], ours["height"]),
            (theirs["w"] / theirs["h"], ours["width"] / ours["height"]),
        ):
            for q in (0.1, 0.5, 0.9):
                assert us.quantile(q) == pytest.approx(them.quantile(q), rel=0.08)
        assert (ours["mode"] == "RGB").mean() == pytest.approx(
            (theirs["mode"] == "RGB").mean(), abs=0.01
        )


# --- the pictures ---------------------------------------------------------------------------


def healthy_chest(n: int, **changes: object) -> tuple:
    """Project ``n`` chests without pose; ``changes`` go to :func:`draw_anatomy`."""
    no = np.zeros(n, bool)
    who = {"child": no, "female": no, "mirrored": no} | changes
    anatomy = draw_anatomy(5, np.arange(n), **who)
    return anatomy, draw_poses(5, [(i, 0) for i in range(n)], 0.0)


@pytest.mark.parametrize("site", ["A", "B", "C"])
def test_lungs_are_dark_and_the_heart_is_bright_at_every_site(site: str) -> None:
    made = generate(PhantomSpec(n_patients=12, images_per_patient=1, sites=(site,), prevalence=0.0))
    chest = made._artist._project(np.arange(12), Grid(64, 64))
    shown = pixels(made).astype(float)
    free = chest.air * (1 - chest.heart) > 0.9
    lung = [image[part].mean() for image, part in zip(shown, free, strict=True)]
    heart = [image[part].mean() for image, part in zip(shown, chest.heart > 0.8, strict=True)]
    assert (np.array(heart) > np.array(lung) + 60).all()
    assert (shown.std(axis=(1, 2)) > 35).all()


def test_an_ap_view_shows_a_larger_heart_and_a_shallower_breath() -> None:
    anatomy, pose = healthy_chest(10)
    pa, ap = (project(anatomy, pose, np.full(10, v, np.float32), Grid(64, 64)) for v in (0, 1))
    assert (ap.heart.sum((1, 2)) > 1.1 * pa.heart.sum((1, 2))).all()
    assert (ap.air.sum((1, 2)) < pa.air.sum((1, 2))).all()


def test_the_view_is_drawn_as_the_table_says(phantom: Phantom) -> None:
    is_ap = (phantom.cohort.table["view"] == "AP").to_numpy()
    assert 0 < is_ap.mean() < 1
    same = (phantom.render(view="AP") == pixels(phantom)).all(axis=(1, 2))
    assert (same == is_ap).all()


def test_dextrocardia_is_the_mirror_image_of_the_same_chest() -> None:
    spec = PhantomSpec(
        n_patients=10, images_per_patient=1, sites=("A",), markers=False, pose=0.0, seed=6
    )
    usual = pixels(generate(spec)).astype(float)
    other = pixels(generate(dataclasses.replace(spec, dextrocardia=1.0))).astype(float)
    noise = np.abs(usual - other[:, :, ::-1]).mean(axis=(1, 2))
    assert (noise < 8).all()
    assert (np.abs(usual - other).mean(axis=(1, 2)) > 1.5 * noise).all()


@pytest.mark.parametrize("size", [32, 64, 150])
@pytest.mark.parametrize(
    ("site", "rows", "columns"),
    [("A", "top", "right"), ("B", "top", "left"), ("C", "bottom", "right")],
)
def test_a_marker_is_visible_and_changes_its_corner_only(
    size: int, site: str, rows: str, columns: str
) -> None:
    made = generate(PhantomSpec(n_patients=6, images_per_patient=1, sites=(site,), size=size))
    change = np.abs(pixels(made).astype(int) - made.render(markers=False))
    corner = np.zeros((size, size), bool)
    reach = max(14, size // 4)
    corner[
        slice(0, reach) if rows == "top" else slice(-reach, None),
        slice(-reach, None) if columns == "right" else slice(0, reach),
    ] = True
    assert change[:, ~corner].max() == 0
    bright = pixels(made)[:, corner].max(axis=1)
    assert (bright > 235).all()
    assert (change.max(axis=(1, 2)) > 60).all()


def test_the_letter_of_a_portable_machine_replaces_the_side(phantom: Phantom) -> None:
    portable = (phantom.truth["marker"] == "P").to_numpy()
    assert 0 < portable.sum() < len(portable)
    same = (phantom.render(markers="P") == pixels(phantom)).all(axis=(1, 2))
    assert (same == portable).all()


def test_masks_lie_in_the_lungs_where_the_lesion_brightens_the_image(sick: Phantom) -> None:
    chest = sick._artist._project(np.arange(len(sick)), Grid(64, 64))
    assert (chest.air[sick.masks] > 0.25).all()
    gain = pixels(sick).astype(float) - sick.render(lesions=False)
    for mask, difference in zip(sick.masks, gain, strict=True):
        assert mask.sum() > 8
        far = ~ndimage.binary_dilation(mask, iterations=8)
        assert difference[mask].mean() > 5
        assert np.abs(difference[far]).mean() < 0.1 * difference[mask].mean()


def test_bacteria_fill_a_part_of_one_lung_and_viruses_both_lungs(sick: Phantom) -> None:
    left, right = sick.masks[:, :, :32].any(axis=(1, 2)), sick.masks[:, :, 32:].any(axis=(1, 2))
    viral = (sick.truth["true_subtype"] == "virus").to_numpy()
    assert (left ^ right)[~viral].all()
    assert (left & right)[viral].mean() > 0.9


def test_the_healthy_have_no_mask_and_do_not_change_without_lesions(phantom: Phantom) -> None:
    well = (phantom.truth["true_label"] == 0).to_numpy()
    assert not phantom.masks[well].any()
    assert phantom.masks[~well].any(axis=(1, 2)).all()
    same = (phantom.render(lesions=False) == pixels(phantom)).all(axis=(1, 2))
    assert (same == well).all()


def test_a_greater_amplitude_makes_every_lesion_plainer() -> None:
    contrast = []
    for amplitude in (0.0, 0.08, 0.16, 0.32, 0.64):
        made = generate(dataclasses.replace(ALL_SICK, amplitude=(amplitude, amplitude)))
        gain = pixels(made).astype(float) - made.render(lesions=False)
        contrast.append([g[m].mean() for g, m in zip(gain, made.masks, strict=True)])
    assert np.all(contrast[0] == np.zeros(len(contrast[0])))
    assert (np.diff(contrast, axis=0) > 0).all()


def test_without_lesions_the_sick_look_as_if_they_had_never_been_ill(sick: Phantom) -> None:
    well = generate(dataclasses.replace(ALL_SICK, amplitude=(0.0, 0.0)))
    assert (sick.render(lesions=False) == pixels(well)).all()


def test_at_its_own_site_nothing_changes_and_elsewhere_everything_does(phantom: Phantom) -> None:
    own = (phantom.cohort.table["site"] == "B").to_numpy()
    shown = phantom.render(site="B")
    assert (shown[own] == pixels(phantom)[own]).all()
    assert ((shown[~own] != pixels(phantom)[~own]).mean(axis=(1, 2)) > 0.5).all()


def test_a_larger_film_shows_the_same_chest(phantom: Phantom) -> None:
    large = phantom.render(size=128, markers=False).astype(float)
    small = phantom.render(markers=False)
    reduced = large.reshape(-1, 64, 2, 64, 2).mean(axis=(2, 4))
    each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(reduced, small, strict=True)]
    assert min(each) > 0.95


def test_two_studies_of_a_patient_resemble_each_other_more_than_two_patients() -> None:
    chance = 2 / 119  # of meeting the same patient again
    for pose, least in ((0.0, 0.95), (1.0, 10 * chance)):
        spec = PhantomSpec(n_patients=40, images_per_patient=3, sites=("A",), seed=12, pose=pose)
        made = generate(spec)
        x = pixels(made).reshape(len(made), -1) / 255.0
        apart = euclidean_distances(x) + np.diag(np.full(len(x), np.inf))
        who = made.cohort.patients
        assert (who[apart.argmin(axis=1)] == who).mean() > least
        assert apart.min() > 1  # alike, and not the same image


# --- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {name: value}
        for name in (
            "prevalence", "bacteria_share", "child_share", "dextrocardia", "site_confounding",
            "file_confounding", "label_noise", "policy_change",
        )
        for value in (-0.1, 1.1, float("nan"), "half")
    ]
    + [{name: value} for name in ("n_patients", "days") for value in (0, 2.5, "ten")]
    + [
        {"size": 31}, {"size": 64.5}, {"seed": -1}, {"seed": 0.5}, {"pose": -1}, {"pose": "much"},
        {"pose": float("nan")}, {"images_per_patient": 0}, {"images_per_patient": "many"},
        {"images_per_patient": 1.5}, {"amplitude": (0.3, 0.1)}, {"amplitude": (-0.1, 0.1)},
        {"amplitude": (0.1,)}, {"amplitude": 0.1}, {"amplitude": (0.1, float("inf"))},
        {"ap_share": (0.1,)}, {"ap_share": (0.1, 2)}, {"ap_share": 0.5}, {"ap_share": "ab"},
        {"portable_marker": (-1, 0)}, {"portable_marker": (0, None)}, {"sites": ()},
        {"sites": ("A", "X")}, {"sites": "AB"}, {"sites": ("A", "A")}, {"sites": (1, 2)},
        {"first_day": "some day"}, {"first_day": None}, {"days": 10**7},
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_specification_is_refused_and_names_what_is_wrong(wrong: dict) -> None:
    with pytest.raises(MedclfError) as problem:
        PhantomSpec(**wrong)
    name, value = next(iter(wrong.items()))
    assert name in str(problem.value) or "site 'X'" in str(problem.value)
    if not isinstance(value, tuple):
        assert str(value) in str(problem.value)


def test_numbers_from_numpy_are_as_good_as_those_of_python() -> None:
    ours = PhantomSpec(n_patients=3, images_per_patient=2, prevalence=0.5, seed=1)
    theirs = PhantomSpec(
        n_patients=np.int64(3), images_per_patient=np.int32(2), prevalence=np.float32(0.5),
        seed=np.uint8(1),
    )  # fmt: skip
    assert (pixels(generate(ours)) == pixels(generate(theirs))).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 16}, "size is 16"),
        ({"site": "Z"}, "no site 'Z'"),
        ({"view": "lateral"}, "view is 'lateral'"),
        ({"markers": "X"}, "markers is 'X'"),
        ({"rows": [0, 999]}, "expected 0 to 47"),
        ({"rows": [-1]}, "expected 0 to 47"),
        ({"rows": [True, False]}, "mask has 2 entries"),
        ({"chunk": 0}, "chunk is 0"),
        ({"chunk": -3}, "chunk is -3"),
    ],
)
def test_what_cannot_be_drawn_is_refused(phantom: Phantom, options: dict, message: str) -> None:
    with pytest.raises(MedclfError, match=message):
        phantom.render(**options)
