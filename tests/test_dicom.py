"""DICOM: look-up tables in their order, inversion last, and a clear word without pydicom."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medclf_lite.audit import audit_cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import read_grey
from medclf_lite.sources import from_folder
from medclf_lite.sources.headers import read_header

pydicom = pytest.importorskip("pydicom", reason="pip install medclf-lite[dicom]")
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def dicom(pixels: np.ndarray = RAMP, kind: str = "MONOCHROME2", bits: int = 12, **tags) -> bytes:
    file = pydicom.Dataset()
    file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    file.SOPInstanceUID = "1.2.3"
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    file.PhotometricInterpretation = kind
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    file.BitsAllocated = pixels.dtype.itemsize * 8
    file.BitsStored, file.HighBit = bits, bits - 1
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    for name, value in tags.items():
        setattr(file, name, value)
    file.PixelData = pixels.tobytes()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.rint(np.clip((values.astype(float) - low) / (high - low), 0, 1) * 255)


def test_without_a_window_the_declared_bits_are_the_range() -> None:
    assert np.array_equal(read_grey(dicom()), scaled(RAMP, 0, 4095))


def test_monochrome1_is_inverted() -> None:
    assert np.array_equal(read_grey(dicom(kind="MONOCHROME1")), 255 - scaled(RAMP, 0, 4095))


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_the_window_works_on_rescaled_values_and_inversion_comes_last(kind: str) -> None:
    grey = read_grey(dicom(kind=kind, RescaleSlope=2, RescaleIntercept=-1000, RescaleType="US",
                           WindowCenter=2000, WindowWidth=1000))  # fmt: skip
    # The formula of PS3.3 C.11.2.1.2, written out.
    real = RAMP.astype(float) * 2 - 1000
    shown = np.clip((real - 1999.5) / 999 + 0.5, 0, 1) * 255
    expected = 255 - shown if kind == "MONOCHROME1" else shown
    assert np.abs(grey - expected).max() <= 1
    assert len(np.unique(grey)) > 200


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 1000}])
def test_a_falling_rescale_turns_the_grey_values_round(window: dict[str, int]) -> None:
    rescale = {"RescaleIntercept": 4095, "RescaleType": "US"}
    falling = read_grey(dicom(RescaleSlope=-1, **rescale, **window))
    rising = read_grey(dicom(4095 - RAMP, **window))
    assert np.array_equal(falling, rising)
    assert falling[0, 0] == 255


def test_a_slope_without_an_intercept_means_nothing_and_a_slope_of_0_is_refused() -> None:
    assert np.array_equal(read_grey(dicom(RescaleSlope=2)), scaled(RAMP, 0, 4095))
    with pytest.raises(MedclfError, match="slope is 0"):
        read_grey(dicom(RescaleSlope=0, RescaleIntercept=5, RescaleType="US"))


def test_a_size_that_would_fill_the_memory_is_refused_before_decoding(tmp_path: Path) -> None:
    data = dicom(Rows=60_000, Columns=60_000)
    with pytest.raises(MedclfError, match="60000 x 60000 pixels"):
        read_grey(data)
    (tmp_path / "x.dcm").write_bytes(data)
    assert "fill the memory" in str(read_header(tmp_path / "x.dcm"))


def test_a_voi_look_up_table_is_scaled_by_its_own_depth() -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor = [4096, 0, 10]
    item.add_new("LUTData", "OW", (1023 - np.arange(4096) // 4).astype("<u2").tobytes())
    data = dicom(VOILUTSequence=pydicom.Sequence([item]))
    assert np.array_equal(read_grey(data), scaled(1023 - RAMP // 4, 0, 1023))


def test_signed_pixels_span_their_signed_range() -> None:
    signed = (RAMP.astype(np.int16) - 2048).astype(np.int16)
    assert np.array_equal(read_grey(dicom(signed)), scaled(signed, -2048, 2047))


def test_rgb_becomes_luma_and_other_kinds_are_refused() -> None:
    colour = np.random.default_rng(0).integers(0, 255, (6, 4, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(colour).convert("L"))
    assert np.array_equal(read_grey(dicom(colour, "RGB", 8)), expected)
    with pytest.raises(MedclfError, match="PALETTE COLOR"):
        read_grey(dicom(RAMP, "PALETTE COLOR"))
    frames = np.stack([RAMP, RAMP])
    with pytest.raises(MedclfError, match="2 frames"):
        read_grey(dicom(frames, NumberOfFrames=2, Rows=64, Columns=64, SamplesPerPixel=1))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_a_cut_file_is_an_error_with_its_name(share: float, tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    whole = dicom()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(MedclfError, match=r"cut\.dcm cannot be decoded"):
        read_grey(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("A/case1.dcm", "A/1.2.840.113", "B/case2", "B/case3.DCM"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(dicom(RAMP[:, :32]))
    return tmp_path


def test_a_folder_of_dicom_needs_no_extensions(folder: Path) -> None:
    (folder / "B" / "fake.dcm").write_bytes(b"not a DICOM file")
    cohort = from_folder(folder, patients=r"(?P<patient>\w+)$", classes=("A", "B"))
    assert cohort.table["patient_id"].tolist() == ["113", "case1", "case2", "case3"]
    assert set(cohort.table["mode"]) == {"DICOM"}
    assert cohort.table[["width", "height"]].drop_duplicates().values.tolist() == [[32, 64]]
    assert cohort.left_out["path"].tolist() == ["B/fake.dcm"]


def test_without_pydicom_the_message_names_the_extra(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MedclfError, match=r"pip install medclf-lite\[dicom\]"):
        read_grey(folder / "A" / "case1.dcm")
    with pytest.raises(MedclfError, match=r"pip install medclf-lite\[dicom\]"):
        from_folder(folder, patients=r"(?P<patient>\w+)$", classes=("A", "B"))


def written(root: Path, **tags: str) -> Path:
    for i, name in enumerate(("A/p1.dcm", "A/p2.dcm", "B/p3.dcm", "B/p4.dcm")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(dicom(RAMP + i, PatientID="P1", **(tags if i else {})))
    return root


@pytest.mark.parametrize(
    "tags",
    [
        {"PatientName": "Doe^Jane"},
        {"PatientBirthDate": "19500102"},
        {"ReferringPhysicianName": "Roe^R", "BurnedInAnnotation": "YES"},
    ],
)
def test_identities_left_in_the_tags_are_an_error_and_are_not_printed(tmp_path, tags) -> None:
    cohort = from_folder(written(tmp_path, **tags), patients="unknown", classes=("A", "B"))
    (finding,) = audit_cohort(cohort, only=["files.identity"]).findings
    assert (finding.severity, finding.count) == ("error", 3)
    assert all(tag in finding.seen for tag in tags)
    assert not any(value in str(finding) for value in tags.values() if value != "YES")


@pytest.mark.parametrize("name", ["", "P1", "ANONYMOUS", "Unknown"])
def test_pseudonyms_and_empty_tags_are_no_identity(tmp_path, name) -> None:
    root = written(tmp_path, PatientName=name, BurnedInAnnotation="NO")
    cohort = from_folder(root, patients="unknown", classes=("A", "B"))
    assert audit_cohort(cohort, only=["files.identity"]).findings == ()


def test_a_position_in_the_exif_data_of_a_jpeg_is_an_identity(tmp_path) -> None:
    for name in ("A/a.jpeg", "B/b.jpeg"):
        (tmp_path / name).parent.mkdir()
        exif = Image.Exif()
        if name == "B/b.jpeg":
            exif[0x013B] = "Dr Roe"
        Image.new("L", (9, 8)).save(tmp_path / name, exif=exif)
    cohort = from_folder(tmp_path, patients="unknown", classes=("A", "B"))
    (finding,) = audit_cohort(cohort, only=["files.identity"]).findings
    assert "Artist in 1" in finding.seen
    assert "Roe" not in str(finding)
