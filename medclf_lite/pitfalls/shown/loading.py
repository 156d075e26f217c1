"""Faults of loading and looking: lengths, shapes, file sizes, channels, names, histograms."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from medclf_lite.audit.finding import EDA, LOADING
from medclf_lite.pitfalls.cohorts import (
    Array,
    auc,
    data,
    linear,
    patients,
)
from medclf_lite.pitfalls.registry import Outcome, fault


class ShortSet:
    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples[0:100])  # left over from a first try

    def __getitem__(self, i):
        return self.samples[i]


class WholeSet(ShortSet):
    def __len__(self):
        return len(self.samples)


@fault(
    "F01", "A length left over from a first try", LOADING, faulty=ShortSet, fixed=WholeSet,
    hurts="All other images are never seen. Samples are sorted by class, so the hundred are of "
    "one class: the loss falls, the accuracy is perfect, and nothing was learnt.",
    figure="accuracy", caught_by=("loaders.length", "loaders.one-class", "code.truncated-length"),
)  # fmt: skip
def short_length(seed: int) -> Outcome:
    x, y = data(seed, 300)
    order = np.argsort(y, kind="stable")
    given = ShortSet(list(zip(x[order], y[order], strict=True)))
    seen = [given[i] for i in range(len(given))]
    labels = np.array([label for _, label in seen])
    model = linear(np.array([image for image, _ in seen]), labels)
    new_x, new_y = data(seed + 5000, 300)
    said = (
        model.predict(np.array([image for image, _ in seen])) == labels
    ).mean()
    return Outcome(
        float(said), float((model.predict(new_x) == new_y).mean())
    )


def squash(image):
    return image.resize((32, 32))  # whatever shape it had


def keep_shape(image):
    square = Image.new("L", (max(image.size),) * 2)
    square.paste(
        image,
        (
            (square.width - image.width) // 2,
            (square.height - image.height) // 2,
        ),
    )
    return square.resize((32, 32))


def _shaped(seed: int, linked: bool) -> tuple[list[Image.Image], Array]:
    """Give each image a shape, which goes with the label or does not."""
    cohort = patients(seed, 240, size=64, amplitude=(0.0, 0.0)).cohort
    rng = np.random.default_rng(seed)
    which = cohort.labels if linked else rng.permutation(cohort.labels)
    cut = (rng.uniform(0, 3, len(cohort)) + 5 * which).astype(
        int
    )  # above and below
    made = cohort.images.pixels  # type: ignore[union-attr]
    images = [
        Image.fromarray(a[c : 64 - c])
        for a, c in zip(made, cut, strict=True)
    ]
    return images, cohort.labels


def _detail(images: Sequence[Image.Image]) -> Array:
    """Measure how fine the picture is along and across: what squashing leaves of the shape."""
    found = [np.asarray(image, dtype=float) for image in images]
    fine = np.array(
        [
            [np.abs(np.diff(a, axis=axis)).mean() for axis in (0, 1)]
            for a in found
        ]
    )
    return np.log(fine)


@fault(
    "F09", "Images squashed to a square", EDA, faulty=squash, fixed=keep_shape,
    hurts="The shape of the file stays in the picture as distortion. Where it goes with the class "
    "a model reads it there, and fails where it does not. Keeping the shape does not cure this: "
    "the bars of the border show it too. Probing for it does.",
    figure="ROC-AUC of two numbers of texture", caught_by=("shortcuts.files", "code.squashed"),
)  # fmt: skip
def squashed(seed: int) -> Outcome:
    images, y = _shaped(seed, linked=True)
    x = _detail([squash(image) for image in images])
    model = linear(x[:120], y[:120], 1.0)
    elsewhere, new_y = _shaped(seed + 5000, linked=False)
    return Outcome(
        auc(model, x[120:], y[120:]),
        auc(model, _detail([squash(i) for i in elsewhere]), new_y),
    )


def trust(model_auc, files, labels):
    return model_auc  # the files were never looked at


def probe(model_auc, files, labels):
    sizes = np.array([len(file) for file in files])
    by_size = auc(
        linear(sizes[:, None], labels), sizes[:, None], labels
    )
    return model_auc if by_size < 0.6 else None  # find out why first


def _jpegs(seed: int, linked: bool) -> tuple[list[bytes], Array]:
    cohort = patients(seed, 240, size=64, amplitude=(0.0, 0.0)).cohort
    rng = np.random.default_rng(seed)
    which = cohort.labels if linked else rng.permutation(cohort.labels)
    files = []
    for image, hard in zip(cohort.images.pixels, which, strict=True):  # type: ignore[union-attr]
        buffer = io.BytesIO()
        quality = int(rng.integers(60, 75) + 12 * hard)
        Image.fromarray(image).save(buffer, "JPEG", quality=quality)
        files.append(buffer.getvalue())
    return files, cohort.labels


@fault(
    "F10", "Nobody looked at the files", EDA, faulty=trust, fixed=probe,
    hurts="A class that comes from another machine or year has other files. Their size alone "
    "predicts the label, without a single pixel of disease; elsewhere it knows nothing.",
    figure="ROC-AUC of the file size alone", caught_by=("shortcuts.files",),
)  # fmt: skip
def file_size(seed: int) -> Outcome:
    (here, y), (there, new_y) = (
        _jpegs(seed, linked=True),
        _jpegs(seed + 5000, linked=False),
    )
    size, new_size = (
        np.array([[len(f)] for f in files]) for files in (here, there)
    )
    model = linear(size[:120], y[:120], 1.0)
    return Outcome(
        auc(model, size[120:], y[120:]), auc(model, new_size, new_y)
    )


def as_colour(images):
    return np.stack([np.asarray(i.convert("RGB")) for i in images])


def as_grey(images):
    return np.stack([np.asarray(i.convert("L")) for i in images])


@fault(
    "F11", "Grey images as three channels", EDA, faulty=as_colour, fixed=as_grey,
    hurts="Three equal channels take three times the memory and tell nothing more; and a colour "
    "image among the grey ones is never noticed.",
    figure="megabytes for 1,000 images of 224 pixels",
    caught_by=("files.mode", "loaders.grey", "code.grey-to-rgb"),
)  # fmt: skip
def colour(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    images = [
        Image.fromarray(rng.integers(0, 255, (224, 224), np.uint8))
        for _ in range(4)
    ]
    return Outcome(
        as_colour(images).nbytes / 4000, as_grey(images).nbytes / 4000
    )


def by_ending(names):
    return [n for n in names if n.endswith((".jpeg", ".png"))]


def by_format(names):
    known = (".jpeg", ".jpg", ".png", ".tif", ".dcm")
    found = [n for n in names if n.lower().endswith(known)]
    print(len(names) - len(found), "files left out")
    return found


@fault(
    "F12", "Files that vanish by their name", LOADING, faulty=by_ending, fixed=by_format,
    hurts="IMG.JPEG and IMG.JPG are left out without a word. What is lost is rarely spread evenly: "
    "often it is one camera, one ward, one class.",
    figure="images found", shows="said is lower",
    caught_by=("files.left-out", "code.extensions"),
)  # fmt: skip
def lost_files(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    endings = rng.choice(
        [".jpeg", ".JPEG", ".jpg", ".png", ".PNG", ".dcm"], 200
    )
    names = [f"scan{i:03d}{ending}" for i, ending in enumerate(endings)]
    return Outcome(len(by_ending(names)), len(by_format_quietly(names)))


def by_format_quietly(names: list[str]) -> list[str]:
    """Run the mended code without its printed line."""
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        found: list[str] = by_format(names)
    finally:
        sys.stdout = kept
    return found


def in_a_list(images):
    pixels = []
    for image in images:
        pixels.extend(np.asarray(image).ravel().tolist())
    return pixels


def in_counts(images):
    counts = np.zeros(256)
    for image in images:
        grey = np.bincount(np.asarray(image).ravel(), minlength=256)
        counts += grey / grey.sum()  # each image counts alike
    return counts


def _held(found: Any) -> int:
    return (
        found.nbytes
        if isinstance(found, np.ndarray)
        else sys.getsizeof(found)
    )


@fault(
    "F33", "A histogram out of 25 million Python numbers", EDA, faulty=in_a_list, fixed=in_counts,
    hurts="Each pixel becomes an entry of a list. It is slow, grows without limit, and large "
    "images count more than small ones.",
    figure="bytes held for a pixel", caught_by=("code.pixel-list",),
)  # fmt: skip
def pixel_list(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    images = [
        Image.fromarray(rng.integers(0, 255, (64, 64), np.uint8))
        for _ in range(20)
    ]
    n = 20 * 64 * 64
    return Outcome(
        _held(in_a_list(images)) / n, _held(in_counts(images)) / n
    )
