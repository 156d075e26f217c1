"""Suspect labels: those against which the model speaks clearly, and none where it is unsure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.metrics import suspect_labels
from medclf_lite.predictions import Predictions


def predictions(labels, scores) -> Predictions:
    names = [f"i{k}" for k in range(len(labels))]
    return Predictions(
        pd.DataFrame({"image_id": names, "patient_id": names, "label": labels, "score": scores})
    )


def confident_joint(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The rule of the paper, written out image by image."""
    probability = np.stack([1 - scores, scores], axis=1)
    limit = [np.mean([p[c] for p, y in zip(probability, labels, strict=True) if y == c])
             for c in (0, 1)]  # fmt: skip
    off = []
    for p, y in zip(probability, labels, strict=True):
        sure = [c for c in (0, 1) if p[c] >= limit[c]]
        off.append(sure == [1 - y])
    return np.array(off)


scored = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=2, max_size=60).filter(
    lambda rows: len({y for y, _ in rows}) == 2
)


@given(scored)
def test_suspects_are_those_of_the_confident_joint(rows):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = suspect_labels(predictions(labels, scores)).set_index("image_id")
    in_order = found.loc[[f"i{k}" for k in range(len(labels))]]
    assert in_order["suspect"].tolist() == confident_joint(labels, scores).tolist()


@given(scored)
def test_every_image_comes_once_and_the_most_doubtful_first(rows):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    found = suspect_labels(predictions(labels, scores))
    assert sorted(found["image_id"]) == sorted(f"i{k}" for k in range(len(labels)))
    assert found["doubt"].is_monotonic_decreasing


@pytest.mark.parametrize("seed", range(5))
def test_flipped_labels_are_found_among_clear_images(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 400)
    flipped = rng.random(400) < 0.1
    scores = 1 / (1 + np.exp(-rng.normal(4 * truth - 2, 1)))
    found = suspect_labels(predictions(np.where(flipped, 1 - truth, truth), scores))
    order = found["image_id"].str[1:].astype(int).to_numpy()
    assert roc_auc_score(flipped[order], found["doubt"]) > 0.9
    suspects = flipped[order[found["suspect"].to_numpy()]]
    assert suspects.mean() > 0.5
    assert suspects.sum() > 0.6 * flipped.sum()


def test_scores_that_know_nothing_make_no_suspects():
    found = suspect_labels(predictions([0, 1] * 20, [0.5] * 40))
    assert not found["suspect"].any()


def test_one_class_is_refused():
    with pytest.raises(MedclfError, match="Both classes"):
        suspect_labels(predictions([1, 1], [0.2, 0.9]))


def findings() -> Cohort:
    table = pd.DataFrame({
        "image_id": list("abc"), "patient_id": list("pqr"), "Mass": [1, 0, 1], "Edema": [0, 0, 1],
    })  # fmt: skip
    return Cohort(table, None, "example", "CC0", findings=("Mass", "Edema"))


def test_one_finding_makes_a_binary_cohort_whose_labels_are_that_column():
    one = findings().finding("Edema")
    assert one.labels.tolist() == [0, 0, 1]
    assert one.classes == ("no Edema", "Edema")
    assert Predictions.of(one, [0.1, 0.2, 0.9]).classes == one.classes


def test_an_unknown_finding_is_refused_with_those_that_there_are():
    with pytest.raises(MedclfError, match="Mass, Edema"):
        findings().finding("Hernia")
    with pytest.raises(MedclfError, match="one label an image"):
        findings().finding("Mass").finding("Mass")
