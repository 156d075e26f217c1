"""Pictures of a cohort: radiographs, counts, sizes, intensities, splits."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.plots.style import CLASS_COLOURS, COLOURS, SERIES, new_axes, use_style


def radiographs(
    pixels: npt.NDArray[np.uint8],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
    outlines: npt.NDArray[np.bool_] | None = None,
) -> Figure:
    """Show radiographs in a grid, each on its full range of 0 to 255.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width)
        The images; not stretched one by one, so that exposures can be compared.
    titles : sequence of str, optional
        One line above each image.
    columns : int
        Images in a row.
    outlines : ndarray of bool, shape (n, height, width), optional
        Masks whose edge is drawn on the images.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MedclfError
        If there is no image or the number of titles differs.
    """
    if pixels.ndim != 3 or not len(pixels):
        raise MedclfError(f"Expected pixels of shape (n, height, width), got {pixels.shape}.")
    if titles is not None and len(titles) != len(pixels):
        raise MedclfError(f"Got {len(titles)} titles for {len(pixels)} images.")
    use_style()
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.55 * columns, 1.75 * rows), squeeze=False)
    for i, axes in enumerate(grid.flat):
        axes.axis("off")
        if i >= len(pixels):
            continue
        axes.imshow(pixels[i], cmap="gray", vmin=0, vmax=255)
        if titles is not None:
            axes.set_title(titles[i], fontsize="x-small", loc="center")
        if outlines is not None and outlines[i].any():
            axes.contour(outlines[i], levels=[0.5], colors=[COLOURS["highlight"]], linewidths=1.2)
    return figure


def counts(cohort: Cohort) -> Figure:
    """Draw images and patients of each class, beside each other, for each split if known."""
    table = cohort.counts().reset_index()
    if "split" in table:
        table["class"] = table["split"].astype(str) + "\n" + table["class"]
    long = table.melt(id_vars="class", value_vars=["images", "patients"], var_name="counted")
    figure, axes = new_axes()
    sns.barplot(
        long, x="class", y="value", hue="counted", ax=axes,
        palette=[COLOURS["neutral"], COLOURS["highlight"]],
    )  # fmt: skip
    for bars in axes.containers:
        axes.bar_label(bars, fmt="{:,.0f}", fontsize="x-small")  # type: ignore[arg-type]
    axes.set(xlabel="", ylabel="number")
    axes.legend(title="")
    return figure


def histograms(cohort: Cohort, columns: Sequence[str], labels: Sequence[str]) -> Figure:
    """Draw one histogram a column, both classes over each other, each class summing to one.

    Parameters
    ----------
    cohort : Cohort
        Its table has the columns.
    columns, labels : sequence of str
        Columns to draw and the axis label, with its unit, of each.

    Returns
    -------
    matplotlib.figure.Figure
    """
    use_style()
    figure, grid = plt.subplots(1, len(columns), figsize=(3.1 * len(columns), 3.0), squeeze=False)
    names = np.asarray(cohort.classes)[cohort.labels]
    for axes, column, label in zip(grid.flat, columns, labels, strict=True):
        sns.histplot(
            x=cohort.table[column], hue=pd.Series(names, name="class"),
            hue_order=list(cohort.classes),
            stat="probability", common_norm=False, bins=24, ax=axes, alpha=0.5,
            palette=list(CLASS_COLOURS), legend=bool(axes is grid.flat[0]),
        )  # fmt: skip
        axes.set(xlabel=label, ylabel="share of the class" if axes is grid.flat[0] else "")
    # Above the bars, which would lie behind it.
    sns.move_legend(grid.flat[0], "lower left", bbox_to_anchor=(0, 1), ncols=2, title=None)
    return figure


def intensities(
    pixels: npt.NDArray[np.uint8], groups: npt.ArrayLike, *, names: Sequence[str]
) -> Figure:
    """Draw the share of pixels at each grey level, one line a group.

    Counts by :func:`numpy.bincount`: no list of pixels is built, so a whole cohort costs
    one pass over its bytes.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width)
    groups : array-like of int, shape (n,)
        Index into ``names`` of each image.
    names : sequence of str
        What each group is called.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_axes()
    which = np.asarray(groups)
    for i, name in enumerate(names):
        chosen = pixels[which == i]
        if not len(chosen):
            continue
        share = np.bincount(chosen.ravel(), minlength=256) / chosen.size
        axes.plot(np.arange(256), share, label=name, color=SERIES[i % len(SERIES)])
    axes.set(xlabel="grey level (0 black, 255 white)", ylabel="share of pixels", xlim=(0, 255))
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def split_balance(balance: pd.DataFrame, column: str = "prevalence") -> Figure:
    """Draw one column of :func:`medclf_lite.splits.balance` as a bar for each side."""
    figure, axes = new_axes(figsize=(5.5, 2.6))
    axes.barh(balance.index.astype(str), balance[column], color=COLOURS["neutral"])
    axes.set(xlabel=column, ylabel="")
    axes.invert_yaxis()
    return figure
