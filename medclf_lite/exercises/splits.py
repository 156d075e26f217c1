"""Exercises of the chapter on splits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from medclf_lite import audit
from medclf_lite.exercises.answers import a_line, a_number, entries, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise

CHAPTER = "03_leakage_safe_splits"


@exercise("splits-1", "predict", CHAPTER)
def share_that_leaks(answer: Any) -> str:  # noqa: ANN401
    """Test images whose patient is in training too: 100 patients, 4 images each, 20 % drawn."""
    value = a_number(answer, 0, 1, "a share")
    rng, patients, shares = np.random.default_rng(0), np.repeat(np.arange(100), 4), []
    for _ in range(200):
        test = np.zeros(400, dtype=bool)
        test[rng.choice(400, 80, replace=False)] = True
        shares.append(np.isin(patients[test], patients[~test]).mean())
    near(
        value, float(np.mean(shares)), 0.05,
        "A test image is clean only if every other image of its patient was drawn for the test "
        "as well. How likely is that for three others?",
        "Now and then all four images of a patient are drawn together.",
    )  # fmt: skip
    return f"In 200 draws it was {np.mean(shares):.3f} on average: nearly every test image leaks."


@exercise("splits-2", "find", CHAPTER)
def line_that_divides_images(answer: Any) -> str:  # noqa: ANN401
    """Find the line after which a patient may be on both sides."""
    a_line(
        answer, 4,
        {
            1: "Reading the table changes nothing about who is on which side.",
            2: "This makes the patient from the file name, and is right for these names.",
            3: "One row a patient, ill if any image is: as it should be.",
            5: "This only copies the names of files whose side has been chosen already.",
            6: "This only copies the names of files whose side has been chosen already.",
        },
    )  # fmt: skip
    return "Line 4 divides the rows of images, though line 3 has just made a row for each patient."


def _ward(n: int = 60) -> tuple[list[str], list[int]]:
    """Give patient and label of each image; half of the ill have one ill image, in between."""
    names = [f"p{i:03d}" for i in range(n) for _ in range(3 + i % 2)]
    place = [names[:k].count(name) for k, name in enumerate(names)]
    labels = [int(int(name[1:]) % 3 == 0 and (int(name[1:]) % 2 == 0 or k == 1))
              for name, k in zip(names, place, strict=True)]  # fmt: skip
    return names, labels


@exercise("splits-3", "repair", CHAPTER)
def repaired_split(answer: Any) -> str:  # noqa: ANN401
    """Repair ``split(patients, labels, seed)``: (train, test), lists of patients."""
    names, labels = _ward()
    train, test = _sides(tried(answer, names, labels, 0))
    everyone = set(names)
    if both := train & test:
        raise NotYetError(f"Patients on both sides: {len(both)}.", "Divide patients, not rows.")
    if lost := everyone - train - test:
        raise NotYetError(f"Patients on neither side: {len(lost)}.", "Nobody may be dropped.")
    if train | test != everyone:
        raise NotYetError("Some of what you return is no patient.", "Return patients, not rows.")
    if not 0.17 <= len(test) / len(everyone) <= 0.23:
        raise NotYetError(f"{len(test)} of {len(everyone)} patients are in test; about a fifth "
                          "were asked for.")  # fmt: skip
    if _sides(tried(answer, names, labels, 0)) != (train, test):
        raise NotYetError("Two calls with the same seed give different sides.", "Is the seed used?")
    _check_stratified(answer, names, labels)
    again = audit.check(split=partial(answer, names, labels, 0), only=["splits.hash-seed"])
    if again.findings:
        raise NotYetError(
            "In another run of Python the same call gives other sides.",
            "In which order does a set of names come? Bring it into an order of its own first.",
        )
    for reason in again.skipped.values():
        raise NotYetError(f"It could not be tried in another run of Python: {reason}.")
    return "Each patient is on one side only, the same one in each run, stratified by patient."


def _sides(given: Any) -> tuple[set[str], set[str]]:  # noqa: ANN401
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise NotYetError("Return two lists of patients: train, test.")
    train, test = (
        [str(x) for x in entries(side, f"a list of patients for {name}")]
        for name, side in zip(("train", "test"), given, strict=True)
    )
    if len(set(train)) < len(train) or len(set(test)) < len(test):
        raise NotYetError("A patient occurs more than once on a side.", "Name each patient once.")
    return set(train), set(test)


def _check_stratified(answer: Any, names: list[str], labels: list[int]) -> None:  # noqa: ANN401
    """Refuse sides whose shares of ill patients differ, any ill image making a patient ill."""
    ill = {n for n, label in zip(names, labels, strict=True) if label}
    tests = []
    for seed in range(5):
        train, test = _sides(tried(answer, names, labels, seed))
        tests.append(test)
        gap = abs(len(ill & train) / len(train) - len(ill & test) / len(test))
        if gap > 0.05:
            raise NotYetError(
                f"With seed {seed} the share of ill patients differs by {100 * gap:.0f} points.",
                "Is the division stratified? And when is a patient ill whose images have different "
                "labels?",
            )
    if all(test == tests[0] for test in tests):
        raise NotYetError("Five seeds give the same division.", "Is the seed used?")


@exercise("splits-4", "build", CHAPTER)
def patients_on_both_sides(answer: Any) -> str:  # noqa: ANN401
    """Build ``leaks(train, test)``: the patients that are in both tables."""

    def table(*rows: tuple[str, str]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=["image_id", "patient_id"])

    one = table(("a1", "p1"), ("a2", "p1"), ("a3", "p2"), ("a4", "p10"))
    two = table(("b1", "p1"), ("b2", "p3"), ("b3", "p2"), ("b4", "p2"))
    three = table(("a1", "p4"), ("a3", "p5"))
    for train, test, truth in ((one, two, {"p1", "p2"}), (one, three, set()),
                               (three, three, {"p4", "p5"})):  # fmt: skip
        found = entries(tried(answer, train, test), "the patients, as a list or a set")
        if len(found) != len(set(map(str, found))):
            raise NotYetError("A patient occurs twice in what you return.", "Name each once.")
        named = set(map(str, found))
        if named & {"a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4"}:
            raise NotYetError("You return images.", "Two images of one person differ in their ID.")
        if extra := named - truth:
            raise NotYetError(f"{sorted(extra)[0]} is named and is on one side only.")
        if truth - named:
            raise NotYetError(
                f"Of {len(truth)} patients on both sides you name {len(truth & named)}.",
                "Which column says who it is? `in` looks at its index, not at its values.",
            )
    return "It names each patient on both sides once, and nobody else."
