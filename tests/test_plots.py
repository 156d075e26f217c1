"""Pictures: each shows the numbers it was given, with axes that are labelled."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from medclf_lite import plots
from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.predictions import Predictions

mpl.use("Agg")
RNG = np.random.default_rng(0)


@pytest.fixture
def cohort() -> Cohort:
    n = 40
    table = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "patient_id": [f"p{k // 2}" for k in range(n)],
            "label": RNG.permutation(n) % 2,
            "width": RNG.integers(500, 900, n),
        }
    )
    return Cohort(table, Arrays(RNG.integers(0, 255, (n, 8, 8), dtype=np.uint8)), "made", "CC0")


@pytest.fixture
def predictions(cohort: Cohort) -> Predictions:
    return Predictions.of(cohort, np.clip(cohort.labels * 0.3 + RNG.uniform(0, 0.7, 40), 0, 1))


def labelled(figure) -> bool:
    return all(a.get_xlabel() and a.get_ylabel() for a in figure.axes)


def test_radiographs_are_drawn_on_one_common_grey_scale(cohort: Cohort) -> None:
    figure = plots.radiographs(cohort.images.pixels[:5], list("abcde"), columns=3)
    shown = [a.images[0].get_clim() for a in figure.axes if a.images]
    assert shown == [(0, 255)] * 5


@pytest.mark.parametrize("titles", [["one"], ["a"] * 6])
def test_radiographs_refuse_a_wrong_number_of_titles(cohort: Cohort, titles) -> None:
    with pytest.raises(MedclfError, match="titles for 5 images"):
        plots.radiographs(cohort.images.pixels[:5], titles)


def test_counts_draw_the_numbers_of_the_cohort(cohort: Cohort) -> None:
    heights = [b.get_height() for c in plots.counts(cohort).axes[0].containers for b in c]
    expected = cohort.counts()
    assert sorted(heights) == sorted([*expected["images"], *expected["patients"]])


def test_intensities_of_each_group_sum_to_one(cohort: Cohort) -> None:
    figure = plots.intensities(cohort.images.pixels, cohort.labels, names=cohort.classes)
    sums = [line.get_ydata().sum() for line in figure.axes[0].lines]
    assert sums == pytest.approx([1.0, 1.0])
    assert labelled(figure)


def test_histograms_give_each_class_the_same_area(cohort: Cohort) -> None:
    figure = plots.histograms(cohort, ["width"], ["width (pixels)"])
    total = sum(p.get_height() for p in figure.axes[0].patches)
    assert total == pytest.approx(2.0)


def test_curves_carry_the_area_in_their_legend(predictions: Predictions) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    label, score = predictions.table["label"], predictions.table["score"]
    for draw, area in (
        (plots.roc, roc_auc_score),
        (plots.precision_recall, average_precision_score),
    ):
        figure = draw(predictions)
        texts = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
        assert any(f"{area(label, score):.3f}" in t for t in texts)
        assert labelled(figure)


def test_precision_recall_marks_the_prevalence(predictions: Predictions) -> None:
    lines = plots.precision_recall(predictions).axes[0].lines
    assert any(np.allclose(line.get_ydata(), predictions.table["label"].mean()) for line in lines)


def test_confusion_writes_counts_and_shares_of_the_truth() -> None:
    texts = [t.get_text() for t in plots.confusion([[8, 2], [1, 9]], ("no", "yes")).axes[0].texts]
    assert texts == ["8\n80%", "2\n20%", "1\n10%", "9\n90%"]


def test_claimed_and_true_draws_a_point_for_each_seed() -> None:
    runs = pd.DataFrame(
        {"protocol": ["a", "a", "b"], "claimed": [0.9, 0.8, 0.6], "true": [0.5] * 3}
    )
    figure = plots.claimed_and_true(runs, claimed="says", true="is", xlabel="ROC-AUC")
    points = np.concatenate(
        [
            c.get_offsets()[:, 0]
            for c in figure.axes[0].collections
            if len(c.get_offsets()) and c.get_offsets()[:, 0].any()
        ]
    )
    assert {0.9, 0.8, 0.6, 0.5} <= set(np.round(points, 3))


def test_the_other_pictures_have_labelled_axes(predictions: Predictions) -> None:
    bins = pd.DataFrame({"mean_score": [0.2, 0.8], "observed": [0.1, 0.9], "n": [3, 4]})
    epochs = pd.DataFrame(
        {"epoch": [1, 2], "train_loss": [2, 1], "val_loss": [2, 1.5], "val_auc": [0.6, 0.7]}
    )
    assert labelled(plots.reliability(bins))
    assert labelled(plots.threshold_sweep(predictions, 0.5))
    assert labelled(plots.history(epochs, best_epoch=2))


def test_shortcuts_are_sorted_and_show_their_interval() -> None:
    probes = pd.DataFrame(
        {"trait": ["width", "bytes"], "auc": [0.9, 0.6], "low": [0.85, 0.5], "high": [0.95, 0.7]}
    )
    axes = plots.shortcuts(probes).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["bytes", "width"]


def test_heat_maps_cover_more_the_stronger_they_are(cohort: Cohort) -> None:
    pixels = cohort.images.pixels[:5]
    maps = RNG.uniform(0, 1, pixels.shape)
    figure = plots.heat_maps(pixels, maps, columns=3, outlines=maps > 0.5)
    drawn = [axes.images for axes in figure.axes if len(axes.images) == 2]
    assert len(drawn) == 5
    for (ground, heat), image, one in zip(drawn, pixels, maps, strict=True):
        np.testing.assert_array_equal(ground.get_array(), image)
        np.testing.assert_array_equal(heat.get_array(), one)
        assert (np.argsort(heat.get_alpha(), axis=None) == np.argsort(one, axis=None)).all()
        assert heat.get_clim() == (0, 1)
    with pytest.raises(MedclfError, match="shape"):
        plots.heat_maps(pixels, maps[:4])


def test_seed_dots_show_every_seed_and_the_mean() -> None:
    table = pd.DataFrame({"clean": [0.4, 0.6], "shortcut": [0.0, 0.1]})
    axes = plots.seed_dots(table, xlabel="share of hits", reference=0.08).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == list(table)
    dots = [c for c in axes.collections if hasattr(c, "get_offsets") and len(c.get_offsets()) == 2]
    shown = np.sort(np.concatenate([c.get_offsets()[:, 0] for c in dots]))
    np.testing.assert_allclose(shown, [0.0, 0.1, 0.4, 0.6])
    bars = [
        s[0][0] for c in axes.collections if hasattr(c, "get_segments") for s in c.get_segments()
    ]
    np.testing.assert_allclose(bars, [0.5, 0.05])
    assert axes.get_xlabel() == "share of hits"
