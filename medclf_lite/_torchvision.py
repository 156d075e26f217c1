"""Let ``import torchvision`` work beside a PyTorch that it was not compiled for.

PyPI's Linux wheel of torchvision is a CUDA build. Beside a CPU-only PyTorch its compiled
library cannot be loaded, and the import stops with ``operator torchvision::nms does not
exist``: torchvision wants to describe two operators that the library would have defined.
Declaring those two by name alone lets the import go on. Transforms and models then work;
the compiled operators still stop with torchvision's own message when they are called.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Literal

import torch

State = Literal["absent", "loaded", "native", "declared"]

# A Library withdraws its operators when it is garbage-collected, so it is kept here.
_declared: list[torch.library.Library] = []


def ensure_torchvision() -> State:
    """Make torchvision importable; call it before the first import of torchvision or timm.

    Returns
    -------
    {"absent", "loaded", "native", "declared"}
        ``absent``: torchvision is not installed. ``loaded``: someone imported it already.
        ``native``: its compiled library fits this PyTorch. ``declared``: it does not fit,
        and the operators were declared by name.

    Examples
    --------
    >>> ensure_torchvision() in ("loaded", "native", "declared")
    True
    """
    if "torchvision" in sys.modules:
        return "loaded"
    if _declared:
        return "declared"
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        return "absent"
    if _loads_natively(Path(next(iter(found.submodule_search_locations)))):
        return "native"
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)
    return "declared"


def _loads_natively(folder: Path) -> bool:
    for compiled in sorted((*folder.glob("_C*.so"), *folder.glob("_C*.pyd"))):
        try:
            # The very call that torchvision makes.
            torch.ops.load_library(str(compiled))  # type: ignore[no-untyped-call]
        except OSError:
            continue
        return True
    return False
