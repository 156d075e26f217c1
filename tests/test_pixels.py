"""All pixels at once, and a cache that is whole, fresh, or not there."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.images import load_pixels, pixels, read_grey, store, to_square
from medclf_lite.sources import from_folder

N = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(N):
        name = "NORMAL/IM-000{}-0001.png" if i < 3 else "PNEUMONIA/person{}_virus_1.png"
        path = tmp_path / "images" / name.format(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (20 + i, 30), dtype=np.uint8)).save(path)
    return tmp_path / "images"


@pytest.fixture
def cohort(folder: Path) -> Cohort:
    return from_folder(folder)


def in_memory(n: int = 4, side: int = 12) -> Cohort:
    images = np.random.default_rng(1).integers(0, 255, (n, side, side), dtype=np.uint8)
    names = [f"i{i}" for i in range(n)]
    table = pd.DataFrame({"image_id": names, "patient_id": names, "label": [0, 1] * (n // 2)})
    return Cohort(table, Arrays(images), "test", "CC0")


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("fit", ["letterbox", "squash"])
def test_each_row_is_its_own_image_made_square(cohort: Cohort, jobs: int, fit) -> None:
    found = load_pixels(cohort, 16, fit=fit, jobs=jobs)
    files = [cohort.images.root / p for p in cohort.images.paths]
    assert np.array_equal(found, [to_square(read_grey(f), 16, fit) for f in files])
    assert found.dtype == np.uint8


def test_rows_follow_the_cohort_and_not_the_folder(cohort: Cohort, tmp_path: Path) -> None:
    order = [4, 0, 5]
    whole = load_pixels(cohort, 16, cache=tmp_path / "c")
    part = load_pixels(cohort.take(order), 16, cache=tmp_path / "c")
    assert np.array_equal(part, whole[order])


def test_images_in_memory_are_made_square_too(tmp_path: Path) -> None:
    cohort = in_memory()
    found = load_pixels(cohort, 8)
    assert np.array_equal(found, [to_square(i, 8) for i in cohort.images.pixels])
    assert np.array_equal(load_pixels(cohort, 8, cache=tmp_path), found)
    assert np.array_equal(load_pixels(cohort, 12), cohort.images.pixels)


def test_a_cohort_without_images_or_a_wrong_size_is_refused(cohort: Cohort) -> None:
    with pytest.raises(MedclfError, match="table without images"):
        load_pixels(Cohort(cohort.table, None, "only a table", "CC0"), 8)
    with pytest.raises(MedclfError, match="size must be"):
        load_pixels(cohort, 0)


def test_a_file_that_cannot_be_decoded_is_named(folder: Path) -> None:
    bad = folder / "PNEUMONIA" / "person4_virus_1.png"
    bad.write_bytes(bad.read_bytes()[:300])
    cohort = from_folder(folder)
    with pytest.raises(MedclfError, match=r"person4_virus_1\.png cannot be decoded") as problem:
        load_pixels(cohort, 16, jobs=2)
    assert "the given bytes" not in str(problem.value)


def test_a_file_that_changed_or_went_since_the_cohort_was_opened_is_named(cohort: Cohort) -> None:
    first = cohort.images.root / cohort.images.paths[0]
    Image.new("L", (30, 20)).save(first)
    with pytest.raises(MedclfError, match=r"IM-0000-0001\.png has changed"):
        load_pixels(cohort, 16)
    first.unlink()
    with pytest.raises(MedclfError, match=r"IM-0000-0001\.png cannot be read: No such file"):
        load_pixels(cohort, 16)


# The cache


def stored(cache: Path) -> list[Path]:
    return sorted(cache.glob("pixels-*.npy"))


def no_decoding(*args, **options):
    raise AssertionError("decoded although the cache holds the pixels")


def test_the_second_call_maps_the_file_and_decodes_nothing(cohort, tmp_path, monkeypatch) -> None:
    first = load_pixels(cohort, 16, cache=tmp_path / "c")
    monkeypatch.setattr(pixels, "_square_of_file", no_decoding)
    second = load_pixels(cohort, 16, cache=tmp_path / "c")
    assert isinstance(second, np.memmap)
    assert not second.flags.writeable
    assert np.array_equal(first, second)
    assert np.array_equal(second, np.load(stored(tmp_path / "c")[0])), "plain .npy to others"


def test_another_transform_order_or_content_is_another_file(folder: Path, tmp_path: Path) -> None:
    cohort, cache = from_folder(folder), tmp_path / "c"
    load_pixels(cohort, 16, cache=cache)
    load_pixels(cohort, 17, cache=cache)
    load_pixels(cohort, 16, fit="squash", cache=cache)
    load_pixels(cohort.take(range(N)[::-1]), 16, cache=cache)
    assert len(stored(cache)) == 4
    Image.new("L", (30, 20), 99).save(folder / "NORMAL" / "IM-0000-0001.png")
    fresh = load_pixels(from_folder(folder), 16, cache=cache)
    assert len(stored(cache)) == 5
    assert fresh[0].max() == 99


def test_the_key_follows_content_and_not_names(cohort: Cohort, folder: Path, tmp_path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    key = pixels.content_key(cohort, 16, "letterbox")
    assert pixels.content_key(from_folder(copy), 16, "letterbox") == key
    unhashed = Cohort(cohort.table.drop(columns="sha256"), cohort.images, "x", "CC0")
    assert pixels.content_key(unhashed, 16, "letterbox") == key
    one, other = in_memory(), in_memory()
    other.images.pixels[0, 0, 0] ^= 1
    assert pixels.content_key(one, 8, "squash") != pixels.content_key(other, 8, "squash")


def test_a_hash_in_the_table_is_not_believed_of_pixels_in_memory(tmp_path: Path) -> None:
    one = in_memory()
    one = one.with_column("sha256", one.images.hashes())
    other = Cohort(one.table, Arrays(255 - one.images.pixels), "inverted", "CC0")
    load_pixels(one, 12, cache=tmp_path)
    assert np.array_equal(load_pixels(other, 12, cache=tmp_path), other.images.pixels)


def test_files_whose_hash_is_missing_are_hashed(cohort: Cohort) -> None:
    gaps = cohort.with_column("sha256", [None, *cohort.table["sha256"][1:]])
    assert pixels.content_hashes(gaps) == cohort.table["sha256"].tolist()
    assert np.array_equal(load_pixels(gaps, 16), load_pixels(cohort, 16))


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        data = data[:-50]
    elif how == "one bit":
        data[len(data) // 2] ^= 1
    elif how == "longer":
        data += b"more"
    elif how == "other shape":
        np.save(path, np.zeros((2, 3, 3), np.uint8))
        return
    else:
        data = bytearray()
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["cut", "one bit", "longer", "other shape", "empty"])
def test_a_damaged_file_is_found_and_made_again(how: str, cohort, tmp_path: Path) -> None:
    good = np.array(load_pixels(cohort, 16, cache=tmp_path / "c"))
    damage(stored(tmp_path / "c")[0], how)
    with pytest.warns(UserWarning, match="damaged; decoding again"):
        again = load_pixels(cohort, 16, cache=tmp_path / "c")
    assert np.array_equal(again, good)
    assert np.array_equal(load_pixels(cohort, 16, cache=tmp_path / "c"), good)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MedclfError])
def test_a_run_stopped_half_way_leaves_no_file(stop, cohort, tmp_path, monkeypatch) -> None:
    real, calls = pixels._square_of_file, iter(range(100))

    def stops(*args):
        if next(calls) == 3:
            raise stop("stopped")
        return real(*args)

    monkeypatch.setattr(pixels, "_square_of_file", stops)
    with pytest.raises(stop):
        load_pixels(cohort, 16, cache=tmp_path / "c")
    assert not list((tmp_path / "c").iterdir())
    monkeypatch.undo()
    assert len(load_pixels(cohort, 16, cache=tmp_path / "c")) == N


def test_what_a_killed_run_left_is_ignored_and_removed_after_a_day(cohort, tmp_path) -> None:
    cache = tmp_path / "c"
    cache.mkdir()
    old, young = cache / "pixels-old.tmp", cache / "pixels-young.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    load_pixels(cohort, 16, cache=cache)
    assert not old.exists()
    assert young.exists(), "it may belong to a run that goes on"


def _load(folder: str, cache: str, barrier) -> None:
    cohort = from_folder(folder)
    barrier.wait(30)
    np.save(Path(cache) / f"{os.getpid()}.result.npy", load_pixels(cohort, 64, cache=cache))


def test_two_processes_may_write_the_same_file_at_once(folder: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    workers = [
        context.Process(target=_load, args=(str(folder), str(tmp_path), barrier)) for _ in "ab"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    expected = load_pixels(from_folder(folder), 64)
    results = list(tmp_path.glob("*.result.npy"))
    assert len(results) == 2
    assert all(np.array_equal(np.load(r), expected) for r in results)
    assert len(stored(tmp_path)) == 1
    assert not list(tmp_path.glob("*.tmp"))


def fails(error: int):
    def fail(*args, **options):
        raise OSError(error, os.strerror(error))

    return fail


@pytest.mark.parametrize(
    ("where", "name", "replacement", "message"),
    [
        (store.shutil, "disk_usage", lambda p: shutil._ntuple_diskusage(9, 9, 9), "the disk has"),
        (store.tempfile, "mkstemp", fails(errno.EROFS), "Read-only file system"),
        (store.tempfile, "mkstemp", fails(errno.EACCES), "Permission denied"),
    ],
)
def test_a_full_or_read_only_disk_is_a_warning_and_the_pixels_stay_in_memory(
    where, name, replacement, message, cohort, tmp_path, monkeypatch
) -> None:
    expected = load_pixels(cohort, 16)
    monkeypatch.setattr(where, name, replacement)
    with pytest.warns(UserWarning, match=f"{message}.*stay in memory"):
        found = load_pixels(cohort, 16, cache=tmp_path / "c")
    assert np.array_equal(found, expected)
    assert not list((tmp_path / "c").glob("*"))


def test_a_disk_that_fills_up_half_way_leaves_nothing_behind(cohort, tmp_path) -> None:
    resource = pytest.importorskip("resource", reason="only POSIX limits what a process writes")
    expected = load_pixels(cohort, 200)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # between 2 and 3 images
    try:
        with pytest.warns(UserWarning, match=r"File too large.*stay in memory"):
            found = load_pixels(cohort, 200, cache=tmp_path / "c")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert np.array_equal(found, expected)
    assert not list((tmp_path / "c").iterdir())


def test_a_cache_folder_that_is_a_file_is_a_warning_too(cohort: Cohort, tmp_path: Path) -> None:
    (tmp_path / "c").write_text("not a folder")
    with pytest.warns(UserWarning, match="choose another cache folder"):
        assert len(load_pixels(cohort, 16, cache=tmp_path / "c")) == N


@pytest.mark.real
def test_the_whole_real_set_has_the_intensities_that_are_known_of_it(real_data, tmp_path) -> None:
    cohort = from_folder(real_data / "chest_xray_224", jobs=2)
    found = load_pixels(cohort, 224, jobs=2, cache=tmp_path)
    assert found.shape == (5856, 224, 224)
    known = pd.read_csv(real_data / "chest_xray_224" / "manifest.csv")
    known["image_id"] = known["split"] + "/" + known["cls"] + "/" + known["name"]
    means = cohort.table[["image_id"]].merge(known, on="image_id", validate="1:1")["mean"]
    assert np.abs(found.mean((1, 2)) - means).max() < 0.01
