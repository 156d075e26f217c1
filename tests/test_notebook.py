"""Helpers of the chapters: a claim that does not hold must stop the notebook."""

from __future__ import annotations

import json
import statistics
import sys

import numpy as np
import pytest

from medclf_lite import notebook
from medclf_lite.errors import MedclfError


def test_a_claim_that_holds_passes_and_one_that_does_not_stops_the_notebook() -> None:
    notebook.claim(np.bool_(True), "fine")
    with pytest.raises(AssertionError, match="The text says: the sky is green"):
        notebook.claim(np.float64(0.0) > 1, "the sky is green")


def test_a_claim_on_nan_does_not_pass() -> None:
    with pytest.raises(AssertionError):
        notebook.claim(np.nan > 0.5, "an undefined figure is high")


@pytest.mark.parametrize(
    ("value", "spec", "shown"),
    [
        (0.87654, ".3f", "0.877"),
        (0.9, ".2f", "0.90"),
        (5216, ",", "5,216"),
        ("height", "", "height"),
    ],
)
def test_the_page_shows_a_glued_number_as_it_was_formatted(monkeypatch, value, spec, shown) -> None:
    myst_nb = pytest.importorskip("myst_nb", reason="needs the book extra")
    from myst_nb.core.variables import format_plain_text  # what the role glue:text calls

    stored = {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: stored.update({name: value}))
    notebook.glue("auc", value, spec)
    assert format_plain_text(repr(stored["auc"]), "s") == shown


def test_glue_is_silent_where_the_book_tools_are_absent(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "myst_nb", None)
    notebook.glue("auc", 0.5)


def test_real_results_are_found_from_a_folder_below(tmp_path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "real_results.json").write_text(json.dumps({"patients": {"train": 7}}))
    deep = tmp_path / "chapters" / "x"
    deep.mkdir(parents=True)
    assert notebook.real_results("patients", "train", start=deep) == 7
    with pytest.raises(MedclfError, match="'tests' is not in train"):
        notebook.real_results("patients", "tests", start=deep)
    with pytest.raises(MedclfError, match="a plain value"):
        notebook.real_results("patients", "train", "x", start=deep)


def test_missing_results_say_where_to_run(tmp_path) -> None:
    with pytest.raises(MedclfError, match="inside a clone"):
        notebook.real_results(start=tmp_path)


SERIES = {"claimed": [0.9, 0.7, 0.8], "true": [0.6, 0.8, 0.5]}


def test_an_effect_is_summed_up_seed_by_seed_and_stored_for_the_table(monkeypatch) -> None:
    myst_nb = pytest.importorskip("myst_nb", reason="needs the book extra")
    stored = {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: stored.update({name: value}))
    found = notebook.effect("F27", "Folds of images promise more", "ROC-AUC", SERIES)
    pairs = list(zip(*SERIES.values(), strict=True))
    assert found["share"] == pytest.approx(2 / 3)
    assert found["difference"] == pytest.approx(statistics.mean(a - b for a, b in pairs))
    assert found["difference_sd"] == pytest.approx(statistics.stdev(a - b for a, b in pairs))
    assert found["second_sd"] == pytest.approx(statistics.stdev(SERIES["true"]))
    told = json.loads(stored["effect:F27"])
    assert told == found | {
        "statement": "Folds of images promise more", "figure": "ROC-AUC",
        "names": ["claimed", "true"],
    }  # fmt: skip


def test_an_effect_of_one_seed_has_no_spread() -> None:
    found = notebook.effect("x", "one", "AUC", {"a": [0.9], "b": [0.5]})
    assert np.isnan([found["first_sd"], found["difference_sd"]]).all()
    assert found["share"] == 1


@pytest.mark.parametrize(
    "series",
    [
        {"a": [1.0], "b": [1.0, 2.0]},
        {"a": [1.0, 2.0]},
        {"a": [1.0], "b": [2.0], "c": [3.0]},
        {"a": [], "b": []},
        {"a": [1.0], "b": [np.nan]},
        {"a": 1.0, "b": 2.0},
    ],
)
def test_what_is_not_two_series_of_numbers_is_no_effect(series) -> None:
    with pytest.raises(MedclfError, match="effect F01 needs two series"):
        notebook.effect("F01", "said", "AUC", series)
