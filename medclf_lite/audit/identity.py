"""Notes in image files that tell who the patient is; their values are never shown."""

from __future__ import annotations

import io

from PIL import Image

# Direct identifiers of the DICOM profile for de-identification (PS3.15, table E.1-1), a part.
DICOM_TAGS = (
    "PatientName", "PatientBirthDate", "PatientAddress", "PatientTelephoneNumbers",
    "OtherPatientIDs", "OtherPatientNames", "PatientMotherBirthName", "IssuerOfPatientID",
    "ReferringPhysicianName", "PerformingPhysicianName", "InstitutionAddress",
    "PersonName", "AccessionNumber",
)  # fmt: skip
EXIF_TAGS = {0x8825: "GPS position", 0x013B: "Artist", 0xA430: "CameraOwnerName"}
_EMPTY = (
    "",
    "none",
    "anonymous",
    "anon",
    "anonymized",
    "anonymised",
    "unknown",
    "removed",
    "x",
    "0",
)


def of_dicom(data: bytes) -> tuple[str, ...]:
    """Name the tags of a DICOM file that hold an identity.

    A name that repeats the patient ID is a pseudonym and does not count. The value of
    ``BurnedInAnnotation`` says that an identity may stand in the pixels.
    """
    import pydicom

    header = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    pseudonym = str(header.get("PatientID", "")).strip().lower()
    found = [
        tag
        for tag in DICOM_TAGS
        if (value := str(header.get(tag, "")).strip().lower()) not in _EMPTY and value != pseudonym
    ]
    if str(header.get("BurnedInAnnotation", "")).strip().upper() == "YES":
        found.append("BurnedInAnnotation")
    return tuple(found)


def of_exif(image: Image.Image) -> tuple[str, ...]:
    """Name the EXIF tags of an image that tell a place or a person."""
    known = image.getexif()
    return tuple(name for tag, name in EXIF_TAGS.items() if known.get(tag))
