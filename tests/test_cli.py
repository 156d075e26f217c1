"""The command line: exit codes that scripts can use, and messages without tracebacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from medclf_lite.cli import main
from medclf_lite.phantom import PhantomSpec, generate, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = PhantomSpec(n_patients=90, images_per_patient=1, size=48, seed=3)
    return write_folder(generate(spec), tmp_path_factory.mktemp("data"))


def test_help_lists_the_four_commands(capsys) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("audit", "train", "evaluate", "demo"))


def test_the_main_job_runs_from_a_folder_to_figures(folder, tmp_path, capsys) -> None:
    run = tmp_path / "run"
    assert main(["train", str(folder), "--out", str(run), "--size", "48"]) == 0
    assert main(["evaluate", str(run), str(folder), "--resamples", "200"]) == 0
    shown = capsys.readouterr().out
    assert "roc_auc" in shown
    assert "95 % interval" in shown
    assert (run / "test_predictions.csv").is_file()
    assert (run / "test_figures.csv").is_file()


def test_audit_writes_its_reports_and_its_exit_code_follows_fail_on(folder, tmp_path) -> None:
    page, data = tmp_path / "audit.html", tmp_path / "audit.json"
    options = ["audit", str(folder), "--html", str(page), "--json", str(data)]
    assert main([*options, "--fail-on", "never"]) == 0
    findings = json.loads(data.read_text(encoding="utf-8"))["findings"]
    assert findings
    assert page.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    worst = {f["severity"] for f in findings}
    assert main([*options, "--fail-on", "note"]) == 1
    assert main([*options, "--fail-on", "error"]) == int("error" in worst)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "no/such/folder"], "no/such/folder"),
        (["audit", ".", "--fail-on", "sometimes"], "sometimes"),
        (["audit", ".", "--classes", "NORMAL"], "two names"),
        (["train", ".", "--mode", "magic"], "magic"),
        (["evaluate", "no-run", "."], "no finished run"),
        (["train"], "Missing argument"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_input_ends_in_status_2_and_one_clear_message(arguments, message, capsys) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err + shown.out


@pytest.mark.parametrize("damage", ["misspelt", "empty class", "one class", "two images"])
def test_damaged_folders_are_refused_with_what_to_do(damage: str, tmp_path, capsys) -> None:
    names = {
        "misspelt": ("NORMAL", "PNEUMONA"),
        "empty class": ("NORMAL", "PNEUMONIA"),
        "one class": ("NORMAL",),
        "two images": ("NORMAL", "PNEUMONIA"),
    }[damage]
    for name in names:
        place = tmp_path / name
        place.mkdir()
        if damage == "empty class" and name == "PNEUMONIA":
            continue
        pixels = np.random.default_rng(len(name)).integers(0, 255, (40, 40), dtype=np.uint8)
        stem = "IM-0001-0001" if name == "NORMAL" else "person1_virus_1"
        Image.fromarray(pixels).save(place / f"{stem}.jpeg")
    assert main(["train", str(tmp_path), "--out", str(tmp_path / "run")]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("medclf: ")
    assert not (tmp_path / "run" / "run.json").exists()


def test_it_runs_as_a_module_in_a_fresh_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medclf_lite.cli", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.strip()


@pytest.mark.slow
def test_two_processes_train_one_run_and_one_of_them_speaks(folder, tmp_path) -> None:
    out = tmp_path / "run"
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "medclf_lite.cli"]
    options = ["--mode", "finetune", "--backbone", "tiny_cnn", "--size", "48", "--epochs", "2"]
    done = subprocess.run(
        [sys.executable, *launch, "train", str(folder), "--out", str(out), *options],
        capture_output=True, text=True, env=os.environ | {"ACCELERATE_USE_CPU": "true"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Wrote the run") == 1
    split, history = (pd.read_csv(out / name) for name in ("split.csv", "history.csv"))
    assert history["epoch"].tolist() == [1, 2]
    # Each of the two gets whole batches of 32, so the last ones are filled up with repeats.
    assert (history["images"] % 64 == 0).all()
    assert (history["images"] >= (split["split"] == "train").sum()).all()
    assert main(["evaluate", str(out), str(folder), "--resamples", "100"]) == 0


def test_a_warning_is_a_line_and_not_source_code(folder, tmp_path, capsys) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    options = ["--out", str(tmp_path / "run"), "--size", "48", "--cache", str(tmp_path / "cache")]
    assert main(["train", str(folder), *options]) == 0
    shown = capsys.readouterr().err
    assert "medclf: The pixels cannot be kept" in shown
    assert "medclf: The features cannot be kept" in shown
    assert ".py:" not in shown


def test_an_npz_file_is_audited_once_its_patients_are_settled(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "small.npz"
    images = rng.integers(0, 255, (12, 28, 28), dtype=np.uint8)
    np.savez(file, train_images=images, train_labels=np.arange(12) % 2)
    assert main(["audit", str(file)]) == 2
    assert "patients='unknown'" in capsys.readouterr().err
    assert main(["audit", str(file), "--patients", "unknown", "--fail-on", "never"]) == 0


@pytest.mark.slow
def test_demo_walks_the_whole_street_and_keeps_its_files(tmp_path, capsys) -> None:
    assert main(["demo", "--out", str(tmp_path), "--n-patients", "80"]) == 0
    assert (tmp_path / "run" / "run.json").is_file()
    assert "never seen" in capsys.readouterr().out
