"""What the chapters need beside the science: numbers in prose, claims, real results, quizzes."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medclf_lite.errors import MedclfError

RESULTS = Path("book") / "real_results.json"
# White text on these has a contrast of 7 and more, in light and in dark mode.
QUIZ_COLOURS = {
    "--jq-multiple-choice-bg": "#1d3557",
    "--jq-many-choice-bg": "#5a2a4a",
    "--jq-numeric-bg": "#1b4d3e",
    "--jq-numeric-input-bg": "#37474f",
    "--jq-numeric-input-label": "currentColor",  # stands on the page itself
    "--jq-incorrect-color": "#a40000",
    "--jq-correct-color": "#00662b",
}
# The size of the text around it, choices to the left, a frame where the keyboard is, and feedback
# in the colour of the text, which reads in dark mode too.
QUIZ_STYLE = """<style>
.Quiz, .Quiz .Feedback, .Quiz .MCButton, .Quiz .Input-text {
  font-size: 1rem !important; line-height: 1.4 !important; }
.Quiz .MCButton { justify-content: flex-start !important; text-align: left !important; gap: .5rem; }
.Quiz .MCButton:focus-within { outline: 3px solid #0072b2; outline-offset: 2px; }
.Quiz .Feedback { color: inherit !important; text-align: left !important; padding: .3rem .6rem;
  border-left: .4rem solid transparent; }
.Quiz .Feedback.correct { border-color: #009e73; }
.Quiz .Feedback.incorrect { border-color: #d55e00; }
.Quiz .Feedback.correct::before { content: "Right. "; }
.Quiz .Feedback.incorrect::before { content: "Not yet. "; }
</style>"""
PAGE, SCRIPT = "text/html", "application/javascript"
# jupyterquiz looks for MathJax, fails if that is still loading, and may fetch it from elsewhere.
# The questions have no mathematics, so within this block there is none. Then follows what it
# leaves unsaid to a screen reader: the name of a field, and new feedback.
QUIZ_SCRIPT = """{{
let MathJax;
{}
document.querySelectorAll(".Quiz .Input-text").forEach(
    (field) => field.setAttribute("aria-label", "Your number"));
document.querySelectorAll(".Quiz .Feedback").forEach(
    (answer) => answer.setAttribute("aria-live", "polite"));
}}"""


def glue(name: str, value: object, spec: str = "") -> None:
    """Store a number under a name, so that the text of the page shows this very number.

    Outside a book build, where MyST-NB is not installed, nothing happens.

    Parameters
    ----------
    name : str
        Name used in the text.
    value : object
        Number or text to show.
    spec : str
        Format specification, as in :func:`format`: ``".3f"``, ``","``.
    """
    # As text: the page would read bare digits as Python, 5,216 as a pair and 0.90 as 0.9.
    _store(name, format(value, spec))


def _store(name: str, text: str) -> None:
    try:
        from myst_nb import glue as store
    except ModuleNotFoundError:
        return
    store(name, text, display=False)


def effect(
    name: str, statement: str, figure: str, series: Mapping[str, npt.ArrayLike]
) -> dict[str, float]:
    """Record a measured effect for the book's table of effects.

    Parameters
    ----------
    name : str
        Short and unique in the book, with the fault's number where there is one:
        ``"F27-image-folds"``.
    statement : str
        What was measured, one line: "Folds of images promise more than new patients keep".
    figure : str
        The figure compared, such as ``"ROC-AUC"``.
    series : mapping of str to array-like, shape (seeds,)
        Two named series, one value a seed and in the same order of seeds. The statement says
        that the first is larger than the second.

    Returns
    -------
    dict
        ``first``, ``first_sd``, ``second``, ``second_sd`` (means and standard deviations over
        seeds), ``difference``, ``difference_sd``, ``share`` (of seeds in which the first is
        larger) and ``seeds``. With one seed the standard deviations are NaN.

    Raises
    ------
    MedclfError
        If there are not two series of equal length, or a value is not a number.

    Examples
    --------
    >>> found = effect("F27", "Folds of images promise more", "ROC-AUC",
    ...                {"by image": [0.9, 0.8], "by patient": [0.6, 0.6]})
    >>> round(found["difference"], 2), found["share"], found["seeds"]
    (0.25, 1.0, 2)
    """
    values = [np.asarray(v, dtype=np.float64) for v in series.values()]
    alike = len(values) == 2 and values[0].shape == values[1].shape and values[0].ndim == 1
    if not alike or not len(values[0]) or not np.isfinite(values).all():
        raise MedclfError(
            f"The effect {name} needs two series of one number a seed, in the same order; got "
            + ", ".join(f"{k!r} of shape {np.shape(v)}" for k, v in series.items())
            + ". NaN is not a result: say what happened in that seed, or measure it again."
        )
    first, second = values
    found = {"seeds": len(first), "share": float((first > second).mean())}
    for key, column in (("first", first), ("second", second), ("difference", first - second)):
        found[key] = float(column.mean())
        found[f"{key}_sd"] = float(column.std(ddof=1)) if len(column) > 1 else float("nan")
    told = {"statement": statement, "figure": figure, "names": list(series), **found}
    _store(f"effect:{name}", json.dumps(told))
    return found


def claim(holds: object, statement: str) -> None:
    """Fail the notebook if a statement that its text makes does not hold.

    Parameters
    ----------
    holds : object
        True where the numbers just computed support the statement; a NumPy bool will do.
    statement : str
        The statement, in words.

    Raises
    ------
    AssertionError
        If it does not hold.

    Examples
    --------
    >>> claim(0.9 > 0.5, "the network is better than guessing")
    """
    if not bool(holds):
        raise AssertionError(f"The text says: {statement}. This run does not support it.")


def real_results(*keys: str, start: Path | None = None) -> Any:  # noqa: ANN401 - JSON
    """Read figures that were computed on the real data set, with their provenance.

    Parameters
    ----------
    *keys : str
        Path into the results, for example ``"patients", "train"``.
    start : pathlib.Path, optional
        Where to begin the search upwards for ``book/real_results.json``.

    Returns
    -------
    object
        A number, list or dictionary.

    Raises
    ------
    MedclfError
        If there is no results file above ``start``, or no such key in it.
    """
    here = (start or Path.cwd()).resolve()
    found = next((p / RESULTS for p in (here, *here.parents) if (p / RESULTS).is_file()), None)
    if found is None:
        raise MedclfError(
            f"No {RESULTS} above {here}. Run the notebook inside a clone of the course."
        )
    node: Any = json.loads(found.read_text(encoding="utf-8"))
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            known = ", ".join(node) if isinstance(node, Mapping) else "a plain value"
            raise MedclfError(f"No {' / '.join(keys)} in {RESULTS}: {key!r} is not in {known}.")
        node = node[key]
    return node


def quiz(name: str) -> None:
    """Show the quiz of a chapter, which answers each choice; it works without a kernel as well.

    Parameters
    ----------
    name : str
        The chapter: ``"06_evaluation"``. Its questions lie in ``medclf_lite/quizzes``.

    Raises
    ------
    MedclfError
        If there is no such quiz.
    """
    from IPython.display import display
    from IPython.utils.capture import capture_output
    from jupyterquiz import display_quiz

    folder = files("medclf_lite") / "quizzes"
    known = sorted(file.name.removesuffix(".json") for file in folder.iterdir())
    if name not in known:
        raise MedclfError(f"There is no quiz {name!r}. There are: {', '.join(known)}.")
    questions = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    # It names its elements by chance: the name of the quiz as seed keeps pages reproducible.
    before = random.getstate()
    random.seed(name)
    try:
        with capture_output() as made:
            display_quiz(questions, colors=QUIZ_COLOURS, max_width=720)
    finally:
        random.setstate(before)
    for output in made.outputs:
        data = dict(output.data)
        if SCRIPT in data:
            data[SCRIPT] = QUIZ_SCRIPT.format(data[SCRIPT])
        else:
            data[PAGE] += QUIZ_STYLE
        display(data, raw=True)  # type: ignore[no-untyped-call]
