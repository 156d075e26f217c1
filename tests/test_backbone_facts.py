"""The table of backbones counts what is there."""

from __future__ import annotations

import pytest
from safetensors.torch import save

from medclf_lite.backbones import build, facts
from medclf_lite.errors import MedclfError

NAMES = ("tiny_cnn", "lite0", "resnet18")


@pytest.fixture(scope="module")
def table():
    return facts(NAMES, size=32, images=2)


def test_it_has_one_row_a_backbone_in_the_order_asked_for(table):
    assert tuple(table.index) == NAMES
    assert (table["images_per_second"] > 0).all()


def test_parameters_are_those_of_timm_with_grey_input_and_one_output(table):
    import timm  # only after medclf_lite, which mends a torchvision that does not fit

    for name, model in (("lite0", "tf_efficientnet_lite0"), ("resnet18", "resnet18")):
        same = timm.create_model(model, in_chans=1, num_classes=1)
        assert table.loc[name, "parameters"] == sum(p.numel() for p in same.parameters())
        assert table.loc[name, "features"] == same.num_features


@pytest.mark.parametrize("name", NAMES)
def test_the_megabytes_are_those_of_a_file_with_the_weights(table, name):
    tensors = {k: v.contiguous() for k, v in build(name, pretrained=False).state_dict().items()}
    assert table.loc[name, "megabytes"] == pytest.approx(len(save(tensors)) / 1e6, rel=0.05)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"images": 0}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(MedclfError, match="at least 1"):
        facts(["tiny_cnn"], **wrong)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(MedclfError, match="vgg16"):
        facts(["vgg16"])
