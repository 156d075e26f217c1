"""Checks behind the exercises: they say in words what is wrong, and do not give the answer away."""

from medclf_lite.exercises import (  # noqa: F401 - they register themselves
    beyond,
    decisions,
    evaluation,
    imbalance,
    preprocessing,
    splits,
    start,
    training,
)
from medclf_lite.exercises.feedback import Feedback, NotYetError
from medclf_lite.exercises.registry import Exercise, check, known_exercises

__all__ = ["Exercise", "Feedback", "NotYetError", "check", "known_exercises"]
