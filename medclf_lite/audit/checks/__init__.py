"""The checks, one module a group; importing this package registers them all."""

from medclf_lite.audit.checks import (  # noqa: F401
    counts,
    duplicates,
    files,
    loaders,
    loaders_draws,
    loaders_values,
    loss,
    model,
    patients,
    predictions,
    predictions_figures,
    shortcuts,
    sides,
    splits,
    splits_seed,
    training,
)
