"""The Cohort: what it accepts, what it refuses, and how it counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medclf_lite.cohort import Arrays, Cohort, Files
from medclf_lite.errors import MedclfError


def make(n: int = 6, **columns: object) -> Cohort:
    table = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "patient_id": [f"p{k // 2}" for k in range(n)],
            "label": [k % 2 for k in range(n)],
        }
    ).assign(**columns)
    pixels = np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    return Cohort(table, Arrays(pixels), "made for a test", "CC0")


def test_take_keeps_each_image_with_its_row() -> None:
    taken = make().take([4, 0])
    assert taken.table["image_id"].tolist() == ["i4", "i0"]
    assert isinstance(taken.images, Arrays)
    assert taken.images.pixels[:, 0, 0].tolist() == [4, 0]


def test_take_accepts_a_mask_and_refuses_one_of_the_wrong_length() -> None:
    cohort = make()
    assert len(cohort.take(cohort.labels == 1)) == 3
    with pytest.raises(MedclfError, match="mask has 2 entries for 6 rows"):
        cohort.take(np.array([True, False]))


def test_take_of_files_keeps_each_path_with_its_row(tmp_path) -> None:
    table = make().table.iloc[:3]
    cohort = Cohort(table, Files(tmp_path, ("a", "b", "c")), "made", "CC0")
    assert cohort.take([2, 1]).images.paths == ("c", "b")


@given(st.permutations(range(6)))
@settings(max_examples=30, deadline=None)
def test_fingerprint_ignores_row_order_only(order: list[int]) -> None:
    cohort = make()
    assert cohort.take(order).fingerprint == cohort.fingerprint
    flipped = cohort.with_column("label", 1 - cohort.labels)
    assert flipped.fingerprint != cohort.fingerprint


def test_part_takes_one_split_and_names_the_known_ones() -> None:
    cohort = make(split=["train"] * 4 + ["test"] * 2)
    assert len(cohort.part("test")) == 2
    with pytest.raises(MedclfError, match=r"'tset'.*test, train"):
        cohort.part("tset")
    with pytest.raises(MedclfError, match="no 'split' column"):
        make().part("test")


def test_counts_agree_with_a_count_by_hand() -> None:
    counts = make(split=["train"] * 4 + ["test"] * 2).counts()
    assert counts.loc[("train", "NORMAL"), "images"] == 2
    assert counts.loc[("train", "PNEUMONIA"), "patients"] == 2
    assert counts["images"].sum() == 6


def test_images_without_a_split_are_counted_too() -> None:
    counts = make(split=["train"] * 4 + [None] * 2).counts()
    assert counts["images"].unstack().loc[["train", "none"]].values.tolist() == [[2, 2], [1, 1]]


@pytest.mark.parametrize("kind", [bool, float, object, "boolean"])
def test_labels_are_whole_numbers_however_they_came(kind) -> None:
    given = make(label=make().table["label"].astype(kind))
    assert given.table["label"].tolist() == [0, 1] * 3
    assert given.table["label"].dtype == np.int64
    assert given.fingerprint == make().fingerprint


def test_a_fingerprint_can_be_made_of_any_name() -> None:
    odd, other = ([f"i{k}{tail}" for k in range(6)] for tail in ("\udcff", "\udcfe"))
    assert make(image_id=odd).fingerprint != make(image_id=other).fingerprint


def test_counts_of_a_multi_label_cohort_count_each_finding() -> None:
    table = make().table.drop(columns="label").assign(Mass=[1, 1, 0, 0, 0, 1], Edema=[1] * 6)
    cohort = Cohort(table, None, "made", "CC0", findings=("Mass", "Edema"))
    assert cohort.labels.shape == (6, 2)
    assert cohort.counts()["images"].to_dict() == {"Edema": 6, "Mass": 3}


def test_card_says_what_is_not_known_and_what_was_left_out() -> None:
    cohort = make(site=["A"] * 6)
    assert "site" not in cohort.card().split("not known:")[1]
    assert "date" in cohort.card().split("not known:")[1]
    left = pd.DataFrame({"path": ["x.txt"], "reason": ["not an image"]})
    more = Cohort(cohort.table, cohort.images, "made", "CC0", left_out=left)
    assert "left out: 1 files" in more.card()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="patient_id"), r"lacks the column\(s\) patient_id"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.assign(image_id="same"), "'same'"),
        (lambda t: t.assign(label=2), "must be 0 or 1"),
        (lambda t: t.assign(label=np.nan), "must be 0 or 1"),
        (lambda t: t.assign(patient_id=[None, *t["patient_id"][1:]]), "empty in row 0"),
        (lambda t: t.iloc[:4], "4 rows but the store 6"),
        (lambda t: t.assign(split=0), r"split must hold names.*\[0\]"),
        (lambda t: pd.concat([t, t[["label"]]], axis=1), "column 'label' more than once"),
    ],
)
def test_bad_tables_are_refused_with_the_reason(change, message: str) -> None:
    cohort = make()
    with pytest.raises(MedclfError, match=message):
        Cohort(change(cohort.table), cohort.images, "made", "CC0")


@pytest.mark.parametrize("pixels", [np.zeros((2, 4), np.uint8), np.zeros((2, 4, 4), np.float32)])
def test_pixels_of_the_wrong_shape_or_type_are_refused(pixels) -> None:
    with pytest.raises(MedclfError, match="uint8 of shape"):
        Arrays(pixels)
