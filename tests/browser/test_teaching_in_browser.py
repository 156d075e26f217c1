"""What teaches on a page moves without a kernel: quizzes answer, dials change their picture."""

from __future__ import annotations

import json

import pytest
from page_checks import HTML, ROOT, UNFOLD, barriers, page_names

from medclf_lite.widgets import Dial, Frame, States

QUIZZES = {p.stem: json.loads(p.read_text("utf-8"))
           for p in sorted((ROOT / "medclf_lite" / "quizzes").glob("*.json"))}  # fmt: skip
WITH_DIALS = [n for n in page_names(HTML) if 'class="medclf-states"' in (HTML / n).read_text()]


@pytest.fixture
def quiz(browser_page, request):
    """The questions of a chapter on its page, beside those of its file, and the visit."""
    visit = browser_page(f"chapters/{request.param}.html")
    shown = visit.page.locator(".Quiz")
    shown.first.wait_for()
    assert shown.count() == len(QUIZZES[request.param])
    return list(zip(shown.all(), QUIZZES[request.param], strict=True)), visit


@pytest.mark.parametrize("quiz", QUIZZES, indirect=True)
def test_every_choice_of_a_quiz_is_answered_with_its_reason(quiz):
    questions, visit = quiz
    for shown, question in questions:
        assert question["question"] in shown.inner_text()
        for answer in question["answers"]:
            if question["type"] == "numeric":
                if "value" not in answer:
                    continue
                shown.locator("input").fill(str(answer["value"]))
                shown.locator("input").press("Enter")
            else:
                shown.locator("label", has_text=answer["answer"]).first.click()
            said = shown.locator(".Feedback")
            assert answer["feedback"] in said.inner_text()
            assert ("incorrect" in said.get_attribute("class")) != answer["correct"]
    assert visit.complaints == []


@pytest.mark.parametrize("quiz", ["06_evaluation"], indirect=True)
def test_a_quiz_answers_the_keyboard_and_any_number(quiz):
    questions, _ = quiz
    for shown, question in questions:
        if question["type"] == "numeric":
            shown.locator("input").press_sequentially("123456")
            shown.locator("input").press("Enter")
            expected = question["answers"][-1]["feedback"]
        else:
            first = shown.locator("label").first
            first.locator("input").press("Space")
            text = first.inner_text().strip()
            (expected,) = (a["feedback"] for a in question["answers"] if a["answer"] == text)
        assert expected in shown.locator(".Feedback").inner_text()


def test_an_answered_quiz_can_be_read_in_the_dark(browser_page, html):
    page = browser_page("chapters/06_evaluation.html", "dark").page
    for shown in page.locator(".Quiz").all():
        for choice in shown.locator("label:not(.InpLabel)").all():
            choice.click()
    page.evaluate(UNFOLD)
    assert barriers(page) == []


def test_four_chapters_have_a_picture_with_dials(html):
    assert len(WITH_DIALS) == 4, WITH_DIALS


@pytest.mark.parametrize("mode", ["light", "phone"])
@pytest.mark.parametrize("name", WITH_DIALS)
def test_each_dial_changes_the_picture_by_the_keyboard(browser_page, name, mode):
    visit = browser_page(name, mode)
    for form in visit.page.locator("form.medclf-states").all():
        frame, words = form.locator(".frame"), form.locator("figcaption")
        seen = {(frame.inner_html(), words.inner_text())}
        for dial in form.locator("input[type=range]").all():
            before = frame.inner_html()
            here, last = int(dial.input_value()), int(dial.get_attribute("max"))
            dial.press("ArrowLeft" if here == last else "ArrowRight")
            assert dial.get_attribute("aria-valuetext")
            assert frame.inner_html() != before
            seen.add((frame.inner_html(), words.inner_text()))
        for choice in form.locator("input[type=radio]").all():
            choice.check()
            seen.add((frame.inner_html(), words.inner_text()))
        assert len({picture for picture, _ in seen}) >= 2
        assert len({said for _, said in seen}) >= 2
    assert visit.complaints == []


def test_of_two_copies_on_a_page_only_the_one_that_is_moved_changes(serve, open_page, tmp_path):
    dials = Dial("n", (1, 2, 3), 2), Dial("sign", ("+", "é"), "é")
    html = States("Twice", dials, lambda n, sign: Frame(f"<b>{n}{sign}</b>", f"{n} {sign}"))
    copies = html._repr_html_() * 2
    (tmp_path / "twice.html").write_text(f'<meta charset="utf-8">{copies}', encoding="utf-8")
    page = open_page(serve(tmp_path), "twice.html").page
    still, moved = page.locator("form").all()
    moved.locator("input[type=range]").press("ArrowRight")
    moved.locator("input[type=radio]").first.check()
    for form, drawn, says in ((moved, "3+", "3 +"), (still, "2é", "2 é")):
        assert form.locator(".frame b").inner_text() == drawn
        assert form.locator("figcaption").inner_text() == says
        assert form.locator("output").inner_text() == drawn[0]
        assert form.locator("[type=range]").get_attribute("aria-valuetext") == drawn[0]
