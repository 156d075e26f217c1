"""A server, a browser and a page for the tests of the built book.

They read `_build/html`, or the folder that MEDCLF_HTML names, and run after the book is built:
`pytest tests/browser`. Nothing outside this machine can be reached by the browser.
"""

from __future__ import annotations

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import page_checks
import pytest
from print_pdf import PrintError, find_browser

SETTLED = """async () => {
    await document.fonts.ready;
    await window.MathJax?.startup?.promise;
    await new Promise(done => setTimeout(done, 200));
}"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and says nothing about each."""

    protocol_version = "HTTP/1.1"  # connections stay open: a page has some 25 files

    def translate_path(self, path: str) -> str:
        """Find a file under the book's own folder on its server as well."""
        return super().translate_path(page_checks.below(path, page_checks.HTML))

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Take the place of the fixture for torch, which is not needed here."""


@pytest.fixture(scope="session")
def html() -> Path:
    """Folder of the built book."""
    page_checks.require_book(page_checks.HTML, ci=bool(os.environ.get("CI")))
    return page_checks.HTML


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve folders on this machine only; each call gives an address, which ends in a slash."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(Handler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def site(html, serve) -> str:
    """Address of the built book."""
    return serve(html)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser for all tests of a process, or a skip that says what is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the browser extra")
    with sync_api.sync_playwright() as playwright:
        try:
            program = find_browser()
        except PrintError:
            program = playwright.chromium.executable_path  # of `playwright install chromium`
            if not Path(program).exists():
                pytest.skip("no browser: install Chromium or Chrome, or name it by MEDCLF_BROWSER")
        arguments = ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        started = playwright.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture
def open_page(browser) -> Iterator[Callable[[str, str, str], page_checks.Visit]]:
    """Open pages of any site, each in a browser that has never been there before."""
    contexts = []

    def visit(site: str, name: str, mode: str = "light") -> page_checks.Visit:
        contexts.append(browser.new_context(**page_checks.MODES[mode]))
        found = page_checks.Visit(contexts[-1].new_page(), site)
        found.page.goto(site + name, wait_until="load")
        found.page.evaluate(SETTLED)
        return found

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def browser_page(site, open_page) -> Callable[..., page_checks.Visit]:
    """Open pages of the book: ``browser_page("search.html", "phone")``."""
    return functools.partial(open_page, site)
