"""The fixture that other projects use: it is found by pytest, passes when clean, fails with why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TEST = """
def test_clean(assert_audit_clean):
    scores = [.2, .8, .3, .9] * 9
    assert_audit_clean(predictions=([0, 1] * 18, scores), only=["predictions.values"])

def test_not_clean(assert_audit_clean):
    assert_audit_clean(predictions=([0, 1] * 18, [1.0] * 36), only=["predictions.values"])
"""


def test_a_project_can_use_the_fixture_in_its_own_tests(tmp_path: Path) -> None:
    (tmp_path / "test_data.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "Scores that cannot be ranked" in done.stdout
    assert "Keep the probability" in done.stdout
