"""Every picture of the book: one function a picture, each returns a matplotlib Figure."""

from medclf_lite.plots.data import counts, histograms, intensities, radiographs, split_balance
from medclf_lite.plots.model import (
    claimed_and_true,
    confusion,
    history,
    precision_recall,
    reliability,
    roc,
    shortcuts,
    threshold_sweep,
)
from medclf_lite.plots.style import COLOURS, use_style

__all__ = [
    "COLOURS",
    "claimed_and_true",
    "confusion",
    "counts",
    "histograms",
    "history",
    "intensities",
    "precision_recall",
    "radiographs",
    "reliability",
    "roc",
    "shortcuts",
    "split_balance",
    "threshold_sweep",
    "use_style",
]
