"""What a file says about itself: one read gives its hash, size, format and pixel size."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from PIL import Image, UnidentifiedImageError
from tqdm.auto import tqdm

EXTENSIONS = (".jpeg", ".jpg", ".png", ".tif", ".tiff", ".dcm")
# Pillow also knows formats that run other programs (EPS); these are all that we decode.
# "JPEG" also opens MPO, a JPEG with a preview behind it, as some cameras write.
FORMATS = ("JPEG", "PNG", "TIFF")
LARGEST = 178_956_970  # pixels; Pillow's own limit for a decompression bomb
LARGEST_FILE = 2**31  # bytes; what is larger is not one radiograph, and would fill the memory
DICOM_HINT = "reading DICOM needs pydicom: pip install medclf-lite[dicom]"
_TOO_LARGE = f"it declares more than {LARGEST:,} pixels, which would fill the memory"
_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """Traits of one image file, the columns that a file source adds to a cohort.

    ``width`` and ``height`` are in pixels as displayed, after the EXIF orientation; ``mode``
    is Pillow's (or ``DICOM``), ``content`` the format found in the bytes, whatever the
    ``extension`` says.
    """

    sha256: str
    n_bytes: int
    width: int
    height: int
    mode: str
    content: str
    extension: str


def is_dicom(data: bytes) -> bool:
    """Tell a DICOM file by its preamble, whatever its name.

    Examples
    --------
    >>> is_dicom(bytes(128) + b"DICM"), is_dicom(b"DICM")
    (True, False)
    """
    return data[128:132] == b"DICM"


def read_header(path: Path) -> Header | str:
    """Read one file, once, without decoding its pixels.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    Header or str
        The reason in words where the file cannot be an image of the cohort.
    """
    if reason := _unwanted(path):
        return reason
    try:
        if (size := path.stat().st_size) > LARGEST_FILE:
            return f"it has {size:,} bytes; one image of at most {LARGEST_FILE:,} is expected"
        if _other_kind(path):
            known = " ".join(EXTENSIONS)
            return f"not an image: the extension is {path.suffix}, not one of {known}"
        data = path.read_bytes()
    except OSError as problem:
        return f"cannot be read: {problem.strerror or problem}"
    if not data:
        return "zero bytes"
    found = _dicom_size(data) if is_dicom(data) else _image_size(data)
    if isinstance(found, str):
        return found
    width, height, mode, content = found
    if width * height > LARGEST:
        return _TOO_LARGE
    return Header(
        hashlib.sha256(data).hexdigest(), len(data), width, height, mode, content,
        path.suffix.lower(),
    )  # fmt: skip


def _unwanted(path: Path) -> str | None:
    """Tell why a path is not worth reading; a pipe, for one, would never end."""
    try:
        regular = path.is_file()
    except OSError as problem:
        return f"cannot be read: {problem.strerror or problem}"
    if path.is_symlink() and not regular:
        return "a link that leads nowhere"
    return None if regular else "not a regular file"


def _other_kind(path: Path) -> bool:
    """Tell by extension and first bytes; DICOM files may be called 1.2.840.113."""
    if not path.suffix or path.suffix.lower() in EXTENSIONS:
        return False
    with path.open("rb") as file:
        return not is_dicom(file.read(132))


def _image_size(data: bytes) -> tuple[int, int, str, str] | str:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            pages = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
            # Pillow turns TIFF by itself; for the others the header only notes it.
            turned = _may_be_turned(image, data) and (
                image.getexif().get(_ORIENTATION) in _SIDEWAYS
            )
            mode, content = image.mode, str(image.format)
    except UnidentifiedImageError:
        return "its content is not a JPEG, PNG, TIFF or DICOM image"
    except Image.DecompressionBombError:
        return _TOO_LARGE
    except Exception as problem:  # a damaged header makes Pillow raise almost anything
        return f"its header cannot be read: {type(problem).__name__}: {problem}"
    if pages != 1:
        return f"it holds {pages} pages; one image a file is expected"
    if turned:
        width, height = height, width
    return width, height, mode, content


def _may_be_turned(image: Image.Image, data: bytes) -> bool:
    """Look before asking a PNG for its EXIF data, which would decode the whole image."""
    notes = (b"eXIf", b"Raw profile type exif", b"tiff:Orientation")
    return image.format == "JPEG" or (image.format == "PNG" and any(n in data for n in notes))


def _dicom_size(data: bytes) -> tuple[int, int, str, str] | str:
    try:
        import pydicom
    except ModuleNotFoundError:
        return DICOM_HINT
    try:
        header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        width, height = int(header.Columns), int(header.Rows)
        frames = int(header.get("NumberOfFrames") or 1)
    except Exception as problem:  # as above: damaged files raise almost anything
        return f"its DICOM header gives no pixel size: {type(problem).__name__}: {problem}"
    if frames != 1:
        return f"it holds {frames} frames; one image a file is expected"
    return width, height, "DICOM", "DICOM"


def read_headers(
    root: Path, names: Sequence[str], *, jobs: int = 1, progress: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read many files, and part them into images and others.

    Parameters
    ----------
    root : pathlib.Path
    names : sequence of str
        Paths below ``root``.
    jobs : int, default 1
        Threads; more than one helps where the disk is slow to answer.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    images : pandas.DataFrame
        ``image_id`` (the name) and the columns of :class:`Header`, in the order of ``names``.
    left_out : pandas.DataFrame
        ``path`` and ``reason``.
    """
    work = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(
        delayed(read_header)(root / name) for name in names
    )
    shown = tqdm(work, total=len(names), desc="files", unit="file", disable=not progress)
    pairs = list(zip(names, shown, strict=True))
    rows = [{"image_id": n} | asdict(h) for n, h in pairs if isinstance(h, Header)]
    images = pd.DataFrame(rows, columns=["image_id", *Header.__dataclass_fields__])
    return images, left_out_table((n, h) for n, h in pairs if isinstance(h, str))


def left_out_table(pairs: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Make the table of files left out: ``path`` and ``reason``, sorted by path.

    Names that are not valid Unicode are shown with escapes, so that the table can be written.
    """
    safe = [(p.encode("utf-8", "backslashreplace").decode(), reason) for p, reason in pairs]
    return pd.DataFrame(sorted(safe), columns=["path", "reason"], dtype=str)
