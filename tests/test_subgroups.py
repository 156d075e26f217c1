"""Subgroups against filtering by hand; too few is flagged; the printed table says it all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scored import predictions
from sklearn import metrics as sk

from medclf_lite import metrics
from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions


def made(seed: int = 0, n: int = 300) -> Predictions:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.5).astype(int)
    s = np.clip(0.3 * y + rng.random(n) * 0.7, 0, 1)
    kind = np.where(y == 0, "normal", rng.choice(["bacteria", "virus"], n))
    people = rng.integers(0, n // 2, n).astype(str)
    site = rng.choice(["A", "B", None], n, p=[0.5, 0.4, 0.1])
    return predictions(y, s, people, subtype=kind, site=site)


def half() -> metrics.Threshold:
    return metrics.fixed_threshold(0.5, "a test")


def test_each_group_is_what_filtering_by_hand_gives() -> None:
    all_of_them = made()
    found = metrics.by_subgroup(all_of_them, "site", half(), resamples=50)
    table = all_of_them.table
    assert set(found.index.get_level_values("group")) == {"A", "B", "(missing)"}
    for group in ("A", "B", "(missing)"):
        rows = table["site"].isna() if group == "(missing)" else table["site"] == group
        part = table[rows]
        row = found.loc[group]
        assert row.loc["roc_auc", "value"] == pytest.approx(
            sk.roc_auc_score(part["label"], part["score"])
        )
        ill = part[part["label"] == 1]
        assert row.loc["sensitivity", "value"] == pytest.approx((ill["score"] >= 0.5).mean())
        assert row.loc["sensitivity", "n"] == len(ill)
        assert row.loc["sensitivity", "rarer"] == ill["patient_id"].nunique()
    sizes = found.xs("accuracy", level="figure")["n"]
    assert sizes.sum() == len(all_of_them), "no image is lost"


def test_the_whole_as_one_group_is_the_whole() -> None:
    all_of_them = made(1)
    one = Predictions(all_of_them.table.assign(ward="W"))
    found = metrics.by_subgroup(one, "ward", half(), resamples=80).loc["W"]
    expected = metrics.evaluate(all_of_them, half(), resamples=80)
    for column in ("value", "low", "high"):
        assert found[column].to_dict() == pytest.approx(expected[column].to_dict())


def test_subtypes_of_the_diseased_are_set_against_all_normals() -> None:
    all_of_them = made(2)
    found = metrics.by_subgroup(all_of_them, "subtype", half(), against="normals", resamples=50)
    assert set(found.index.get_level_values("group")) == {"bacteria", "virus"}
    y, s = all_of_them.labels, all_of_them.scores
    kind = all_of_them.table["subtype"].to_numpy()
    for group in ("bacteria", "virus"):
        ill, well = s[kind == group], s[y == 0]
        pairs = (ill[:, None] > well).mean() + 0.5 * (ill[:, None] == well).mean()
        assert found.loc[(group, "roc_auc"), "value"] == pytest.approx(pairs)
        assert found.loc[(group, "specificity"), "value"] == pytest.approx((well < 0.5).mean())
        # The prevalence among borrowed normals is made up: nothing that rests on it is given.
        assert not {"ppv", "npv", "f1", "pr_auc", "accuracy"} & set(found.loc[group].index)


def test_a_group_of_one_class_has_no_area_and_says_so() -> None:
    found = metrics.by_subgroup(made(3), "subtype", half(), resamples=50)
    row = found.loc[("virus", "roc_auc")]
    assert np.isnan(row["value"])
    assert row["too_few"]
    assert row["rarer"] == 0
    assert not found.loc[("virus", "sensitivity"), "too_few"]


@pytest.mark.parametrize("ill", [0, 1, 9, 10])
def test_a_figure_of_too_few_patients_is_flagged_and_not_given(ill: int) -> None:
    y = [0] * 30 + [1] * ill
    few = predictions(y, np.linspace(0, 1, len(y)), site="A")
    found = metrics.by_subgroup(few, "site", half(), resamples=50).loc["A"]
    for name in ("roc_auc", "sensitivity", "f1"):
        assert found.loc[name, "too_few"] == (ill < 10)
        assert np.isnan(found.loc[name, "value"]) == (ill < 10)
        assert np.isnan(found.loc[name, "low"]) >= (ill < 10)
    assert not found.loc["specificity", "too_few"]
    assert found.loc["specificity", "value"] > 0


def test_many_images_of_few_patients_are_few() -> None:
    y = [0, 1] * 100
    people = [f"{label}{k % 8}" for k, label in enumerate(y)]
    found = metrics.by_subgroup(
        predictions(y, np.linspace(0, 1, 200), people, site="A"), "site", resamples=50
    )
    assert found.loc[("A", "roc_auc"), ["n", "rarer", "too_few"]].tolist() == [200, 4, True]


def test_classes_of_a_number_keep_their_order_and_missing_comes_last() -> None:
    table = made(8).table
    ages = pd.cut(np.linspace(0, 99, len(table)), [0, 5, 18, 65, 100], labels=list("ZYXW"))
    found = metrics.by_subgroup(Predictions(table.assign(age=ages)), "age", resamples=20)
    assert list(dict.fromkeys(found.index.get_level_values("group"))) == [*"ZYXW", "(missing)"]


def test_what_is_no_subgroup_is_refused() -> None:
    all_of_them = made(4)
    many = Predictions(all_of_them.table.assign(age=np.arange(len(all_of_them))))
    well = all_of_them.where(all_of_them.labels == 0)
    for arguments, message in (
        ((all_of_them, "age"), "no column 'age'"),
        ((many, "age"), "300 values, too many"),
        ((all_of_them, "site", metrics.choose_threshold(all_of_them)), "was chosen on"),
    ):
        with pytest.raises(MedclfError, match=message):
            metrics.by_subgroup(*arguments)
    with pytest.raises(MedclfError, match="No image is diseased"):
        metrics.by_subgroup(well, "subtype", against="normals")
    with pytest.raises(MedclfError, match="expected one of own, normals"):
        metrics.by_subgroup(all_of_them, "site", against="bacteria")  # type: ignore[arg-type]
    with pytest.raises(MedclfError, match="a number without an origin"):
        metrics.by_subgroup(all_of_them, "site", 0.5)  # type: ignore[arg-type]


# --- the printed table ---------------------------------------------------------------------


def test_the_printed_table_holds_value_and_interval_and_counts() -> None:
    found = metrics.evaluate(made(5), half(), resamples=100)
    printed = metrics.report(found, digits=2)
    row = found.loc["sensitivity"]
    expected = f"{row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
    assert printed.loc["sensitivity", "value (low to high)"] == expected
    assert printed.loc["sensitivity", "patients"] == str(int(row["patients"]))
    assert list(printed.index) == list(found.index)


def test_the_printed_table_says_why_a_figure_is_not_there() -> None:
    groups = metrics.report(metrics.by_subgroup(made(6), "subtype", half(), resamples=50))
    assert groups.loc[("virus", "roc_auc")].iloc[0] == "- (too few)"
    alone = metrics.report(metrics.evaluate(predictions([1] * 3, [0.2, 0.5, 0.9]), resamples=9))
    assert alone.loc["roc_auc"].iloc[0] == "- (not defined)"
    perfect = predictions([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    told = metrics.report(metrics.evaluate(perfect, resamples=50), digits=1)
    assert told.loc["roc_auc"].iloc[0] == "1.0 (no interval)"


def test_a_comparison_is_printed_too_and_nothing_else_is() -> None:
    one, other = made(7), made(7)
    printed = metrics.report(metrics.compare(one, other, resamples=20), digits=1)
    assert printed.loc["brier", "difference (low to high)"] == "0.0 (0.0 to 0.0)"
    assert {"first", "second"} <= set(printed)
    with pytest.raises(MedclfError, match="Expected a table of evaluate"):
        metrics.report(pd.DataFrame({"value": [1.0]}))
