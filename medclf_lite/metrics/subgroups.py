"""Figures of subgroups, and figures as a table that a journal would print."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from medclf_lite.errors import MedclfError
from medclf_lite.metrics.evaluation import evaluate
from medclf_lite.metrics.thresholds import Threshold
from medclf_lite.predictions import Predictions

Against = Literal["own", "normals"]
MOST_GROUPS = 20
MISSING = "(missing)"
# With borrowed normals the prevalence is made up, and so is every figure that depends on it.
FREE_OF_PREVALENCE = ("roc_auc", "sensitivity", "specificity", "balanced_accuracy")
OF_ILL, OF_WELL = ("sensitivity",), ("specificity",)
OF_ANY = ("accuracy", "prevalence", "brier", "ece", "ppv", "npv")


def by_subgroup(
    predictions: Predictions,
    column: str,
    threshold: Threshold | None = None,
    *,
    against: Against = "own",
    least: int = 10,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Evaluate each subgroup on its own.

    Parameters
    ----------
    predictions : Predictions
    column : str
        Column of the predictions with at most 20 values. Images without one form the group
        ``(missing)``. Cut a number, such as the age, into classes before; classes made by
        pandas.cut keep their order.
    threshold : Threshold, optional
        Chosen on other patients: one for all subgroups.
    against : {"own", "normals"}, default "own"
        ``own``: diseased and healthy images of the subgroup. ``normals``: for a column that
        divides the diseased only, such as the subtype: diseased images of the subgroup against
        *all* healthy images. Figures that depend on the prevalence are then left out.
    least : int, default 10
        A figure that rests on fewer patients (for those that need both classes: of one of
        them) is not given but flagged.
    resamples, level, seed
        As for :func:`medclf_lite.metrics.evaluate`.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``group`` and ``figure``: ``value``, ``low``, ``high``, ``n`` and
        ``patients`` as in :func:`medclf_lite.metrics.evaluate`, ``rarer``, the patients of
        whom the figure has fewest, and ``too_few``. Where that is True the value and its
        interval are NaN.

    Raises
    ------
    MedclfError
        If there is no such column, it has more than 20 values, no diseased image has one, or
        the threshold was chosen on these patients.

    Examples
    --------
    >>> table = pd.DataFrame({"image_id": range(60), "patient_id": range(60),
    ...                       "label": [0, 1] * 30, "score": [0.2, 0.9] * 30,
    ...                       "view": ["AP"] * 40 + ["PA"] * 20})
    >>> found = by_subgroup(Predictions(table), "view", resamples=100)
    >>> int(found.loc[("AP", "roc_auc"), "n"]), bool(found.loc[("PA", "roc_auc"), "too_few"])
    (40, False)
    """
    if against not in get_args(Against):
        raise MedclfError(
            f"against is {against!r}; expected one of {', '.join(get_args(Against))}."
        )
    if threshold is not None and isinstance(threshold, Threshold):
        threshold.check(predictions)
    groups = _groups(predictions, column, against)
    is_well = predictions.labels == 0
    found = {}
    there = set(groups[~is_well] if against == "normals" else groups)
    for name in _in_order(there, predictions.table[column]):
        rows = groups == name
        part = predictions.where(rows & ~is_well | is_well if against == "normals" else rows)
        table = evaluate(part, threshold, resamples=resamples, level=level, seed=seed)
        if against == "normals":
            table = table.loc[[f for f in table.index if f in FREE_OF_PREVALENCE]]
        found[name] = _flagged(table, part, least)
    together: pd.DataFrame = pd.concat(found, names=["group", "figure"])
    return together


def _groups(predictions: Predictions, column: str, against: Against) -> pd.Series:
    table = predictions.table
    if column not in table:
        raise MedclfError(
            f"There is no column {column!r}; these predictions have "
            f"{', '.join(map(str, table.columns))}."
        )
    groups = table[column].astype(object).where(table[column].notna(), MISSING).astype(str)
    if (n := groups.nunique()) > MOST_GROUPS:
        raise MedclfError(
            f"The column {column!r} has {n} values, too many for subgroups. Cut it into at most "
            f"{MOST_GROUPS} classes before, for example with pandas.cut."
        )
    if against == "normals" and not (predictions.labels == 1).any():
        raise MedclfError("No image is diseased, so there is no subgroup to set against normals.")
    return groups


def _in_order(names: set[str], values: pd.Series) -> list[str]:
    """Keep the order of a categorical column, such as ages that were cut; else sort."""
    is_ordered = isinstance(values.dtype, pd.CategoricalDtype)
    known = [str(c) for c in values.cat.categories] if is_ordered else []
    return [name for name in known if name in names] + sorted(names - set(known))


def _flagged(table: pd.DataFrame, part: Predictions, least: int) -> pd.DataFrame:
    """Count the patients behind each figure, and take back figures of too few."""
    ill, well = (len(np.unique(part.patients[part.labels == label])) for label in (1, 0))
    rarer = table["patients"].astype(int).copy()
    for name in table.index:
        if name in OF_ILL:
            rarer[name] = ill
        elif name in OF_WELL:
            rarer[name] = well
        elif name not in OF_ANY:
            rarer[name] = min(ill, well)
    found = table.drop(columns="undefined").astype({"n": int, "patients": int})
    found = found.assign(rarer=rarer, too_few=rarer < least)
    found.loc[found["too_few"], ["value", "low", "high"]] = np.nan
    return found


def report(found: pd.DataFrame, *, digits: int = 3) -> pd.DataFrame:
    """Write figures as a journal prints them: value (low to high).

    Parameters
    ----------
    found : pandas.DataFrame
        From :func:`medclf_lite.metrics.evaluate`, :func:`by_subgroup` or
        :func:`medclf_lite.metrics.compare`.
    digits : int, default 3
        Digits after the point.

    Returns
    -------
    pandas.DataFrame
        Text, with the same index. Each column of counts is kept beside the figures. A figure
        that was not given reads ``-``, with the reason where it is known.

    Raises
    ------
    MedclfError
        If the table has no figures with intervals.

    Examples
    --------
    >>> table = pd.DataFrame({"value": [0.9314], "low": [0.9], "high": [0.96], "n": [80],
    ...                       "patients": [52]}, index=["roc_auc"])
    >>> report(table, digits=2)
             value (low to high) images patients
    roc_auc  0.93 (0.90 to 0.96)     80       52
    """
    main = next((c for c in ("difference", "value") if c in found), "")
    if not main or not {"low", "high"} <= set(found):
        raise MedclfError(
            "Expected a table of evaluate, by_subgroup or compare, with low and high; got the "
            f"columns {', '.join(map(str, found.columns))}."
        )

    def told(row: pd.Series) -> str:
        if np.isnan(row[main]):
            return "- (too few)" if row.get("too_few", False) else "- (not defined)"
        if np.isnan(row["low"]):
            return f"{row[main]:.{digits}f} (no interval)"
        return f"{row[main]:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"

    columns = {
        c: found[c].map(f"{{:.{digits}f}}".format) for c in ("first", "second") if c in found
    }
    columns[f"{main} (low to high)"] = found.apply(told, axis=1)
    counts = {"n": "images", "patients": "patients"}
    columns |= {name: found[c].astype(int).astype(str) for c, name in counts.items() if c in found}
    return pd.DataFrame(columns)
