"""The gallery's text: it comes from the register, and its figures from the page."""

from __future__ import annotations

import re
from pathlib import Path

import fault_gallery
import pytest

from medclf_lite.pitfalls import known_faults, source_of

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("fault", known_faults(), ids=lambda f: f.id)
def test_an_entry_shows_code_figures_checks_and_chapter(fault) -> None:
    text = "\n".join(fault_gallery.section(fault))
    assert text.startswith(f"\n### {fault.id}: {fault.title}\n")
    assert source_of(fault.faulty) in text
    assert source_of(fault.fixed) in text
    glued = re.findall(r"\{glue:text\}`(gallery-[^`]+)`", text)
    names = [f"gallery-{fault.id}-said", f"gallery-{fault.id}-truth"]
    assert glued == (names if fault.demonstrate is not None else [])
    assert all(f"`{id}`" in text for id in fault.caught_by)
    assert (ROOT / "chapters" / f"{fault.chapter}.md").is_file()
    assert text.count("```") == 4


def test_the_gallery_has_all_entries_in_order() -> None:
    heads = [line[4:7] for line in fault_gallery.markdown() if line.startswith("### ")]
    assert heads == [f"F{i:02d}" for i in range(1, 41)]
