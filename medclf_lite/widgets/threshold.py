"""A threshold and a prevalence, and what they make of one model."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from medclf_lite import metrics
from medclf_lite.errors import MedclfError
from medclf_lite.plots import COLOURS
from medclf_lite.predictions import Predictions
from medclf_lite.widgets.plot import Line, Plot
from medclf_lite.widgets.states import Dial, Frame, States

PEOPLE = 1000
THRESHOLDS = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2).tolist())
PREVALENCES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
HUNDREDTHS = tuple(k / 100 for k in range(1, 100))
CURVE = np.arange(0.02, 0.99, 0.02)  # thresholds at which the curves are drawn
LINES = (
    Line("model", COLOURS["disease"]),
    Line("everybody", "currentColor", "7 4"),
    Line("nobody", "currentColor", "2 4"),
)
SCORES = ("as they are", "corrected for the prevalence")


def outcomes(predictions: Predictions, threshold: float, prevalence: float) -> pd.Series:
    """Compute what decisions at a threshold would give where another share is ill.

    Takes sensitivity and specificity from the predictions, so each class must look there as it
    does here.

    Parameters
    ----------
    predictions : Predictions
        With both classes.
    threshold, prevalence : float
        In (0, 1); scores at or above the threshold are called ill.

    Returns
    -------
    pandas.Series
        ``tp, fp, fn, tn`` as people of a thousand, float; ``sensitivity, specificity, ppv, npv``
        in [0, 1], NaN where nobody is called so; net benefit of the ``model``, of ``treat_all``
        and of ``treat_none``.

    Raises
    ------
    MedclfError
        If a class is absent, or a number is not in (0, 1).

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"),
    ...                       "label": [0, 0, 1, 1], "score": [0.1, 0.6, 0.7, 0.9]})
    >>> outcomes(Predictions(table), 0.5, 0.1)[["tp", "fp", "ppv"]].round(2).tolist()
    [100.0, 450.0, 0.18]
    """
    _check(predictions, prevalence)
    found = metrics.figures(predictions.labels, predictions.scores, threshold)
    ill, well = PEOPLE * prevalence, PEOPLE * (1 - prevalence)
    tp, tn = ill * found["sensitivity"], well * found["specificity"]
    fp, fn = well - tn, ill - tp
    benefit = _net_benefit(predictions, prevalence, np.array([threshold])).iloc[0]
    return pd.Series(
        {
            "tp": tp, "fp": fp, "fn": fn, "tn": tn,
            "sensitivity": found["sensitivity"], "specificity": found["specificity"],
            "ppv": tp / (tp + fp) if tp + fp else math.nan,
            "npv": tn / (tn + fn) if tn + fn else math.nan,
            **benefit[["model", "treat_all", "treat_none"]],
        }
    )  # fmt: skip


def thresholds(predictions: Predictions, *, trained_at: float | None = None) -> States:
    """Show the confusion matrix and the net benefit under a threshold and a prevalence.

    Parameters
    ----------
    predictions : Predictions
        Of test patients, with both classes. Calibrate first: net benefit takes scores for
        probabilities.
    trained_at : float, optional
        Prevalence that the scores are right for, from which ``shift_prevalence`` corrects them;
        that of the predictions if not given.

    Returns
    -------
    States
        Dials: threshold, prevalence, and whether the scores are corrected for the prevalence.

    Raises
    ------
    MedclfError
        If a class is absent.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": list("abcd"), "patient_id": list("pqrs"),
    ...                       "label": [0, 0, 1, 1], "score": [0.1, 0.6, 0.7, 0.9]})
    >>> len(thresholds(Predictions(table)).frames)
    342
    """
    old = float(predictions.labels.mean()) if trained_at is None else trained_at
    _check(predictions, old)

    @cache
    def there(prevalence: float, scores: str) -> tuple[Predictions, pd.DataFrame]:
        used = predictions
        if scores == SCORES[1]:
            new = metrics.shift_prevalence(predictions.scores, old=old, new=prevalence)
            used = Predictions(predictions.table.assign(score=new), predictions.classes)
        return used, _net_benefit(used, prevalence, CURVE)

    def draw(threshold: float, prevalence: float, scores: str) -> Frame:
        used, curve = there(prevalence, scores)
        return _frame(outcomes(used, threshold, prevalence), curve, threshold, prevalence)

    dials = (
        Dial("threshold", THRESHOLDS, 0.5, ".2f", HUNDREDTHS),
        Dial("prevalence", PREVALENCES, 0.5, ".0%", HUNDREDTHS),
        Dial("scores", SCORES, SCORES[0]),
    )
    return States("One model: threshold, prevalence, and what decisions are worth", dials, draw)


def _check(predictions: Predictions, prevalence: float) -> None:
    if len(set(predictions.labels)) < 2:
        raise MedclfError(
            "Sensitivity and specificity need images of both classes; these have one label."
        )
    if not 0 < prevalence < 1:
        raise MedclfError(f"A prevalence must be a share between 0 and 1; got {prevalence}.")


def _net_benefit(
    predictions: Predictions, prevalence: float, cuts: npt.NDArray[np.float64]
) -> pd.DataFrame:
    # Net benefit is a mean over people, so that of a population is the mean of its two classes.
    well, ill = (
        metrics.net_benefit(predictions.where(predictions.labels == k), cuts) for k in (0, 1)
    )
    found: pd.DataFrame = prevalence * ill + (1 - prevalence) * well
    return found


def _frame(found: pd.Series, curve: pd.DataFrame, threshold: float, prevalence: float) -> Frame:
    ill, tp, tn = (round(n) for n in (PEOPLE * prevalence, found["tp"], found["tn"]))
    fn, fp = ill - tp, PEOPLE - ill - tn
    lines = (
        '<div class="panels"><div><table>',
        f"<caption>Of {PEOPLE:,} people</caption>",
        "<tr><td></td><th>called ill</th><th>called well</th></tr>",
        f"<tr><th>ill</th><td>{tp} found</td>",
        f"<td>{fn} missed</td></tr>",
        f"<tr><th>well</th><td>{fp} false alarms</td>",
        f"<td>{tn} left alone</td></tr></table>",
        f"<p>sensitivity {_two(found['sensitivity'])}, specificity {_two(found['specificity'])}",
        f"<br>PPV {_two(found['ppv'])},",
        f"NPV {_two(found['npv'])}</p></div>",
        _curves(curve, threshold, prevalence, found["model"]),
        "</div>",
    )
    says = (
        f"Of {PEOPLE:,} people {ill} are ill: {tp} found, {fn} missed, {fp} false alarms. Net "
        f"benefit: model {_three(found['model'])}, act on everybody "
        f"{_three(found['treat_all'])}, on nobody 0."
    )
    return Frame("\n".join(lines), says)


def _two(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.2f}"


def _three(value: float) -> str:
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")


def _curves(table: pd.DataFrame, threshold: float, prevalence: float, here: float) -> str:
    # The best there can be is the prevalence: all found, no false alarm.
    plot = Plot((0, 1), (-prevalence, 1.15 * prevalence))
    colour = LINES[0].colour
    x, y = plot.across(threshold), plot.down(max(here, plot.y[0]))
    mark = f'<circle cx="{x}" cy="{y}" r="6" fill="{colour}" stroke="currentColor"/>'
    if here < plot.y[0]:
        mark = f'<path d="M{x - 7} {y - 12}h14l-7 12z" fill="{colour}" stroke="currentColor"/>'
    model, everybody, nobody = LINES
    return plot.drawn(
        (
            plot.axes(("threshold", "net benefit"), (0, 0.5, 1), (0, prevalence)),
            plot.legend(LINES),
            plot.line(table["threshold"], table["treat_all"], everybody),
            plot.line(table["threshold"], table["treat_none"], nobody),
            plot.line(table["threshold"], table["model"], model),
            plot.upright(threshold),
            mark,
        )
    )
