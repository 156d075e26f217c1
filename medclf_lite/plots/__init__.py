"""Every picture of the book: one function a picture, each returns a matplotlib Figure."""

from medclf_lite.plots.data import counts, histograms, intensities, radiographs, split_balance
from medclf_lite.plots.decisions import decision_curve
from medclf_lite.plots.inside import heat_maps, seed_dots
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
    "decision_curve",
    "heat_maps",
    "histograms",
    "history",
    "intensities",
    "precision_recall",
    "radiographs",
    "reliability",
    "roc",
    "seed_dots",
    "shortcuts",
    "split_balance",
    "threshold_sweep",
    "use_style",
]
