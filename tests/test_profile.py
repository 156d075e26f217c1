"""The profile: sizes come from the environment, and from nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from medclf_lite import profile
from medclf_lite.errors import MedclfError


def test_without_settings_it_is_the_book_on_the_synthetic_cohort(monkeypatch) -> None:
    for name in ("MEDCLF_PROFILE", "MEDCLF_DATA", "MEDCLF_CACHE"):
        monkeypatch.delenv(name, raising=False)
    current = profile.current()
    assert (current.name, current.data) == ("book", None)


@pytest.mark.parametrize(("name", "size"), [("tiny", 1), ("book", 2), ("full", 3)])
def test_pick_follows_the_environment(monkeypatch, name: str, size: int) -> None:
    monkeypatch.setenv("MEDCLF_PROFILE", name)
    assert profile.current().pick(tiny=1, book=2, full=3) == size


def test_an_unknown_name_lists_the_known_ones(monkeypatch) -> None:
    monkeypatch.setenv("MEDCLF_PROFILE", "huge")
    with pytest.raises(MedclfError, match=r"'huge'.*tiny, book, full"):
        profile.current()


def test_a_missing_data_folder_is_an_error_and_a_present_one_is_used(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("MEDCLF_DATA", str(tmp_path / "absent"))
    with pytest.raises(MedclfError, match="not a folder"):
        profile.current()
    monkeypatch.setenv("MEDCLF_DATA", str(tmp_path))
    monkeypatch.setenv("MEDCLF_CACHE", str(tmp_path / "cache"))
    assert profile.current().data == Path(tmp_path)
    assert profile.current().cache == tmp_path / "cache"
