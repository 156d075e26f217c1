"""What is looked for on a page: each check returns what is wrong, one line a fault."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("MEDCLF_HTML") or ROOT / "_build" / "html").resolve()
SERIOUS = ("serious", "critical")
MODES = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 390, "height": 844}},
}

# What is wider than the page, and not inside a box that scrolls or hides.
TOO_WIDE = """() => {
    const page = document.documentElement;
    const scrolls = e => getComputedStyle(e).overflowX != 'visible';
    if (page.scrollWidth <= page.clientWidth + 1) return [];
    const inside = e => e && e != document.body && (scrolls(e) || inside(e.parentElement));
    const wide = [...document.querySelectorAll('body *')].filter(
        e => e.getBoundingClientRect().right > page.clientWidth + 1 && !inside(e.parentElement));
    return [`${page.scrollWidth} pixels wide on a screen of ${page.clientWidth}`].concat(
        wide.slice(0, 5).map(e => `too wide: ${e.outerHTML.slice(0, 200)}`));
}"""

# A picture may go without words where it is marked as decoration, or stands beside the words of
# its link, button or fold.
PICTURES = """async () => {
    const wrong = [], shown = e => e.outerHTML.slice(0, 200);
    const control = e => e.closest('a, button, summary');
    const named = e => (e?.getAttribute('aria-label') || e?.textContent || '').trim();
    for (const img of document.images) {
        img.loading = 'eager';
        await img.decode().catch(() => null);
        if (!img.naturalWidth) wrong.push(`not loaded: ${shown(img)}`);
        const decoration = img.hasAttribute('alt') &&
            (img.matches('[role=presentation], [role=none]') || named(control(img)));
        if (!img.alt.trim() && !decoration) wrong.push(`no words: ${shown(img)}`);
    }
    const unseen = '[aria-hidden=true], [role=presentation], [role=none]';
    for (const svg of document.querySelectorAll('svg')) {
        if (svg.closest(unseen) || svg.parentElement.closest('svg')) continue;
        if (named(control(svg))) continue;
        const label = document.getElementById(svg.getAttribute('aria-labelledby'));
        const words = [svg.getAttribute('aria-label'), label?.textContent,
                       svg.querySelector(':scope > title')?.textContent];
        if (!words.some(w => w?.trim())) wrong.push(`no words: ${shown(svg)}`);
    }
    return wrong;
}"""
UNFOLD = """() => {
    document.querySelectorAll('details').forEach(fold => { fold.open = true; });
    document.getAnimations().forEach(fade => { try { fade.finish(); } catch { /* endless */ } });
}"""

# A page has thousands of words of code in seven colours. One word stands for all of the same ink
# on the same ground, which saves most of the time that contrast takes; no colour is left out.
ONE_WORD_FOR_ALL = """() => {
    const style = e => getComputedStyle(e), seen = new Set(), again = [];
    const ground = e => e ? style(e).backgroundColor + ground(e.parentElement) : '';
    for (const code of document.querySelectorAll('pre')) {
        const under = ground(code);
        for (const word of code.querySelectorAll('span')) {
            const {color, backgroundColor, opacity, fontSize, fontWeight} = style(word);
            const look = [color, backgroundColor, opacity, fontSize, fontWeight, under].join();
            if (seen.has(look)) again.push(word);
            seen.add(look);
        }
    }
    for (const word of again) word.replaceWith(...word.childNodes);
}"""


class Visit:
    """A page that was opened, and what the browser complained about since then."""

    def __init__(self, page: Any, site: str) -> None:
        self.page = page
        self.site = site
        self.complaints: list[str] = []
        page.on("console", lambda m: self._note(m.type == "error", f"console: {m.text}"))
        page.on("pageerror", lambda error: self._note(True, f"script: {error}"))
        page.on("requestfailed", lambda r: self._note(True, f"no answer: {r.url}"))
        page.on("response", lambda r: self._note(r.status >= 400, f"{r.status}: {r.url}"))
        page.on("request", lambda r: self._note(self._elsewhere(r.url), f"elsewhere: {r.url}"))

    def _note(self, wrong: bool, text: str) -> None:
        if wrong:
            self.complaints.append(text)

    def _elsewhere(self, address: str) -> bool:
        return not address.startswith((self.site, "data:", "blob:"))

    def faults(self, axe: bool) -> list[str]:
        """List all that is wrong, with every fold open; the axe takes seconds on a long page."""
        self.page.evaluate(UNFOLD)
        found = [*too_wide(self.page), *pictures(self.page)]
        found = self.complaints + found  # before axe, which fetches styles by wrong addresses
        return found + (barriers(self.page) if axe else [])


def too_wide(page: Any) -> list[str]:
    """Find what makes the page scroll sideways."""
    return page.evaluate(TOO_WIDE)


def pictures(page: Any) -> list[str]:
    """Find pictures that did not load, and pictures without words."""
    return page.evaluate(PICTURES)


def barriers(page: Any) -> list[str]:
    """Find what axe-core calls serious or critical for readers with a disability."""
    from axe_playwright_python.sync_playwright import Axe  # only where there is a browser

    page.evaluate(ONE_WORD_FOR_ALL)
    return [
        f"{rule['impact']}, {rule['id']}: {node['target']} {node['html'][:200]}"
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in SERIOUS
        for node in rule["nodes"]
    ]


def require_book(html: Path, ci: bool) -> None:
    """Skip where there is no book; in CI, where one was just built, fail."""
    if not (html / "book" / "index.html").exists():
        end = pytest.fail if ci else pytest.skip
        end(f"no built book in {html}: run make book first, or name one by MEDCLF_HTML")


def page_names(html: Path) -> list[str]:
    """Pages of the book, without the theme's fragments."""
    names = (path.relative_to(html).as_posix() for path in sorted(html.rglob("*.html")))
    return [name for name in names if not name.startswith("_static/")]


@cache
def own_folder(html: Path) -> str:
    """Folder of the book on its server, which 404.html names where the book has an address."""
    lost = html / "404.html"
    soup = BeautifulSoup(lost.read_text("utf-8") if lost.exists() else "", "html.parser")
    return str(soup.base["href"]) if soup.base else "/"


def below(path: str, html: Path) -> str:
    """Path of a file inside the book's own folder."""
    return "/" + path.removeprefix(own_folder(html)).removeprefix("/")


def dead_links(html: Path) -> list[str]:
    """Find links inside the book whose file or anchor does not exist."""
    soups = {
        name: BeautifulSoup((html / name).read_text("utf-8"), "html.parser")
        for name in page_names(html)
    }
    anchors = {name: {tag["id"] for tag in soup.find_all(id=True)} for name, soup in soups.items()}
    found = []
    for name, soup in soups.items():
        for link in soup.find_all("a", href=True):
            parts = urlsplit(str(link["href"]))
            if parts.scheme or parts.netloc:
                continue
            target = str(PurePosixPath("/", "" if soup.base else name).parent / unquote(parts.path))
            target = normpath(below(target, html)).lstrip("/") if parts.path else name
            if not (html / target).exists():
                found.append(f"{name}: no such page: {link['href']}")
            elif parts.fragment and unquote(parts.fragment) not in anchors.get(target, set()):
                found.append(f"{name}: no such place: {link['href']}")
    return found
