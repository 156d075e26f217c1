"""Synthetic patients, and the plainest models, for the demonstrations of faults."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medclf_lite.cohort import Arrays, Cohort
from medclf_lite.phantom import Phantom, PhantomSpec, generate

Array = npt.NDArray[Any]
SIZE = 32
CLEAR, FAINT, NONE = (0.3, 0.5), (0.08, 0.14), (0.0, 0.0)  # density of the disease


@lru_cache(maxsize=32)
def patients(seed: int, n: int = 300, each: int = 1, **options: Any) -> Phantom:  # noqa: ANN401
    """Draw synthetic patients, half of them ill, whose files do not go with the label.

    Parameters
    ----------
    seed : int
        Another seed makes other patients.
    n, each : int
        Patients, and images of each.
    **options
        Further fields of :class:`medclf_lite.phantom.PhantomSpec`.

    Examples
    --------
    >>> len(patients(0, n=10, each=2))
    20
    """
    chosen: dict[str, Any] = {
        "size": SIZE, "prevalence": 0.5, "amplitude": CLEAR, "file_confounding": 0.0,
    }  # fmt: skip
    return generate(
        PhantomSpec(n_patients=n, images_per_patient=each, seed=seed, **chosen | options)
    )


def pixels(cohort: Cohort) -> Array:
    """Return the images of a synthetic cohort as rows of numbers in [0, 1]."""
    assert isinstance(cohort.images, Arrays)
    return cohort.images.pixels.reshape(len(cohort), -1) / 255.0


def data(seed: int, n: int = 300, each: int = 1, **options: Any) -> tuple[Array, Array]:  # noqa: ANN401
    """Draw patients: images as rows (n, pixels) and labels (n,)."""
    cohort = patients(seed, n, each, **options).cohort
    return pixels(cohort), cohort.labels


def linear(x: Array, y: Array, strength: float = 0.1) -> Any:  # noqa: ANN401 - scikit-learn
    """Fit a logistic regression on thirty components; a constant where there is one class."""
    if len(set(np.asarray(y).tolist())) < 2:
        return DummyClassifier(strategy="most_frequent").fit(x, y)
    steps = [StandardScaler(), PCA(min(30, len(x) - 1, x.shape[1]), random_state=0)]
    return make_pipeline(*steps, LogisticRegression(C=strength, max_iter=500)).fit(x, y)


def auc(model: Any, x: Array, y: Array) -> float:  # noqa: ANN401
    """Return the ROC-AUC of a model on these images."""
    return float(roc_auc_score(y, model.predict_proba(x)[:, 1]))


def scores(
    rng: np.random.Generator, n: int, prevalence: float = 0.5, gap: float = 1.3
) -> tuple[Array, Array]:
    """Draw labels (n,) and scores (n,) in [0, 1] that are calibrated at even prevalence.

    ``gap`` is the distance of the classes in standard deviations: 1.3 gives a ROC-AUC of .82.
    """
    y = (rng.random(n) < prevalence).astype(int)
    y[:2] = 0, 1  # neither class may be missing
    logit = gap * rng.normal(size=n) + gap**2 * (y - 0.5)
    return y, 1 / (1 + np.exp(-logit))


def parts(rows: Sequence[Any], share: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Divide a list at random into two."""
    order = np.random.default_rng(seed).permutation(len(rows))
    cut = round(share * len(rows))
    return [rows[i] for i in order[cut:]], [rows[i] for i in order[:cut]]
