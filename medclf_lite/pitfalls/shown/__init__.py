"""The demonstrations, one module a part of the work; importing this package registers them."""

from medclf_lite.pitfalls.shown import (  # noqa: F401
    evaluation,
    folds,
    loading,
    model,
    setup,
    splits,
    training,
)
