"""Weights that cannot run code, and the state that lets a training run go on."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from medclf_lite import __version__
from medclf_lite._files import write_atomically
from medclf_lite.backbones import build
from medclf_lite.backbones.classifier import Classifier
from medclf_lite.errors import MedclfError

WEIGHTS_FILE = "model.safetensors"
_KEY = "medclf_lite"


@dataclass(frozen=True)
class WeightsInfo:
    """What must be known to use the weights of a classifier.

    Parameters
    ----------
    backbone, pool : str
        Arguments of :func:`medclf_lite.backbones.build`.
    outputs : int
        Logits an image.
    size : int
        Side of the images it was trained on, in pixels.
    fit : str
        How an image became square: "letterbox" or "squash".
    classes : tuple of str
        Names of labels 0 and 1, or of the findings.
    version : str
        Version of this package that wrote the file.
    """

    backbone: str
    pool: str
    outputs: int
    size: int
    fit: str
    classes: tuple[str, ...]
    version: str


def save_weights(
    model: Classifier, path: Path, *, size: int, fit: str, classes: tuple[str, ...]
) -> Path:
    """Write a classifier's weights, and what must be known to use them, to one file.

    Parameters
    ----------
    model : Classifier
    path : pathlib.Path
        A folder, which gets ``model.safetensors``, or a file that ends in .safetensors.
    size, fit, classes
        See :class:`WeightsInfo`.

    Returns
    -------
    pathlib.Path
        The file, in the safetensors format. The information is JSON in its header.
    """
    info = WeightsInfo(model.name, model.pool, model.outputs, size, fit, classes, __version__)
    tensors = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    header = {_KEY: json.dumps(asdict(info))}
    file = _weights_file(path)
    write_atomically(file, lambda temporary: save_file(tensors, temporary, metadata=header))
    return file


def weights_info(path: Path) -> WeightsInfo:
    """Read what must be known to use a weight file.

    Raises
    ------
    MedclfError
        If the file is missing, damaged, or not written by :func:`save_weights`.
    """
    with _open(path) as file:
        header = (file.metadata() or {}).get(_KEY)
    if header is None:
        raise MedclfError(
            f"{path} holds weights, but not of a model saved by save_weights. Weights from timm "
            "are read with backbones.build(name, pretrained=path)."
        )
    fields = json.loads(header)
    return WeightsInfo(**(fields | {"classes": tuple(fields["classes"])}))


def load_weights(path: Path) -> Classifier:
    """Build the classifier that :func:`save_weights` wrote, in evaluation mode.

    Parameters
    ----------
    path : pathlib.Path
        The folder or file given to :func:`save_weights`.

    Raises
    ------
    MedclfError
        If the file is missing, damaged, or from elsewhere.
    """
    info = weights_info(path)
    pool: Any = info.pool
    model = build(info.backbone, pretrained=False, outputs=info.outputs, pool=pool)
    with _open(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise MedclfError(
            f"The weights in {path} do not fit {info.backbone} of this version: {error}"
        ) from error
    return model


def _weights_file(path: Path) -> Path:
    return path if path.suffix == ".safetensors" else path / WEIGHTS_FILE


def _open(path: Path) -> Any:  # noqa: ANN401 - safetensors is not typed
    file = _weights_file(path)
    if not file.is_file():
        raise MedclfError(f"There is no weight file {file}.")
    try:
        return safe_open(file, framework="pt")
    except SafetensorError as error:
        raise MedclfError(f"{file} is not a whole safetensors file: {error}.") from error


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the state of a training run: tensors, numbers, strings, and lists of them.

    Raises
    ------
    MedclfError
        If something else is in it, such as a ``numpy.float64``: the file could not be
        read again with ``weights_only=True``, and without that a file can run code.
    """
    _check_primitive(state, "state")
    write_atomically(path, lambda temporary: torch.save(state, temporary))


def load_state(path: Path) -> dict[str, Any]:
    """Read what :func:`save_state` wrote, onto the CPU.

    Raises
    ------
    MedclfError
        If the file is missing or damaged.
    """
    if not path.is_file():
        raise MedclfError(f"There is no run to resume: {path} does not exist.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises almost anything
        raise MedclfError(f"{path} cannot be read: {error}. Start the run anew.") from error
    return state


def _check_primitive(value: object, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_primitive(item, f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            _check_primitive(item, f"{where}[{i}]")
    elif type(value) not in (int, float, bool, str, type(None)) and not torch.is_tensor(value):
        raise MedclfError(
            f"{where} is a {type(value).__module__}.{type(value).__name__}; a checkpoint holds "
            "tensors and plain Python numbers and strings only. Convert it first, for example "
            "with float()."
        )


def generator_states() -> dict[str, Any]:
    """Read the state of every random generator: Python's, NumPy's, torch's, each GPU's."""
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - libraries draw from it
    inner = numpy_state["state"]
    return {
        "python": random.getstate(),
        "numpy": numpy_state | {"state": {"key": inner["key"].tolist(), "pos": int(inner["pos"])}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_generators(states: dict[str, Any]) -> None:
    """Put every random generator back into a state read by :func:`generator_states`."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    inner = states["numpy"]["state"]
    key = np.array(inner["key"], dtype=np.uint32)
    np.random.set_state(states["numpy"] | {"state": {"key": key, "pos": inner["pos"]}})  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
