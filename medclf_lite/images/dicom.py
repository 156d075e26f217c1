"""DICOM pixels as a reading station shows them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from medclf_lite.errors import MedclfError
from medclf_lite.sources.headers import DICOM_HINT, LARGEST

if TYPE_CHECKING:
    from pydicom import Dataset


def grey_of_dicom(data: bytes) -> npt.NDArray[np.uint8]:
    """Decode a DICOM file: modality LUT, VOI LUT or window, then inversion (PS3.3 C.11).

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    numpy.ndarray
        uint8, shape (Rows, Columns): the declared output range becomes 0 to 255.

    Raises
    ------
    MedclfError
        If pydicom is not installed, or the file holds several frames, a palette or more
        pixels than memory should be asked for.
    """
    try:
        import pydicom
        from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    except ModuleNotFoundError as problem:
        raise MedclfError(f"{DICOM_HINT}.") from problem
    file = pydicom.dcmread(io.BytesIO(data))
    if int(file.get("NumberOfFrames") or 1) != 1:
        raise MedclfError(f"it holds {file.NumberOfFrames} frames; save the one you mean.")
    if int(file.Rows) * int(file.Columns) > LARGEST:
        raise MedclfError(f"it declares {file.Rows} x {file.Columns} pixels, too many.")
    stored = file.pixel_array
    kind = str(file.PhotometricInterpretation)
    if kind in ("MONOCHROME1", "MONOCHROME2"):
        low, high = _range(file)
        shown = apply_voi_lut(apply_modality_lut(stored, file), file).astype(np.float64)
        if _falls(file) and "WindowWidth" in file and not file.get("VOILUTSequence"):
            shown = low + high - shown  # pydicom's window runs from high to low then
        grey = np.rint(np.clip((shown - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        return 255 - grey if kind == "MONOCHROME1" else grey
    # pydicom has turned YBR into RGB already.
    if stored.ndim == 3 and stored.shape[2] == 3 and stored.dtype == np.uint8:
        return np.asarray(Image.fromarray(stored).convert("L"))
    raise MedclfError(f"its pixels are {kind} of type {stored.dtype}; expected grey or 8-bit RGB.")


def _range(file: Dataset) -> tuple[float, float]:
    """Return the values that mean black and white once all look-up tables are applied."""
    if file.get("VOILUTSequence"):
        return 0.0, 2.0 ** int(file.VOILUTSequence[0].LUTDescriptor[2]) - 1
    if file.get("ModalityLUTSequence"):
        return 0.0, 2.0 ** int(file.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    half = 2.0 ** (int(file.BitsStored) - 1)
    low, high = (-half, half - 1) if file.PixelRepresentation else (0.0, 2 * half - 1)
    if "RescaleSlope" in file and "RescaleIntercept" in file:  # one alone means nothing
        slope, intercept = float(file.RescaleSlope), float(file.RescaleIntercept)
        low, high = sorted((low * slope + intercept, high * slope + intercept))
    if low == high:
        raise MedclfError("its rescale slope is 0, which leaves one grey value.")
    return low, high


def _falls(file: Dataset) -> bool:
    """Tell whether larger stored values mean smaller rescaled ones."""
    return "RescaleIntercept" in file and float(file.get("RescaleSlope") or 1) < 0
