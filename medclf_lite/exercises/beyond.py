"""Exercises of the chapters beyond one data set, and of those that put all together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from medclf_lite.exercises.answers import a_line, a_number, described, near, tried
from medclf_lite.exercises.feedback import NotYetError
from medclf_lite.exercises.registry import exercise
from medclf_lite.patients import kaggle_patient

SHORTCUTS, INSIDE, LABELS = "10_shortcuts_and_external_validation", "11_looking_inside", "12_labels"
CAPSTONE, TRIAL, GALLERY = "13_capstone", "14_the_tutorial_on_trial", "15_gallery_of_faults"
NAMES = (
    "person1_bacteria_1.jpeg", "person1_bacteria_2.jpeg", "person1_virus_6.jpeg",
    "person10_bacteria_43.jpeg", "person10_virus_35.jpeg", "person447_virus_920.jpeg",
    "person447_virus_921_1.jpeg", "IM-0115-0001.jpeg", "IM-0115-0002.jpeg",
    "IM-0429-0001-0002.jpeg", "IM-0429-0001.jpeg", "NORMAL2-IM-0115-0001.jpeg",
    "NORMAL2-IM-0116-0001.jpeg",
)  # fmt: skip


@exercise("shortcuts-1", "predict", SHORTCUTS)
def marker_elsewhere(answer: Any) -> str:  # noqa: ANN401
    """ROC-AUC of a marker that 30 % of the ill and 70 % of the well carry."""
    value = a_number(answer, 0, 1, "a ROC-AUC")
    near(
        value, 0.3, 0.03,
        "A pair of an ill and a well image counts one half where both have the letter or neither "
        "has it.",
        "The model calls those with the letter ill. Who has it more often in this hospital?",
    )  # fmt: skip
    return ".3: worse than guessing, since the shortcut points the other way there."


@exercise("shortcuts-2", "build", SHORTCUTS)
def auc_of_each_site(answer: Any) -> str:  # noqa: ANN401
    """Build ``by_site(table)``: the ROC-AUC within each site that has both classes."""
    table = _four_sites()
    found = tried(answer, table)
    if type(found).__name__ not in ("dict", "Series") or getattr(found, "ndim", 1) != 1:
        raise NotYetError(f"Return a dictionary {{site: ROC-AUC}}; this is {described(found)}.")
    if len(found) > 10:
        raise NotYetError(f"There are four sites; you return {len(found)} entries.")
    told: dict[str, Any] = {str(k): v for k, v in found.items()}
    for alone, missing in (("C", "ill"), ("D", "well")):
        if alone in told:
            raise NotYetError(f"Site {alone} has no {missing} images.",
                              "Without one class there is no ROC-AUC.")  # fmt: skip
    if set(told) != {"A", "B"}:
        raise NotYetError(f"Sites A and B have both classes; you return {sorted(told)}.")
    over_all = roc_auc_score(table["label"], table["score"])
    for site, part in table[table["site"].isin(["A", "B"])].groupby("site"):
        value = a_number(told[str(site)], 0, 1, "a ROC-AUC for each site")
        if not np.isclose(value, roc_auc_score(part["label"], part["score"]), atol=1e-3):
            raise NotYetError(
                f"For site {site} you say {value:.3f}, which is not right.",
                "This is the figure over all sites." if np.isclose(value, over_all)
                else "Take the scores of this site only; a pair with equal scores counts one half.",
            )  # fmt: skip
    return f"Over all sites {over_all:.2f}, within the sites {told['A']:.2f} and {told['B']:.2f}."


def _four_sites() -> pd.DataFrame:
    """Scores that know the site and nothing else; C has no ill images, and D no well ones."""
    rng = np.random.default_rng(8)
    site = np.repeat(["A", "B", "C", "D"], [60, 60, 10, 5])
    ill = np.concatenate([rng.random(60) < 0.8, rng.random(60) < 0.15, np.arange(15) >= 10])
    score = np.where(np.isin(site, ["A", "D"]), 0.7, 0.3) + np.round(rng.normal(0, 0.1, 135), 1)
    return pd.DataFrame({"site": site, "label": ill.astype(int), "score": score})


@exercise("inside-1", "build", INSIDE)
def pointing_game(answer: Any) -> str:  # noqa: ANN401
    """Build ``hit_rate(maps, masks)``: the share of maps whose maximum lies in the lesion."""
    rng = np.random.default_rng(9)
    for shift, hit in ((0.0, 7), (-3.0, 4), (0.0, 0), (5.0, 10)):
        maps = rng.uniform(0, 0.5, (10, 12, 20)) + shift
        masks = np.zeros((10, 12, 20), dtype=bool)
        masks[:, 2:6, 11:17] = True
        masks[:, 4:6, 14:17] = False  # an L, so that a box around it is larger
        for i in range(10):
            at = ((2, 12), (5, 13), (3, 16)) if i < hit else ((5, 15), (6, 12), (2, 17))
            maps[(i, *at[i % 3])] = 1 + shift + 0.1 * i
        value = a_number(tried(answer, maps, masks), 0, 1, "a share")
        if not np.isclose(value, hit / 10):
            raise NotYetError(
                f"Of 10 maps {hit} have their maximum in the lesion; you say {value:.3g}.",
                "Each map has a maximum of its own. Maps need not be square, and may be negative. "
                "A lesion need not be a box.",
            )
    return "One maximum per map, and the share of those inside the lesion."


@exercise("labels-1", "build", LABELS)
def agreement_beyond_chance(answer: Any) -> str:  # noqa: ANN401
    """Build ``kappa(first, second)``: Cohen's kappa of two readers (Cohen 1960)."""
    rng = np.random.default_rng(10)
    for share, same in ((0.5, 0.9), (0.1, 0.9), (0.05, 0.5), (0.3, 1.0), (0.4, 0.0)):
        first = (rng.random(200) < share).astype(int)
        other = rng.random(200) < (share if same else 1 - first)
        second = np.where(rng.random(200) < same, first, other).astype(int)
        value = a_number(tried(answer, first, second), -1, 1, "a kappa")
        if np.isclose(value, cohen_kappa_score(first, second), atol=1e-3):
            continue
        agreed = float((first == second).mean())
        hint = (
            "This is the share on which they agree. Two readers who throw coins agree as well."
            if np.isclose(value, agreed)
            else "By chance they agree if both say ill or both say well. Each reader has a share "
            "of ill of their own. Kappa may be negative, and is not rounded."
        )
        raise NotYetError(
            f"They agree on {agreed:.0%} of the images and you say {value:.3f}.", hint
        )
    return "What they agree on beyond chance, as a share of what there was to agree on."


@exercise("capstone-1", "find", CAPSTONE)
def line_that_moves_the_goal(answer: Any) -> str:  # noqa: ANN401
    """Find the line of a protocol that spoils the test."""
    a_line(
        answer, 5,
        {
            1: "Patients are divided, and the seed is fixed beforehand.",
            2: "Validation is there to choose among models.",
            3: "Validation is there to choose the threshold as well.",
            4: "This is the one use of the test, with an interval by patient.",
            6: "Who is left out belongs in every report.",
        },
    )  # fmt: skip
    return "Line 5: the test has then been used to choose, so its figures are too good."


@exercise("trial-1", "repair", TRIAL)
def patient_of_a_name(answer: Any) -> str:  # noqa: ANN401
    """Repair ``patient_of(name)``: one ID for each person of the Kaggle chest X-rays."""
    found = {}
    for name in NAMES:
        found[name] = tried(answer, name)
        if not isinstance(found[name], str) or not found[name]:
            raise NotYetError(f"For {name!r} it returns {described(found[name])}, not a text.")
    for one in NAMES:
        for two in NAMES:
            same = kaggle_patient(one[:-5]) == kaggle_patient(two[:-5])
            if same and found[one] != found[two]:
                raise NotYetError(
                    f"{one} and {two} show one person and get two IDs.",
                    "Every number after the person's own counts images, and some names have two.",
                )
            if not same and found[one] == found[two]:
                raise NotYetError(
                    f"{one} and {two} show two persons and get one ID.",
                    "Which parts of the name do not count images? Together they name the person.",
                )
    return "One ID per person, for the ill and for the well."


@exercise("gallery-1", "predict", GALLERY)
def best_of_twenty(answer: Any) -> str:  # noqa: ANN401
    """Best measured ROC-AUC of twenty equal models: true .80, standard error .05."""
    value = a_number(answer, 0, 1, "a ROC-AUC")
    draws = np.random.default_rng(0).normal(0.80, 0.05, (4000, 20)).max(axis=1)
    near(
        value, float(draws.mean()), 0.025,
        "The best of twenty is not a typical one. How often does chance lift one by more than a "
        "standard error?",
        "One throw in twenty lies above about 1.6 standard errors; few lie much higher.",
    )  # fmt: skip
    return f"{draws.mean():.2f} on average, for models that are all worth .80."
