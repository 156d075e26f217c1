"""What the audit says of the real sets, and of the tutorial's pipeline on one of them."""

from __future__ import annotations

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from real_world import World

from medclf_lite.audit import Report, audit_cohort, check
from medclf_lite.pitfalls import known_faults
from medclf_lite.pitfalls.shown import trial
from medclf_lite.sources import open_any

SETS = {
    "chest_xray_224": "chest_xray_224/chest_xray",
    "native_sample": "chest_xray_native_sample",
    "pneumoniamnist": "pneumoniamnist/pneumoniamnist.npz",
}


def audits(world: World) -> dict[str, Any]:
    """Audit each set and the tutorial's pipeline; findings and seconds."""
    torch.set_num_threads(1)
    found = {name: _of_set(world.data / path, world.jobs) for name, path in SETS.items()}
    return found | {"tutorial": _of_tutorial(world.data / SETS["chest_xray_224"])}


def _of_set(where: Path, jobs: int) -> dict[str, Any]:
    begin = time.perf_counter()
    cohort = open_any(where)
    report = audit_cohort(cohort, jobs=jobs)
    return {"seconds": round(time.perf_counter() - begin, 1), "images": len(cohort)} | told(report)


def told(report: Report) -> dict[str, Any]:
    """Keep of a report what the book quotes."""
    return {
        "findings": [
            {"id": f.id, "severity": f.severity, "title": f.title, "seen": f.seen, "count": f.count}
            for f in report.findings
        ],
        "checks": len(report.ran),
    }


def _of_tutorial(folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        model, loaders, loss, history = trial.fit(str(folder), place, epochs=3, workers=0)
    y, p, threshold, figures = trial.evaluate_on_test(model, loaders[2])
    report = check(
        train=loaders[0], val=loaders[1], test=loaders[2], patients="kaggle", model=model,
        loss=loss, history=history, stopper=trial.EarlyStopping(), predictions=(y, p),
        threshold=threshold, figures=figures, code=trial.__file__, jobs=2,
        split=partial(trial.split_by_patient, str(folder / "train")),
    )  # fmt: skip
    ids = {f.id for f in report.findings}
    pointed = [f.id for f in known_faults() if ids & set(f.caught_by)]
    return {
        "auc_it_reports": float(figures["AUC"]), "threshold": float(threshold),
        "epochs": len(history), "faults": pointed, "n_faults": len(pointed),
    } | told(report)  # fmt: skip
