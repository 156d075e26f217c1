"""The mended code of F18 to F40 does what it is there for: the pages show it, so it must run."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from medclf_lite.pitfalls import the_fault
from medclf_lite.pitfalls.cohorts import FAINT, auc, data, linear, patients, pixels, scores
from medclf_lite.training import positive_weight

SEEDS = (51, 52, 53, 54)  # none of them was looked at while the demonstrations were made


def both(id: str):
    return the_fault(id).faulty, the_fault(id).fixed


def test_f18_the_weight_balances_the_loss_that_torch_computes() -> None:
    labels = np.repeat([0, 1], [25, 75])
    shares = []
    for rule in both("F18"):
        logits, y = torch.zeros(100, requires_grad=True), torch.tensor(labels).float()
        weight = torch.tensor(float(rule(labels)))
        (pull,) = torch.autograd.grad(bce(logits, y, pos_weight=weight), logits)
        shares.append(float(pull[25:].abs().sum() / pull.abs().sum()))
    assert shares == pytest.approx([2 / 3, 1 / 2])
    assert both("F18")[1](labels) == pytest.approx(positive_weight(labels))


@pytest.mark.parametrize("seed", SEEDS)
def test_f19_without_correction_the_mean_score_is_the_prevalence(seed) -> None:
    rng = np.random.default_rng(seed)
    y = (rng.random(4000) < 0.05).astype(int)
    x = rng.normal(size=(4000, 8)) + 0.5 * y[:, None]
    twice, plain = (fit(x, y, rng).predict_proba(x)[:, 1].mean() for fit in both("F19"))
    assert plain == pytest.approx(y.mean(), abs=0.002)
    assert twice > 0.5


def test_f20_the_mean_of_images_does_not_depend_on_the_batch_size() -> None:
    losses = np.random.default_rng(51).exponential(0.4, 65)
    of_batches, of_images = both("F20")
    assert {round(float(of_images(losses, b)), 9) for b in (1, 7, 16, 64)} == {
        round(float(losses.mean()), 9)
    }
    assert len({round(float(of_batches(losses, b)), 9) for b in (1, 7, 16, 64)}) == 4
    assert of_batches(losses[:64]) == pytest.approx(losses[:64].mean())  # no short batch


class _Counter:
    """A model whose only weight is the number of epochs it was trained."""

    epoch = 0


def test_f21_a_copy_of_the_best_epoch_is_kept_and_not_the_last() -> None:
    def train(model):
        model.epoch += 1

    def score(model):
        return {1: 0.6, 2: 0.9, 3: 0.7, 4: 0.5}[model.epoch]

    last, best = (keep(copy.copy(_Counter()), 4, train, score).epoch for keep in both("F21"))
    assert (last, best) == (4, 2)


@pytest.mark.parametrize(("losses", "stops"), [
    ([0.5, 0.4, 0.3, 0.2, 0.1], False),
    ([0.5, 0.6, 0.7, 0.8, 0.9], True),
    ([0.5, math.nan, math.nan, math.nan, math.nan], True),
])  # fmt: skip
def test_f22_training_stops_when_the_loss_rises_or_is_no_number(losses, stops) -> None:
    faulty, fixed = (make() for make in both("F22"))
    assert any([fixed(loss) for loss in losses]) == stops
    heard = any([faulty(loss) for loss in losses])
    assert heard == (stops and not math.isnan(losses[1]))


def test_f24_a_threshold_from_validation_reads_the_test_as_new_patients_do() -> None:
    gaps = []
    for choose in both("F24"):
        found = []
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            for _ in range(8):
                val, test, (y, s) = (scores(rng, n) for n in (50, 50, 1000))
                cut = choose(val, test)
                said = balanced_accuracy_score(test[0], test[1] > cut)
                found.append(said - balanced_accuracy_score(y, s > cut))
        gaps.append(float(np.mean(found)))
    assert gaps[0] > 0.02
    assert abs(gaps[1]) < 0.045  # four standard errors


def test_f25_the_interval_mostly_holds_the_auc_of_many_images() -> None:
    y, s = scores(np.random.default_rng(0), 50_000, gap=1.75)
    truth, held = roc_auc_score(y, s), []
    for seed in range(20):
        few = scores(np.random.default_rng((51, seed)), 60, gap=1.75)
        text = both("F25")[1](*few, [str(i) for i in range(60)])
        low, high = text.split("(")[1].rstrip(")").split(" to ")
        held.append(float(low) - 0.005 <= truth <= float(high) + 0.005)
    assert sum(held) >= 15  # of 20; 95 % would be 19
    assert both("F25")[0](y, s) == f"AUC = {truth:.4f}"


def test_f26_the_prevalence_stands_beside_the_area() -> None:
    text = both("F26")[1](*scores(np.random.default_rng(51), 4000, 0.05))
    assert "0.05" in text.split("chance")[1]


def test_f27_folds_of_patients_tell_what_new_patients_will_show() -> None:
    said, by_patient, new = [], [], []
    for seed in SEEDS:
        cohort = patients(seed, 60, 6, amplitude=FAINT).cohort
        x, y = pixels(cohort), cohort.labels
        model = KNeighborsClassifier(3)
        for found, predict in zip((said, by_patient), both("F27"), strict=True):
            score = predict(model, x, y, cohort.patients)[:, 1]
            found.append(roc_auc_score(y, score))
        new_x, new_y = data(seed + 5000, 300, amplitude=FAINT)
        new.append(roc_auc_score(new_y, model.fit(x, y).predict_proba(new_x)[:, 1]))
    assert np.mean(said) - np.mean(new) > 0.15
    assert abs(np.mean(by_patient) - np.mean(new)) < 0.1


def test_f28_only_training_images_are_changed() -> None:
    images, rows = np.arange(8.0), {"train": np.arange(5), "val": np.arange(5, 8)}
    faulty, fixed = (make(images, rows, lambda part: part + 100) for make in both("F28"))
    assert fixed[0].min() >= 100
    assert fixed[1].tolist() == [5, 6, 7]
    assert faulty[1].tolist() == [105, 106, 107]


def test_f29_a_site_held_out_comes_nearer_to_another_hospital() -> None:
    off = {"patient": [], "site": []}
    for seed in SEEDS:
        here = patients(seed, 300, amplitude=(0.2, 0.4), site_confounding=0.85).cohort
        there = data(seed + 7000, 300, amplitude=(0.2, 0.4), sites=("C",))
        x, y, model = pixels(here), here.labels, linear(pixels(here), here.labels)
        truth = auc(model, *there)
        for name, score in zip(off, both("F29"), strict=True):
            told = score(model, x, y, here.patients, here.table["site"])[:, 1]
            off[name].append(abs(roc_auc_score(y, told) - truth))
    assert np.mean(off["site"]) < np.mean(off["patient"])


def test_f31_a_recipe_chosen_on_validation_is_not_flattered_by_the_test() -> None:
    gaps = []
    for choose in both("F31"):
        found = []
        for seed in SEEDS:
            rng = np.random.default_rng(seed)
            for _ in range(10):
                val, test = ([scores(rng, 100) for _ in range(10)] for _ in range(2))
                chosen = choose(range(10), val, test)
                found.append(roc_auc_score(*test[chosen]) - 0.821)  # the true AUC of each
        gaps.append(float(np.mean(found)))
    assert gaps[0] > 0.04
    assert abs(gaps[1]) < 0.03  # four standard errors


def test_f32_cases_invented_after_the_split_teach_nothing_of_the_test() -> None:
    rng = np.random.default_rng(51)
    x, y = rng.normal(size=(400, 20)), (rng.random(400) < 0.15).astype(int)
    faulty, fixed = (divide(x, y, rng) for divide in both("F32"))
    known = {row.tobytes() for row in x}
    assert all(row.tobytes() in known for row in fixed[2])  # only real cases are tested
    assert len(fixed[3]) == 100
    assert not all(row.tobytes() in known for row in faulty[2])
    assert fixed[1].mean() == pytest.approx(0.5, abs=0.06)  # and training is balanced


def test_f33_the_counts_are_those_of_the_list() -> None:
    rng = np.random.default_rng(51)
    images = [Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)) for _ in range(3)]
    listed, counted = (make(images) for make in both("F33"))
    assert len(listed) == 3 * 256
    assert (np.bincount(listed, minlength=256) / 256).tolist() == pytest.approx(counted.tolist())


def test_f35_the_folder_can_be_named_from_outside(monkeypatch) -> None:
    monkeypatch.setenv("MEDCLF_DATA", "elsewhere")
    faulty, fixed = both("F35")
    assert str(fixed()) == "elsewhere"
    assert str(faulty()) != "elsewhere"


def test_f36_and_f37_any_number_of_images_can_be_scored_and_learnt_from() -> None:
    squeezed, flat = both("F36")
    every, full = both("F37")
    model = nn.Linear(4, 3).requires_grad_(False)  # three findings
    norm = nn.BatchNorm1d(4).train()
    for n in range(16, 34):
        images = torch.randn(n, 4)
        assert len(flat(model, images.split(8))) == n
        for batch in full(images):
            norm(batch)
    alone = torch.randn(17, 4)
    with pytest.raises(TypeError, match="not iterable"):
        squeezed(nn.Linear(4, 1).requires_grad_(False), alone.split(8))
    assert len(squeezed(model, alone.split(8))) == 19
    with pytest.raises(ValueError, match="more than 1 value"):
        [norm(batch) for batch in every(alone)]


def test_f38_no_worker_is_started_and_no_memory_pinned_unasked() -> None:
    loader = both("F38")[1](torch.zeros(4, 2))
    assert (loader.num_workers, loader.pin_memory) == (0, torch.cuda.is_available())


def test_f39_each_subtype_has_its_own_sensitivity() -> None:
    called, subtype = np.array([1, 1, 1, 0, 0, 1.0]), np.array(list("bbbbvv"))
    overall, each = (show(called, subtype) for show in both("F39"))
    assert overall == pytest.approx(4 / 6)
    assert each == {"b": 0.75, "v": 0.5}


def test_f40_a_calibrated_score_passes_the_check() -> None:
    y, s = scores(np.random.default_rng(51), 20_000, gap=2.0)
    said, came_true = both("F40")[0](s)[s > 0.9].mean(), both("F40")[1](s, y)
    assert came_true == pytest.approx(said, abs=0.02)
