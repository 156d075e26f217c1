"""Splits by date and by site: what is promised of them, and what is moved for it."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_cohorts import assert_apart, attempt, cohort_of, cohorts, linked_by_force, random_cohort

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.splits import balance, hold_out_site, split_by_date

SIDES = {"train", "val", "test"}
each = settings(deadline=None, max_examples=60)


def with_dates(cohort: Cohort, days: int, seed: int = 0) -> Cohort:
    when = np.random.default_rng(seed).integers(0, days, len(cohort))
    return cohort.with_column("date", pd.to_datetime(when, unit="D", origin="2020-01-01"))


@pytest.mark.filterwarnings("ignore:.*images of.*patients are older")
@given(cohorts(), st.sampled_from([4, 30, 900]), st.sampled_from([0.15, 0.3]))
@each
def test_no_training_image_is_as_late_as_a_last_study_of_val_or_test(drawn, days, share):
    cohort, groups = drawn
    cohort = with_dates(cohort, days, len(cohort))
    linked = np.asarray(linked_by_force(cohort, groups))
    last = cohort.table["date"].groupby(linked).transform("max")
    divided, refusal = attempt(
        lambda: split_by_date(cohort, val=share, test=share, duplicates=groups)
    )
    if divided is None:
        assert last.nunique() < 3 or "is seen in" in refusal or "has no image of" in refusal
        return
    date, side = divided.table["date"], divided.table["split"]
    assert_apart(cohort, groups, side.to_numpy(), SIDES)
    first_cut, second_cut = date[side == "train"].max(), date[side != "test"].max()
    assert first_cut < last[side == "val"].min()
    assert second_cut == date[side == "val"].max() < last[side == "test"].min()
    early = ((side == "val") & (date <= first_cut)) | ((side == "test") & (date <= second_cut))
    assert divided.table["split_moved"].tolist() == early.tolist()


@given(st.integers(0, 999), st.sampled_from([0.1, 0.2]), st.sampled_from([0.1, 0.3]))
@settings(deadline=None, max_examples=25)
def test_the_cuts_lie_between_the_days_that_come_nearest_to_the_shares(seed, val, test):
    cohort = with_dates(random_cohort(400, seed, ill=0.5, most=1), 25, seed)
    divided = split_by_date(cohort, val=val, test=test)
    until = cohort.table["date"].value_counts(normalize=True).sort_index().cumsum()
    share = balance(divided)["share_patients"]
    nearest = (until.iloc[:-2] - (1 - val - test)).abs().min()
    assert abs(share["train"] - (1 - val - test)) == pytest.approx(nearest)
    later = until[until > share["train"] + 1e-9].iloc[:-1]
    nearest = (later - (1 - test)).abs().min()
    assert abs(share["train"] + share["val"] - (1 - test)) == pytest.approx(nearest)


def test_earlier_studies_of_those_who_return_are_moved_marked_and_counted():
    cohort = cohort_of(
        {"a": [0], "b": [1], "c": [0, 0], "d": [1], "e": [0, 1, 1]},
        date=[2001, 2001, 2001, 2002, 2002, 2001, 2002, 2003],
    )
    with pytest.warns(UserWarning, match="3 images of 2 patients are older") as caught:
        divided = split_by_date(cohort, val=0.4, test=0.2)
    assert divided.table["split"].tolist() == ["train"] * 2 + ["val"] * 3 + ["test"] * 3
    assert divided.table["split_moved"].tolist() == [0, 0, 1, 0, 0, 1, 1, 0]
    assert balance(divided)["moved"].to_dict() == {"train": 0, "val": 1, "test": 2}
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_nothing_is_moved_or_said_where_nobody_returns():
    assert not split_by_date(with_dates(random_cohort(60, most=1), 99)).table["split_moved"].any()


YEARS = [2001, 2001, 2002, 2002, 2003, 2003]
SIX = cohort_of({k: [k % 2] for k in range(6)})


@pytest.mark.parametrize(
    "dates",
    [
        YEARS,
        [str(y) for y in YEARS],
        [f"{y}-02-0{k + 1}T10:00" for k, y in enumerate(YEARS)],
        [f"{y}0101" for y in YEARS],
        [datetime.date(y, 1, 1) for y in YEARS],
        pd.Series(YEARS, dtype=object),
        pd.Series(YEARS, dtype="Int64"),
        pd.to_datetime([f"{y}-01-01" for y in YEARS], utc=True),
        # By the clock on the wall, the third comes before the second.
        ["2001", "2001-06-01T09:00+09:00", "2001-06-01T01:00Z", "2002", "2003", "2003"],
    ],
)
def test_dates_are_read_in_each_form(dates):
    cohort = Cohort(SIX.table.assign(date=dates), None, "made", "CC0")
    divided = split_by_date(cohort, val=0.34, test=0.3)
    assert divided.table["split"].tolist() == ["train"] * 2 + ["val"] * 2 + ["test"] * 2


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        (None, "no 'date' column"),
        ([*YEARS[:5], None], "1 of 6 images have no date; the first is in row 5"),
        (["2001", "", *["2003"] * 4], "1 of 6 images have no date; the first is in row 1"),
        (["03/04/2021"] * 6, r"A date cannot be read: .*03/04/2021.*\(ISO 8601\)"),
        (["2001", "soon", *["2003"] * 4], "A date cannot be read.*soon"),
        (["2001", 2002, "2003", "2004", "2005", "2006"], "mixes numbers and text"),
        ([2001] * 3 + [2002] * 3, "fall on 2 different days"),
        ([2001, 2002, 2001, 2003, 2001, 2003], "Side 'val' has no image of Class NORMAL"),
    ],
)
def test_unusable_dates_are_refused(dates, message):
    cohort = SIX if dates is None else Cohort(SIX.table.assign(date=dates), None, "made", "CC0")
    with pytest.raises(MedclfError, match=message):
        split_by_date(cohort, val=0.3, test=0.3)


def with_sites(cohort: Cohort, alone: bool, seed: int = 0) -> Cohort:
    """Draw a site for each patient, or for each image."""
    rng = np.random.default_rng(seed)
    who = pd.factorize(cohort.patients)[0] if alone else np.arange(len(cohort))
    return cohort.with_column("site", np.array(["A", "B", "Čáslav"])[rng.integers(0, 3, 999)[who]])


@pytest.mark.filterwarnings("ignore:.*from another site")
@given(cohorts(fewest=9), st.booleans(), st.sampled_from(["A", "Čáslav"]), st.integers(0, 99))
@each
def test_the_site_is_all_of_test_and_nobody_of_it_is_elsewhere(drawn, alone, site, seed):
    cohort, groups = drawn
    cohort = with_sites(cohort, alone, seed)
    here = (cohort.table["site"] == site).to_numpy()
    linked = np.asarray(linked_by_force(cohort, groups))
    theirs = np.isin(linked, linked[here])
    divided, refusal = attempt(
        lambda: hold_out_site(cohort, site, seed=seed, shared="test", duplicates=groups)
    )
    if divided is None:
        assert re.search("is seen in|has no image of|No image is of site|Every image", refusal)
        return
    side = divided.table["split"].to_numpy()
    assert_apart(cohort, groups, side, SIDES)
    assert (side == "test").tolist() == theirs.tolist()
    assert divided.table["split_moved"].tolist() == (theirs & ~here).tolist()
    strict, refusal = attempt(lambda: hold_out_site(cohort, site, seed=seed, duplicates=groups))
    if (theirs & ~here).any():
        assert "also at another site" in refusal
    else:
        assert strict.table.equals(divided.table)


def test_images_of_a_shared_patient_are_counted():
    cohort = with_sites(random_cohort(60, 1), alone=False)
    with pytest.warns(UserWarning, match="from another site than 'B'") as caught:
        divided = hold_out_site(cohort, "B", shared="test")
    moved = divided.table[divided.table["split_moved"]]
    assert len(moved) > 5
    counted = f"{len(moved)} images of {moved['patient_id'].nunique()} patients"
    assert str(caught[0].message).startswith(counted)
    assert caught[0].filename == __file__


def test_val_takes_its_share_of_the_other_sites_and_follows_the_seed():
    cohort = with_sites(random_cohort(200), alone=True)
    made = [hold_out_site(cohort, "A", val=0.25, seed=s) for s in (0, 0, 1)]
    patients = balance(made[0])["patients"]
    assert abs(patients["val"] / (patients["val"] + patients["train"]) - 0.25) < 0.02
    assert made[0].table.equals(made[1].table)
    assert not made[0].table.equals(made[2].table)
    backwards = hold_out_site(cohort.take(range(len(cohort) - 1, -1, -1)), "A", val=0.25, seed=0)
    assert backwards.table["split"].tolist()[::-1] == made[0].table["split"].tolist()


def test_a_site_can_be_a_number():
    cohort = with_sites(random_cohort(60), alone=True)
    cohort = cohort.with_column("site", cohort.table["site"].map({"A": 1, "B": 2, "Čáslav": 3}))
    assert set(hold_out_site(cohort, 2).part("test").table["site"]) == {2}


TWO = with_sites(random_cohort(40), alone=True)
MIXED = with_sites(random_cohort(40), alone=False)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hold_out_site(random_cohort(9), "A"), "no 'site' column"),
        (lambda: hold_out_site(TWO, "Z"), "No image is of site 'Z'; the cohort has A, B, Čáslav"),
        (lambda: hold_out_site(TWO.with_column("site", "A"), "A"), "Every image is of site 'A'"),
        (lambda: hold_out_site(TWO, "A", val=1), "got val=1"),
        (lambda: hold_out_site(MIXED, "A", shared="tset"), "also at another site"),
        (
            lambda: hold_out_site(cohort_of({"p": [0, 1], "q": [0]}, site=["A", None, "B"]), "A"),
            "1 of 3 images have no site; the first is in row 1",
        ),
        (
            lambda: hold_out_site(SIX.with_column("site", list("AAAAAB")), "B"),
            "Side 'test' has no image of Class NORMAL",
        ),
        (
            lambda: hold_out_site(SIX.with_column("site", list("AABBBB")), "B"),
            "is seen in 1 of 2 patients",
        ),
    ],
)  # fmt: skip
def test_bad_sites_are_refused(call, message):
    with pytest.raises(MedclfError, match=message):
        call()
