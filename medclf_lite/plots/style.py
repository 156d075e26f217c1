"""One look for every figure: colour-blind-safe, on a white card that dark mode leaves alone."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import seaborn as sns
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart under the common colour-vision deficiencies.
COLOURS = {
    "normal": "#0072B2",
    "disease": "#D55E00",
    "true": "#009E73",
    "claimed": "#CC79A7",
    "neutral": "#595959",
    "highlight": "#E69F00",
}
CLASS_COLOURS = (COLOURS["normal"], COLOURS["disease"])
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def use_style() -> None:
    """Set matplotlib's defaults for the book: readable sizes, light grid, white card."""
    sns.set_theme(style="whitegrid", context="notebook")
    plt.rcParams.update(
        {
            "figure.figsize": (7.0, 3.6),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "white",
            "axes.titlesize": "medium",
            "axes.titlelocation": "left",
            "axes.prop_cycle": cycler(color=list(SERIES)),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "grid.color": "#e6e6e6",
            "image.cmap": "gray",
            "svg.hashsalt": "medclf",  # the same picture gives the same bytes
        }
    )


def new_axes(**options: Any) -> tuple[Figure, Axes]:  # noqa: ANN401 - passed to matplotlib
    """Open a figure with one pair of axes in the book's style."""
    use_style()
    figure, axes = plt.subplots(**options)
    return figure, axes
