"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Optional

import typer

Folder = Annotated[
    Path, typer.Argument(help="Folder with split/class or class sub-folders, or an .npz file.")
]
Patients = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it at run time
    typer.Option(
        help="How a file name gives the patient: 'kaggle' (the default for a folder), a regular "
        "expression with a group named 'patient', the path of a CSV with columns file and "
        "patient_id, or 'unknown'."
    ),
]
Classes = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help="The class folders, without the disease first; default: NORMAL,PNEUMONIA, and for "
        "audit whatever classes there are."
    ),
]
Cache = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it at run time
    typer.Option(help="Folder for decoded pixels and features, so that a second run is quick."),
]
Jobs = Annotated[int, typer.Option(min=1, help="Parallel workers, one core each.")]
CORES = min(8, os.cpu_count() or 1)
