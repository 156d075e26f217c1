"""Every page, in light, in dark and on a phone: nothing fails, nothing sticks out, all can read."""

from __future__ import annotations

import page_checks
import pytest

# index.html only leads on to the first page. Where there is no book one name stands for its
# pages, and the fixtures skip or fail.
NAMES = set(page_checks.page_names(page_checks.HTML)) - {"index.html"} or {"book/index.html"}


@pytest.mark.parametrize("mode", page_checks.MODES)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_page_is_sound(browser_page, name, mode):
    wrong = browser_page(name, mode).faults(axe=mode != "phone")
    assert not wrong, "\n".join(wrong)


def test_links_inside_the_book_lead_somewhere(html):
    wrong = page_checks.dead_links(html)
    assert not wrong, "\n".join(wrong)
