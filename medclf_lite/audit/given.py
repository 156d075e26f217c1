"""What a reader hands over, in any usual form, as the tables that the checks expect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medclf_lite.errors import MedclfError
from medclf_lite.patients import COLUMNS, patient_ids

SCORES = ("score", "y_score", "prob", "probability", "y_prob", "pred", "prediction", "p")
LABELS = ("label", "y_true", "target", "y", "truth")
IMAGES = ("image_id", "image", "path", "file", "filename", "id")


def predictions_table(given: Any) -> pd.DataFrame:  # noqa: ANN401 - any usual form
    """Return predictions as a table with image_id, patient_id, label and score.

    Parameters
    ----------
    given : Predictions, DataFrame, path of a CSV file, mapping of columns or (labels, scores)

    Raises
    ------
    MedclfError
        If label or score cannot be found, or labels are not 0 and 1.

    Examples
    --------
    >>> predictions_table(([0, 1], [0.2, 0.9])).columns.tolist()
    ['label', 'score', 'image_id', 'patient_id']
    """
    if isinstance(given, tuple) and len(given) == 2:
        given = {"label": np.ravel(given[0]), "score": np.ravel(given[1])}
    table = _table(getattr(given, "table", given), "predictions")
    for wanted, names in (("score", SCORES), ("label", LABELS)):
        found = next((n for n in names if n in table), None)
        if found is None:
            raise MedclfError(
                f"Predictions need a column {wanted}; they have {', '.join(map(str, table))}."
            )
        table = table.rename(columns={found: wanted})
    if not table["label"].isin([0, 1]).all():
        raise MedclfError(
            "Labels of predictions must be 0 or 1; got "
            f"{table['label'].unique()[:5].tolist()}. Give one class against the rest."
        )
    for own, known in (("image_id", IMAGES), ("patient_id", COLUMNS)):
        found = next((n for n in known if n in table), None)
        table[own] = range(len(table)) if found is None else table[found]
    table["score"] = pd.to_numeric(table["score"], errors="coerce")
    return table.astype({"label": int, "score": float, "patient_id": str})


def history_table(given: Any) -> pd.DataFrame:  # noqa: ANN401 - any usual form
    """Return a training history as a table with one row an epoch.

    Examples
    --------
    >>> len(history_table([{"val_loss": 0.7}, {"val_loss": 0.5}]))
    2
    """
    return _table(given, "history")


def figures_table(given: Any) -> pd.DataFrame:  # noqa: ANN401 - any usual form
    """Return reported figures as a table: value, and low and high where they are given.

    Examples
    --------
    >>> figures_table({"auc": 0.95, "sensitivity": (0.9, 0.8, 0.95)})["value"].tolist()
    [0.95, 0.9]
    """
    if isinstance(given, Mapping):
        try:
            rows = {k: np.atleast_1d(np.asarray(v, dtype=float))[:3] for k, v in given.items()}
        except (TypeError, ValueError) as problem:
            raise MedclfError(
                f"A figure is a number, or (value, low, high); got {dict(given)!r}."
            ) from problem
        names = ["value", "low", "high"]
        full = {k: dict(zip(names, v.tolist(), strict=False)) for k, v in rows.items()}
        return pd.DataFrame.from_dict(full, orient="index")
    table = _table(given, "figures")
    if "figure" in table:
        table = table.set_index("figure")
    if "value" not in table:
        raise MedclfError(
            "Figures need a column value, or a mapping of names to numbers; they have "
            f"{', '.join(map(str, table))}."
        )
    return table


def patient_rule(
    given: str | Mapping[str, str] | Callable[[str], str | None] | None,
) -> Callable[[str], str | None] | None:
    r"""Return a function that gives the patient of a file name, None where it is not known.

    Examples
    --------
    >>> rule = patient_rule(r"(?P<patient>case\d+)")
    >>> rule("a/case7_left.png"), rule("b.png")
    ('case7', None)
    """
    if given is None or callable(given):
        return given
    if isinstance(given, Mapping):
        return lambda name: given.get(name, given.get(Path(name).name))

    def by_rule(name: str) -> str | None:
        try:
            return patient_ids([name], given)[0]
        except MedclfError as problem:
            if "does not match" in str(problem):
                return None
            raise

    return by_rule


def _table(given: Any, what: str) -> pd.DataFrame:  # noqa: ANN401 - any usual form
    if isinstance(given, str | Path):
        try:
            return pd.read_csv(given)
        except (OSError, ValueError) as problem:
            raise MedclfError(f"The {what} in {given} cannot be read: {problem}.") from problem
    try:
        return pd.DataFrame(given).copy()
    except (TypeError, ValueError) as problem:
        raise MedclfError(
            f"{what} must be a table, a CSV file or columns; got {type(given).__name__}."
        ) from problem
