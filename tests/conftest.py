"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Elsewhere each run draws fresh examples. In CI a change is judged by its own faults: the same
# examples every time. The weekly run there draws fresh ones (HYPOTHESIS_PROFILE=default).
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("repeatable" if os.environ.get("CI") else "default")
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """One torch thread a process: steadier than two on a shared two-core machine."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder with the real data sets, or a skip that says how to get them."""
    where = os.environ.get("MEDCLF_REAL_DATA")
    if not where:
        pytest.skip("set MEDCLF_REAL_DATA to the folder that holds chest_xray_224/ and the rest")
    folder = Path(where).resolve()
    if not (folder / "chest_xray_224").is_dir():
        pytest.fail(f"MEDCLF_REAL_DATA={where} has no chest_xray_224/ in it")
    return folder
