"""The decoder: every format and depth to the same grey values, or an error with the file's name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from medclf_lite.errors import MedclfError
from medclf_lite.images import read_grey, to_square
from medclf_lite.sources.headers import Header, read_header

RNG = np.random.default_rng(0)
SMOOTH = np.add.outer(np.arange(40), np.arange(60)).astype(np.uint8) * 2


def encode(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: bytes, width: int, height: int, bits: int, *, photometric: int = 1,
         sample_format: int = 1) -> bytes:  # fmt: skip
    """Write the smallest TIFF there is, of kinds that Pillow reads but does not write."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1,
            278: height, 279: len(pixels), 339: sample_format}  # fmt: skip
    pixels += bytes(len(pixels) % 2)
    ifd = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return (b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels
            + struct.pack("<H", len(tags)) + ifd + bytes(4))  # fmt: skip


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_eight_bits_come_back_as_they_are(kind: str) -> None:
    assert np.array_equal(read_grey(encode(SMOOTH, kind)), SMOOTH)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_the_declared_range_and_do_not_saturate(kind: str) -> None:
    deep = np.linspace(0, 65535, 2400).astype(np.uint16).reshape(40, 60)
    grey = read_grey(encode(deep, kind))
    assert np.array_equal(grey, np.rint(deep / 257).astype(np.uint8))
    assert len(np.unique(grey)) == 256
    naive = np.asarray(Image.open(io.BytesIO(encode(deep, kind))).convert("L"))
    assert len(np.unique(naive)) != 256 or (naive == 255).mean() > 0.5, "Pillow has mended it"


def test_twelve_bits_in_sixteen_are_scaled_by_the_depth_that_the_caller_declares() -> None:
    deep = np.linspace(0, 4095, 240).astype(np.uint16).reshape(12, 20)
    data = encode(deep, "PNG")
    with pytest.warns(UserWarning, match="give bits=12"):
        assert read_grey(data).max() == 16
    assert np.array_equal(read_grey(data, bits=12), np.rint(deep * (255 / 4095)).astype(np.uint8))
    with pytest.raises(MedclfError, match="range from 0 to 4095, outside of 0 to 1023"):
        read_grey(data, bits=10)


def test_a_twelve_bit_tiff_declares_its_own_depth() -> None:
    packed = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00])  # 0, 4095, 2048, 0
    assert read_grey(tiff(packed, 4, 1, 12)).tolist() == [[0, 255, 128, 0]]


@pytest.mark.parametrize("bits", [8, 16])
def test_white_is_zero_is_turned_round(bits: int) -> None:
    values = np.array([[0, 2**bits - 1]], f"<u{bits // 8}").tobytes()
    assert read_grey(tiff(values, 2, 1, bits, photometric=0)).tolist() == [[255, 0]]


def test_floats_lie_between_0_and_1_or_are_refused() -> None:
    unit = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    assert np.array_equal(read_grey(encode(unit, "TIFF")).ravel(), np.arange(256))
    for bad in (unit * 2, unit - 0.5, np.where(unit > 0.5, np.float32(np.nan), unit)):
        with pytest.raises(MedclfError, match=r"lie in \[0, 1\]"):
            read_grey(encode(bad, "TIFF"))


def test_signed_and_32_bit_pixels_need_a_declared_range() -> None:
    data = tiff(np.array([[0, 1000]], "<i4").tobytes(), 2, 1, 32, sample_format=2)
    with pytest.raises(MedclfError, match="no declared range; give bits="):
        read_grey(data)
    assert read_grey(data, bits=10).tolist() == [[0, 249]]


GREY_AS_COLOUR = {
    "RGB": SMOOTH[..., None].repeat(3, 2),
    "RGBA": np.dstack([SMOOTH, SMOOTH, SMOOTH, np.full_like(SMOOTH, 255)]),
}


def png(
    depth: int, colour: int, row: bytes, *chunks: bytes, size: tuple[int, int] = (2, 1)
) -> bytes:
    """Write a PNG of two pixels, of kinds that Pillow reads but does not write."""
    head = b"IHDR" + struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    parts = [head, *chunks, b"IDAT" + zlib.compress(b"\0" + row), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in parts
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (png(2, 0, bytes([0b11_01_0000])), [255, 85]),
        (png(16, 0, b"\xff\xff\x80\x80"), [255, 128]),
        (png(16, 0, b"\xff\xff\x80\x80", b"tRNS\xff\xff"), [0, 128]),
        (png(8, 0, b"\xff\x80", b"tRNS\0\xff"), [0, 128]),
        (png(16, 4, b"\xff\xff\0\0" + b"\x80\x80\xff\xff"), [0, 128]),
        (png(16, 2, b"\x80" * 12), [128, 128]),
        (png(8, 3, b"\1\0", b"PLTE" + bytes([9, 9, 9, 200, 200, 200])), [200, 9]),
        (png(8, 3, b"\1\0", b"PLTE" + bytes([9, 9, 9, 200, 200, 200]), b"tRNS\xff\0"), [0, 9]),
    ],
    ids=["2-bit", "16-bit", "16-bit, one grey transparent", "8-bit, the same", "16-bit with alpha",
         "16-bit colour", "palette", "palette with a transparent entry"],
)  # fmt: skip
def test_rare_kinds_of_png_are_read_as_they_are_shown(data: bytes, expected: list[int]) -> None:
    assert read_grey(data).tolist() == [expected]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_stored_as_colour_comes_back_exactly(mode: str) -> None:
    image = Image.fromarray(SMOOTH)
    shown = image.convert(mode) if mode in ("LA", "P") else Image.fromarray(GREY_AS_COLOUR[mode])
    assert np.array_equal(read_grey(encode(shown, "PNG")), SMOOTH)


def test_colour_becomes_luma_and_transparent_becomes_black() -> None:
    colour = np.array([[[255, 0, 0, 255], [0, 255, 0, 255], [255, 255, 255, 0]]], np.uint8)
    assert read_grey(encode(colour, "PNG")).tolist() == [[76, 150, 0]]


def test_cmyk_and_one_bit_images_are_read() -> None:
    cmyk = Image.fromarray(SMOOTH).convert("RGB").convert("CMYK")
    assert np.abs(read_grey(encode(cmyk, "JPEG", quality=95)).astype(int) - SMOOTH).mean() < 3
    assert np.unique(read_grey(encode(Image.fromarray(SMOOTH > 90), "PNG"))).tolist() == [0, 255]


def test_a_preview_behind_a_jpeg_is_ignored_and_an_animation_is_refused(tmp_path: Path) -> None:
    colour = Image.fromarray(SMOOTH).convert("RGB")
    preview = Image.new("RGB", (9, 9))
    both = encode(colour, "MPO", quality=95, save_all=True, append_images=[preview])
    assert np.abs(read_grey(both).astype(int) - SMOOTH).mean() < 2
    (tmp_path / "x.jpeg").write_bytes(both)
    header = read_header(tmp_path / "x.jpeg")
    assert isinstance(header, Header)
    assert (header.width, header.height) == (60, 40)
    moving = encode(Image.fromarray(SMOOTH), "PNG", save_all=True,
                    append_images=[Image.fromarray(SMOOTH[::-1].copy())])  # fmt: skip
    with pytest.raises(MedclfError, match="several pages"):
        read_grey(moving)


def test_a_jpeg_that_stores_red_green_and_blue_becomes_the_same_luma() -> None:
    colour = Image.fromarray(np.dstack([SMOOTH, SMOOTH[::-1], np.full_like(SMOOTH, 90)]))
    stored = encode(colour, "JPEG", quality=98, keep_rgb=True)
    assert np.abs(read_grey(stored).astype(int) - np.asarray(colour.convert("L"))).max() <= 2


TURNED = {
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
    6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
}  # fmt: skip


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "PNG16"])
def test_the_orientation_in_the_header_is_applied_and_the_header_agrees(
    kind: str, orientation: int, tmp_path: Path
) -> None:
    stored = SMOOTH.astype(np.uint16) * 257 if kind == "PNG16" else SMOOTH
    image = Image.fromarray(stored)
    header = image.getexif()
    header[0x0112] = orientation
    quality = {"quality": 100} if kind == "JPEG" else {}
    path = tmp_path / f"x.{kind[:4].lower().replace('png1', 'png')}"
    path.write_bytes(encode(image, kind[:4].replace("PNG1", "PNG"), exif=header, **quality))
    grey = read_grey(path)
    expected = TURNED[orientation](SMOOTH)
    assert grey.shape == expected.shape
    assert np.abs(grey.astype(int) - expected).max() <= 2
    found = read_header(path)
    assert isinstance(found, Header)
    assert (found.height, found.width) == grey.shape


@given(st.integers(20, 400), st.integers(20, 400), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_scaled_decoding_never_goes_below_what_was_asked(height, width, at_least) -> None:
    data = encode(np.zeros((height, width), np.uint8), "JPEG")
    got = read_grey(data, at_least=at_least).shape
    assert min(got) >= min(at_least, height, width)


def test_scaled_decoding_is_used_and_shows_the_same_picture() -> None:
    large = np.kron(SMOOTH, np.ones((16, 16), np.uint8))
    data = encode(large, "JPEG", quality=90)
    small = read_grey(data, at_least=160)
    assert small.shape == (160, 240)
    fair, quick = to_square(read_grey(data), 64), to_square(small, 64)
    assert np.abs(fair.astype(int) - quick).mean() < 1


WHOLE = {
    "JPEG": encode(RNG.integers(0, 255, (64, 48), dtype=np.uint8), "JPEG"),
    "PNG": encode(RNG.integers(0, 255, (64, 48), dtype=np.uint8), "PNG"),
    "TIFF": encode(RNG.integers(0, 255, (64, 48), dtype=np.uint8), "TIFF"),
}


@given(st.sampled_from(sorted(WHOLE)), st.floats(0, 0.999))
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_file_cut_anywhere_is_an_error_or_loses_no_pixel(kind: str, share: float) -> None:
    whole = WHOLE[kind]
    try:
        grey = read_grey(whole[: int(len(whole) * share)])
    except MedclfError:
        return
    assert np.array_equal(grey, read_grey(whole))


@given(st.sampled_from(sorted(WHOLE)), st.data())
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_give_grey_values_or_a_medclf_error_and_nothing_else(kind, data) -> None:
    damaged = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        grey = read_grey(bytes(damaged))
    except MedclfError:
        return
    assert grey.dtype == np.uint8
    assert grey.ndim == 2


def test_a_jpeg_cut_in_half_passes_verify_but_not_our_decoder(tmp_path: Path) -> None:
    path = tmp_path / "half.jpeg"
    path.write_bytes(WHOLE["JPEG"][: len(WHOLE["JPEG"]) // 2])
    Image.open(path).verify()
    with pytest.raises(MedclfError, match=r"half\.jpeg cannot be decoded.*truncated"):
        read_grey(path)


def bomb() -> bytes:
    return png(8, 0, bytes(99), size=(60_000, 60_000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds zero bytes"),
        (b"case 9001, please check", "Expected a whole JPEG, PNG, TIFF or DICOM"),
        (b"GIF89a" + bytes(100), "Expected a whole JPEG"),
        (bomb(), "pixels"),
        (None, "No such file"),
        (encode(SMOOTH, "TIFF", save_all=True, append_images=[Image.new("L", (9, 9))]), "pages"),
    ],
)
def test_what_is_no_image_is_an_error_with_the_file_name(content, message, tmp_path) -> None:
    path = tmp_path / "person1_virus_6.jpeg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MedclfError, match=message) as problem:
        read_grey(path)
    assert str(path) in str(problem.value)


@pytest.mark.parametrize(
    "options",
    [{"bits": 0}, {"bits": 33}, {"bits": 2.5}, {"bits": "8"}, {"at_least": 0}, {"at_least": 1.5}],
)
def test_an_option_that_makes_no_sense_is_not_blamed_on_the_file(options) -> None:
    with pytest.raises(MedclfError, match=r"^(bits|at_least) must be a whole number"):
        read_grey(WHOLE["PNG"], **options)


def test_a_wrong_extension_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "really_a_png.jpeg"
    path.write_bytes(encode(SMOOTH, "PNG"))
    assert np.array_equal(read_grey(path), SMOOTH)


def test_the_switch_that_hides_truncation_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(MedclfError, match="LOAD_TRUNCATED_IMAGES is on"):
        read_grey(WHOLE["JPEG"])


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64), st.sampled_from([0, 7, 255]))
@settings(max_examples=60, deadline=None)
def test_a_letterbox_holds_the_whole_image_in_its_aspect_and_black(h, w, size, value) -> None:
    square = to_square(np.full((h, w), value, np.uint8), size)
    assert square.shape == (size, size)
    rows, columns = (square == value).any(1).sum(), (square == value).any(0).sum()
    long, short = max(h, w), min(h, w)
    assert max(rows, columns) == size
    if value:
        assert set(np.unique(square)) <= {0, value}
        assert min(rows, columns) == max(1, round(short * size / long))
        assert (square == value).sum() == rows * columns
        for side in (square.any(1), square.any(0)):
            before, after = int(side.argmax()), int(side[::-1].argmax())
            assert 0 <= after - before <= 1, "the image is in the middle"


def test_squash_fills_the_square_and_reduction_averages_instead_of_skipping() -> None:
    checks = (np.indices((64, 128)).sum(0) % 2 * 255).astype(np.uint8)
    for fit in ("squash", "letterbox"):
        reduced = to_square(checks, 16, fit)
        inside = reduced[reduced.any(1)]
        assert np.abs(inside.astype(int) - 127).max() <= 3
    assert to_square(checks, 16, "squash").all()


def test_a_square_of_the_right_size_is_returned_as_a_copy() -> None:
    image = SMOOTH[:40, :40].copy()
    square = to_square(image, 40)
    assert np.array_equal(square, image)
    square[:] = 0
    assert image.any()


@pytest.mark.parametrize(
    ("image", "size", "fit", "message"),
    [
        (SMOOTH, 0, "letterbox", "size must be"),
        (SMOOTH, 8.5, "letterbox", "size must be"),
        (SMOOTH, 8, "crop", "letterbox, squash; got 'crop'"),
        (SMOOTH.astype(float), 8, "squash", "float64"),
        (SMOOTH[None], 8, "squash", r"\(1, 40, 60\)"),
        (SMOOTH[:0], 8, "squash", r"\(0, 60\)"),
    ],
)
def test_to_square_says_what_it_needs(image, size, fit, message: str) -> None:
    with pytest.raises(MedclfError, match=message):
        to_square(image, size, fit)
