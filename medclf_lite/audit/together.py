"""One call for a whole project: data sets, loaders, model, training, predictions, code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from medclf_lite.audit.acknowledge import Acknowledgement, acknowledge
from medclf_lite.audit.code_run import audit_code
from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.from_sides import cohort_of
from medclf_lite.audit.given import figures_table, history_table, patient_rule, predictions_table
from medclf_lite.audit.project import SIDES, Project
from medclf_lite.audit.registry import known_checks
from medclf_lite.audit.report import Report, join
from medclf_lite.audit.run import run_checks
from medclf_lite.audit.side import MOST, SECONDS, Side
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

# What the checks on sides say already, about the very files that were made into a cohort.
SAID_BY_SIDES = ("counts.small-side", "counts.one-class", "splits.patients", "splits.copies")


def check(
    *,
    train: Any = None,  # noqa: ANN401 - anybody's data set or loader
    val: Any = None,  # noqa: ANN401
    test: Any = None,  # noqa: ANN401
    cohort: Cohort | None = None,
    patients: str | Mapping[str, str] | Callable[[str], str | None] | None = None,
    model: nn.Module | None = None,
    loss: Callable[..., Any] | None = None,
    optimizer: Any = None,  # noqa: ANN401
    history: Any = None,  # noqa: ANN401
    stopper: Any = None,  # noqa: ANN401
    predictions: Any = None,  # noqa: ANN401
    val_predictions: Any = None,  # noqa: ANN401
    cv_predictions: Any = None,  # noqa: ANN401
    threshold: Any = None,  # noqa: ANN401
    figures: Any = None,  # noqa: ANN401
    split: Callable[[], Any] | None = None,
    code: str | Path | Iterable[str | Path] | None = None,
    only: Iterable[str] | None = None,
    most: int = MOST,
    seconds: float = SECONDS,
    jobs: int = 1,
) -> Report:
    """Look for silent faults in a project; give what you have, nothing of it is changed.

    Parameters
    ----------
    train, val, test : data set or loader, optional
        Any PyTorch data set (map-style or iterable) or ``DataLoader``, or any sequence of
        (image, label). Where it keeps the paths of image files, the checks on files, copies and
        shortcuts look at these as well.
    cohort : Cohort, optional
        The table of images and their split that the loaders should follow.
    patients : str, mapping or callable, optional
        Whose image it is, from a file's path: a rule as for
        :func:`medclf_lite.patients.patient_ids`, a mapping or a function.
    model : torch.nn.Module, optional
        Copied before it is looked at. In train mode it is taken to stand as in the loop.
    loss : callable, optional
        The loss, with its weights.
    optimizer : torch.optim.Optimizer, optional
    history : table, optional
        One row an epoch, with columns such as ``val_loss`` and ``val_auc``.
    stopper : object, optional
        The early stopping: called, or its ``step``, with a loss; a copy is fed NaN.
    predictions, val_predictions, cv_predictions : table, optional
        On test, on validation, out of fold: ``label``, ``score`` and perhaps ``image_id``,
        ``patient_id``, ``fold`` and subgroups; a table, a CSV file, or (labels, scores).
    threshold : float or medclf_lite.metrics.Threshold, optional
        The threshold that was chosen; a ``Threshold`` says itself on which images.
    figures : mapping or table, optional
        What is reported: name to value, or to (value, low, high).
    split : callable, optional
        A function without arguments that divides; run in new interpreters.
    code : path or paths, optional
        Python files, notebooks or folders of them; read, never run.
    only : iterable of str, optional
        Groups or IDs of checks.
    most, seconds : int, float
        Items to look at on a side, and the time for it.
    jobs : int, default 1
        Threads that decode files.

    Returns
    -------
    Report

    Raises
    ------
    MedclfError
        If nothing is given, or something has a form that cannot be used.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> images, labels = torch.rand(60, 1, 32, 32), torch.zeros(60)
    >>> report = check(train=TensorDataset(images, labels), only=["loaders.one-class"])
    >>> report.findings[0].title
    "The side 'train' yields one class"
    """
    find = patient_rule(patients)
    given = dict(zip(SIDES, (train, val, test), strict=True))
    sides = {name: Side(name, g, most, seconds) for name, g in given.items() if g is not None}
    tables = [None if p is None else predictions_table(p)
              for p in (predictions, val_predictions, cv_predictions)]  # fmt: skip
    project = Project(
        sides=sides, cohort=cohort, patients=find, model=model, loss=loss, optimizer=optimizer,
        history=None if history is None else history_table(history), stopper=stopper,
        predictions=tables[0], val_predictions=tables[1], cv_predictions=tables[2],
        threshold=None if threshold is None else float(getattr(threshold, "value", threshold)),
        chosen_on=frozenset(getattr(threshold, "images", ())),
        figures=None if figures is None else figures_table(figures), split=split,
    )  # fmt: skip
    if project.empty and code is None:
        raise MedclfError("Nothing to look at: give train, val, test, model, predictions or code.")
    reports = [] if project.empty else [_of_project(project, only), *_of_files(project, only, jobs)]
    if code is not None:
        reports.append(audit_code(code, only=only))
    return join(reports)


def _of_project(project: Project, only: Iterable[str] | None) -> Report:
    findings, ran, skipped = run_checks(project, known_checks(only, "project"))
    said = [_side(side) for side in project.sides.values()]
    if project.model is not None:
        said.append(f"model {type(project.model).__name__}")
    pictures = _pictures(findings, project)
    return Report(tuple(findings), None, tuple(ran), skipped, ", ".join(said), pictures)


def _of_files(project: Project, only: Iterable[str] | None, jobs: int) -> list[Report]:
    """Audit the cohort that was given, or one of the files that the sides name."""
    checks = known_checks(only, "cohort")
    if not checks:
        return []
    cohort = project.cohort
    if cohort is None:
        cohort = cohort_of(project.sides, project.patients)
        checks = [c for c in checks if c.id not in SAID_BY_SIDES]
    if cohort is None:
        return []
    findings, ran, skipped = run_checks(AuditInput(cohort, jobs=jobs), checks)
    return [Report(tuple(findings), cohort, tuple(ran), skipped)]


def _side(side: Side) -> str:
    looked = len(side.items) + len(side.problems)
    if side.length is not None and looked < side.length:
        return f"{side.name} ({looked:,} of {side.length:,} items looked at)"
    return f"{side.name} ({looked:,} items)"


def _pictures(findings: Iterable[Any], project: Project) -> dict[str, npt.NDArray[np.uint8]]:
    wanted = {i for f in findings for e in f.examples for i in e.images}
    return {
        f"{name}[{i}]": item.image
        for name, side in project.sides.items()
        for i, item in side.items.items()
        if item.image is not None and f"{name}[{i}]" in wanted
    }


def assert_clean(
    report: Report | None = None,
    *,
    fail_on: str = "error",
    acknowledged: Iterable[Acknowledgement] = (),
    **project: Any,  # noqa: ANN401 - passed on
) -> Report:
    """Raise if an audit finds something, for a project's own tests.

    Parameters
    ----------
    report : Report, optional
        From :func:`medclf_lite.audit.audit_cohort` or another; or give what
        :func:`check` takes.
    fail_on : {"error", "warning", "note"}
        The severity from which it counts.
    acknowledged : iterable of Acknowledgement
        Findings that the project lives with.
    **project
        Arguments of :func:`check`.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError
        With the findings, one a line, and what to do.

    Examples
    --------
    >>> assert_clean(predictions=([0, 1] * 20, [0.2, 0.8] * 20), only=["predictions.values"])
    ... # doctest: +ELLIPSIS
    Report(...)
    """
    found = check(**project) if report is None else report
    found = acknowledge(found, acknowledged)
    if failed := found.at_least(fail_on):
        lines = [f"{f.severity}: {f.title}. {f.seen} Do: {f.do} [{f.id}]" for f in failed]
        raise AssertionError("\n".join([found.headline, *lines]))
    return found
