"""Pictures of where a model looks: heat maps on radiographs, and how they fare over seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from medclf_lite.errors import MedclfError
from medclf_lite.plots.data import radiographs
from medclf_lite.plots.style import COLOURS, SERIES, new_axes


def heat_maps(
    pixels: npt.NDArray[np.uint8],
    maps: npt.NDArray[np.floating],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
    outlines: npt.NDArray[np.bool_] | None = None,
) -> Figure:
    """Lay heat maps over radiographs: the stronger the map, the more of it covers the image.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, height, width)
    maps : ndarray of float, shape (n, height, width)
        In [0, 1], from :func:`medclf_lite.explain.grad_cam`.
    titles, columns, outlines
        As for :func:`radiographs`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MedclfError
        If the shapes differ.
    """
    if maps.shape != pixels.shape:
        raise MedclfError(f"Got maps of shape {maps.shape} for images of shape {pixels.shape}.")
    figure = radiographs(pixels, titles, columns=columns, outlines=outlines)
    axes = figure.axes
    for one, ground in zip(maps, axes, strict=False):  # the last row may have free places
        ground.imshow(one, cmap="viridis", vmin=0, vmax=1, alpha=0.75 * np.clip(one, 0, 1))
    scale = ScalarMappable(cmap="viridis")  # its own, since the maps are transparent
    bar = figure.colorbar(scale, ax=axes, shrink=0.8, ticks=[0, 1])
    bar.ax.set_yticklabels(["none", "most\nof this\nimage"], fontsize="x-small")
    return figure


def seed_dots(table: pd.DataFrame, *, xlabel: str, reference: float | None = None) -> Figure:
    """Draw a row of dots for each column of a table, a dot a seed, with the mean as a bar.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a seed, one column a thing measured; the first column is drawn at the top.
    xlabel : str
        The figure measured, with its unit.
    reference : float, optional
        Value that stands for knowing nothing, as a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, axes = new_axes(figsize=(6.4, 0.9 + 0.42 * table.shape[1]))
    for i, column in enumerate(table):
        spread = i + np.linspace(-0.16, 0.16, len(table))
        axes.scatter(table[column], spread, s=22, color=SERIES[0], zorder=2)
        axes.vlines(table[column].mean(), i - 0.32, i + 0.32, color=COLOURS["disease"], lw=2.5)
    if reference is not None:
        axes.axvline(reference, color=COLOURS["neutral"], ls="--", zorder=1)
    axes.set_yticks(range(table.shape[1]), labels=[str(name) for name in table])
    axes.set(xlabel=xlabel, ylabel="")
    axes.invert_yaxis()
    return figure
