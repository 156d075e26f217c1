"""A network that has forgotten what it knew, to test maps that claim to show its knowledge."""

from __future__ import annotations

import copy

import torch
from torch import nn

from medclf_lite.backbones import Classifier, stage_names
from medclf_lite.errors import MedclfError


def randomised(model: Classifier, stages: int | None = None, *, seed: int = 0) -> Classifier:
    """Copy a model and draw the weights of its head and last stages anew.

    The weight-randomisation check of Adebayo et al. (2018, arXiv:1810.03292): a map that stays
    the same when the network has forgotten what it knew does not show what the network knows.

    Parameters
    ----------
    model : Classifier
        Not changed.
    stages : int, optional
        Number of stages of the backbone, counted from the output (see
        :func:`medclf_lite.backbones.unfreeze`); 0 for the head alone, None for all.
    seed : int, default 0

    Returns
    -------
    Classifier
        With PyTorch's own initial weights, and BatchNorm statistics as before any training,
        in the layers concerned.

    Raises
    ------
    MedclfError
        If the backbone has fewer stages, or a layer that cannot be drawn anew.

    Examples
    --------
    >>> from medclf_lite.backbones import build
    >>> model = build("tiny_cnn")
    >>> bool((randomised(model, 0).head.weight == model.head.weight).any())
    False
    """
    known = stage_names(model)
    count = len(known) if stages is None else stages
    if not 0 <= count <= len(known):
        raise MedclfError(f"{model.name} has {len(known)} stages; cannot randomise {count}.")
    drawn = copy.deepcopy(model)
    chosen = {f"backbone.{name}" for stage in known[len(known) - count :] for name in stage}
    chosen |= {f"head.{name}" for name, _ in model.head.named_parameters()}
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        for place, layer in drawn.named_modules():
            own = {f"{place}.{name}" for name, _ in layer.named_parameters(recurse=False)}
            if own & chosen:
                _draw(layer, place)
    return drawn


def _draw(layer: nn.Module, place: str) -> None:
    draw = getattr(layer, "reset_parameters", None)
    if draw is None:
        raise MedclfError(f"The layer {place} ({type(layer).__name__}) cannot be drawn anew.")
    draw()
