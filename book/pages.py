"""Build the pages, then look at what came out: the step of `make book` and `make test`.

Sphinx reads only what has changed, and takes a page that failed for one that it has read. The
build after a failed one would therefore pass in silence. So a failed build is forgotten here;
executed notebooks stay in their own cache.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[1]
JUPYTER_BOOK = "from jupyter_book.cli.main import main; main()"
FETCHED_LINKS = {"stylesheet", "preload", "prefetch", "modulepreload", "icon"}


def build(root: Path) -> bool:
    """Run Jupyter Book with warnings as errors; say whether it passed."""
    passed = root / "_build" / ".passed"
    if not passed.exists():
        shutil.rmtree(root / "_build" / ".doctrees", ignore_errors=True)
    passed.unlink(missing_ok=True)
    options = ["build", str(root), "-W", "--keep-going"]
    if subprocess.run([sys.executable, "-c", JUPYTER_BOOK, *options], check=False).returncode:
        return False
    passed.touch()
    return True


def faults(html: Path) -> list[str]:
    """List what is wrong with built pages: fetched from the internet, or a picture without words.

    Parameters
    ----------
    html : pathlib.Path
        Folder of the built book.

    Returns
    -------
    list of str
        One line a fault, beginning with the file; empty when all is well.
    """
    found = []
    for page in sorted(html.rglob("*.html")):
        name = page.relative_to(html).as_posix()
        if name.startswith("_static/"):  # fragments of the theme
            continue
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        found += [f"{name}: fetches {address}" for address in fetched(soup)]
        found += [f"{name}: no alt text: {picture}" for picture in without_words(soup)]
    for style in sorted(html.rglob("*.css")):
        outside = re.findall(r"url\([\"']?((?:https?:)?//[^\"')]+)", style.read_text("utf-8"))
        found += [f"{style.relative_to(html).as_posix()}: fetches {a}" for a in outside]
    return found


def fetched(soup: BeautifulSoup) -> list[str]:
    """List the addresses that a browser would ask for when it opens the page."""
    addresses = [str(tag["src"]) for tag in soup.find_all(src=True)]
    for link in soup.find_all("link", href=True):
        if FETCHED_LINKS & set(link.get_attribute_list("rel")):
            addresses.append(str(link["href"]))
    return [address for address in addresses if re.match(r"(https?:)?//", address)]


def without_words(soup: BeautifulSoup) -> list[str]:
    """List the pictures of the text whose alternative text is empty, or only their file's name."""
    article = soup.find("article")
    pictures = article.find_all("img") if isinstance(article, Tag) else []
    return [str(p["src"]) for p in pictures if str(p.get("alt", "")).strip() in ("", str(p["src"]))]


def main() -> int:
    """Build and check; return 1 if either finds a fault."""
    if not build(ROOT):
        return 1
    wrong = faults(ROOT / "_build" / "html")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"Pages checked: {len(wrong)} faults")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
