"""Print the built book to one PDF: the step of `make pdf`, by a browser found on this machine.

Each page is printed as it stands, so solutions stay folded, in the order of the book.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from bs4 import BeautifulSoup
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, NameObject

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "pdf" / "book.pdf"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome",
         "msedge", "microsoft-edge")  # fmt: skip
APPS = (  # where macOS and Windows keep programs that are on no search path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Microsoft/Edge/Application/msedge.exe",
)


class PrintError(Exception):
    """The book cannot be printed: says what is missing and what to do."""


def find_browser() -> str:
    """Path of the browser that MEDCLF_BROWSER names, or of the first one found."""
    named = os.environ.get("MEDCLF_BROWSER")
    found = [shutil.which(name) for name in ([named] if named else [*NAMES, *APPS])]
    for path in found:
        if path:
            return path
    looked = f"MEDCLF_BROWSER names {named!r}, which is no program" if named else "None was found"
    raise PrintError(
        f"Printing needs Chromium, Chrome or Edge. {looked}.\nInstall one of them, or name it: "
        "MEDCLF_BROWSER=/path/to/browser make pdf\n"
        "A single page can be printed from any browser, by its own menu."
    )


def pages_in_order(html: Path) -> list[Path]:
    """List the pages of the book as a reader turns them, from the first one on."""
    page, pages = (html / "book" / "index.html").resolve(), list[Path]()
    while page not in pages:
        if not page.exists():
            raise PrintError(f"The built book has no page {page.name}. Build it: make book")
        pages.append(page)
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        following = soup.find("link", rel="next")
        if following is not None:
            page = (page.parent / str(following["href"])).resolve()
    return pages


def print_page(browser: str, page: Path, pdf: Path, seconds: int = 180) -> None:
    """Print one page once its mathematics is set."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [browser, "--headless", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update",
                   "--disable-sync", "--blink-settings=preferredColorScheme=1",
                   f"--user-data-dir={profile}", "--virtual-time-budget=20000",
                   "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri()]  # fmt: skip
        if hasattr(os, "geteuid") and os.geteuid() == 0:  # Chromium refuses root its sandbox
            command.insert(1, "--no-sandbox")
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise PrintError(f"{browser} did not print {page.name}: {problem}") from problem
    if not pdf.exists():
        last = (run.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise PrintError(f"{browser} did not print {page.name}: {last}")


def merge(parts: dict[Path, Path], target: Path) -> int:
    """Join the printed pages, with an outline; links between them lead inside the PDF.

    Parameters
    ----------
    parts : dict of pathlib.Path to pathlib.Path
        The PDF of each page of the book, in order.
    target : pathlib.Path
        Where the PDF is written.

    Returns
    -------
    int
        Number of sheets.
    """
    writer, first = PdfWriter(), dict[Path, int]()
    for page, pdf in parts.items():
        first[page.resolve()] = len(writer.pages)
        writer.append(PdfReader(pdf), import_outline=False)
        writer.add_outline_item(title=title_of(page), page_number=first[page.resolve()])
    for number, sheet in enumerate(writer.pages):
        for reference in list(sheet.get("/Annots") or []):
            lead_inside(writer, number, reference, first)
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.compress_identical_objects()
    writer.write(target)
    return len(writer.pages)


def lead_inside(writer: PdfWriter, number: int, reference: Any, first: dict[Path, int]) -> None:
    """Turn a link to a file on this machine into one to its sheet, or take it away."""
    link = reference.get_object()
    address = urlsplit(str(link.get("/A", {}).get("/URI", "")))
    if address.scheme != "file":
        return
    page = Path(url2pathname(address.path)).resolve()
    if page in first:
        del link["/A"]
        sheet = writer.pages[first[page]].indirect_reference
        link[NameObject("/Dest")] = ArrayObject([sheet, NameObject("/Fit")])
    else:
        writer.pages[number]["/Annots"].remove(reference)


def title_of(page: Path) -> str:
    """Title of a page, without the book's."""
    heading = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").find("h1")
    return heading.get_text().rstrip("#").strip() if heading else page.stem


def print_book(html: Path, target: Path) -> int:
    """Print every page and join them; return the number of sheets."""
    browser, pages = find_browser(), pages_in_order(html)
    parts: dict[Path, Path] = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, page in enumerate(pages, start=1):
            print(f"{i} of {len(pages)}: {title_of(page)}", flush=True)
            parts[page] = Path(folder, f"{i}.pdf")
            print_page(browser, page, parts[page])
        return merge(parts, target)


def main() -> int:
    """Print the book; return 2 where that cannot be done."""
    try:
        sheets = print_book(HTML, PDF)
    except PrintError as problem:
        print(f"\nCannot go on.\n{problem}", file=sys.stderr)
        return 2
    print(f"{sheets} sheets in {PDF.relative_to(ROOT).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
