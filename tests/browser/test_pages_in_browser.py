"""Every page, in light, in dark and on a phone: nothing fails, nothing sticks out, all can read."""

from __future__ import annotations

import page_checks
import pytest

# index.html only leads on to the first page. Where there is no book one name stands for its
# pages, and the fixtures skip or fail.
NAMES = set(page_checks.page_names(page_checks.HTML)) - {"index.html"} or {"book/index.html"}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_page_is_sound(browser_page, name):
    wrong = browser_page(name, "light").faults(axe=True)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_page_is_sound_on_a_phone_and_in_the_dark(browser_page, name):
    visit = browser_page(name, "phone")
    wrong = [f"on a phone: {line}" for line in visit.faults(axe=False)]
    # The page follows the reader's system. It is not loaded again, which takes most of the time.
    visit.page.set_viewport_size(page_checks.MODES["dark"]["viewport"])
    visit.page.emulate_media(color_scheme="dark")
    visit.page.wait_for_function("document.documentElement.dataset.theme == 'dark'")
    wrong += visit.faults(axe=True)
    assert not wrong, "\n".join(wrong)


def test_links_inside_the_book_lead_somewhere(html):
    wrong = page_checks.dead_links(html)
    assert not wrong, "\n".join(wrong)
