"""One decoder for every format: grey values from 0 to 255, or an error that names the file."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, ImageOps

from medclf_lite.errors import MedclfError
from medclf_lite.images.dicom import grey_of_dicom
from medclf_lite.images.square import check_whole
from medclf_lite.sources.headers import FORMATS, LARGEST, is_dicom

Grey = npt.NDArray[np.uint8]
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def read_grey(
    source: str | Path | bytes, *, at_least: int | None = None, bits: int | None = None
) -> Grey:
    """Decode one image of any supported format to grey values.

    Deeper pixels are mapped linearly from their *declared* range, so black is 0 and the
    brightest value that the format allows is 255: two images of one machine stay comparable,
    which stretching each to its own extremes would undo. Float pixels are declared to lie in
    [0, 1]. Colour becomes luma (ITU-R 601), which leaves grey stored as colour as it is;
    what is transparent becomes black; the EXIF orientation is applied. DICOM: modality LUT
    or rescale, then VOI LUT or window, then ``MONOCHROME1`` is inverted (PS3.3 C.11).

    Parameters
    ----------
    source : str, pathlib.Path or bytes
        A JPEG, PNG, TIFF or DICOM file, or its bytes; the extension plays no part.
    at_least : int, optional
        Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, as long as the short side keeps
        this many pixels. Faster; other formats ignore it.
    bits : int, optional
        Declare that integer pixels deeper than 8 bits range from 0 to ``2**bits - 1``; for
        12-bit values in a 16-bit file, which are nearly black otherwise (a warning says so).

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width).

    Raises
    ------
    MedclfError
        If the file is missing, empty, truncated, of another format, too large, or its pixels
        have no declared range; or if ``at_least`` or ``bits`` is not a whole number.

    Examples
    --------
    >>> buffer = io.BytesIO()
    >>> Image.fromarray(np.array([[0, 32896, 65535]], np.uint16)).save(buffer, "PNG")
    >>> read_grey(buffer.getvalue())
    array([[  0, 128, 255]], dtype=uint8)
    """
    if at_least is not None:
        check_whole("at_least", at_least)
    if bits is not None:
        check_whole("bits", bits, 32)
    name = "the given bytes" if isinstance(source, bytes) else str(source)
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise MedclfError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on, so damaged files would be filled with "
            "grey in silence. Set it to False."
        )
    data = source if isinstance(source, bytes) else read_bytes(Path(source))
    if not data:
        raise MedclfError(f"{name} holds zero bytes. Copy the file again or leave it out.")
    try:
        return grey_of_dicom(data) if is_dicom(data) else _decode(data, at_least, bits)
    except MedclfError as problem:
        raise MedclfError(f"{name} cannot be decoded: {problem}") from problem
    except Exception as problem:  # damaged bytes make decoders raise almost anything
        raise MedclfError(
            f"{name} cannot be decoded: {type(problem).__name__}: {problem}. Expected a whole "
            "JPEG, PNG, TIFF or DICOM file; copy it again or leave it out."
        ) from problem


def read_bytes(path: Path) -> bytes:
    """Read a file, or say what is wrong with it.

    Raises
    ------
    MedclfError
        If the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as problem:
        raise MedclfError(
            f"{path} cannot be read: {problem.strerror or problem}. If it was moved, open the "
            "cohort again."
        ) from problem


def _decode(data: bytes, at_least: int | None, bits: int | None) -> Grey:
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > LARGEST:
        raise MedclfError(f"it declares {image.size} pixels, more than {LARGEST:,} in all.")
    if image.format != "MPO" and getattr(image, "n_frames", 1) != 1:
        raise MedclfError("it holds several pages; save the page you mean as a file.")
    if image.format == "JPEG":
        # The decoder then gives luma alone, and scales on the way; never below at_least.
        image.draft("L", (at_least, at_least) if at_least else None)
    depth, inverted = _tiff_tags(image)
    image.load()  # verify() would pass a JPEG that is cut in half
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        return _grey_of_floats(np.asarray(image))
    if image.mode.startswith("I"):
        signed = image.mode == "I"
        values = np.asarray(image)
        if (clear := image.info.get("transparency")) is not None:
            values = np.where(values == clear, 0, values)
        return _grey_of_integers(values, bits or (None if signed else depth), inverted)
    return np.asarray(_flat(image).convert("L"))


def _tiff_tags(image: Image.Image) -> tuple[int, bool]:
    """Return the declared depth in bits, and whether 0 means white."""
    tags = getattr(image, "tag_v2", {})
    depth = int(tags.get(_BITS_PER_SAMPLE, (16,))[0])
    return depth, tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _grey_of_floats(values: npt.NDArray[np.float32]) -> Grey:
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise MedclfError(
            "float pixels must be finite and lie in [0, 1]; these range from "
            f"{values.min():g} to {values.max():g}. Rescale them all by the same rule first."
        )
    return np.rint(values * 255).astype(np.uint8)


def _grey_of_integers(values: npt.NDArray[np.integer], bits: int | None, inverted: bool) -> Grey:
    if bits is None:
        raise MedclfError("signed or 32-bit pixels have no declared range; give bits=.")
    top = 2**bits - 1
    if bits == 16 and 0 < values.max() < 4096:
        warnings.warn(
            "A 16-bit image holds no value above 4095, so few grey levels are left. If its "
            "values have 12 bits, give bits=12.",
            stacklevel=4,
        )
    if values.min() < 0 or values.max() > top:
        raise MedclfError(
            f"pixels range from {values.min()} to {values.max()}, outside of 0 to {top} "
            f"({bits} bits)."
        )
    grey: Grey = np.rint(values.astype(np.float64) * (255 / top)).astype(np.uint8)
    return np.invert(grey) if inverted else grey


def _flat(image: Image.Image) -> Image.Image:
    """Return the image without palette and transparency."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image).convert("RGB")
    return image if image.mode in ("1", "L") else image.convert("RGB")
