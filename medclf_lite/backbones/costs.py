"""What a backbone costs: weights, memory and images a second."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
import torch

from medclf_lite.backbones.builder import build
from medclf_lite.errors import MedclfError


def facts(names: Sequence[str], *, size: int = 96, images: int = 8) -> pd.DataFrame:
    """Measure backbones side by side, with random weights, on this machine's CPU.

    Parameters
    ----------
    names : sequence of str
        Of :func:`medclf_lite.backbones.names`.
    size : int, default 96
        Side of the images in pixels.
    images : int, default 8
        Images a batch; the second of two passes is timed.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``backbone``: ``parameters`` (with a head of one output), ``features`` (into
        the head), ``megabytes`` (of float32 weights and BatchNorm statistics) and
        ``images_per_second`` (forward, evaluation mode; differs from run to run).

    Raises
    ------
    MedclfError
        If a name is unknown, or size or images are below 1.

    Examples
    --------
    >>> int(facts(["tiny_cnn"], size=32).loc["tiny_cnn", "features"])
    64
    """
    if size < 1 or images < 1:
        raise MedclfError(f"size and images must be at least 1; got {size} and {images}.")
    rows = []
    batch = torch.rand(images, 1, size, size).to(memory_format=torch.channels_last)
    for name in names:
        model = build(name, pretrained=False)
        tensors = [t for t in model.state_dict().values() if t.is_floating_point()]
        with torch.inference_mode():
            model(batch)
            start = time.perf_counter()
            model(batch)
            seconds = time.perf_counter() - start
        rows.append({
            "backbone": name,
            "parameters": sum(p.numel() for p in model.parameters()),
            "features": model.head.in_features,
            "megabytes": sum(t.numel() * t.element_size() for t in tensors) / 1e6,
            "images_per_second": images / seconds,
        })  # fmt: skip
    return pd.DataFrame(rows).set_index("backbone")
