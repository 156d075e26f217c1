"""Forty faults: each is measured or explained, caught by a check that exists, and mended."""

from __future__ import annotations

import time

import numpy as np
import pytest

from medclf_lite.audit import known_checks
from medclf_lite.audit.code_run import audit_code
from medclf_lite.errors import MedclfError
from medclf_lite.pitfalls import Fault, known_faults, measure, source_of, the_fault
from medclf_lite.pitfalls.registry import Outcome, fault

FAULTS = known_faults()
MEASURED = [f for f in FAULTS if f.demonstrate is not None]
SEEDS = (31, 32, 33, 34, 35, 36)  # none of them was looked at while the demonstrations were made
# The least difference of the means, about a third of what is usual.
LEAST = {
    "F01": 0.15, "F02": 0.03, "F03": 0.2, "F04": 0.1, "F05": 50, "F06": 0.1, "F07": 0.06,
    "F08": 0.15, "F09": 0.12, "F10": 0.15, "F11": 30, "F12": 30, "F13": 0.1, "F14": 0.3,
    "F15": 0.5, "F16": 0.02, "F17": 0.3, "F18": 0.05, "F19": 0.2, "F20": 0.005, "F21": 0.03,
    "F22": 10, "F24": 0.02, "F25": 0.02, "F26": 0.15, "F27": 0.1, "F28": 0.03, "F29": 0.12,
    "F31": 0.02, "F32": 0.12, "F33": 2, "F36": 1, "F37": 0.5, "F39": 0.06, "F40": 0.12,
}  # fmt: skip


def by_id(faults: list[Fault]) -> object:
    return pytest.mark.parametrize("fault", faults, ids=lambda f: f.id)


def test_all_forty_faults_are_there_and_most_are_measured() -> None:
    assert [f.id for f in FAULTS] == [f"F{i:02d}" for i in range(1, 41)]
    assert len(MEASURED) == 35
    assert {f.id for f in FAULTS} - {f.id for f in MEASURED} == {
        "F23", "F30", "F34", "F35", "F38"}  # fmt: skip
    assert set(LEAST) == {f.id for f in MEASURED}


@by_id(MEASURED)
def test_the_faulty_figure_misses_the_truth_on_fresh_seeds(fault) -> None:
    started = time.process_time()
    found = measure([fault], SEEDS)
    assert (time.process_time() - started) / len(SEEDS) < 6
    gap = (found["said"] - found["truth"]).to_numpy()
    assert np.isfinite(gap).all()
    signed = {"said is higher": gap, "said is lower": -gap, "spread": np.abs(gap)}[fault.shows]
    assert signed.mean() > LEAST[fault.id], found
    assert (signed > 0).mean() >= 0.5


def test_a_demonstration_gives_the_same_for_the_same_seed() -> None:
    chosen = [f for f in MEASURED if f.id in ("F01", "F16", "F19", "F21", "F27", "F32")]
    assert measure(chosen, [3]).equals(measure(chosen, [3]))


@by_id(FAULTS)
def test_the_code_can_be_printed_on_a_page(fault) -> None:
    for function in (fault.faulty, fault.fixed):
        lines = source_of(function).splitlines()
        assert lines
        assert max(map(len, lines)) <= 72
        assert len(lines) <= 16
        assert "fmt: skip" not in source_of(function)
    assert source_of(fault.faulty) != source_of(fault.fixed)
    assert fault.title
    assert fault.hurts.endswith(".")
    assert bool(fault.figure) == (fault.demonstrate is not None)


@by_id(FAULTS)
def test_the_checks_that_catch_it_exist(fault) -> None:
    checks = {c.id for c in known_checks()}
    assert fault.caught_by
    assert set(fault.caught_by) <= checks


# These read the context around the code too, which the excerpt on the page does not have.
NEEDS_CONTEXT = {
    "code.unused", "code.image-folds", "code.first-underscore", "code.flip", "code.late-global",
    "code.error-output", "code.test-threshold", "code.test-looked-at", "code.pr-area",
    "code.bare-figure", "code.sampler-and-weights", "code.augmented-folds", "code.smote",
    "code.fit-before-split", "code.set-order", "code.squeeze", "code.pixel-list", "code.squashed",
    "code.last-saved", "code.list-membership", "code.batch-means",
}  # fmt: skip
READ = [(f, id) for f in FAULTS for id in f.caught_by
        if id.startswith("code.") and id not in NEEDS_CONTEXT]  # fmt: skip


@pytest.mark.parametrize(("fault", "id"), READ, ids=lambda x: getattr(x, "id", x))
def test_the_static_pass_catches_the_code_shown_and_not_the_mended_one(tmp_path, fault, id) -> None:
    seen = {}
    for name in ("faulty", "fixed"):
        path = tmp_path / f"{name}.py"
        path.write_text(source_of(getattr(fault, name)))
        seen[name] = {f.id for f in audit_code(path).findings}
    assert id in seen["faulty"]
    assert id not in seen["fixed"]


def test_a_fault_is_registered_once_and_an_unknown_one_is_refused() -> None:
    known = the_fault("F01")
    with pytest.raises(MedclfError, match="F01 is registered already"):
        fault("F01", "again", known.chapter, hurts="x.", faulty=len, fixed=max, figure="y")(
            lambda seed: Outcome(0, 1)
        )
    with pytest.raises(MedclfError, match="no fault 'F99'"):
        the_fault("F99")


def test_the_source_of_a_class_is_shown_without_its_docstring() -> None:
    class Shown:
        """Not shown."""

        x = 1

    assert source_of(Shown) == "class Shown:\n\n    x = 1"
