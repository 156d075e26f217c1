"""Every check accepts right answers, refuses wrong ones with a reason, and survives nonsense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from exercise_answers import ANSWERS
from hypothesis import given, settings
from hypothesis import strategies as st

from medclf_lite.errors import MedclfError
from medclf_lite.exercises import check, known_exercises
from medclf_lite.exercises.registry import exercise

IDS = [e.id for e in known_exercises()]
RIGHT = [(id, i) for id, a in ANSWERS.items() for i in range(len(a.right))]
WRONG = [(id, i) for id, a in ANSWERS.items() for i in range(len(a.wrong))]


def test_every_exercise_has_two_right_answers_and_three_wrong_ones() -> None:
    assert set(IDS) == set(ANSWERS)
    assert all(len(a.right) >= 2 and len(a.wrong) >= 3 for a in ANSWERS.values())


@pytest.mark.parametrize(("id", "i"), RIGHT)
def test_right_answers_pass(id: str, i: int) -> None:
    found = check(id, ANSWERS[id].right[i])
    assert found.passed, found


@pytest.mark.parametrize(("id", "i"), WRONG)
def test_wrong_answers_are_told_why(id: str, i: int) -> None:
    answer, word = ANSWERS[id].wrong[i]
    found = check(id, answer)
    assert found.status == "wrong"
    assert word in f"{found.says} {found.hint}"
    assert "could not be used" not in found.says


class Hostile:
    """An object that raises whatever is asked of it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def leaves(*given: object) -> None:
    raise SystemExit(3)


HUGE = np.broadcast_to(np.float64(0), (10**5, 12_500))  # 10 GB, if it were copied
NONSENSE = [
    float("nan"), float("inf"), -1, 10**400, complex(1, 1), True, "", "x" * 10**6, b"4",
    [], [[]], {}, set(), object(), int, print, np.array(None), torch.zeros(3), range(10**12),
    HUGE, HUGE.reshape(-1), Hostile(), leaves,
    lambda: None, lambda *a: None, lambda *a: a[0], lambda *a: float("nan"), lambda *a: HUGE,
    lambda *a: (HUGE, HUGE), lambda *a: range(10**12), lambda *a: Hostile(),
]  # fmt: skip


@pytest.mark.parametrize("id", IDS)
def test_nonsense_is_wrong_and_never_an_exception(id: str) -> None:
    for answer in NONSENSE:
        found = check(id, answer)
        assert found.status == "wrong", answer
        assert len(repr(found)) < 1000


@pytest.mark.parametrize("id", IDS)
@settings(max_examples=30, deadline=None)
@given(st.one_of(st.text(), st.floats(), st.integers(), st.lists(st.floats()), st.binary()))
def test_any_value_gets_an_answer(id: str, answer: object) -> None:
    assert check(id, answer).status in ("right", "wrong")


@pytest.mark.parametrize("id", IDS)
def test_work_not_begun_is_open(id: str) -> None:
    def stub(*given: object) -> None:
        raise NotImplementedError

    assert check(id, None).status == "open"
    assert check(id, ...).status == "open"
    if any(callable(a) for a in ANSWERS[id].right):
        assert check(id, stub).status == "open"


def test_a_check_changes_neither_the_generators_nor_what_it_gives() -> None:
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002

    def greedy(labels: np.ndarray, scores: np.ndarray, least: float) -> float:
        scores[:] = 0
        torch.rand(9)
        np.random.rand(9)  # noqa: NPY002
        return 0.0

    assert "false alarms" in check("evaluation-4", greedy).says
    assert (before[0] == np.random.get_state()[1]).all()  # noqa: NPY002
    assert torch.equal(before[1], torch.get_rng_state())


def test_feedback_escapes_what_a_function_raises() -> None:
    def bad(*given: object) -> None:
        raise ValueError("<script>alert(1)</script>")

    shown = check("splits-4", bad)._repr_html_()
    assert "<script>" not in shown
    assert "ValueError" in shown


def test_an_unknown_exercise_names_its_neighbours() -> None:
    with pytest.raises(MedclfError, match="splits-1"):
        check("split-1", 3)
    with pytest.raises(MedclfError, match="There is no exercise"):
        check(7, 3)  # type: ignore[arg-type]


def test_an_id_is_given_once() -> None:
    with pytest.raises(MedclfError, match="two exercises"):
        exercise("splits-1", "predict", "03_leakage_safe_splits")(lambda answer: "")
