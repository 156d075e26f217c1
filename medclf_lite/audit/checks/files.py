"""Files: what was left out, what cannot be decoded, what is not what it says."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medclf_lite.audit.cohort_input import AuditInput
from medclf_lite.audit.finding import LOADING, Example, Finding, Severity, number, of_images
from medclf_lite.audit.registry import cohort_check
from medclf_lite.cohort import Files
from medclf_lite.sources.headers import EXTENSIONS

_FORMAT = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF",
           ".dcm": "DICOM"}  # fmt: skip


@cohort_check(id="files.left-out")
def left_out(audit: AuditInput) -> Iterator[Finding]:
    """Files that lie in the folder but not in the cohort, by reason."""
    for reason, group in audit.cohort.left_out.groupby("reason", sort=True):
        lost = [p for p in group["path"] if _may_be_image(p)]
        severity: Severity = "warning" if lost else "note"
        yield Finding(
            "files.left-out", severity,
            "Image files were left out" if lost else "Files beside the images",
            f"{number(len(group), 'file')} left out: {reason}.",
            len(group),
            tuple(Example(p) for p in lost or group["path"].tolist()),
            "A file that nobody counts is a patient that nobody misses; losses are rarely spread "
            "evenly over the classes." if lost else "Listed so that nothing goes unseen.",
            "Repair, rename or convert the file, or write down why it is left out."
            if lost else "Nothing, if no image is among them.",
            LOADING,
        )  # fmt: skip


def _may_be_image(path: str) -> bool:
    name = PurePosixPath(path)
    if name.name.startswith("."):
        return False
    kind = mimetypes.guess_type(name.name)[0] or ""
    return name.suffix.lower() in EXTENSIONS or kind.startswith("image/")


@cohort_check(id="files.unreadable", needs=("files",))
def unreadable(audit: AuditInput) -> Iterator[Finding]:
    """Files that start like an image but cannot be decoded to the end."""
    bad = np.flatnonzero(audit.facts["problem"] != "")
    if not len(bad):
        return
    problems = audit.facts["problem"].to_numpy()
    named = zip(audit.ids(bad), problems[bad], strict=True)
    yield Finding(
        "files.unreadable", "error", "Files that cannot be decoded",
        f"{len(bad)} of {number(len(audit.cohort), 'file')} cannot be decoded to the end; the "
        "checks on pixels leave them out.",
        len(bad),
        tuple(Example(f"{image_id}: {problem}", (image_id,)) for image_id, problem in named),
        "Training stops when such a file's turn comes, or goes on with a half grey image. A look "
        "at the header does not find them.",
        "Copy the files again from their origin; if they are lost, leave them out and say so.",
        LOADING,
    )  # fmt: skip


@cohort_check(id="files.extension", needs=("files",))
def extension(audit: AuditInput) -> Iterator[Finding]:
    """Files whose extension names another format than their content."""
    names = _paths(audit)
    said = np.array([_FORMAT.get(PurePosixPath(p).suffix.lower(), "") for p in names])
    found = audit.facts["content"].replace("MPO", "JPEG").to_numpy()
    wrong = (said != "") & (found != "") & (said != found)
    if wrong.any():
        pairs = Counter(zip(said[wrong], found[wrong], strict=True))
        kinds = "; ".join(f"{n} named {a}, in truth {b}" for (a, b), n in sorted(pairs.items()))
        yield _about_images(
            audit, wrong, "files.extension", "warning", "Extension and content differ",
            f"{number(int(wrong.sum()), 'file')}: {kinds}.",
            "Someone renamed instead of converting. Programs that go by the name fail, or treat "
            "these images in another way than the rest.",
            "Rename them to their true format.",
        )  # fmt: skip


@cohort_check(id="files.mode", needs=("files",))
def mode(audit: AuditInput) -> Iterator[Finding]:
    """Colour modes that are mixed, and grey images stored as colour."""
    readable = audit.facts["problem"] == ""
    modes = audit.facts.loc[readable, "mode"].value_counts()
    if len(modes) > 1:
        rare = (audit.facts["mode"] != modes.index[0]) & readable
        listed = ", ".join(f"{n:,} {name}" for name, n in modes.items())
        yield _about_images(
            audit, rare.to_numpy(), "files.mode", "warning", "Colour modes are mixed",
            f"The files are {listed}.",
            "A mode comes from the machine or the software, not from the patient. If it goes with "
            "the class, a model that sees channels can use it.",
            "Decode everything to one channel, and see whether the mode goes with label or site.",
        )  # fmt: skip
    grey = audit.facts["grey_as_colour"].to_numpy(dtype=bool)
    if grey.any():
        yield _about_images(
            audit, grey, "files.mode", "note", "Grey images stored as colour",
            f"{int(grey.sum()):,} of {number(len(grey), 'file')} have three equal channels.",
            "Three equal channels take three times the memory and tell nothing more.",
            "Decode to one channel, and match the network's input to it.",
        )  # fmt: skip


@cohort_check(id="files.depth", needs=("files",))
def depth(audit: AuditInput) -> Iterator[Finding]:
    """Images with more or fewer than 8 bits a channel."""
    readable = audit.facts["problem"] == ""
    odd = ((audit.facts["bits"] != 8) & readable).to_numpy()
    if odd.any():
        mixed = int(odd.sum()) < int(readable.sum())
        bits = ", ".join(map(str, sorted(set(audit.facts.loc[odd, "bits"]))))
        yield _about_images(
            audit, odd, "files.depth", "warning" if mixed else "note",
            "Bit depths are mixed" if mixed else "Images deeper or flatter than 8 bits",
            f"{number(int(odd.sum()), 'file')} of {int(readable.sum()):,} with {bits} bits.",
            "The usual conversion to 8 bits cuts off: 16-bit images become white. A 1-bit image "
            "has lost its grey values.",
            "Scale from the declared range, the same for all images, and look at the result.",
        )  # fmt: skip


@cohort_check(id="files.orientation", needs=("files",))
def orientation(audit: AuditInput) -> Iterator[Finding]:
    """Images that their EXIF data turn or mirror."""
    turned = (audit.facts["orientation"] > 1).to_numpy()
    if turned.any():
        yield _about_images(
            audit, turned, "files.orientation", "warning", "Images turned by EXIF data",
            f"{number(int(turned.sum()), 'image')} with an EXIF orientation.",
            "Some programs turn such images and some do not, so that people and models may see "
            "different pictures; a mirrored chest has its heart on the wrong side.",
            "Apply the orientation once, save the pixels, and remove the tag.",
        )  # fmt: skip


@cohort_check(id="files.large", needs=("files",))
def large(audit: AuditInput) -> Iterator[Finding]:
    """Images so large that they may be decompression bombs."""
    limit = Image.MAX_IMAGE_PIXELS or 2**62
    huge = (audit.facts["n_pixels"] > limit).to_numpy()
    if huge.any():
        most = int(audit.facts["n_pixels"].max())
        yield _about_images(
            audit, huge, "files.large", "warning", "Images of an unusual size",
            f"{number(int(huge.sum()), 'image')} above {limit:,} pixels, up to {most:,}.",
            "A small file can unpack to gigabytes and stop a training run.",
            "Check that the size is meant, and save a reduced copy.",
        )  # fmt: skip


@cohort_check(id="files.identity", needs=("files",))
def identity(audit: AuditInput) -> Iterator[Finding]:
    """Names, birth dates or places that were left in the files."""
    told = audit.facts["identity"].map(bool).to_numpy()
    if told.any():
        tags = Counter(tag for tags in audit.facts["identity"] for tag in tags)
        listed = ", ".join(f"{tag} in {n:,}" for tag, n in tags.most_common())
        yield _about_images(
            audit, told, "files.identity", "error", "Identities were left in the files",
            f"{number(int(told.sum()), 'file')} of {len(told):,}: {listed}. Values are not shown.",
            "Whoever gets the files learns who the patients are; in most countries that is against "
            "the law, and it cannot be taken back.",
            "Remove them with a tool made for it (the profiles of DICOM PS3.15), before the files "
            "go anywhere; look at the pixels too, where text may be burnt in.",
        )  # fmt: skip


@cohort_check(id="files.same-name", needs=("files",))
def same_name(audit: AuditInput) -> Iterator[Finding]:
    """File names that occur in several folders."""
    names = np.array([PurePosixPath(p).name for p in _paths(audit)])
    count = Counter(names.tolist())
    twice = np.array([count[n] > 1 for n in names])
    if twice.any():
        yield _about_images(
            audit, twice, "files.same-name", "note", "One name in several folders",
            f"{number(len(set(names[twice])), 'name')} shared by {int(twice.sum()):,} files.",
            "Tables that are joined by file name mix such images up.",
            "Join by the path, or rename.",
        )  # fmt: skip


def _paths(audit: AuditInput) -> tuple[str, ...]:
    images = audit.cohort.images
    return images.paths if isinstance(images, Files) else ()


def _about_images(
    audit: AuditInput, rows: npt.NDArray[Any], id: str, severity: Severity, title: str, seen: str,
    why: str, do: str,
) -> Finding:  # fmt: skip
    examples = of_images(audit.ids(rows))
    return Finding(id, severity, title, seen, int(rows.sum()), examples, why, do, LOADING)
