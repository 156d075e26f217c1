"""The focal loss is the paper's, stays finite, and is what the loop trains with."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.backbones import build
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.loaders import make_loader
from medclf_lite.training import TrainConfig, score_images, train
from medclf_lite.training.parts import loss_of

LOGITS = st.lists(st.tuples(st.floats(-15, 15), st.booleans()), min_size=1, max_size=20)


def by_the_paper(p: np.ndarray, y: np.ndarray, gamma: float) -> float:
    """Equation 4 of Lin et al. 2017, written out for each class."""
    ill = -((1 - p[y == 1]) ** gamma) * np.log(p[y == 1])
    well = -(p[y == 0] ** gamma) * np.log1p(-p[y == 0])
    return float((ill.sum() + well.sum()) / len(y))


def tensors(pairs: list[tuple[float, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    logits, labels = zip(*pairs, strict=True)
    return torch.tensor(logits, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32)


def two_loaders(*, balanced: bool = False):
    rng = np.random.default_rng(0)
    labels = (np.arange(48) % 4 == 0).astype(int)
    names = [f"image {i}" for i in range(48)]
    table = pd.DataFrame({"image_id": names, "patient_id": names, "label": labels})
    pixels = (rng.integers(0, 120, (48, 32, 32)) + 80 * labels[:, None, None]).astype(np.uint8)
    part = Cohort(table, None, "made for a test", "CC0")
    return (
        make_loader(part, pixels, train=True, batch_size=16, balanced=balanced),
        make_loader(part, pixels, train=False, batch_size=16),
    )


@given(LOGITS, st.floats(0, 5))
def test_focal_loss_is_the_formula_of_the_paper_in_float64(pairs, gamma):
    logits, labels = tensors(pairs)
    p = torch.sigmoid(logits.double()).numpy()
    expected = by_the_paper(p, labels.numpy(), gamma)
    found = float(loss_of(logits, labels, TrainConfig(focal=gamma)))
    assert found == pytest.approx(expected, rel=2e-5, abs=1e-9)


@given(LOGITS)
def test_exponent_zero_is_plain_cross_entropy(pairs):
    logits, labels = tensors(pairs)
    found = loss_of(logits, labels, TrainConfig(focal=0.0))
    torch.testing.assert_close(found, binary_cross_entropy_with_logits(logits, labels))
    torch.testing.assert_close(found, loss_of(logits, labels, TrainConfig()))


def test_focal_loss_agrees_with_torchvision_where_that_is_finite():
    ensure_torchvision()
    ops = pytest.importorskip("torchvision.ops")
    torch.manual_seed(0)
    logits, labels = 4 * torch.randn(200, 3), torch.randint(0, 2, (200, 3)).float()
    for gamma in (0.5, 1.0, 2.0, 5.0):
        theirs = ops.sigmoid_focal_loss(logits, labels, alpha=-1, gamma=gamma, reduction="mean")
        torch.testing.assert_close(loss_of(logits, labels, TrainConfig(focal=gamma)), theirs)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_gradient_is_finite_however_sure_the_model_is(gamma):
    logits = torch.tensor([300.0, -300.0, 300.0, -300.0, 0.0], requires_grad=True)
    labels = torch.tensor([1.0, 0.0, 0.0, 1.0, 1.0])
    loss_of(logits, labels, TrainConfig(focal=gamma)).backward()
    assert torch.isfinite(logits.grad).all()
    # The sure and right ask for nothing, the sure and wrong for as much as without focal loss.
    torch.testing.assert_close(logits.grad[:4] * 5, torch.tensor([0.0, 0.0, 1.0, -1.0]))


@pytest.mark.parametrize("gamma", [-0.1, math.nan, math.inf])
def test_an_exponent_that_is_none_is_refused(gamma):
    with pytest.raises(MedclfError, match="focal is an exponent"):
        TrainConfig(focal=gamma)


def test_focal_loss_and_class_weights_together_are_refused():
    with pytest.raises(MedclfError, match="Drop one"):
        TrainConfig(focal=2.0, pos_weight=3.0)


def test_the_loop_trains_with_the_focal_loss():
    after = {}
    for gamma in (None, 2.0):
        model = build("tiny_cnn", pretrained=False, seed=0)
        loaders = two_loaders()
        result = train(model, *loaders, TrainConfig(epochs=1, focal=gamma, lr=0.01))
        scores = np.asarray(score_images(model, loaders[1]), dtype=np.float64)
        expected = by_the_paper(scores, loaders[1].dataset.labels.numpy(), gamma or 0.0)
        assert result.history["val_loss"].iloc[0] == pytest.approx(expected, rel=1e-4)
        after[gamma] = model.head.weight.detach().clone()
    assert not torch.equal(after[None], after[2.0])


def test_a_balanced_order_may_go_with_focal_loss_and_not_with_class_weights():
    model = build("tiny_cnn", pretrained=False, seed=0)
    train(model, *two_loaders(balanced=True), TrainConfig(epochs=1, focal=2.0))
    with pytest.raises(MedclfError, match="corrected twice"):
        train(model, *two_loaders(balanced=True), TrainConfig(epochs=1, pos_weight=3.0))
