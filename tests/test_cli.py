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


def test_an_npz_file_is_audited_and_its_patients_are_said_to_be_unknown(tmp_path, capsys) -> None:
    rng = np.random.default_rng(0)
    file = tmp_path / "small.npz"
    images = rng.integers(0, 255, (24, 28, 28), dtype=np.uint8)
    np.savez(file, train_images=images, train_labels=np.arange(24) % 2)
    assert main(["audit", str(file), "--fail-on", "never"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "each image counts as its own patient" in shown
    assert "Every image is its own patient" in shown


def write_images(root: Path, classes: tuple[str, ...]) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.integers(0, 255, (40, 40), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{name}-{i}.png")
    return root


@pytest.mark.parametrize("classes", [("healthy", "covid"), ("a", "b", "c", "d")])
def test_a_folder_of_any_classes_is_audited(classes, tmp_path, capsys) -> None:
    assert main(["audit", str(write_images(tmp_path, classes)), "--fail-on", "never"]) == 0
    shown = capsys.readouterr()
    assert f"{12 * len(classes)} images of {12 * len(classes)} patients" in shown.out
    assert "no known rule for patients" in " ".join(shown.err.split())


def test_a_table_of_images_is_audited(tmp_path, capsys) -> None:
    root = write_images(tmp_path, ("healthy", "covid"))
    files = sorted(root.rglob("*.png"))
    table = pd.DataFrame({"file": [p.relative_to(root) for p in files],
                          "diagnosis": [p.parent.name for p in files],
                          "subject": [p.stem[-1] for p in files]})  # fmt: skip
    table.to_csv(root / "images.csv", index=False)
    assert main(["audit", str(root / "images.csv"), "--fail-on", "never"]) == 0
    assert "24 images of 10 patients" in capsys.readouterr().out


def test_code_is_audited_alone_or_with_images(folder, tmp_path, capsys) -> None:
    script = tmp_path / "train.py"
    script.write_text("class D:\n    def __len__(self):\n        return len(self.x[:100])\n")
    assert main(["audit", "--code", str(script)]) == 1
    assert "length is cut off" in capsys.readouterr().out
    page = tmp_path / "a.md"
    assert main(["audit", str(folder), "--code", str(script), "--markdown", str(page),
                 "--fail-on", "never"]) == 0  # fmt: skip
    assert "length is cut off" in page.read_text()
    assert main(["audit"]) == 2
    assert "Give a folder of images, --code" in capsys.readouterr().err


def test_acknowledged_findings_no_longer_fail(tmp_path, monkeypatch, capsys) -> None:
    script = tmp_path / "train.py"
    script.write_text("class D:\n    def __len__(self):\n        return 100\n")
    known = tmp_path / "medclf-audit.toml"
    known.write_text('[[acknowledged]]\ncheck = "code.truncated-length"\nreason = "A demo."\n')
    options = ["audit", "--code", str(script)]
    assert main(options) == 1
    assert main([*options, "--acknowledged", str(known)]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(options) == 0
    assert "A demo." in capsys.readouterr().out
    known.write_text("oops")
    assert main(options) == 2
    assert "is not TOML" in capsys.readouterr().err


@pytest.mark.slow
def test_demo_walks_the_whole_street_and_keeps_its_files(tmp_path, capsys) -> None:
    assert main(["demo", "--out", str(tmp_path), "--n-patients", "80"]) == 0
    assert (tmp_path / "run" / "run.json").is_file()
    assert "never seen" in capsys.readouterr().out
