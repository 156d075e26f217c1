"""Grad-CAM: where in an image the evidence for a finding lies.

Our own code, since captum, the usual library, asks for NumPy below version 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from medclf_lite.backbones import Classifier, device_of
from medclf_lite.errors import MedclfError


def grad_cam(
    model: Classifier,
    pixels: npt.NDArray[np.uint8],
    *,
    layer: nn.Module | None = None,
    output: int = 0,
    batch_size: int = 32,
) -> npt.NDArray[np.float32]:
    """Draw where in each image the evidence for a finding lies, as Grad-CAM sees it.

    Each feature map is weighted with the mean gradient of the logit, the weighted maps are
    summed, and what speaks against the finding is set to 0 (Selvaraju et al. 2017,
    doi:10.1109/ICCV.2017.74). It works on frozen layers too. Nothing in the model changes:
    not its mode, its BatchNorm statistics, its gradients, nor what of it learns.

    Parameters
    ----------
    model : Classifier
    pixels : ndarray of uint8, shape (n, h, w)
    layer : torch.nn.Module, optional
        Part of the backbone whose output, (n, channels, h', w'), is weighted. By default the
        last feature maps, those that are pooled.
    output : int, default 0
        Logit to explain, for a model of several.
    batch_size : int, default 32

    Returns
    -------
    ndarray of float32, shape (n, h, w)
        Bilinearly enlarged to the image; each map divided by its greatest value, so in [0, 1].
        All 0 where nothing speaks for the finding. How strong the evidence is cannot be read
        off a map that is scaled like this: that is what the score is for.

    Raises
    ------
    MedclfError
        If the pixels are not uint8 (n, h, w), the output does not exist, or the layer is not
        run by this model or gives no maps.

    Examples
    --------
    >>> from medclf_lite.backbones import build
    >>> grad_cam(build("tiny_cnn", pool="avg"), np.zeros((3, 32, 32), np.uint8)).shape
    (3, 32, 32)
    """
    _check_pixels(pixels)
    if not 0 <= output < model.outputs:
        raise MedclfError(f"output is {output}; this model has outputs 0 to {model.outputs - 1}.")
    found = np.empty(pixels.shape, np.float32)
    # A caller may have switched gradients off; here they are the point.
    with _evaluating(model), torch.inference_mode(False), torch.enable_grad():
        for start in range(0, len(pixels), batch_size):
            part = pixels[start : start + batch_size]
            maps, logits = _maps_and_logits(model, _tensor(part, model), layer)
            slope = torch.autograd.grad(logits[:, output].sum(), maps)[0]
            weights = slope.mean((2, 3), keepdim=True)  # (b, channels, 1, 1)
            evidence = (weights * maps).sum(1, keepdim=True).relu().detach()
            large = nn.functional.interpolate(evidence.float(), part.shape[1:], mode="bilinear")
            large /= large.amax((2, 3), keepdim=True).clamp_min(1e-20)
            found[start : start + batch_size] = large[:, 0].cpu().numpy()
    return found


def _check_pixels(pixels: npt.NDArray[np.uint8]) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or not len(pixels):
        raise MedclfError(
            "Pixels must be uint8 of shape (n, height, width) with at least one image; got "
            f"{pixels.dtype} of shape {pixels.shape}."
        )


def _tensor(pixels: npt.NDArray[np.uint8], model: Classifier) -> Tensor:
    images = torch.from_numpy(np.array(pixels)).to(device_of(model)).float().div_(255)
    return images[:, None]  # (b, 1, h, w)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put every layer into evaluation mode, and each back into its own mode afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _maps_and_logits(
    model: Classifier, images: Tensor, layer: nn.Module | None
) -> tuple[Tensor, Tensor]:
    """Run the model: maps (b, channels, h', w') and the logits (b, outputs) made from them."""
    # The gradient begins at the maps and not at the weights, so frozen layers are no obstacle.
    if layer is None:
        with torch.no_grad():
            maps = model.maps(images)
        maps.requires_grad_()
        pooled = maps.amax((2, 3)) if model.pool == "max" else maps.mean((2, 3))
        return maps, model.head(pooled)
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, given: Tensor) -> Tensor:
        kept.append(given.detach().requires_grad_())
        return kept[-1].clone()  # the next layer may change what it gets in place

    handle = layer.register_forward_hook(keep)
    try:
        logits = model.head(model.embed(images))
    finally:
        handle.remove()
    if len(kept) != 1 or kept[0].ndim != 4:
        seen = "not run" if not kept else f"run {len(kept)} times, giving {tuple(kept[0].shape)}"
        raise MedclfError(
            f"The layer must be run once and give maps (n, channels, h, w); it was {seen}. Choose "
            "a part of model.backbone, such as a stage."
        )
    return kept[0], logits
