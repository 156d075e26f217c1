"""What only a full decode of each file can tell: damage, channels, depth, compression."""

from __future__ import annotations

import io
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image
from tqdm.auto import tqdm

from medclf_lite.audit.identity import of_dicom, of_exif
from medclf_lite.cohort import Files
from medclf_lite.errors import MedclfError
from medclf_lite.images import read_grey
from medclf_lite.sources.headers import FORMATS, is_dicom

_ORIENTATION = 0x0112
_ROUNDING = 2  # grey stored as colour comes back from a JPEG with channels this close


@dataclass(frozen=True)
class FileFacts:
    """One decoded file; ``problem`` is empty where it decodes.

    ``compression`` is the sum of the JPEG luma quantisation table (high: strong compression),
    nan for other formats. ``grey_as_colour`` means three channels that are equal, ``identity``
    names the notes that tell who the patient is.
    """

    problem: str = ""
    mode: str = ""
    content: str = ""
    bits: int = 8
    orientation: int = 1
    n_pixels: int = 0
    grey_as_colour: bool = False
    compression: float = float("nan")
    identity: tuple[str, ...] = ()


def read_facts(path: Path) -> FileFacts:
    """Decode one file and report what it is; damage is a fact, not an error."""
    try:
        data = path.read_bytes()
        shape = read_grey(data).shape
    except MedclfError as problem:
        return FileFacts(problem=str(problem).removeprefix("the given bytes "))
    except OSError as problem:
        return FileFacts(problem=f"cannot be read: {problem.strerror or problem}")
    if is_dicom(data):
        return FileFacts(
            mode="DICOM", content="DICOM", n_pixels=shape[0] * shape[1], identity=of_dicom(data)
        )
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        tables = getattr(image, "quantization", None)
        return FileFacts(
            mode=image.mode,
            content=str(image.format),
            bits=_bits(image.mode),
            orientation=_orientation(image),
            n_pixels=shape[0] * shape[1],
            grey_as_colour=_is_grey(image),
            compression=float(sum(tables[min(tables)])) if tables else float("nan"),
            identity=of_exif(image),
        )


def file_facts(files: Files, *, jobs: int = 1, progress: bool = False) -> pd.DataFrame:
    """Decode every file, once.

    Parameters
    ----------
    files : Files
    jobs : int, default 1
        Threads; decoding runs in C and lets the others go on.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    pandas.DataFrame
        The columns of :class:`FileFacts`, one row a file.
    """
    work = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(
        delayed(read_facts)(files.root / path) for path in files.paths
    )
    shown = tqdm(work, total=len(files), desc="decoding", unit="file", disable=not progress)
    with warnings.catch_warnings():  # large images become a finding of their own
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return pd.DataFrame([asdict(facts) for facts in shown])


def _orientation(image: Image.Image) -> int:
    given = image.getexif().get(_ORIENTATION)
    if isinstance(given, int) and 1 <= given <= 8:
        return given
    return 1  # what is no orientation turns nothing


def _bits(mode: str) -> int:
    if mode.startswith("I;16"):
        return 16
    return {"1": 1, "I": 32, "F": 32}.get(mode, 8)


def _is_grey(image: Image.Image) -> bool:
    """Tell whether a colour image has three equal channels."""
    if len(image.getbands()) < 3 or image.mode not in ("RGB", "RGBA"):
        return False
    red, green, blue = (np.asarray(image.getchannel(c), dtype=np.int16) for c in "RGB")
    return bool(max(np.abs(red - green).max(), np.abs(blue - green).max()) <= _ROUNDING)
