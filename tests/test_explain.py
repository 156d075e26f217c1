"""Looking inside: maps that equal what one can derive on paper, and grades that cannot flatter."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.stats import spearmanr
from torch import nn
from torch.nn.functional import interpolate

from medclf_lite import explain
from medclf_lite.backbones import build, freeze, names, stage_names
from medclf_lite.backbones.classifier import Classifier, TinyCnn
from medclf_lite.errors import MedclfError
from medclf_lite.explain.cam import _maps_and_logits

RNG = np.random.default_rng(0)


@pytest.fixture
def pixels() -> np.ndarray:
    return RNG.integers(0, 256, (5, 32, 32), dtype=np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).float()[:, None] / 255


def scaled(evidence: torch.Tensor, size) -> np.ndarray:
    """Enlarge (n, h, w) to the image and divide by the greatest value."""
    large = interpolate(evidence.clamp(min=0)[:, None], size, mode="bilinear")[:, 0].numpy()
    top = large.max((1, 2), keepdims=True)
    return np.divide(large, top, out=np.zeros_like(large), where=top > 0)


# --- Grad-CAM against what is known of it ----------------------------------------------------


@pytest.mark.parametrize("name", ["tiny_cnn", "lite0", "resnet18"])
def test_with_average_pooling_grad_cam_is_class_activation_mapping(name, pixels):
    model = build(name, pretrained=False, pool="avg", seed=3)
    with torch.no_grad():
        maps = model.maps(tensor(pixels))
        activation = torch.einsum("k,nkhw->nhw", model.head.weight[0], maps)
    found = explain.grad_cam(model, pixels)
    np.testing.assert_allclose(found, scaled(activation, (32, 32)), atol=1e-4)
    assert found.dtype == np.float32
    assert found.shape == pixels.shape


def test_weights_are_the_mean_slope_of_the_logit_by_finite_differences(pixels):
    """Of the third layer, where no formula on paper gives the slope."""
    model = build("tiny_cnn", pool="avg", seed=1).double()
    rest = model.backbone.layers[3]
    with torch.no_grad():
        maps = model.backbone.layers[:3](model.normalise(tensor(pixels[:1]).double()))
        base = model.head(rest(maps).mean((2, 3)))
        slopes = []
        for k in range(maps.shape[1]):
            # Raising a whole map by e raises the logit by e times the sum of its slopes.
            up, down = maps.clone(), maps.clone()
            up[:, k] += 1e-7
            down[:, k] -= 1e-7
            change = model.head(rest(up).mean((2, 3))) - model.head(rest(down).mean((2, 3)))
            slopes.append(change.item() / 2e-7 / maps[0, 0].numel())
        evidence = torch.einsum("k,nkhw->nhw", torch.tensor(slopes).double(), maps)
    assert base.shape == (1, 1)
    found = explain.grad_cam(model.float(), pixels[:1], layer=model.backbone.layers[2])
    np.testing.assert_allclose(found, scaled(evidence.float(), (32, 32)), atol=2e-3)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("pool", ["avg", "max"])
def test_the_last_maps_and_the_head_give_the_models_own_logits(name, pool, pixels):
    model = build(name, pretrained=False, pool=pool)
    maps, logits = _maps_and_logits(model, tensor(pixels), None)
    assert maps.ndim == 4
    torch.testing.assert_close(logits[:, 0], model(tensor(pixels)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["tiny_cnn", "resnet18", "densenet121"])
def test_naming_the_last_layer_changes_nothing(name, pixels):
    model = build(name, pretrained=False, pool="avg", seed=2)
    last = {"tiny_cnn": "layers", "resnet18": "layer4", "densenet121": "features"}[name]
    layer = getattr(model.backbone, last)
    by_hook = explain.grad_cam(model, pixels, layer=layer)
    np.testing.assert_allclose(by_hook, explain.grad_cam(model, pixels), atol=1e-5)


def test_a_layer_whose_output_is_changed_in_place_is_explained_as_it_was(pixels):
    """The convolution before an in-place ReLU: its map has negative values too."""
    model = build("tiny_cnn", pool="avg", seed=4)
    careful = copy.deepcopy(model)
    for layer in model.backbone.layers:
        layer[1] = nn.Identity()
        layer[2] = nn.ReLU(inplace=True)
    for layer in careful.backbone.layers:
        layer[1] = nn.Identity()
    found, expected = (
        explain.grad_cam(m, pixels, layer=m.backbone.layers[2][0]) for m in (model, careful)
    )
    assert expected.max() > 0
    np.testing.assert_array_equal(found, expected)


def test_a_frozen_backbone_gives_the_same_map(pixels):
    model = build("tiny_cnn", pool="avg")
    free = explain.grad_cam(model, pixels)
    np.testing.assert_array_equal(explain.grad_cam(freeze(model), pixels), free)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.inference_mode():
        np.testing.assert_array_equal(explain.grad_cam(model, pixels), free)


def test_nothing_in_the_model_changes(pixels):
    model = freeze(build("tiny_cnn")).train()
    model.backbone.layers[1].eval()  # a mode of its own
    model.head.weight.grad = torch.ones_like(model.head.weight)
    modes = [m.training for m in model.modules()]
    learning = [p.requires_grad for p in model.parameters()]
    state = copy.deepcopy(model.state_dict())
    explain.grad_cam(model, pixels, layer=model.backbone.layers[0])
    assert [m.training for m in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == learning
    assert all(torch.equal(state[k], v) for k, v in model.state_dict().items())
    assert torch.equal(model.head.weight.grad, torch.ones_like(model.head.weight))
    assert all(p.grad is None for p in model.backbone.parameters())
    assert not model.backbone.layers[0]._forward_hooks


def test_a_model_in_training_mode_is_explained_in_evaluation_mode(pixels):
    model = build("tiny_cnn", pool="avg")
    expected = explain.grad_cam(model, pixels)
    np.testing.assert_array_equal(explain.grad_cam(model.train(), pixels), expected)


def test_batches_do_not_matter_and_each_map_is_full_or_empty(pixels):
    model = build("tiny_cnn", pool="avg", seed=5)
    whole = explain.grad_cam(model, pixels)
    np.testing.assert_allclose(explain.grad_cam(model, pixels, batch_size=2), whole, atol=1e-5)
    tops = whole.max((1, 2))
    assert whole.min() >= 0
    assert np.isin(tops.round(5), [0, 1]).all()


def test_where_nothing_speaks_for_the_finding_the_map_is_empty(pixels):
    model = build("tiny_cnn", pool="avg")
    with torch.no_grad():
        model.head.weight.fill_(-1)  # maps after a ReLU are never negative
    assert not explain.grad_cam(model, pixels).any()


def test_each_output_has_its_own_map(pixels):
    model = build("tiny_cnn", pool="avg", outputs=2)
    with torch.no_grad():
        model.head.weight[1] = 1
        model.head.weight[0] = -1
    assert not explain.grad_cam(model, pixels, output=0).any()
    assert explain.grad_cam(model, pixels, output=1).any()


def test_a_bright_square_is_found():
    """One filter that passes brightness on: the map must lie on the square."""
    model = Classifier(TinyCnn(pool="avg"), "tiny_cnn", mean=0.0, std=1.0).eval()
    with torch.no_grad():
        for layer in model.backbone.layers:
            layer[0].weight.zero_()
            middle = layer[0].kernel_size[0] // 2
            layer[0].weight[0, 0, middle, middle] = 1
        model.head.weight.zero_()
        model.head.weight[0, 0] = 1
    pixels = np.zeros((1, 64, 64), np.uint8)
    pixels[0, 8:24, 40:56] = 255
    found = explain.grad_cam(model, pixels)
    assert explain.pointing_game(found, pixels > 0) == 1
    assert explain.energy_in_mask(found, pixels > 0, dilate=8) > 0.99


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pixels": np.zeros((2, 32, 32))}, "uint8"),
        ({"pixels": np.zeros((0, 32, 32), np.uint8)}, "at least one image"),
        ({"output": 1}, "outputs 0 to 0"),
        ({"layer": nn.Conv2d(1, 1, 1)}, "not run"),
        ({"layer": "head"}, "give maps"),
    ],
)
def test_grad_cam_says_what_it_needs(change, said, pixels):
    model = build("tiny_cnn")
    given = {"pixels": pixels} | change
    if given.get("layer") == "head":
        given["layer"] = model.head
    with pytest.raises(MedclfError, match=said):
        explain.grad_cam(model, given.pop("pixels"), **given)
    assert not model.head._forward_hooks


# --- grades ----------------------------------------------------------------------------------

SHAPE = (3, 6, 5)
some_maps = arrays(np.float64, SHAPE, elements=st.floats(0, 1, width=16))
some_masks = arrays(np.bool_, SHAPE).filter(lambda masks: masks.any((1, 2)).all())


@given(some_maps, some_masks)
def test_grades_agree_with_counting_pixel_by_pixel(maps, masks):
    point, energy = explain.pointing_game(maps, masks), explain.energy_in_mask(maps, masks)
    for i in range(len(maps)):
        top = max(maps[i].ravel())
        at = [(r, c) for r in range(6) for c in range(5) if maps[i, r, c] == top]
        assert point[i] == pytest.approx(sum(masks[i][p] for p in at) / len(at))
        if top > 0:
            inside = sum(maps[i, r, c] for r in range(6) for c in range(5) if masks[i, r, c])
            assert energy[i] == pytest.approx(inside / maps[i].sum())


@given(some_masks, st.floats(0, 1))
def test_a_map_that_is_the_same_everywhere_gets_the_area_of_the_mask(masks, level):
    for grade in (explain.pointing_game, explain.energy_in_mask):
        flat = np.full(SHAPE[1:], level)
        np.testing.assert_allclose(grade(flat, masks), masks.mean((1, 2)))


@given(some_maps, some_masks, st.integers(0, 4))
def test_grades_lie_between_0_and_1_and_grow_with_the_tolerance(maps, masks, dilate):
    for grade in (explain.pointing_game, explain.energy_in_mask):
        strict, wide = grade(maps, masks), grade(maps, masks, dilate=dilate)
        assert ((strict >= 0) & (strict <= wide + 1e-12) & (wide <= 1 + 1e-12)).all()


@given(some_maps, some_masks)
def test_inside_and_outside_of_a_mask_share_the_whole_energy(maps, masks):
    if not (~masks).any((1, 2)).all():
        return
    both = explain.energy_in_mask(maps, masks) + explain.energy_in_mask(maps, ~masks)
    np.testing.assert_allclose(both, 1)


def test_the_tolerance_is_a_disc():
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    y, x = np.mgrid[:9, :9] - 4
    for dilate in (1, 2, 3):
        area = (y**2 + x**2 <= dilate**2).mean()
        assert explain.pointing_game(np.ones((9, 9)), mask, dilate=dilate)[0] == area
    by_cross = ndimage.binary_dilation(mask[0])
    assert explain.energy_in_mask(by_cross[None].astype(float), mask, dilate=1) == 1


@pytest.mark.parametrize("grade", [explain.pointing_game, explain.energy_in_mask])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"masks": np.zeros(SHAPE)}, "masks of bool"),
        ({"maps": np.ones((3, 5, 6))}, "both of shape"),
        ({"maps": np.full(SHAPE, -1.0)}, "not negative"),
        ({"maps": np.full(SHAPE, np.nan)}, "finite"),
        ({"masks": np.arange(3)[:, None, None] > np.zeros(SHAPE)}, "1 of 3 masks are empty"),
        ({"dilate": -1}, "from 0 on"),
    ],
)
def test_grades_refuse_what_has_no_grade(grade, change, said):
    given = {"maps": np.ones(SHAPE), "masks": np.ones(SHAPE, bool), "dilate": 0} | change
    with pytest.raises(MedclfError, match=said):
        grade(given["maps"], given["masks"], dilate=given["dilate"])


# --- forgetting ------------------------------------------------------------------------------


def changed(model, other) -> set[str]:
    both = zip(model.named_parameters(), other.parameters(), strict=True)
    return {name for (name, p), q in both if not torch.equal(p, q)}


@pytest.mark.parametrize("name", ["tiny_cnn", "lite0"])
@pytest.mark.parametrize("stages", [0, 1, None])
def test_only_the_chosen_stages_are_drawn_anew(name, stages):
    model = build(name, pretrained=False)
    with torch.no_grad():  # unlike any first weight, BatchNorm's ones and zeros too
        for parameter in model.parameters():
            parameter.fill_(0.123)
    known = stage_names(model)
    count = len(known) if stages is None else stages
    expected = {f"backbone.{p}" for stage in known[len(known) - count :] for p in stage}
    drawn = explain.randomised(model, stages)
    assert changed(model, drawn) == expected | {"head.weight", "head.bias"}
    assert all((p == 0.123).all() for p in model.parameters())


def test_batchnorm_forgets_its_statistics_only_where_it_is_drawn_anew():
    model = build("tiny_cnn")
    for layer in model.backbone.layers:
        layer[1].running_mean.fill_(5)
    means = [
        layer[1].running_mean[0].item() for layer in explain.randomised(model, 2).backbone.layers
    ]
    assert means == [5, 5, 0, 0]


def test_the_seed_decides_the_draw_and_the_global_generator_is_left_alone():
    model, before = build("tiny_cnn"), torch.get_rng_state()
    first, again, other = (explain.randomised(model, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert not changed(first, again)
    assert "head.weight" in changed(first, other)


def test_a_network_that_forgot_everything_is_still_a_network(pixels):
    maps = explain.grad_cam(explain.randomised(build("lite0", pretrained=False)), pixels)
    assert np.isfinite(maps).all()


def test_what_cannot_be_randomised_is_refused():
    model = build("tiny_cnn")
    with pytest.raises(MedclfError, match="cannot randomise 5"):
        explain.randomised(model, 5)
    model.backbone.layers[3].own = nn.Parameter(torch.ones(1))
    with pytest.raises(MedclfError, match=r"backbone\.layers\.3 .* cannot be drawn anew"):
        explain.randomised(model, 1)


# --- likeness --------------------------------------------------------------------------------


def test_similarity_is_scipys_rank_correlation_ties_included():
    first, second = (RNG.integers(0, 5, (4, 7, 6)).astype(float) for _ in range(2))
    expected = [
        spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first, second, strict=True)
    ]
    np.testing.assert_allclose(explain.similarity(first, second), expected)


@given(arrays(np.int64, (2, 4, 4), elements=st.integers(-1000, 1000), unique=True))
def test_similarity_sees_the_order_and_not_the_scale(maps):
    np.testing.assert_allclose(explain.similarity(maps, maps**3 + 7), 1)
    np.testing.assert_allclose(explain.similarity(maps, -maps), -1)


def test_a_map_without_ranks_has_no_similarity():
    flat, ramp = np.zeros((1, 2, 2)), np.arange(4.0).reshape(1, 2, 2)
    assert np.isnan(explain.similarity(flat, ramp)).all()
    with pytest.raises(MedclfError, match="one shape"):
        explain.similarity(ramp, ramp[:, :1])
