"""Helpers of the chapters: a claim that does not hold must stop the notebook."""

from __future__ import annotations

import json
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
