"""The Classifier: a backbone, a linear head, and which of their layers learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.errors import MedclfError

ensure_torchvision()

from timm.models import group_parameters  # noqa: E402


class TinyCnn(nn.Module):
    """Four convolutions for small images: fast on one core, about 60,000 weights.

    It offers the parts of timm's interface that the package uses.

    Parameters
    ----------
    width : int, default 16
        Channels of the first layer; the last has four times as many.
    pool : {"avg", "max"}, default "max"
        How the last map becomes one number a channel. The maximum finds small lesions.
    """

    def __init__(self, width: int = 16, pool: str = "max") -> None:
        super().__init__()
        self.num_features = 4 * width
        self.pool = pool
        self.layers = nn.Sequential(
            _layer(1, width, kernel=5, stride=2),
            _layer(width, 2 * width, kernel=3, stride=2),
            _layer(2 * width, 2 * width, kernel=3, stride=1),
            _layer(2 * width, 4 * width, kernel=3, stride=2),
        )

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images (n, 1, h, w) to (n, features, h / 8, w / 8)."""
        maps: Tensor = self.layers(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 1, h, w) to features (n, features)."""
        maps = self.forward_features(x)
        return maps.amax((2, 3)) if self.pool == "max" else maps.mean((2, 3))  # (n, features)

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Say, as timm's models do, which parameters belong to which stage."""
        return {"blocks": r"^layers\.(\d+)"}


def _layer(inputs: int, outputs: int, *, kernel: int, stride: int) -> nn.Sequential:
    # The ReLU makes a new tensor: hooks of Grad-CAM fail on maps that change in place.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class Classifier(nn.Module):
    """A backbone and a linear head, from images in [0, 1] to logits.

    Parameters
    ----------
    backbone : torch.nn.Module
        Maps (n, 1, h, w) to (n, features); has ``num_features``, ``forward_features`` and
        timm's ``group_matcher``.
    name : str
        Name of the backbone.
    mean, std : float
        Normalisation of the input, which belongs to the backbone and so is done here.
    outputs : int, default 1
        Logits an image.
    pool : {"avg", "max"}, default "avg"
        The backbone's global pooling, kept for the checkpoint.

    Examples
    --------
    >>> model = Classifier(TinyCnn(), "tiny_cnn", mean=0.5, std=0.25)
    >>> model(torch.rand(2, 1, 32, 32)).shape
    torch.Size([2])
    """

    def __init__(
        self,
        backbone: nn.Module,
        name: str,
        *,
        mean: float,
        std: float,
        outputs: int = 1,
        pool: str = "avg",
    ) -> None:
        super().__init__()
        if outputs < 1:
            raise MedclfError(f"A classifier needs at least one output; got {outputs}.")
        self.backbone = backbone
        self.head = nn.Linear(_width(backbone), outputs)
        self.name = name
        self.mean = mean
        self.std = std
        self.outputs = outputs
        self.pool = pool

    def normalise(self, images: Tensor) -> Tensor:
        """Shift and scale images from [0, 1] to what the backbone was trained on."""
        return (images - self.mean) / self.std

    def maps(self, images: Tensor) -> Tensor:
        """Compute the last feature maps, (n, features, h', w'), for Grad-CAM."""
        forward: Callable[[Tensor], Tensor] = self.backbone.forward_features  # type: ignore[assignment]
        return forward(self.normalise(images))

    def embed(self, images: Tensor) -> Tensor:
        """Compute the features of images (n, 1, h, w) in [0, 1]: float (n, features)."""
        found: Tensor = self.backbone(self.normalise(images))
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits: (n,) for one output, else (n, outputs)."""
        logits: Tensor = self.head(self.embed(images))  # (n, outputs)
        return logits[:, 0] if self.outputs == 1 else logits

    def train(self, mode: bool = True) -> Classifier:
        """Switch to training, but leave BatchNorm of frozen layers in evaluation.

        Frozen weights alone do not freeze BatchNorm: in training mode its running mean and
        variance follow the batches, and the features drift.
        """
        super().train(mode)
        for layer in self.modules():
            if isinstance(layer, _BatchNorm) and _is_frozen(layer):
                layer.eval()
        return self


def _width(backbone: nn.Module) -> int:
    width = backbone.num_features
    if not isinstance(width, int):
        raise MedclfError(f"num_features of a backbone must be an int; got {width!r}.")
    return width


def _is_frozen(layer: nn.Module) -> bool:
    own = list(layer.parameters(recurse=False))
    return bool(own) and not any(p.requires_grad for p in own)


def stage_names(model: Classifier) -> list[list[str]]:
    """Name the parameters of each stage of the backbone, from input to output."""
    matcher: Callable[..., Any] = model.backbone.group_matcher  # type: ignore[assignment]
    groups: dict[int, list[str]] = group_parameters(model.backbone, matcher(coarse=True))
    return [groups[number] for number in sorted(groups)]


def freeze(model: Classifier) -> Classifier:
    """Let only the head learn; the backbone keeps its weights and BatchNorm statistics.

    Examples
    --------
    >>> model = freeze(Classifier(TinyCnn(), "tiny_cnn", mean=0.5, std=0.25))
    >>> [name for name, p in model.named_parameters() if p.requires_grad]
    ['head.weight', 'head.bias']
    """
    return unfreeze(model, 0)


def unfreeze(model: Classifier, stages: int | None = None) -> Classifier:
    """Let the head and the last ``stages`` stages of the backbone learn, and no other layer.

    Gradual unfreezing is a series of calls: train, ``unfreeze(model, 1)``, train,
    ``unfreeze(model, 2)``, and so on (Howard & Ruder 2018, arXiv:1801.06146).

    Parameters
    ----------
    model : Classifier
    stages : int, optional
        Number of stages, counted from the output; None for all.

    Raises
    ------
    MedclfError
        If the backbone has fewer stages.
    """
    known = stage_names(model)
    count = len(known) if stages is None else stages
    if not 0 <= count <= len(known):
        raise MedclfError(f"{model.name} has {len(known)} stages; cannot unfreeze {count}.")
    learning = {name for stage in known[len(known) - count :] for name in stage}
    for name, parameter in model.backbone.named_parameters():
        parameter.requires_grad_(name in learning)
    return model.train(model.training)


def parameter_groups(
    model: Classifier, lr: float, decay: float = 1.0, *, weight_decay: float = 0.01
) -> list[dict[str, Any]]:
    """Group the learning parameters for an optimizer, with a learning rate a stage.

    Parameters
    ----------
    model : Classifier
    lr : float
        Learning rate of the head.
    decay : float, default 1
        Each stage further from the head learns at ``decay`` times the rate of the one
        above it: early layers are general and need little change.
    weight_decay : float, default 0.01
        For matrices and kernels; biases and BatchNorm are not decayed.

    Returns
    -------
    list of dict
        Keys ``params``, ``lr``, ``weight_decay``, ``name``.

    Examples
    --------
    >>> model = Classifier(TinyCnn(), "tiny_cnn", mean=0.5, std=0.25)
    >>> rates = {g["name"]: g["lr"] for g in parameter_groups(model, 1.0, decay=0.5)}
    >>> rates["head"], rates["stage 3"], rates["stage 0"]
    (1.0, 0.5, 0.0625)
    """
    known = stage_names(model)
    places = {f"backbone.{name}": i for i, stage in enumerate(known) for name in stage}
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        place = places.get(name, len(known))
        decayed = parameter.ndim > 1
        group = groups.setdefault((place, decayed), {"params": []})
        group["params"].append(parameter)
        group["lr"] = lr * decay ** (len(known) - place)
        group["weight_decay"] = weight_decay if decayed else 0.0
        group["name"] = "head" if place == len(known) else f"stage {place}"
    return list(groups.values())


def device_of(model: nn.Module) -> torch.device:
    """Return the device on which a model's parameters lie."""
    return next(model.parameters()).device
