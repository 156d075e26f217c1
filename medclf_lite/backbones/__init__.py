"""Backbones with a linear head, what of them learns, and features of those that do not."""

from medclf_lite.backbones.builder import build, names
from medclf_lite.backbones.classifier import (
    Classifier,
    device_of,
    freeze,
    parameter_groups,
    stage_names,
    unfreeze,
)
from medclf_lite.backbones.costs import facts
from medclf_lite.backbones.frozen import features

__all__ = [
    "Classifier",
    "build",
    "device_of",
    "facts",
    "features",
    "freeze",
    "names",
    "parameter_groups",
    "stage_names",
    "unfreeze",
]
