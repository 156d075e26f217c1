"""Forty silent faults: each shown by code that runs, wrong and mended, and measured."""

from medclf_lite.pitfalls.registry import (
    Fault,
    Outcome,
    known_faults,
    measure,
    source_of,
    the_fault,
)

__all__ = ["Fault", "Outcome", "known_faults", "measure", "source_of", "the_fault"]
