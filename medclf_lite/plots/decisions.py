"""Pictures of what decisions are worth."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from medclf_lite.plots.style import COLOURS, SERIES, new_axes


def decision_curve(*tables: pd.DataFrame, names: tuple[str, ...] = ("model",)) -> Figure:
    """Draw net benefit over thresholds, beside acting on everybody and on nobody.

    Parameters
    ----------
    *tables : pandas.DataFrame
        From :func:`medclf_lite.metrics.net_benefit`, one a model, on the same images.
    names : tuple of str
        What the models are called.
    """
    figure, axes = new_axes(figsize=(6, 3.6))
    for i, (table, name) in enumerate(zip(tables, names, strict=True)):
        axes.plot(table["threshold"], table["model"], color=SERIES[i], label=name)
        if "low" in table:
            axes.fill_between(
                table["threshold"], table["low"], table["high"], color=SERIES[i], alpha=0.2, lw=0
            )
    first = tables[0]
    axes.plot(
        first["threshold"], first["treat_all"], "--", color=COLOURS["neutral"],
        label="act on everybody",
    )  # fmt: skip
    axes.axhline(0, ls=":", color=COLOURS["neutral"], label="act on nobody")
    top = max(table["model"].max() for table in tables)
    axes.set(xlabel="threshold probability", ylabel="net benefit (true positives an image)")
    axes.set(xlim=(0, 1), ylim=(-0.25 * top if top > 0 else None, 1.15 * top if top > 0 else None))
    axes.legend(fontsize="small")
    return figure
