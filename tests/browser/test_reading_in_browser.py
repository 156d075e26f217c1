"""What readers do on a page: search, unfold, switch the colours."""

from __future__ import annotations

import pytest
from page_checks import HTML, page_names

FOLDS = {
    "a cell": ("details.hide", "Show code cell source"),
    "a solution": ("details.hide", "Show the solution"),
    "an answer": ("details.sd-dropdown", "Answer"),
}


def first_page(text: str) -> str:
    """Name of the first page with this text; a skip where no page has it."""
    for name in page_names(HTML):
        if text in (HTML / name).read_text("utf-8"):
            return name
    pytest.skip(f"no page has {text!r}")


def test_the_address_of_the_book_leads_to_its_first_page(site, browser):
    page = browser.new_page()
    page.goto(site)
    page.wait_for_url("**/book/index.html")
    page.close()


def test_search_finds_the_pages_with_a_word(browser_page):
    visit = browser_page("search.html?q=leakage")
    visit.page.wait_for_selector("#search-results li a")
    found = visit.page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert any("leakage_safe_splits.html" in address for address in found)
    visit.page.goto(found[0])
    assert "leakage" in visit.page.locator("article").inner_text().lower()
    assert visit.complaints == []


def test_search_says_so_when_no_page_has_a_word(browser_page):
    page = browser_page("search.html?q=zzyzxq").page
    page.get_by_text("did not match any documents").wait_for()
    assert page.locator("#search-results li").count() == 0


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_opens_by_a_click_and_closes_by_the_keyboard(browser_page, html, fold):
    selector, text = FOLDS[fold]
    page = browser_page(first_page(text)).page
    details = page.locator(selector).filter(has_text=text).first
    summary, body = details.locator("summary"), details.locator(":scope > :not(summary)").first
    assert not body.is_visible()
    summary.click()
    assert body.is_visible()
    summary.press("Enter")
    assert not body.is_visible()
    summary.press("Enter")
    assert body.is_visible()


def test_a_fold_is_reached_by_tab(browser_page, html):
    page = browser_page(first_page(FOLDS["a solution"][1])).page
    summary = page.locator("details.hide > summary").first
    assert summary.evaluate("fold => fold.tabIndex") >= 0


def test_the_switch_changes_the_colours_and_the_next_page_keeps_them(browser_page):
    page = browser_page("book/index.html").page
    look = "() => [document.documentElement.dataset.theme, getComputedStyle(document.body).color]"
    theme, ink = page.evaluate(look)
    assert theme == "light"
    page.locator(".theme-switch-button:visible").click()
    theme, dark_ink = page.evaluate(look)
    assert theme == "dark"
    assert dark_ink != ink
    page.goto(page.url.replace("book/index.html", "search.html"))
    assert page.evaluate(look) == ["dark", dark_ink]


def test_a_reader_who_prefers_dark_gets_dark(browser_page):
    page = browser_page("book/index.html", "dark").page
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
