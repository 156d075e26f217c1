"""The checks, one module a group; importing this package registers them all."""

from medclf_lite.audit.checks import (  # noqa: F401
    counts,
    duplicates,
    files,
    patients,
    shortcuts,
    splits,
)
