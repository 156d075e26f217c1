"""Quizzes are data: every chapter has one, every choice an answer, and it stands on its own."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from medclf_lite import notebook
from medclf_lite.errors import MedclfError

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "medclf_lite" / "quizzes"
NAMES = sorted(path.stem for path in FOLDER.iterdir())


def faults(question: dict[str, Any]) -> list[str]:
    """List what a reader would stumble over in a question."""
    answers, kind = question["answers"], question["type"]
    found = [f"no feedback for {a}" for a in answers if len(a.get("feedback", "")) < 15]
    text = json.dumps(question, ensure_ascii=False)
    found += [f"{c} is markup" for c in "<>&$`" if c in text]
    right = sum(bool(a.get("correct")) for a in answers)
    if kind == "numeric":
        found += numeric_faults(answers)
    elif kind == "multiple_choice":
        found += [] if right == 1 and len(answers) >= 3 else ["not one right choice of three"]
    elif kind == "many_choice":
        found += [] if 1 < right < len(answers) else ["many_choice without a choice"]
    else:
        found.append(f"unknown type {kind}")
    spoken = [a["answer"] for a in answers if "answer" in a]
    return found + ([] if len(spoken) == len(set(spoken)) else ["the same choice twice"])


def numeric_faults(answers: list[dict[str, Any]]) -> list[str]:
    """Of a number: a right value, a hint for any other, and no wrong range around a right one."""
    values = [a["value"] for a in answers if a.get("type") == "value" and a["correct"]]
    wrong = [a["range"] for a in answers if a.get("type") == "range" and not a["correct"]]
    found = [] if values else ["no right value"]
    found += [] if answers[-1].get("type") == "default" else ["nothing is said to other numbers"]
    return found + [f"{r} covers {v}" for v in values for r in wrong if r[0] <= v <= r[1]]


def test_every_chapter_has_a_quiz_and_shows_it() -> None:
    chapters = sorted(path.stem for path in (ROOT / "chapters").glob("*.md"))
    assert chapters == NAMES
    for name in chapters:
        assert f'quiz("{name}")' in (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_quiz_has_five_questions_and_answers_every_choice(name: str) -> None:
    questions = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert len(questions) >= 5
    assert len({q["question"] for q in questions}) == len(questions)
    assert {q["question"]: faults(q) for q in questions if faults(q)} == {}


def test_the_right_choice_is_not_given_away_by_its_place_or_length() -> None:
    places, longest = [], []
    for name in NAMES:
        for q in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")):
            if q["type"] == "multiple_choice":
                lengths = [len(a["answer"]) for a in q["answers"]]
                place = [a["correct"] for a in q["answers"]].index(True)
                places.append(place)
                longest.append(lengths[place] == max(lengths))
    assert max(places.count(p) for p in set(places)) < 0.5 * len(places)
    assert sum(longest) < 0.6 * len(longest)


def test_planted_faults_are_found() -> None:
    good = {"answer": "yes", "correct": True, "feedback": "Because it is written there."}
    bad = {"answer": "no", "correct": False, "feedback": "It is written there, after all."}
    other = {**bad, "answer": "perhaps"}

    def of(kind: str, *answers: dict[str, Any]) -> list[str]:
        return faults({"question": "?", "type": kind, "answers": list(answers)})

    assert of("multiple_choice", good, bad, other) == []
    assert of("multiple_choice", bad, other, {**bad, "answer": "never"}) != []
    assert of("multiple_choice", good, bad, bad) == ["the same choice twice"]
    assert of("multiple_choice", good, bad, {**other, "feedback": ""}) != []
    assert of("multiple_choice", good, bad, {**other, "answer": "<b>"}) != []
    assert of("many_choice", good, {**good, "answer": "too"}) == ["many_choice without a choice"]
    value = {"type": "value", "value": 0.5, "correct": True, "feedback": "Half of them, that is."}
    near = {"type": "range", "range": [0.4, 0.6], "correct": False, "feedback": "Count them again."}
    rest = {"type": "default", "feedback": "Count them once more."}
    assert of("numeric", value, rest) == []
    assert of("numeric", value, near, rest) == ["[0.4, 0.6] covers 0.5"]
    assert of("numeric", value) == ["nothing is said to other numbers"]
    assert of("string", good) != []


@pytest.fixture
def shell() -> Iterator[None]:
    """Stand in for a notebook: without one there is nothing to show a quiz on."""
    InteractiveShell.instance()
    yield
    InteractiveShell.clear_instance()


def shown(name: str) -> list[dict[str, str]]:
    with capture_output() as made:
        notebook.quiz(name)
    return [output.data for output in made.outputs]


@pytest.mark.usefixtures("shell")
def test_a_quiz_carries_its_questions_and_keeps_the_generator() -> None:
    random.seed(1)
    before = random.getstate()
    page, script = shown("06_evaluation")
    first = json.loads((FOLDER / "06_evaluation.json").read_text(encoding="utf-8"))[0]
    assert json.dumps(first["answers"][0]["feedback"]) in script[notebook.SCRIPT]
    assert script[notebook.SCRIPT].startswith("{\nlet MathJax;\n")
    assert [page, script] == shown("06_evaluation"), "a page can be reproduced"
    assert random.getstate() == before


def test_an_unknown_quiz_names_those_there_are() -> None:
    with pytest.raises(MedclfError, match="06_evaluation"):
        notebook.quiz("6")
