"""The proof of a split finds each planted fault, and balance counts as brute force does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from split_cohorts import cohort_of, multilabel_cohort, random_cohort

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.splits import balance, check_split, linked_patients, split_patients


def sound() -> Cohort:
    """Give two patients a class and a side; image i0 is of p0, and so on."""
    labels = {f"p{k}": [k % 2] for k in range(12)}
    sides = ["train"] * 4 + ["val"] * 4 + ["test"] * 4
    return cohort_of(labels, split=sides, sha256=[f"{k:x}" for k in range(12)])


def changed(column: str, **values: object) -> Cohort:
    """Give the sound cohort with some values of one column replaced, by image ID."""
    table = sound().table.set_index("image_id", drop=False).astype({column: object})
    for image, value in values.items():
        table.loc[image, column] = value
    return Cohort(table, None, "made", "CC0")


def two_findings(*present: tuple[int, int]) -> Cohort:
    split = ["train", "train", "val", "val", "test", "test"]
    table = pd.DataFrame(present, columns=["mass", "nodule"])
    table = table.assign(image_id=range(6), patient_id=range(6), split=split)
    return Cohort(table, None, "made", "CC0", findings=("mass", "nodule"))


FINE = [(0, 1), (1, 0)] * 3


@pytest.mark.parametrize("cohort", [sound(), two_findings(*FINE)])
def test_a_sound_split_passes(cohort):
    check_split(cohort)
    check_split(cohort, [])
    # Copies on one side are no leak.
    check_split(cohort, [(0, 1)])


@pytest.mark.parametrize(
    ("cohort", "message"),
    [
        (changed("patient_id", i8="p0"), r"1 patient\(s\).*'p0' \(test and train\).*split_pat"),
        (changed("patient_id", i4="p0", i9="p1"), r"2 patient\(s\).*'p0' \(train and val\)"),
        (changed("sha256", i8="0"), "1 copies are on another side.*'i8' = 'i0'"),
        (changed("sha256", i4="0", i9="1"), "2 copies.*'i4' = 'i0'"),
        (changed("split", i3=None), "1 images are on no side: image 'i3'"),
        (changed("split", i3=np.nan, i4="dev"), "2 images are on no side.*expected one of train"),
        (changed("split", i3="Train"), "image 'i3' has split 'Train'"),
        (changed("split", **{f"i{k}": "train" for k in range(4, 8)}), "Side 'val' has no image"),
        (changed("label", i8=1, i10=1), "Side 'test' has no image of Class NORMAL"),
        (changed("label", i5=0, i7=0), "Side 'val' has no image of Class PNEUMONIA"),
        (two_findings(*FINE[:4], (0, 1), (0, 0)), "Side 'test' has no image of mass present"),
        (two_findings((1, 1), (1, 0), *FINE[2:]), "Side 'train' has no image of mass absent"),
        (two_findings(*FINE[:2], (0, 1), (1, 1), *FINE[4:]), "'val' has no image of nodule absent"),
        (random_cohort(9), "no 'split' column; make one with split_patients"),
    ],
)  # fmt: skip
def test_each_planted_fault_is_found(cohort, message):
    with pytest.raises(MedclfError, match=message):
        check_split(cohort)


def test_an_unknown_hash_makes_no_copy():
    for unknown in ("", None, np.nan):
        check_split(changed("sha256", i0=unknown, i4=unknown, i8=unknown))


@pytest.mark.parametrize("group", [("i0", "i8"), (0, 8), [8, 1, 0], np.array([8, 0])])
def test_a_given_copy_on_another_side_is_found(group):
    with pytest.raises(MedclfError, match=r"[12] copies"):
        check_split(sound(), [("i0", "i1"), group])


@pytest.mark.parametrize(
    ("duplicates", "message"),
    [
        ([("i0", "i99")], "name the image 'i99', which the cohort does not have"),
        ([(0, 12)], "rows outside of 0 to 11"),
        ([(-1, 3)], "rows outside of 0 to 11"),
        (["i0", "i1"], "must be groups.*single entry 'i0'"),
        ([("i0", "i1"), 3], "single entry 3"),
        (iter([("i0", "i1")]), "not an iterator"),
    ],
)
def test_unusable_duplicates_are_refused(duplicates, message):
    for use in (check_split, linked_patients):
        with pytest.raises(MedclfError, match=message):
            use(sound(), duplicates)


def test_whole_numbers_mean_rows_even_where_image_ids_are_numbers():
    table = sound().table.assign(image_id=range(100, 112))
    check_split(Cohort(table, None, "made", "CC0"), [(0, 1)])


def test_other_sides_can_be_asked_for():
    cohort = changed("split", **{f"i{k}": "test" for k in range(4, 8)})
    check_split(cohort, sides=("train", "test"))
    with pytest.raises(MedclfError, match="4 images are on no side: image 'i4'"):
        check_split(sound(), sides=("train", "test"))


def described(findings: bool) -> Cohort:
    base = multilabel_cohort(200, rarest=20) if findings else random_cohort(200)
    rng = np.random.default_rng(1)
    divided = split_patients(base)
    site = rng.choice(np.array(["north", "south", None]), len(base), p=[0.5, 0.4, 0.1])
    site[divided.table["split"] == "val"] = None
    table = divided.table.assign(site=site, view=rng.choice(["AP", "PA"], len(base)))
    table["split_moved"] = rng.random(len(base)) < 0.1
    return Cohort(table, None, "made", "CC0", findings=base.findings)


@pytest.mark.parametrize("findings", [False, True])
@pytest.mark.parametrize("by", [None, "site", "view"])
def test_balance_counts_as_row_by_row(findings, by):
    cohort = described(findings)
    wanted = {"train": 0.7, "val": 0.15, "test": 0.15}
    found = balance(cohort, by=by, wanted=wanted)
    names = list(cohort.findings)
    rows = cohort.table.astype({"site": object}).where(cohort.table.notna(), "nan")
    rows["ill"] = cohort.labels.reshape(len(cohort), -1).max(axis=1)
    seen = 0
    for key, row in found.iterrows():
        side, value = key if by else (key, None)
        part = rows[rows["split"] == side]
        part = part[part[by] == ("nan" if pd.isna(value) else value)] if by else part
        seen += len(part)
        expected = {
            "images": len(part), "patients": len(set(part["patient_id"])),
            "prevalence": sum(part["ill"]) / len(part), "share_images": len(part) / len(cohort),
            "share_patients": len(set(part["patient_id"])) / len(set(rows["patient_id"])),
            "wanted": wanted[side], "moved": sum(part["split_moved"]),
        }  # fmt: skip
        expected |= {name: sum(part[name]) / len(part) for name in names}
        for column in {"site", "view"} - {by}:
            for value in set(rows[column]):
                expected[f"{column} {value}"] = (part[column] == value).mean()
        assert row.to_dict() == pytest.approx(expected)
    assert seen == len(cohort)


def test_balance_lists_train_val_test_and_then_further_sides():
    cohort = changed("split", i0="extra", i1="dev", i2=None)
    assert balance(cohort).index.tolist()[:5] == ["train", "val", "test", "dev", "extra"]
    assert balance(cohort)["images"].sum() == 12


@pytest.mark.parametrize(("by", "column"), [(None, "split"), ("site", "split")])
def test_balance_needs_a_split(by, column):
    with pytest.raises(MedclfError, match=f"no column '{column}'"):
        balance(random_cohort(9), by=by)


def test_balance_by_an_unknown_column_is_refused():
    with pytest.raises(MedclfError, match="no column 'site'"):
        balance(sound(), by="site")
