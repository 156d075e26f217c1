"""The Predictions table: one score an image, kept exactly, and nothing else let in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions


def table(n: int = 4, **columns: object) -> pd.DataFrame:
    known = {
        "image_id": [f"i{k}" for k in range(n)],
        "patient_id": [f"p{k // 2}" for k in range(n)],
        "label": [k % 2 for k in range(n)],
        "score": np.linspace(0, 1, n),
    }
    return pd.DataFrame(known | columns)


def cohort(n: int = 4, **columns: object) -> Cohort:
    return Cohort(table(n, **columns).drop(columns="score"), None, "made", "CC0")


def test_scores_stand_beside_the_images_in_the_cohorts_order() -> None:
    made = cohort(4, site=list("AABB"), image_id=["d", "a", "c", "b"], note=["x"] * 4)
    found = Predictions.of(made, [0.1, 0.2, 0.3, 0.4], fold=[0, 1, 0, 1])
    assert list(found.table["image_id"]) == ["d", "a", "c", "b"]
    assert list(found.scores) == [0.1, 0.2, 0.3, 0.4]
    assert list(found.table["site"]) == list("AABB")
    assert list(found.table["fold"]) == [0, 1, 0, 1]
    assert "note" not in found.table
    assert found.n_patients == 2


@pytest.mark.parametrize("scores", [[0.1] * 3, [0.1] * 5, [[0.1]] * 4, 0.5])
def test_anything_but_one_score_an_image_is_refused(scores) -> None:
    with pytest.raises(MedclfError, match="one score for each of 4 images"):
        Predictions.of(cohort(4), scores)


def test_a_cohort_of_findings_is_refused() -> None:
    findings = pd.DataFrame({"image_id": ["a"], "patient_id": ["p"], "Mass": [1], "Edema": [0]})
    made = Cohort(findings, None, "made", "CC0", findings=("Mass", "Edema"))
    with pytest.raises(MedclfError, match="one table a finding"):
        Predictions.of(made, [0.5])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"score": [0.1, np.nan, 0.2, 0.3]}, "NaN means that the model failed"),
        ({"score": [0.1, 1.2, 0.2, 0.3]}, "of image 'i1'"),
        ({"score": [0.1, -0.1, 0.2, 0.3]}, "Apply a sigmoid"),
        ({"score": [0.1, np.inf, 0.2, 0.3]}, "not numbers in"),
        ({"score": ["0.1", "high", "0.2", "0.3"]}, "'high'"),
        ({"label": [0, 1, 2, 0]}, "must be 0 or 1"),
        ({"image_id": ["a", "b", "a", "c"]}, "scored more than once, the first is 'a'"),
        ({"patient_id": ["p", None, "q", "r"]}, "a patient_id in every row"),
    ],
)
def test_wrong_values_are_refused_by_name(columns, message) -> None:
    with pytest.raises(MedclfError, match=message):
        Predictions(table(4, **columns))


def test_missing_columns_and_no_rows_are_refused() -> None:
    with pytest.raises(MedclfError, match=r"lack the column\(s\) patient_id, score"):
        Predictions(table().drop(columns=["patient_id", "score"]))
    with pytest.raises(MedclfError, match="at least one image"):
        Predictions(table().iloc[:0])


@given(
    scores=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    names=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
)
def test_a_round_trip_through_csv_keeps_every_digit_and_every_name(
    scores, names, tmp_path_factory
) -> None:
    n = len(scores)
    given_ids = [f"{names}{k}" for k in range(n)]
    made = Predictions(table(n, score=scores, image_id=given_ids, patient_id=["007", "NA"][n % 2]))
    path = tmp_path_factory.mktemp("csv") / "predictions.csv"
    again = Predictions.from_csv(made.to_csv(path))
    assert (again.scores == made.scores).all()
    assert list(again.table["image_id"]) == given_ids
    assert set(again.table["patient_id"]) == {["007", "NA"][n % 2]}


def test_a_file_that_is_no_table_of_predictions_is_refused(tmp_path) -> None:
    with pytest.raises(MedclfError, match="cannot be read as predictions"):
        Predictions.from_csv(tmp_path / "missing.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(MedclfError, match="lack the column"):
        Predictions.from_csv(tmp_path / "other.csv")


def test_a_subgroup_is_chosen_by_a_mask_and_by_nothing_else() -> None:
    made = Predictions(table(4, view=["AP", "PA", "AP", "PA"]))
    part = made.where(made.table["view"] == "AP")
    assert list(part.table["image_id"]) == ["i0", "i2"]
    for wrong in ([0, 2], [True, False]):
        with pytest.raises(MedclfError, match="a mask of shape"):
            made.where(wrong)
