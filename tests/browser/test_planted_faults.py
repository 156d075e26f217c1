"""Each check of a page finds the fault that it looks for, and is silent where there is none."""

from __future__ import annotations

import page_checks
import pytest

# One pixel.
DOT = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SOUND = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>T</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"></head>
<body><main><h1>Title</h1><p>Text. <a href="#end">The end</a></p>
<div style="overflow-x: auto"><div style="width: 3000px">A wide table that scrolls.</div></div>
<img src="{DOT}" alt="A dot."><img src="{DOT}" alt="" role="presentation">
<a href="other.html"><img src="{DOT}" alt="">Home</a>
<svg><title>A figure.</title></svg><svg aria-label="A figure."></svg>
<svg aria-hidden="true"></svg><button aria-label="Go"><svg></svg></button>
<!-- here --><p id="end">End.</p></main></body></html>"""
PLANTED = {
    "an error in the console": ("<script>console.error('oh')</script>", "console: oh"),
    "a script that fails": ("<script>nowhere()</script>", "script: nowhere is not defined"),
    "a file that is missing": ('<script src="gone.js"></script>', "404: "),
    "a file of another host": (
        '<script src="http://example.org/x.js"></script>', "elsewhere: http://example.org/x.js"),
    "a wide box": ('<div style="width: 3000px">Wide.</div>', "pixels wide on a screen of"),
    "a picture that is missing": ('<img src="gone.png" alt="A lung.">', "not loaded: <img"),
    "a picture without words": (f'<img src="{DOT}">', "no words: <img"),
    "an empty alt without a reason": (f'<img src="{DOT}" alt=" ">', "no words: <img"),
    "a drawing without words": ("<svg><path></path></svg>", "no words: <svg"),
    "a label that leads nowhere": ('<svg aria-labelledby="gone"></svg>', "no words: <svg"),
    "a fault in a fold": (f'<details><summary>S</summary><img src="{DOT}"></details>', "no words"),
    "pale ink": ('<p style="color: #bbb; background: #fff">Pale.</p>', "serious, color-contrast"),
    "pale ink in a fold": (
        '<details><summary>S</summary><p style="color: #bbb; background: #fff">P.</p></details>',
        "serious, color-contrast"),
    "one pale word of code": (
        '<pre style="background: #fff">' + '<span style="color: #222">word </span>' * 3
        + '<span style="color: #bbb">pale</span></pre>', "serious, color-contrast"),
    "the same ink on darker ground": (
        '<pre style="background: #fff"><span style="color: #555">word</span></pre>'
        '<div style="background: #888"><pre><span style="color: #555">word</span></pre></div>',
        "serious, color-contrast"),
    "a button without a name": ("<button></button>", "critical, button-name"),
}  # fmt: skip


@pytest.fixture
def wrong_on(tmp_path, open_page, serve):
    """Give a function that lists what is wrong with a page."""

    def look(text: str, mode: str = "light") -> list[str]:
        (tmp_path / "page.html").write_text(text, encoding="utf-8")
        return open_page(serve(tmp_path), "page.html", mode).faults(axe=True)

    return look


@pytest.mark.parametrize("mode", page_checks.MODES)
def test_a_sound_page_is_passed(wrong_on, mode):
    assert wrong_on(SOUND, mode) == []


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(wrong_on, fault):
    markup, said = PLANTED[fault]
    wrong = wrong_on(SOUND.replace("<!-- here -->", markup))
    assert any(said in line for line in wrong), wrong


def test_a_box_that_is_too_wide_for_a_phone_only_is_found_there(wrong_on):
    text = SOUND.replace("<!-- here -->", '<code style="white-space: nowrap">' + "x" * 60)
    assert wrong_on(text) == []
    size, culprit = wrong_on(text, "phone")[:2]
    assert size.endswith("on a screen of 390")
    assert culprit.startswith("too wide: <code")


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("other.html#there", None),
        ("other.html#gone", "no such place"),
        ("gone.html", "no such page"),
        ("#gone", "no such place"),
        ("#end", None),
        ("../book/other.html", None),
        ("http://example.org/gone", None),
        ("mailto:a@example.org", None),
    ],
)
def test_links_are_followed_to_their_place(tmp_path, link, said):
    (tmp_path / "book").mkdir()
    page = SOUND.replace("<!-- here -->", f'<a href="{link}">L</a>')
    (tmp_path / "book" / "page.html").write_text(page, encoding="utf-8")
    (tmp_path / "book" / "other.html").write_text('<p id="there">', encoding="utf-8")
    wrong = page_checks.dead_links(tmp_path)
    assert wrong == ([f"book/page.html: {said}: {link}"] if said else [])


def test_the_page_for_lost_readers_links_from_the_books_own_folder(tmp_path):
    (tmp_path / "index.html").write_text('<a href="/course/404.html">L</a>', encoding="utf-8")
    lost = '<base href="/course/"><a href="index.html">L</a><a href="gone.html">L</a>'
    (tmp_path / "404.html").write_text(lost, encoding="utf-8")
    assert page_checks.dead_links(tmp_path) == ["404.html: no such page: gone.html"]


def test_without_a_book_the_tests_are_skipped_and_fail_in_ci(tmp_path):
    with pytest.raises(pytest.skip.Exception, match="make book"):
        page_checks.require_book(tmp_path, ci=False)
    with pytest.raises(pytest.fail.Exception, match="make book"):
        page_checks.require_book(tmp_path, ci=True)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.html").touch()
    page_checks.require_book(tmp_path, ci=True)
