"""Training: the loop, its checkpoints, its predictions, and the faults that it must not have."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import textwrap
import warnings
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader

from medclf_lite.backbones import build, features, freeze
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.loaders import ImageSet, make_loader, medical_augment
from medclf_lite.training import (
    TrainConfig,
    checkpoints,
    fit_head,
    head,
    head_scores,
    load_weights,
    loop,
    positive_weight,
    predict,
    save_weights,
    score_images,
    train,
    weights_info,
)
from medclf_lite.training.checkpoints import load_state, save_state, write_atomically
from medclf_lite.training.parts import cosine_factor


def blobs(n: int, seed: int = 0, prevalence: float = 0.5) -> tuple[Cohort, np.ndarray]:
    """Noise, with a bright blob in the images of class 1."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(n, int)
    labels[: round(prevalence * n)] = 1
    rng.shuffle(labels)
    images = rng.normal(90, 25, (n, 24, 24))
    for i in np.flatnonzero(labels):
        y, x = rng.integers(2, 16, 2)
        images[i, y : y + 6, x : x + 6] += 90
    table = pd.DataFrame({"image_id": [f"{seed}-{i}" for i in range(n)], "label": labels})
    table["patient_id"] = table["image_id"]
    return Cohort(table, None, "blobs", "CC0"), images.clip(0, 255).astype(np.uint8)


def loaders_of(n: int = 40, **options):
    return (
        make_loader(*blobs(n), train=True, batch_size=8, **options),
        make_loader(*blobs(21, seed=1), train=False, batch_size=8),
    )


def scripted(monkeypatch, scores):
    """Let the validation AUC follow a script."""
    left = iter(scores)
    monkeypatch.setattr(loop, "auc_of", lambda *_: next(left))


QUICK = TrainConfig(epochs=3, lr=3e-3)


# --- the loop ------------------------------------------------------------------------------


def test_training_learns_and_its_history_holds_one_row_an_epoch():
    model = build("tiny_cnn")
    config = replace(QUICK, epochs=5)
    result = train(model, *loaders_of(80), config)
    history = result.history
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert result.best_score > 0.9
    assert (history[["train_loss", "val_loss", "lr", "grad_norm", "seconds"]] > 0).all(axis=None)
    assert (history["images"] == 80).all()
    assert result.stopped == "all 5 epochs done"
    assert not model.training


def test_history_says_how_many_images_were_trained_on():
    result = train(build("tiny_cnn"), *loaders_of(41), replace(QUICK, epochs=1))
    assert result.history["images"].tolist() == [40]  # 41 = 5 x 8 + 1: one is left out


def test_same_seed_gives_the_same_weights_and_another_seed_does_not():
    def weights(seed):
        model = build("tiny_cnn", seed=seed)
        train(model, *loaders_of(augment=medical_augment(), seed=seed), replace(QUICK, seed=seed))
        return model.state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_epoch_loss_is_the_mean_over_images_not_over_batches():
    # Frozen, with a rate of almost nothing, the loss of each image is the same all epoch.
    # Batches of 8, 8 and 5, sorted by class: the mean of batch means is another number.
    cohort, pixels = blobs(21, prevalence=5 / 21)
    order = np.argsort(cohort.labels, kind="stable")
    cohort, pixels = cohort.take(order), pixels[order]
    loader = make_loader(cohort, pixels, train=False, batch_size=8)
    model = freeze(build("tiny_cnn"))
    with torch.no_grad():
        model.head.bias.fill_(-2.0)
    scores = score_images(model, loader)
    losses = -np.log(np.where(cohort.labels == 1, scores, 1 - scores))
    by_batch = np.mean([losses[:8].mean(), losses[8:16].mean(), losses[16:].mean()])
    row = train(model, loader, loader, TrainConfig(epochs=1, lr=1e-12)).history.iloc[0]
    assert row["train_loss"] == pytest.approx(losses.mean(), abs=1e-5)
    assert row["val_loss"] == pytest.approx(losses.mean(), abs=1e-5)
    assert abs(by_batch - losses.mean()) > 0.05, "the fault would not show"


def test_validation_auc_and_loss_are_scikit_learns():
    cohort, pixels = blobs(21, seed=1)
    model = build("tiny_cnn")
    val = make_loader(cohort, pixels, train=False, batch_size=4)
    result = train(model, loaders_of()[0], val, replace(QUICK, monitor="val_loss"))
    scores = score_images(model, val)  # the model holds the best epoch's weights
    best = result.history.iloc[result.best_epoch - 1]
    assert best["val_auc"] == pytest.approx(roc_auc_score(cohort.labels, scores))
    assert best["val_loss"] == pytest.approx(log_loss(cohort.labels, scores), abs=1e-5)
    assert result.best_score == best["val_loss"] == result.history["val_loss"].min()


def test_model_ends_with_the_best_epoch_not_the_last(monkeypatch):
    scripted(monkeypatch, [0.6, 0.9, 0.5, 0.5])
    model = build("tiny_cnn")
    train_loader, val_loader = loaders_of()
    config = TrainConfig(epochs=4, lr=1e-3, schedule="constant")
    result = train(model, train_loader, val_loader, config)
    loss = log_loss(val_loader.dataset.labels.numpy(), score_images(model, val_loader))
    assert result.best_epoch == 2
    assert loss == pytest.approx(result.history["val_loss"][1], abs=1e-5)
    assert abs(loss - result.history["val_loss"][3]) > 1e-3, "the last epoch looks the same"


def test_frozen_backbone_and_its_batchnorm_are_unchanged_by_training():
    model = freeze(build("tiny_cnn"))
    before = {k: v.clone() for k, v in model.backbone.state_dict().items()}
    head_before = model.head.weight.clone()
    train(model, *loaders_of(), QUICK)
    assert all(torch.equal(before[k], v) for k, v in model.backbone.state_dict().items())
    assert not torch.equal(head_before, model.head.weight)


def test_batch_of_one_is_refused_where_batchnorm_learns_and_allowed_where_it_does_not():
    cohort, pixels = blobs(9)
    val = loaders_of()[1]
    single = DataLoader(ImageSet(cohort, pixels), batch_size=8)  # a last batch of one
    with pytest.raises(MedclfError, match="batch of one"):
        train(build("tiny_cnn"), single, val, QUICK)
    train(freeze(build("tiny_cnn")), single, val, replace(QUICK, epochs=1))


def test_multi_label_training_averages_the_auc_of_its_outputs():
    cohort, pixels = blobs(40)
    table = cohort.table.drop(columns="label").assign(blob=cohort.labels, other=[0, 1] * 20)
    many = Cohort(table, None, "blobs", "CC0", findings=("blob", "other"))
    loader = make_loader(many, pixels, train=False)
    model = build("tiny_cnn", outputs=2)
    history = train(model, make_loader(many, pixels, train=True), loader, QUICK).history
    scores = score_images(model, loader)
    expected = roc_auc_score(many.labels, scores, average="macro")
    assert history["val_auc"].max() == pytest.approx(expected)
    with pytest.raises(MedclfError, match="2 outputs"):
        predict(model, loader, many)


# --- schedules and stopping ----------------------------------------------------------------


@given(st.integers(1, 300), st.floats(0, 0.9))
@settings(max_examples=60, deadline=None)
def test_cosine_rises_once_to_at_most_one_and_falls_towards_zero(steps, warmup):
    factors = [cosine_factor(i, steps, warmup) for i in range(steps)]
    peak = int(np.argmax(factors))
    assert all(0 < f <= 1 for f in factors)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    assert round(warmup * steps) in (peak, steps)


def test_cosine_rate_reaches_the_optimizer_and_ends_near_zero():
    rates = train(build("tiny_cnn"), *loaders_of(), replace(QUICK, epochs=4)).history["lr"]
    assert rates.iloc[0] > rates.iloc[1] > rates.iloc[3]
    assert rates.iloc[3] < 0.05 * QUICK.lr


def test_plateau_halves_the_rate_after_epochs_without_improvement(monkeypatch):
    scripted(monkeypatch, [0.8, *[0.7] * 5])
    config = TrainConfig(epochs=6, lr=1e-3, schedule="plateau", patience=None)
    rates = train(build("tiny_cnn"), *loaders_of(), config).history["lr"].tolist()
    assert rates == pytest.approx([1e-3] * 4 + [5e-4] * 2)


def test_early_stopping_counts_epochs_since_the_best(monkeypatch):
    scripted(monkeypatch, [0.6, 0.8, 0.7, 0.8, 0.9, 0.1])
    result = train(build("tiny_cnn"), *loaders_of(), replace(QUICK, epochs=9, patience=2))
    assert result.history["val_auc"].tolist() == [0.6, 0.8, 0.7, 0.8]  # an equal score is no gain
    assert (result.best_epoch, result.best_score) == (2, 0.8)
    assert "no better val_auc in 2 epochs" in result.stopped


def test_nan_is_a_failure_that_keeps_the_best_epoch(monkeypatch):
    scripted(monkeypatch, [0.7, math.nan, 0.9])
    model = build("tiny_cnn")
    result = train(model, *loaders_of(), replace(QUICK, epochs=5))
    assert (result.best_epoch, result.best_score) == (1, 0.7)
    assert "val_auc is nan in epoch 2" in result.stopped
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_nan_in_the_gradient_stops_before_the_weights_are_spoilt():
    train_loader, val_loader = loaders_of()
    model = build("tiny_cnn")
    train_loader.dataset.labels[5] = math.nan
    with pytest.raises(MedclfError, match="gradient is nan in epoch 1"):
        train(model, train_loader, val_loader, QUICK)
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_gradients_are_clipped_and_the_recorded_norm_is_the_one_before(monkeypatch):
    before = {k: v.clone() for k, v in build("tiny_cnn").state_dict().items()}
    moved = []
    monkeypatch.setattr(loop.torch.optim, "AdamW", torch.optim.SGD)
    for clip in (None, 1e-3):
        model = build("tiny_cnn")
        config = TrainConfig(epochs=1, lr=1.0, schedule="constant", clip=clip, weight_decay=0)
        loaders = make_loader(*blobs(8), train=True, batch_size=8), loaders_of()[1]
        norm = train(model, *loaders, config).history["grad_norm"].item()
        steps = [p.detach() - before[n] for n, p in model.named_parameters()]
        moved.append((norm, float(torch.cat([s.flatten() for s in steps]).norm())))
    (free_norm, free_step), (clipped_norm, clipped_step) = moved
    assert clipped_norm == pytest.approx(free_norm) == pytest.approx(free_step, rel=1e-3)
    assert clipped_step == pytest.approx(1e-3, rel=1e-2)


# --- what is refused beforehand ------------------------------------------------------------


def test_imbalance_is_not_corrected_twice():
    train_loader, val_loader = loaders_of(balanced=True)
    with pytest.raises(MedclfError, match="twice"):
        train(build("tiny_cnn"), train_loader, val_loader, replace(QUICK, pos_weight=2.0))


def test_validation_with_one_class_is_refused_for_auc_and_undefined_for_loss():
    train_loader, _ = loaders_of()
    val_loader = make_loader(*blobs(8, prevalence=0), train=False)
    with pytest.raises(MedclfError, match="one class only"):
        train(build("tiny_cnn"), train_loader, val_loader, QUICK)
    result = train(build("tiny_cnn"), train_loader, val_loader, replace(QUICK, monitor="val_loss"))
    assert result.history["val_auc"].isna().all()


def test_validation_images_that_change_are_refused():
    train_loader, _ = loaders_of(augment=medical_augment())
    with pytest.raises(MedclfError, match="augments"):
        train(build("tiny_cnn"), train_loader, train_loader, QUICK)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0}, {"lr": 0}, {"clip": -1}, {"patience": 0}, {"warmup": 1},
        {"schedule": "step"}, {"monitor": "accuracy"}, {"precision": "fp8"},
        {"pos_weight": math.nan},
    ],
)  # fmt: skip
def test_impossible_settings_are_refused_by_name(wrong):
    with pytest.raises(MedclfError, match=next(iter(wrong))):
        TrainConfig(**wrong)


def test_positive_weight_is_negatives_by_positives():
    labels = np.repeat([0, 1], [1341, 3875])
    assert positive_weight(labels) == pytest.approx(0.346, abs=5e-4)
    with pytest.raises(MedclfError, match="Both classes"):
        positive_weight(np.ones(4, int))


def test_training_leaves_pytorchs_switches_as_they_were():
    before = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(build("tiny_cnn"), *loaders_of(), replace(QUICK, epochs=1))
    assert torch.are_deterministic_algorithms_enabled() == before
    assert torch.utils.deterministic.fill_uninitialized_memory == fill


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_full_precision_on_a_cpu_unless_asked_for_and_it_can_change_within_a_process():
    seen = []
    model = build("tiny_cnn")
    model.head.register_forward_hook(
        lambda layer, _, logits: seen.append((layer.training, logits.dtype))
    )
    for precision, expected in (("auto", torch.float32), ("bf16", torch.bfloat16)):
        seen.clear()
        train(model, *loaders_of(), replace(QUICK, epochs=1, precision=precision))
        assert {dtype for training, dtype in seen if training} == {expected}
        assert {dtype for training, dtype in seen if not training} == {torch.float32}


# --- resuming ------------------------------------------------------------------------------


def with_dropout(seed: int = 0):
    """A model whose training draws random numbers, so that a lost generator state shows."""
    model = build("tiny_cnn", seed=seed)
    model.backbone.layers.append(torch.nn.Dropout(0.5))
    return model


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_resumed_run_ends_exactly_as_one_never_interrupted(tmp_path, monkeypatch, schedule):
    config = TrainConfig(epochs=4, lr=0.02, schedule=schedule, patience=3, monitor="val_loss")
    options = {"augment": medical_augment(), "seed": 1}
    whole = with_dropout()
    expected = train(whole, *loaders_of(41, **options), config, out=tmp_path / "whole")

    save, saved = loop.Run.save, []

    def die_after_two(self, path):
        save(self, path)
        saved.append(path)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop.Run, "save", die_after_two)
        with pytest.raises(KeyboardInterrupt):
            train(with_dropout(), *loaders_of(41, **options), config, out=tmp_path / "cut")
    random.seed(99), np.random.seed(99), torch.manual_seed(99)  # noqa: NPY002
    model = with_dropout(seed=7)  # its weights come from the file
    result = train(model, *loaders_of(41, **options), config, out=tmp_path / "cut", resume=True)

    drop = ["seconds"]
    pd.testing.assert_frame_equal(
        result.history.drop(columns=drop), expected.history.drop(columns=drop)
    )
    assert (result.best_epoch, result.best_score) == (expected.best_epoch, expected.best_score)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name


def test_resuming_remembers_the_patience_used_up(tmp_path, monkeypatch):
    scripted(monkeypatch, [0.9, 0.5, 0.5, 0.5, 0.5])
    config = replace(QUICK, epochs=2, patience=3)
    train(build("tiny_cnn"), *loaders_of(), config, out=tmp_path)
    longer = replace(config, epochs=10)
    result = train(build("tiny_cnn"), *loaders_of(), longer, out=tmp_path, resume=True)
    assert len(result.history) == 4  # one bad epoch before the break, two after
    assert (result.best_epoch, result.best_score) == (1, 0.9)
    again = train(build("tiny_cnn"), *loaders_of(), longer, out=tmp_path, resume=True)
    assert len(again.history) == 4
    assert "no better" in again.stopped


def test_a_run_with_other_settings_is_not_resumed(tmp_path):
    train(build("tiny_cnn"), *loaders_of(), replace(QUICK, epochs=1), out=tmp_path)
    other = replace(QUICK, lr=1e-4)
    with pytest.raises(MedclfError, match=r"lr was 0\.003 and is 0\.0001"):
        train(build("tiny_cnn"), *loaders_of(), other, out=tmp_path, resume=True)
    with pytest.raises(MedclfError, match="batches was 5 and is 8"):
        train(build("tiny_cnn"), *loaders_of(64), QUICK, out=tmp_path, resume=True)


def test_resuming_needs_a_run(tmp_path):
    with pytest.raises(MedclfError, match="give out"):
        train(build("tiny_cnn"), *loaders_of(), QUICK, resume=True)
    with pytest.raises(MedclfError, match="no run to resume"):
        train(build("tiny_cnn"), *loaders_of(), QUICK, out=tmp_path, resume=True)
    (tmp_path / "last.pt").write_bytes(b"half a file")
    with pytest.raises(MedclfError, match="cannot be read"):
        train(build("tiny_cnn"), *loaders_of(), QUICK, out=tmp_path, resume=True)


def test_state_with_numpy_numbers_is_refused_when_written_not_when_read(tmp_path):
    torch.save({"best": np.float64(0.9)}, tmp_path / "fault.pt")
    with pytest.raises(MedclfError, match="cannot be read"):
        load_state(tmp_path / "fault.pt")
    with pytest.raises(MedclfError, match=r"state\['history'\]\[1\]\['auc'\] is a numpy.float64"):
        save_state(tmp_path / "s.pt", {"history": [{"auc": 0.9}, {"auc": np.float64(0.9)}]})


def test_every_generator_goes_back_to_its_state():
    def draw():
        return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002

    states = checkpoints.generator_states()
    first = draw()
    assert draw() != first
    checkpoints.restore_generators(states)
    assert draw() == first


# --- predictions ---------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, 20, 64])
def test_prediction_gives_one_row_an_image_whatever_the_batches(batch_size):
    cohort, pixels = blobs(21)
    model = build("tiny_cnn")
    loader = make_loader(cohort, pixels, train=False, batch_size=batch_size)
    table = predict(model, loader, cohort).table
    assert table["image_id"].tolist() == cohort.table["image_id"].tolist()
    x = torch.from_numpy(pixels).float()[:, None] / 255
    expected = model(x).sigmoid().detach().numpy()
    np.testing.assert_allclose(table["score"], expected, atol=1e-5)


def test_rows_keep_their_scores_when_the_loader_shuffles():
    cohort, pixels = blobs(24)
    model = build("tiny_cnn")
    ordered = score_images(model, make_loader(cohort, pixels, train=False))
    shuffled = DataLoader(ImageSet(cohort, pixels), batch_size=5, shuffle=True)
    np.testing.assert_allclose(score_images(model, shuffled), ordered, atol=1e-6)


class Padded(torch.utils.data.Sampler):
    """Repeats rows, as a distributed sampler does to fill the last batch."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n + 3

    def __iter__(self):
        return iter([*range(self.n), 0, 1, 2])


def test_repeated_rows_are_dropped_and_missing_rows_are_an_error():
    cohort, pixels = blobs(10)
    images, model = ImageSet(cohort, pixels), build("tiny_cnn")
    padded = DataLoader(images, batch_size=4, sampler=Padded(10))
    assert len(predict(model, padded, cohort).table) == 10
    some = DataLoader(images, batch_size=4, sampler=range(8))
    with pytest.raises(MedclfError, match="8 different rows of 10"):
        predict(model, some, cohort)


def test_loader_of_another_cohort_is_refused():
    cohort, pixels = blobs(10)
    loader = make_loader(cohort, pixels, train=False)
    with pytest.raises(MedclfError, match="10 images but the cohort has 8"):
        predict(build("tiny_cnn"), loader, cohort.take(range(8)))


TWO_PROCESSES = """
    import json, sys, torch
    torch.set_num_threads(1)
    sys.path.insert(0, {tests!r})
    from accelerate import debug_launcher
    from test_training import *

    def work(out):
        cohort, pixels = blobs(11)
        loader = make_loader(cohort, pixels, train=False, batch_size=2)
        model = build("tiny_cnn")
        train_loader = make_loader(*blobs(21), train=True, batch_size=4)
        result = train(model, train_loader, loader, TrainConfig(epochs=2), out=out)
        table = predict(model, loader, cohort).table
        resumed = train(
            model, train_loader, loader, TrainConfig(epochs=3), out=out, resume=True
        )
        from accelerate import PartialState
        rank = PartialState().process_index
        seen = {{
            "processes": PartialState().num_processes,
            "scores": table["score"].tolist(),
            "head": model.head.weight.tolist(),
            "images": result.history["images"].tolist(),
            "epochs": len(resumed.history),
        }}
        (out / f"rank{{rank}}.json").write_text(json.dumps(seen))

    if __name__ == "__main__":
        from pathlib import Path
        debug_launcher(work, (Path({out!r}),), num_processes=2)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks two processes")
def test_two_processes_score_each_image_once_and_hold_the_same_weights(tmp_path, request):
    tests = str(request.path.parent)
    script = tmp_path / "two.py"
    script.write_text(textwrap.dedent(TWO_PROCESSES.format(tests=tests, out=str(tmp_path))))
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    first, second = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert first == second
    assert (first["processes"], len(first["scores"]), first["epochs"]) == (2, 11, 3)


# --- the linear head -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded():
    cohort, pixels = blobs(120)
    model = build("tiny_cnn")
    return cohort, features(model, pixels)


@pytest.mark.parametrize("strength", [1e-3, 1.0, 100.0])
def test_folded_head_scores_as_scikit_learns_pipeline(embedded, strength):
    cohort, found = embedded
    model = build("tiny_cnn")
    fit_head(model, found, cohort.labels, cohort.patients, strength=strength)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    expected = pipeline.fit(found, cohort.labels).predict_proba(found)[:, 1]
    np.testing.assert_allclose(head_scores(model, found), expected, atol=1e-5)


def test_head_and_whole_network_give_the_same_scores():
    cohort, pixels = blobs(60)
    model = build("tiny_cnn")
    found = features(model, pixels)
    fit_head(model, found, cohort.labels, cohort.patients)
    whole = score_images(model, make_loader(cohort, pixels, train=False))
    np.testing.assert_allclose(head_scores(model, found), whole, atol=1e-5)


def test_constant_features_do_no_harm(embedded):
    cohort, found = embedded
    dead = found.copy()
    dead[:, 3] = 0.5
    model = build("tiny_cnn")
    fit_head(model, dead, cohort.labels, cohort.patients, strength=0.1)
    assert np.isfinite(head_scores(model, dead)).all()


def test_penalty_is_the_one_with_the_least_cross_validated_loss(embedded):
    cohort, found = embedded
    fit = fit_head(build("tiny_cnn"), found, cohort.labels, cohort.patients)
    assert fit.strengths == (fit.table["log_loss"].idxmin(),)
    assert tuple(fit.table.index) == head.STRENGTHS


def test_penalty_is_chosen_by_folds_that_keep_patients_together(monkeypatch, embedded):
    _, found = embedded
    patients = np.array([f"p{i // 4}" for i in range(120)])
    labels = np.repeat(np.arange(30) % 2, 4)
    seen = []
    original = head.cross_val_predict
    monkeypatch.setattr(
        head, "cross_val_predict", lambda *a, **k: seen.append(k["cv"]) or original(*a, **k)
    )
    fit_head(build("tiny_cnn"), found, labels, patients)
    for train_rows, test_rows in seen[0]:
        assert not set(patients[train_rows]) & set(patients[test_rows])


def test_multi_label_head_fits_an_output_a_finding(embedded):
    cohort, found = embedded
    labels = np.stack([cohort.labels, 1 - cohort.labels], axis=1)
    model = build("tiny_cnn", outputs=2)
    fit_head(model, found, labels, cohort.patients, strength=0.1)
    scores = head_scores(model, found)
    np.testing.assert_allclose(scores[:, 0], 1 - scores[:, 1], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((120, 3))}, "takes 64 features"),
        ({"labels": np.ones(120, int)}, "both of them"),
        ({"patients": ["p"] * 3}, "3 patients"),
        ({"patients": ["p"] * 120}, "two patients of each class"),
    ],
)
def test_head_refuses_what_cannot_be_fitted(embedded, change, message):
    cohort, found = embedded
    given = {"features": found, "labels": cohort.labels, "patients": cohort.patients} | change
    with pytest.raises(MedclfError, match=message):
        fit_head(build("tiny_cnn"), **given)


# --- weights -------------------------------------------------------------------------------


def test_saved_weights_come_back_exactly_with_what_is_needed_to_use_them(tmp_path):
    model = build("tiny_cnn", pool="avg", seed=5, outputs=2)
    file = save_weights(model, tmp_path, size=24, fit="squash", classes=("a", "b"))
    assert file == tmp_path / "model.safetensors"
    back, info = load_weights(tmp_path), weights_info(file)
    x = torch.rand(3, 1, 24, 24)
    assert torch.equal(back(x), model(x))
    assert not back.training
    assert asdict(info) | {"version": ""} == {
        "backbone": "tiny_cnn", "pool": "avg", "outputs": 2, "size": 24, "fit": "squash",
        "classes": ("a", "b"), "version": "",
    }  # fmt: skip


def test_weights_of_a_larger_network_survive_its_memory_format(tmp_path):
    model = build("lite0", pretrained=False, seed=3)
    back = load_weights(
        save_weights(model, tmp_path / "w.safetensors", size=64, fit="squash", classes=("a", "b"))
    )
    x = torch.rand(1, 1, 64, 64)
    torch.testing.assert_close(back(x), model(x))


def test_files_that_are_no_weights_of_ours_are_refused(tmp_path):
    with pytest.raises(MedclfError, match="no weight file"):
        load_weights(tmp_path)
    (tmp_path / "half.safetensors").write_bytes(b"\x08\x00")
    with pytest.raises(MedclfError, match="not a whole safetensors file"):
        load_weights(tmp_path / "half.safetensors")
    save_file({"w": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(MedclfError, match="pretrained=path"):
        load_weights(tmp_path / "foreign.safetensors")
    model = build("tiny_cnn")
    model.name = "resnet18"
    save_weights(model, tmp_path, size=24, fit="squash", classes=("a", "b"))
    with pytest.raises(MedclfError, match="do not fit resnet18"):
        load_weights(tmp_path)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda p: p.write_text("old"))

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
