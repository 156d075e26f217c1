"""Pictures of a model: curves, calibration, and what a fault claims against the truth."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics as sk

from medclf_lite.plots.style import COLOURS, SERIES, new_axes, use_style
from medclf_lite.predictions import Predictions


def _series(*predictions: Predictions, names: tuple[str, ...]) -> list[tuple[str, pd.DataFrame]]:
    return [(n, p.table) for n, p in zip(names, predictions, strict=True)]


def roc(*predictions: Predictions, names: tuple[str, ...] = ("model",)) -> Figure:
    """Draw ROC curves: sensitivity against 1 - specificity, the diagonal is guessing."""
    figure, axes = new_axes(figsize=(4.6, 4.2))
    for i, (name, table) in enumerate(_series(*predictions, names=names)):
        rate, sensitivity, _ = sk.roc_curve(table["label"], table["score"])
        area = sk.roc_auc_score(table["label"], table["score"])
        axes.plot(rate, sensitivity, color=SERIES[i], label=f"{name} (AUC {area:.3f})")
    axes.plot([0, 1], [0, 1], "--", color=COLOURS["neutral"], label="guessing (0.5)")
    axes.set(xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
    axes.legend(loc="lower right", fontsize="small")
    return figure


def precision_recall(*predictions: Predictions, names: tuple[str, ...] = ("model",)) -> Figure:
    """Draw precision-recall curves with the prevalence, which is what guessing reaches."""
    figure, axes = new_axes(figsize=(4.6, 4.2))
    for i, (name, table) in enumerate(_series(*predictions, names=names)):
        precision, recall, _ = sk.precision_recall_curve(table["label"], table["score"])
        area = sk.average_precision_score(table["label"], table["score"])
        axes.plot(recall, precision, color=SERIES[i], label=f"{name} (AP {area:.3f})")
        prevalence = table["label"].mean()
        axes.axhline(prevalence, ls="--", color=SERIES[i], lw=1, alpha=0.7)
        axes.annotate(f"prevalence {prevalence:.2f}", (0.01, prevalence), fontsize="x-small")
    axes.set(xlabel="sensitivity (recall)", ylabel="PPV (precision)", ylim=(0, 1.02))
    axes.legend(loc="lower left", fontsize="small")
    return figure


def confusion(table: npt.ArrayLike, classes: tuple[str, str]) -> Figure:
    """Draw a 2 x 2 confusion matrix: rows are the truth, columns the decision.

    Parameters
    ----------
    table : array-like of int, shape (2, 2)
        ``[[true negatives, false positives], [false negatives, true positives]]``.
    classes : tuple of str
        Names of labels 0 and 1.
    """
    counts = np.asarray(table)
    figure, axes = new_axes(figsize=(3.8, 3.2))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row in range(2):
        for column in range(2):
            dark = shares[row, column] > 0.55
            axes.text(
                column, row, f"{counts[row, column]:,}\n{shares[row, column]:.0%}",
                ha="center", va="center", color="white" if dark else "black",
            )  # fmt: skip
    axes.set_xticks([0, 1], labels=list(classes))
    axes.set_yticks([0, 1], labels=list(classes))
    axes.set(xlabel="decision", ylabel="truth")
    axes.grid(visible=False)
    return figure


def reliability(table: pd.DataFrame) -> Figure:
    """Draw observed against predicted frequency, from ``metrics.calibration_table``.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``mean_score``, ``observed`` and ``n``, one row a bin.
    """
    figure, axes = new_axes(figsize=(4.4, 4.2))
    axes.plot([0, 1], [0, 1], "--", color=COLOURS["neutral"], label="perfectly calibrated")
    size = 300 * table["n"] / table["n"].sum()
    axes.plot(table["mean_score"], table["observed"], color=SERIES[0], lw=1)
    axes.scatter(table["mean_score"], table["observed"], s=size, color=SERIES[0], label="a bin")
    axes.set(xlabel="mean score in the bin", ylabel="share of disease in the bin", aspect="equal")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize="small")
    return figure


def threshold_sweep(predictions: Predictions, threshold: float | None = None) -> Figure:
    """Draw sensitivity and specificity over every threshold."""
    figure, axes = new_axes(figsize=(6, 3.2))
    table = predictions.table
    rate, sensitivity, at = sk.roc_curve(table["label"], table["score"], drop_intermediate=False)
    axes.step(at[1:], sensitivity[1:], color=SERIES[1], label="sensitivity", where="pre")
    axes.step(at[1:], 1 - rate[1:], color=SERIES[0], label="specificity", where="pre")
    if threshold is not None:
        axes.axvline(threshold, color=COLOURS["neutral"], ls="--", label=f"{threshold:.2f}")
    axes.set(xlabel="threshold on the score", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize="small")
    return figure


def history(table: pd.DataFrame, best_epoch: int | None = None) -> Figure:
    """Draw losses and the validation AUC over epochs, with the epoch that was kept."""
    use_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    left.plot(table["epoch"], table["train_loss"], label="train")
    left.plot(table["epoch"], table["val_loss"], label="validation")
    left.set(xlabel="epoch", ylabel="loss (nats an image)")
    right.plot(table["epoch"], table["val_auc"], color=SERIES[2])
    right.set(xlabel="epoch", ylabel="validation ROC-AUC")
    for axes in (left, right):
        if best_epoch is not None:
            axes.axvline(best_epoch, color=COLOURS["neutral"], ls=":", label="kept")
    left.legend(fontsize="small")
    return figure


def shortcuts(probes: pd.DataFrame) -> Figure:
    """Draw how well each file trait predicts the label alone, with its interval.

    Parameters
    ----------
    probes : pandas.DataFrame
        Columns ``trait``, ``auc``, ``low`` and ``high``, one row a trait.
    """
    ordered = probes.sort_values("auc")
    figure, axes = new_axes(figsize=(6, 0.6 + 0.34 * len(ordered)))
    errors = np.abs(ordered[["low", "high"]].to_numpy().T - ordered["auc"].to_numpy())
    axes.errorbar(
        ordered["auc"], ordered["trait"], xerr=errors, fmt="o", color=COLOURS["disease"],
        ecolor=COLOURS["neutral"], capsize=3,
    )  # fmt: skip
    axes.axvline(0.5, color=COLOURS["neutral"], ls="--")
    axes.set(xlabel="ROC-AUC of the trait alone (0.5 = knows nothing)", ylabel="")
    return figure


def claimed_and_true(runs: pd.DataFrame, *, claimed: str, true: str, xlabel: str) -> Figure:
    """Draw what a faulty protocol claims against the truth, a line for each seed.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row a seed and protocol: columns ``protocol``, ``claimed`` and ``true``.
    claimed, true : str
        What the two numbers are called in the legend.
    xlabel : str
        The metric.
    """
    protocols = list(dict.fromkeys(runs["protocol"]))
    figure, axes = new_axes(figsize=(6.4, 0.9 + 0.75 * len(protocols)))
    for i, protocol in enumerate(protocols):
        rows = runs[runs["protocol"] == protocol].reset_index(drop=True)
        height = i + np.linspace(-0.22, 0.22, len(rows)) if len(rows) > 1 else np.array([float(i)])
        axes.hlines(height, rows["true"], rows["claimed"], color="#bbbbbb", lw=1, zorder=1)
        for column, name in (("claimed", claimed), ("true", true)):
            marker = "s" if column == "claimed" else "o"
            axes.scatter(
                rows[column], height, color=COLOURS[column], marker=marker, s=26, zorder=2,
                label=name if i == 0 else None,
            )  # fmt: skip
    axes.set_yticks(range(len(protocols)), labels=protocols)
    axes.set(xlabel=xlabel, ylabel="")
    axes.invert_yaxis()
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28), ncol=2, fontsize="small")
    return figure
