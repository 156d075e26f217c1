"""Features of a frozen backbone: computed once, in parallel, kept in a file."""

from __future__ import annotations

import copy
import hashlib
import itertools
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from tqdm.auto import tqdm

from medclf_lite._files import write_atomically
from medclf_lite._memory import keep_freed_memory
from medclf_lite.backbones.classifier import Classifier, device_of
from medclf_lite.errors import MedclfError

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]


def features(
    model: Classifier,
    pixels: Pixels,
    *,
    cache: Path | None = None,
    batch_size: int | None = None,
    jobs: int = 1,
    progress: bool = False,
) -> Features:
    """Compute the backbone's features of every image, in evaluation mode, without gradient.

    Parameters
    ----------
    model : Classifier
        Its head plays no part, and nothing in it changes.
    pixels : numpy.ndarray
        uint8, shape (n, h, w).
    cache : pathlib.Path, optional
        Folder for the result. The file's name holds a hash of the weights and one of the
        pixels, so a changed model or image is never served old features. Where it cannot be
        written, a warning says so.
    batch_size : int, optional
        Images a batch; by default 16 on a CPU and 256 on a GPU.
    jobs : int, default 1
        Threads, each with a batch and one core of its own. On a CPU this is faster than
        torch's own threads; use as many as there are cores. A GPU needs one.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    numpy.ndarray
        float32, shape (n, features); memory-mapped and read-only if it comes from the cache.

    Raises
    ------
    MedclfError
        If the pixels are not uint8 of shape (n, h, w).

    Examples
    --------
    >>> from medclf_lite.backbones import build
    >>> features(build("tiny_cnn"), np.zeros((3, 32, 32), np.uint8)).shape
    (3, 64)
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or not len(pixels):
        raise MedclfError(
            "Pixels must be uint8 of shape (n, height, width) with at least one image; got "
            f"{pixels.dtype} of shape {pixels.shape}."
        )
    shape = (len(pixels), model.head.in_features)
    path = None
    if cache is not None:
        path = cache / f"features-{weights_hash(model)}-{pixels_hash(pixels)}.npy"
        if (stored := _open_stored(path, shape)) is not None:
            return stored
    found = np.empty(shape, np.float32)
    _fill(found, model, pixels, batch_size=batch_size, jobs=jobs, progress=progress)
    if path is not None:
        _store(path, found)
    return found


def _open_stored(path: Path, shape: tuple[int, int]) -> Features | None:
    try:
        stored: Features = np.load(path, mmap_mode="r", allow_pickle=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, EOFError):
        stored = np.empty((0, 0), np.float32)
    if stored.shape == shape and stored.dtype == np.float32:
        return stored
    warnings.warn(f"The stored features {path} are damaged; computing again.", stacklevel=3)
    return None


def _store(path: Path, found: Features) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, found)

    try:
        write_atomically(path, write)
    except OSError as problem:
        warnings.warn(
            f"The features cannot be kept in {path} ({problem}), so the next run computes them "
            "again. Free some space, or choose another cache folder.",
            stacklevel=3,
        )


def weights_hash(model: Classifier) -> str:
    """Hash what turns pixels into features: 16 hex digits.

    The head plays no part in it.
    """
    digest = hashlib.sha256(f"{model.name} {model.mean} {model.std} {model.pool}".encode())
    for name, tensor in sorted(model.backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def pixels_hash(pixels: Pixels) -> str:
    """Hash images and their order: 16 hex digits."""
    digest = hashlib.sha256(str(pixels.shape).encode())
    for start in range(0, len(pixels), 256):
        digest.update(np.ascontiguousarray(pixels[start : start + 256]).data)
    return digest.hexdigest()[:16]


def _fill(
    found: Features,
    model: Classifier,
    pixels: Pixels,
    *,
    batch_size: int | None,
    jobs: int,
    progress: bool,
) -> None:
    keep_freed_memory()
    device = device_of(model)
    network = _network(model, pixels.shape[1:])
    step = batch_size or (16 if device.type == "cpu" else 256)

    def run(rows: slice[int, int, None]) -> int:
        with torch.inference_mode():
            found[rows] = network(_tensor(pixels[rows], device)).float().cpu().numpy()
        return rows.stop - rows.start

    with (
        _threads(jobs) as pool,
        tqdm(total=len(pixels), desc="features", unit="image", disable=not progress) as bar,
    ):
        for done in pool.map(run, _slices(len(pixels), step)):
            bar.update(done)


def _threads(jobs: int) -> ThreadPoolExecutor:
    # torch's thread count belongs to the thread that sets it: one core each if there are many.
    own = torch.get_num_threads() if jobs == 1 else 1
    return ThreadPoolExecutor(jobs, initializer=torch.set_num_threads, initargs=(own,))


def _slices(n: int, step: int) -> Iterator[slice[int, int, None]]:
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _tensor(pixels: Pixels, device: torch.device) -> Tensor:
    images = torch.from_numpy(np.array(pixels)).to(device).float().div_(255)
    return images[:, None]  # (b, 1, h, w)


def _network(model: Classifier, size: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """Return ``embed`` of a copy with BatchNorm folded away, if that changes nothing."""
    sample = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    sample = sample.to(device_of(model))
    plain = copy.deepcopy(model).eval()
    folded = copy.deepcopy(plain)
    _fold(folded.backbone)
    with torch.inference_mode():
        expected, got = plain.embed(sample), folded.embed(sample)
    same = torch.allclose(expected, got, rtol=1e-4, atol=1e-4)
    return folded.embed if same else plain.embed


def _fold(module: nn.Module) -> None:
    """Fold each BatchNorm that directly follows a convolution, in place; a fifth faster.

    y = gamma (w * x + b - mean) / sd + beta is a convolution itself. That a norm named
    after a convolution also runs right after it is a guess, which the caller checks.
    """
    children = list(module.named_children())
    for (name, conv), (norm_name, norm) in itertools.pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(conv, norm))
            # timm's norm layers hold the activation that follows them.
            setattr(module, norm_name, getattr(norm, "act", nn.Identity()))
    for _, child in children:
        _fold(child)
