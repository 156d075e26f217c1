"""Scored images, made up: what the tests of metrics draw from."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from medclf_lite.predictions import Predictions

# Scores on a coarse grid have ties, on which implementations like to differ.
SCORES = st.one_of(st.integers(0, 10).map(lambda k: k / 10), st.floats(0, 1))


@st.composite
def scored(draw, both_classes: bool = True, least: int = 2):
    n = draw(st.integers(max(least, 2), 40))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    if both_classes:
        labels[0], labels[1] = 0, 1
    scores = draw(st.lists(SCORES, min_size=n, max_size=n))
    return np.array(labels), np.array(scores)


def predictions(y, s, patients=None, **columns: object) -> Predictions:
    n = len(y)
    ids = [f"i{k}" for k in range(n)]
    known = {"image_id": ids, "patient_id": ids if patients is None else patients}
    return Predictions(pd.DataFrame(known | {"label": y, "score": s} | columns))
