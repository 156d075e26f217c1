"""The command line: `medclf audit | train | evaluate | demo`.

Exit status: 0 done and clean, 1 the audit found something at or above ``--fail-on``,
2 input that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Annotated, Optional

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from medclf_lite import __version__
from medclf_lite.cli_options import CORES, Cache, Classes, Folder, Jobs, Patients
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Audit a folder of medical images, train a classifier on it, evaluate it honestly.",
    epilog="Not a medical device: for teaching and research.",
)
errors = Console(stderr=True)
console = Console()


def _open(folder: Path, patients: str | None, classes: str | None) -> Cohort:
    """Open what the command names; each kind of cohort has defaults of its own."""
    from medclf_lite.sources import open_cohort

    options: dict[str, object] = {} if patients is None else {"patients": patients}
    if (names := _names(classes)) is not None:
        options["classes"] = names
    return open_cohort(folder, **options)


def _names(classes: str | None) -> tuple[str, ...] | None:
    if classes is None:
        return None
    names = tuple(name.strip() for name in classes.split(","))
    if len(names) < 2:
        raise MedclfError(f"--classes needs two names with a comma between; got {classes!r}.")
    return names


@app.command()
def audit(
    folder: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it at run time
        typer.Argument(help="Folder of images, table of images (.csv), or .npz file."),
    ] = None,
    code: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Option(help="Python file, notebook or folder to read, never run; may be repeated."),
    ] = None,
    patients: Patients = None,
    classes: Classes = None,
    json: Annotated[Optional[Path], typer.Option(help="Write the findings as JSON.")] = None,  # noqa: UP045
    html: Annotated[Optional[Path], typer.Option(help="Write one HTML page with pictures.")] = None,  # noqa: UP045
    markdown: Annotated[Optional[Path], typer.Option(help="Write Markdown.")] = None,  # noqa: UP045
    acknowledged: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            help="File of findings to live with; medclf-audit.toml is read if it is here."
        ),
    ] = None,
    fail_on: Annotated[
        str, typer.Option(help="Exit with 1 at this severity: error, warning, note or never.")
    ] = "error",
    cache: Cache = None,
    jobs: Jobs = CORES,
) -> None:
    """Look for silent faults in images (files, patients, copies, shortcuts, splits) or in code."""
    from medclf_lite import audit as room
    from medclf_lite.sources import open_any

    limit = room.read_fail_on(fail_on)
    known = room.read_acknowledged(acknowledged)
    if folder is None and not code:
        raise MedclfError("Give a folder of images, --code with a file, or both.")
    reports = [] if folder is None else [
        room.audit_cohort(open_any(folder, patients, _names(classes)), cache=cache, jobs=jobs,
                          progress=sys.stderr.isatty())
    ]  # fmt: skip
    reports += [room.audit_code(code)] if code else []
    report = room.acknowledge(room.join(reports), known)
    report.print(console)
    for path, text in ((json, report.to_json), (markdown, report.to_markdown)):
        if path:
            path.write_text(text(), encoding="utf-8")
    if html:
        report.to_html(html)
    raise typer.Exit(report.exit_code(limit))


@app.command()
def train(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="New folder for the run.")] = Path("runs/first"),
    patients: Patients = None,
    classes: Classes = None,
    backbone: Annotated[str, typer.Option(help="lite0 needs no download.")] = "lite0",
    mode: Annotated[str, typer.Option(help="frozen or finetune.")] = "frozen",
    size: Annotated[int, typer.Option(min=32, help="Side of the square image in pixels.")] = 224,
    fit: Annotated[str, typer.Option(help="letterbox keeps the aspect, squash does not.")] = (
        "letterbox"
    ),
    val: Annotated[float, typer.Option(help="Share of patients for validation.")] = 0.15,
    rule: Annotated[
        str, typer.Option(help="Threshold by youden, f1, sensitivity, specificity or cost.")
    ] = "youden",
    target: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(
            help="For the rules sensitivity and specificity: value to reach. For cost: number "
            "of false alarms that one miss is as bad as."
        ),
    ] = None,
    augment: Annotated[
        str, typer.Option(help="For finetune: pose, acquisition (strong) or none.")
    ] = "pose",
    epochs: Annotated[int, typer.Option(min=1, help="For finetune.")] = 6,
    lr: Annotated[float, typer.Option(help="For finetune: learning rate of the head.")] = 3e-4,
    layer_decay: Annotated[
        float, typer.Option(help="For finetune: factor on the rate of each earlier stage.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Seeds split, head and training.")] = 0,
    cache: Cache = None,
    jobs: Jobs = CORES,
) -> None:
    """Train on the development patients; images of the split 'test' are never opened."""
    from accelerate import PartialState

    from medclf_lite.runs import RunConfig, train_run

    config = RunConfig(
        backbone=backbone, mode=mode, size=size, fit=fit,  # type: ignore[arg-type] # it checks
        val=val, rule=rule, target=target, augment=augment,  # type: ignore[arg-type]
        epochs=epochs, lr=lr, layer_decay=layer_decay, seed=seed,
    )  # fmt: skip
    cohort = _open(folder, patients, classes)
    predictions = train_run(
        cohort, out, config, cache=cache, jobs=jobs, progress=sys.stderr.isatty()
    )
    if not PartialState().is_main_process:  # several processes: one of them speaks
        return
    console.print(f"Wrote the run to {out}. Validation: {len(predictions)} images, on which the")
    console.print("threshold was chosen: their figures are not an estimate of performance.")
    console.print(f"Next: medclf evaluate {out} {folder}", soft_wrap=True)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder written by `medclf train`.")],
    folder: Folder,
    part: Annotated[str, typer.Option(help="Split to evaluate.")] = "test",
    patients: Patients = None,
    classes: Classes = None,
    resamples: Annotated[int, typer.Option(min=100, help="Patient-level resamples.")] = 2000,
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder for predictions.csv and figures.csv; default: the run's."),
    ] = None,
    cache: Cache = None,
    jobs: Jobs = CORES,
) -> None:
    """Evaluate a run on patients it has never seen, with intervals by patient."""
    from medclf_lite.runs import evaluate_run, read_run

    read_run(run)
    cohort = _open(folder, patients, classes)
    predictions, figures = evaluate_run(
        run, cohort, part=part, resamples=resamples, cache=cache, jobs=jobs,
        progress=sys.stderr.isatty(),
    )  # fmt: skip
    where = out or run
    where.mkdir(parents=True, exist_ok=True)
    predictions.to_csv(where / f"{part}_predictions.csv")
    figures.to_csv(where / f"{part}_figures.csv")
    _show(figures, f"{len(predictions)} images of {predictions.n_patients} patients")


@app.command()
def demo(
    out: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Keep the files here; default: a temporary folder, deleted at the end."),
    ] = None,
    n_patients: Annotated[int, typer.Option(min=60, help="Synthetic patients.")] = 300,
    seed: Annotated[int, typer.Option(help="Another seed makes other patients.")] = 0,
) -> None:
    """Walk the whole street on synthetic patients: make a folder, audit, train, evaluate."""
    if out:
        _demo(out, n_patients, seed)
        console.print(f"Kept in {out}.")
        return
    with tempfile.TemporaryDirectory() as folder:
        _demo(Path(folder), n_patients, seed)


def _demo(out: Path, n_patients: int, seed: int) -> None:
    from medclf_lite.audit import audit_cohort
    from medclf_lite.phantom import PhantomSpec, generate, write_folder
    from medclf_lite.runs import RunConfig, evaluate_run, train_run

    console.rule("1. A folder of radiographs (synthetic, no patients)")
    folder = write_folder(generate(PhantomSpec(n_patients=n_patients, seed=seed, size=128)), out)
    cohort = _open(folder, None, None)
    console.print(cohort.card())
    console.rule("2. Audit")
    audit_cohort(cohort).print(console)
    console.rule("3. Train: frozen features, a linear head, validation by patient")
    run = out / "run"
    train_run(cohort, run, RunConfig(size=128, seed=seed), progress=sys.stderr.isatty())
    console.rule("4. Evaluate on patients the model has never seen")
    predictions, figures = evaluate_run(run, cohort)
    _show(figures, f"{len(predictions)} images of {predictions.n_patients} patients")


def _show(figures: pd.DataFrame, title: str) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("figure", "value", "95 % interval by patient", "images", "patients"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for name, row in figures.iterrows():
        interval = "not defined"
        if row[["low", "high"]].notna().all():
            interval = f"{row['low']:.3f} to {row['high']:.3f}"
        value = "not defined" if pd.isna(row["value"]) else f"{row['value']:.3f}"
        table.add_row(str(name), value, interval, f"{row['n']:,.0f}", f"{row['patients']:,.0f}")
    console.print(table)


def _version(asked: bool) -> None:
    if asked:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def _warn(message: Warning | str, *_: object) -> None:
    """Show a warning as a line, without the source code behind it."""
    errors.print(f"medclf: {message}", markup=False, highlight=False, soft_wrap=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status; bad input gets one clear line."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment] # it takes what it needs
            result = app(arguments, standalone_mode=False)
    except MedclfError as problem:
        errors.print(f"medclf: {problem}", markup=False, highlight=False, soft_wrap=True)
        return 2
    except OSError as problem:
        where = f" ({problem.filename})" if problem.filename else ""
        errors.print(f"medclf: {problem.strerror or problem}{where}", markup=False, soft_wrap=True)
        return 2
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        errors.print("medclf: interrupted; finished files are complete, others were not kept.")
        return 130
    except Exception as problem:
        # Usage errors: Typer carries its own copy of click's classes in some releases, so
        # they are told by what they can do, not by their type.
        if not hasattr(problem, "show"):
            raise
        problem.show()
        return 2
    return int(result or 0)


if __name__ == "__main__":
    sys.exit(main())
