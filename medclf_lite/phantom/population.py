"""Who comes when to which site: the table behind the images, one row a study."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from medclf_lite.phantom.draws import BLOCK, FILE, PATIENT, STUDY, Uniforms, generator, uniforms
from medclf_lite.phantom.scanner import scanner_of
from medclf_lite.phantom.spec import PhantomSpec

BLOCK_SIZE = 20  # patients among whom the share of sick ones is kept

# Share of patients with at most 1, 2, 3 images; the others have 4 to 30. For the sick as in the
# Kaggle set. There 5 % of the normals have several; here 10 %, so that few patients show it too.
IMAGES_NORMAL = (0.90, 0.99, 1.0)
IMAGES_SICK = (0.755, 0.873, 0.918)

# File traits of the Kaggle set, NORMAL then PNEUMONIA, from 1,566 native files.
LOG_WIDTH = ((7.416, 0.173), (7.060, 0.251))
LOG_ASPECT = ((0.192, 0.106), (0.407, 0.160))
USUAL_QUALITY = (95, 75)  # of the JPEG encoder; 4 in 100 files of either class have another
RARE_QUALITY = (93, 91)
RGB_SHARE = (0.0, 0.07)  # three equal channels


def draw_population(spec: PhantomSpec) -> pd.DataFrame:
    """Draw patients and their studies.

    Parameters
    ----------
    spec : PhantomSpec

    Returns
    -------
    pandas.DataFrame
        One row a study, a patient's studies in order of date: the columns of the cohort, and
        ``patient`` (number), ``true_label``, ``true_subtype``, ``severity`` (0 to 1),
        ``dextrocardia``, ``child``, ``marker``, ``jpeg_quality``.
    """
    people = _patients(spec)
    rows = people.loc[people.index.repeat(people["n_images"])].reset_index(drop=True)
    rows["follow_up"] = rows.groupby("patient").cumcount()
    studies = list(zip(rows["patient"], rows["follow_up"], strict=True))
    u = uniforms(spec.seed, STUDY, studies, 4)
    rows = _course(rows, u, spec)
    label = rows["label"].to_numpy()
    rows["view"] = np.where(u[:, 2] < np.take(spec.ap_share, label), "AP", "PA")
    portable = u[:, 3] < np.take(spec.portable_marker, label)
    side = rows["site"].map(lambda site: scanner_of(site).marker)
    rows["marker"] = np.where(portable, "P", side) if spec.markers else ""
    rows = _file_traits(rows, uniforms(spec.seed, FILE, studies, 5), spec)
    number = [f"{p:05d}" for p in rows["patient"]]
    rows["patient_id"] = [f"patient{n}" for n in number]
    rows["image_id"] = [
        f"patient{n}_{k:02d}" for n, k in zip(number, rows["follow_up"], strict=True)
    ]
    return rows


def _patients(spec: PhantomSpec) -> pd.DataFrame:
    patients = np.arange(spec.n_patients)
    u = uniforms(spec.seed, PATIENT, ((int(p),) for p in patients), 12)
    true = _sick(spec)
    label = np.where(u[:, 0] < spec.label_noise, 1 - true, true)
    kind = np.where(u[:, 1] < spec.bacteria_share, "bacteria", "virus")
    child = u[:, 2] < spec.child_share
    day = u[:, 5] * spec.days
    table = {
        "patient": patients,
        "label": label,
        "true_label": true,
        "subtype": np.where(label == 1, kind, "normal"),
        "true_subtype": np.where(true == 1, kind, "normal"),
        "child": child,
        "age": np.where(child, 1 + 15 * u[:, 3], 18 + 72 * u[:, 3]).astype(int),
        "sex": np.where(u[:, 4] < 0.5, "F", "M"),
        "dextrocardia": u[:, 8] < spec.dextrocardia,
        "site": _sites(true, u[:, 6], u[:, 5], spec),
        "n_images": _n_images(label, u[:, 7], u[:, 9], spec),
        "first_day": day.astype(int),
        "first_severity": u[:, 10],
        "trend": u[:, 11] - 0.65,  # more patients get better than worse
    }
    return pd.DataFrame(table)


def _sick(spec: PhantomSpec) -> npt.NDArray[np.int64]:
    """Who is sick: the same share in every block of patients, at places that chance chooses."""
    start = generator(spec.seed, BLOCK).random()
    found = []
    for block in range(-(-spec.n_patients // BLOCK_SIZE)):
        edges = np.floor(np.arange(block, block + 2) * BLOCK_SIZE * spec.prevalence + start)
        sick = np.arange(BLOCK_SIZE) < edges[1] - edges[0]
        found.append(generator(spec.seed, BLOCK, block + 1).permutation(sick))
    return np.concatenate(found)[: spec.n_patients].astype(np.int64)


def _sites(
    true: npt.NDArray[np.int64], u: Uniforms, when: Uniforms, spec: PhantomSpec
) -> npt.NDArray[np.str_]:
    """Site of each patient: the sick go rather to the last site, the others to the first."""
    n = len(spec.sites)
    rank = np.linspace(0, 1, n) if n > 1 else np.full(1, 0.5)
    strength = np.full(len(u), 2 * spec.site_confounding - 1)
    if spec.policy_change is not None:
        strength[when >= spec.policy_change] = 0
    lean = strength * np.where(true == 1, 1, -1)
    weights = (1 + lean[:, None] * (2 * rank - 1)).cumsum(axis=1) / n
    chosen: npt.NDArray[np.intp] = (u[:, None] >= weights[:, :-1]).sum(axis=1)
    return np.array(spec.sites)[chosen]


def _n_images(
    label: npt.NDArray[np.int64], u: Uniforms, tail: Uniforms, spec: PhantomSpec
) -> npt.NDArray[np.int64]:
    if not isinstance(spec.images_per_patient, str):
        return np.full(len(label), spec.images_per_patient)
    steps = np.array([IMAGES_NORMAL, IMAGES_SICK])[label]
    few = 1 + (u[:, None] >= steps).sum(axis=1)
    many: npt.NDArray[np.int64] = np.minimum(4 - 3 * np.log1p(-tail), 30).astype(np.int64)
    return np.where(few > 3, many, few)


def _course(rows: pd.DataFrame, u: Uniforms, spec: PhantomSpec) -> pd.DataFrame:
    """Give each study its date, and the lesion its severity on that day."""
    gap = np.where(rows["follow_up"] > 0, 2 + np.floor(-10 * np.log1p(-u[:, 0])), 0)
    since = pd.Series(gap).groupby(rows["patient"]).cumsum().to_numpy()
    days = pd.to_timedelta(rows["first_day"].to_numpy() + since, unit="D")
    wobble = np.where(rows["follow_up"] > 0, 0.3 * (u[:, 1] - 0.5), 0)
    severity = rows["first_severity"] + rows["trend"] * since / 30 + wobble
    low, high = spec.amplitude
    severity = severity.clip(0, 1) * rows["true_label"]
    amplitude = (low + (high - low) * severity) * rows["true_label"]
    date = pd.Timestamp(spec.first_day) + days
    return rows.assign(date=date, severity=severity, amplitude=amplitude)


def _file_traits(rows: pd.DataFrame, u: Uniforms, spec: PhantomSpec) -> pd.DataFrame:
    """Give each file the traits of its class, or, without confounding, of either class."""
    by_label = u[:, 0] < spec.file_confounding
    kind = np.where(by_label, rows["label"], u[:, 0] * 9973 % 1 < 0.5).astype(int)
    mean, spread = np.array(LOG_WIDTH)[kind].T
    width = np.exp(mean + spread * ndtri(u[:, 1].clip(0.005, 0.995)))
    mean, spread = np.array(LOG_ASPECT)[kind].T
    aspect = np.exp(mean + spread * ndtri(u[:, 2].clip(0.005, 0.995))).clip(0.9, 2.1)
    usual, rare = np.take(USUAL_QUALITY, kind), np.where(u[:, 3] < 0.02, *RARE_QUALITY)
    return rows.assign(
        width=width.round().astype(int),
        height=(width / aspect).round().astype(int),
        mode=np.where(u[:, 4] < np.take(RGB_SHARE, kind), "RGB", "L"),
        jpeg_quality=np.where(u[:, 3] < 0.04, rare, usual),
    )
