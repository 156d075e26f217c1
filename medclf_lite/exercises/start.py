"""Exercises of the chapters that begin the course and load the data."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medclf_lite.exercises.answers import a_line, a_number, described, entries, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise

START, LOADING = "00_start_here", "01_loading_and_inspection"
FILES = ("NORMAL/a.jpeg", "NORMAL/b.JPG", "NORMAL/c.dcm", "PNEUMONIA/d.Png", "PNEUMONIA/e.PNG",
         "PNEUMONIA/t.jpg/f.JPEG", "PNEUMONIA/t.jpg/g.jpg", "PNEUMONIA/t.jpg/h.DCM")  # fmt: skip
OTHERS = ("NORMAL/Thumbs.db", "PNEUMONIA/z.png.txt", "PNEUMONIA/.DS_Store", "PNEUMONIA/jpg")


@exercise("start-1", "find", START)
def line_that_reads_a_global(answer: Any) -> str:  # noqa: ANN401
    """Find the line that works in one order of the cells only."""
    a_line(
        answer, 3,
        {
            1: "The function says here what it needs. Does it use anything else?",
            2: "loader is handed over in line 1.",
            4: "labels comes from line 2. What else does this line use?",
            5: "All that this line uses is handed over in line 1 or made in lines 2 and 3.",
            6: "It is this line that is needed before. Which line needs it, and does not say so?",
        },
    )  # fmt: skip
    return "Line 3, and line 4 after it, take device from the notebook. Make it an argument."


@exercise("start-2", "repair", START)
def draws_of_its_own(answer: Any) -> str:  # noqa: ANN401
    """Repair ``draw(seed, n)``: n numbers that depend on the seed alone."""
    found = [_drawn(answer, seed) for seed in (7, 7, 8)]
    if found[0] != found[1]:
        raise NotYetError("Two calls with the same seed give different numbers.",
                          "Where does the generator of your function begin each time?")  # fmt: skip
    if found[0] == found[2]:
        raise NotYetError("Two seeds give the same numbers.", "Is the seed used?")
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    torch.manual_seed(1)
    before = _everybody()
    _drawn(answer, 7)
    if before != _everybody():
        raise NotYetError(
            "Your function changes the generator that all code shares.",
            "Whoever draws after it gets other numbers. Make a generator of its own.",
        )
    return "The seed alone decides, and nobody else's numbers change."


def _drawn(answer: Any, seed: int) -> list[float]:  # noqa: ANN401
    found = entries(tried(answer, seed, 6), "a list or an array of numbers")
    if len(found) != 6:
        raise NotYetError(f"Six numbers were asked for; {len(found)} came.")
    values = [a_number(x, 0, 1, "numbers") for x in found]
    if len(set(values)) < 6:
        raise NotYetError("Some of the six numbers are the same.", "Draw each anew.")
    return values


def _everybody() -> tuple[Any, ...]:
    """Give the state of the generators that all code shares."""
    numpy_state = np.random.get_state()  # noqa: NPY002
    return random.getstate(), str(numpy_state), torch.get_rng_state().tolist()


@exercise("loading-1", "build", LOADING)
def images_of_a_folder(answer: Any) -> str:  # noqa: ANN401
    """Build ``images_in(folder)``: every image below it, sorted, as paths."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in (*FILES, *OTHERS):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        found = entries(tried(answer, folder), "a list of paths")
        if wrong := [x for x in found if not isinstance(x, str | Path)]:
            raise NotYetError(f"The list holds {described(wrong[0])}; it should hold paths.")
        if unopened := [x for x in found if not Path(x).exists()]:
            raise NotYetError(f"{str(unopened[0])[:60]!r} cannot be opened from here.",
                              "Return whole paths, with the folder in front.")  # fmt: skip
        names = [Path(x).relative_to(folder).as_posix() for x in found]
    if lost := sorted(set(FILES) - set(names), key=FILES.index):
        raise NotYetError(
            f"{len(lost)} of {len(FILES)} images are missing, {lost[0]!r} among them.",
            "It lies in a folder within a folder." if "t.jpg" in lost[0]
            else "Look at the end of its name, letter by letter.",
        )  # fmt: skip
    if extra := sorted(set(names) - set(FILES)):
        raise NotYetError(f"{extra[0][:60]!r} is in your list and is no image.",
                          "Is it a file? How does its name end?")  # fmt: skip
    if len(names) != len(set(names)):
        raise NotYetError("Some images are in your list twice.")
    if list(map(str, found)) != sorted(map(str, found)) and found != sorted(found):
        raise NotYetError("The list is not sorted.",
                          "The order of a folder is not the same on every computer.")  # fmt: skip
    return f"All {len(FILES)} images, and nothing else, in an order that does not change."


@exercise("loading-2", "predict", LOADING)
def accuracy_of_a_short_length(answer: Any) -> str:  # noqa: ANN401
    """Accuracy on what a loader yields, for a model that calls everything normal."""
    value = a_number(answer, 0, 1, "an accuracy")
    near(
        value, 1.0, 0.02,
        "The accuracy is computed on what the loader yields. Which labels do these images have?",
        "",
    )  # fmt: skip
    return "1.0: the first hundred are all normal, so a model without any knowledge is perfect."
