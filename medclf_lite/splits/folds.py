"""Folds by patient and by site, with the interface of scikit-learn's splitters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from medclf_lite.cohort import Rows
from medclf_lite.errors import MedclfError
from medclf_lite.splits.checks import check_classes
from medclf_lite.splits.units import (
    Mask,
    Names,
    PatientTable,
    as_names,
    binary_labels,
    label_names,
    on_several,
    patient_table,
)

# StratifiedGroupKFold also balances the images of a fold, at a cost for each patient that
# becomes seconds here; with this many patients, balanced patients have balanced images.
MANY_PATIENTS = 20_000
_SITES = 'cohort.table[["site", "patient_id"]]'
Fold = tuple[Rows, Rows]


@dataclass(frozen=True)
class PatientKFold:
    """Folds in which each patient is in one test fold, stratified by label.

    scikit-learn's ``StratifiedGroupKFold``; above 20,000 patients its ``StratifiedKFold`` on one
    row a patient; for several findings ``MultilabelStratifiedKFold`` (Sechidis et al. 2011) on
    the findings that a patient ever has. Works in ``cross_validate`` and ``GridSearchCV``.

    Parameters
    ----------
    n_splits : int, default 5
        Number of folds, at least 2.
    seed : int, default 0
        One seed gives one set of folds of patients, whatever the order of the rows.
    repeats : int, default 1
        Repeat with other seeds: ``n_splits * repeats`` folds.

    Raises
    ------
    MedclfError
        From ``split``: without groups, if a class has too few patients for the folds, or if a
        fold would lack a class.

    Examples
    --------
    >>> y, patients = [0, 0, 1, 1, 0, 1], ["p", "p", "q", "q", "r", "s"]
    >>> for train, test in PatientKFold(2).split(None, y, patients):
    ...     print(sorted({patients[i] for i in test}))
    ['q', 'r']
    ['p', 's']
    """

    n_splits: int = 5
    seed: int = 0
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.n_splits < 2 or self.repeats < 1:
            raise MedclfError(
                f"PatientKFold needs n_splits of at least 2 and repeats of at least 1; got {self}."
            )

    def split(
        self, X: object, y: npt.ArrayLike | None = None, groups: npt.ArrayLike | None = None
    ) -> Iterator[Fold]:
        """Return rows of train and test for each fold.

        Parameters
        ----------
        X : object
            Not looked at.
        y : array-like, shape (n,) or (n, findings)
            Labels, 0 or 1.
        groups : array-like, shape (n,)
            Patient of each image: ``cohort.patients``, or :func:`linked_patients`.
        """
        labels, patients = _given(self, y, groups, "cohort.patients")
        table = patient_table(labels, as_names(patients, "patient ID"))
        names = label_names(labels)
        table.require(self.n_splits, "folds", names)
        folds: list[Fold] = []
        for seed in range(self.seed, self.seed + self.repeats):
            fold = _fold_of_images(table, labels, self.n_splits, seed)
            check_classes(labels, fold, _fold_names(self.n_splits), names)
            folds += _train_and_test(fold, self.n_splits)
        return iter(folds)

    def get_n_splits(self, X: object = None, y: object = None, groups: object = None) -> int:
        """Return the number of folds, over all repeats."""
        return self.n_splits * self.repeats


@dataclass(frozen=True)
class SiteOut:
    """Folds that each hold out one site, in the order of the sites' names.

    Raises
    ------
    MedclfError
        From ``split``: without groups, with fewer than two sites, if a site lacks a class, or if
        a patient is at two sites.

    Examples
    --------
    >>> table = pd.DataFrame({"site": list("AABB"), "patient_id": list("pqrs")})
    >>> [test.tolist() for _, test in SiteOut().split(None, [0, 1, 0, 1], table)]
    [[0, 1], [2, 3]]
    """

    def split(
        self, X: object, y: npt.ArrayLike | None = None, groups: npt.ArrayLike | None = None
    ) -> Iterator[Fold]:
        """Return rows of train and test for each site.

        Parameters
        ----------
        X : object
            Not looked at.
        y : array-like, shape (n,) or (n, findings)
            Labels, 0 or 1.
        groups : array-like, shape (n,) or (n, 2)
            Site of each image; or site and patient (``cohort.table[["site", "patient_id"]]``),
            and then a patient at two sites is an error. From sites alone that cannot be seen.
        """
        labels, given = _given(self, y, groups, _SITES)
        columns = pd.DataFrame(given)
        site, sites = pd.factorize(as_names(columns[0], "site"), sort=True)
        if len(sites) < 2:
            raise MedclfError(f"SiteOut needs two sites or more; all images are of {sites[0]!r}.")
        if columns.shape[1] > 1:
            _check_one_site(site, as_names(columns[1], "patient ID"))
        check_classes(labels, site, [f"Site {s!r}" for s in sites.tolist()], label_names(labels))
        return iter(_train_and_test(site, len(sites)))

    def get_n_splits(
        self, X: object = None, y: object = None, groups: npt.ArrayLike | None = None
    ) -> int:
        """Return the number of sites in ``groups``."""
        return int(pd.DataFrame(_grouped(self, groups, _SITES))[0].nunique())


def _grouped(splitter: object, groups: npt.ArrayLike | None, call: str) -> npt.NDArray[Any]:
    if groups is None:
        raise MedclfError(
            f"{type(splitter).__name__} needs groups. Images of one patient look alike: with some "
            "in train and some in test, a model can recognise the person, and its figure does not "
            f"hold for new patients. Pass groups={call}."
        )
    return np.asarray(groups, dtype=object)


def _given(
    splitter: object, y: npt.ArrayLike | None, groups: npt.ArrayLike | None, call: str
) -> tuple[Mask, npt.NDArray[Any]]:
    given = _grouped(splitter, groups, call)
    if y is None:
        name = type(splitter).__name__
        raise MedclfError(f"{name} needs labels y, so that no fold lacks a class.")
    labels = binary_labels(y)
    if given.shape[:1] != labels.shape[:1]:
        raise MedclfError(
            f"There are {len(labels)} labels, but groups of shape {given.shape}: give one for each "
            f"image, groups={call}."
        )
    return labels, given


def _fold_names(n: int) -> list[str]:
    return [f"Fold {i}" for i in range(n)]


def _train_and_test(fold: Rows, n: int) -> list[Fold]:
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(n)]


def _fold_of_images(table: PatientTable, labels: Mask, n: int, seed: int) -> Rows:
    if table.multilabel:
        splitter = MultilabelStratifiedKFold(n_splits=n, shuffle=True, random_state=seed)
        return _numbered(splitter.split(table.ill, table.ill), len(table))[table.of_image]
    if len(table) <= MANY_PATIENTS:
        splitter = StratifiedGroupKFold(n_splits=n, shuffle=True, random_state=seed)
        y = labels[:, 0].astype(np.intp)
        return _numbered(splitter.split(y, y, table.of_image), len(y))
    splitter = StratifiedKFold(n_splits=n, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # It warns of a stratum smaller than the folds; whether one lacks a class is checked.
        warnings.simplefilter("ignore", UserWarning)
        strata = table.strata(n)
        return _numbered(splitter.split(strata, strata), len(table))[table.of_image]


def _numbered(folds: Iterable[Fold], n: int) -> Rows:
    fold = np.empty(n, np.intp)
    for i, (_, test) in enumerate(folds):
        fold[test] = i
    return fold


def _check_one_site(site: Rows, patients: Names) -> None:
    if several := on_several(site, patients):
        raise MedclfError(
            f"{len(several)} patient(s) are at two sites, the first is {several[0]!r}: held out at "
            "one, they would be trained on at the other. Take them out, or hold out one site with "
            "hold_out_site(shared='test')."
        )
