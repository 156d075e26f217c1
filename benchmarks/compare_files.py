"""Files: decoding in the loader in every epoch, against decoding once into a mapped file."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from measure import Row, seconds, told
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medclf_lite._torchvision import ensure_torchvision
from medclf_lite.images import load_pixels
from medclf_lite.loaders import make_loader
from medclf_lite.phantom import PhantomSpec, generate, write_folder
from medclf_lite.sources import from_folder

SIZE, BATCH = 224, 32
# Files of about 750 x 540 pixels, a third of the Kaggle set's area; larger ones cost more.
SPEC = PhantomSpec(n_patients=150, size=448)


class Decoding(Dataset[Tensor]):
    """The tutorial's data set: open, turn into colour, resize and normalise, for each image."""

    def __init__(self, files: list[Path]) -> None:
        ensure_torchvision()
        from torchvision import transforms

        self.files = files
        self.transform = transforms.Compose([
            transforms.Resize((SIZE, SIZE)), transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Tensor:
        image: Tensor = self.transform(Image.open(self.files[row]).convert("RGB"))
        return image


def rows(runs: int) -> list[Row]:
    """Compare one epoch of loading, and tell what the first pass costs."""
    with tempfile.TemporaryDirectory() as place:
        folder = write_folder(generate(SPEC), place)
        cohort = from_folder(folder)
        files = [folder / image for image in cohort.table["image_id"]]
        every_time = DataLoader(Decoding(files), batch_size=BATCH, shuffle=True)
        slow = seconds(lambda: [batch.sum() for batch in every_time], runs)
        decode = seconds(partial(load_pixels, cohort, SIZE), runs)
        load_pixels(cohort, SIZE, cache=Path(place) / "cache")
        pixels = load_pixels(cohort, SIZE, cache=Path(place) / "cache")
        assert isinstance(pixels, np.memmap), "the comparison is with the mapped file"
        loader = make_loader(cohort, pixels, train=True, batch_size=BATCH)
        fast = seconds(lambda: [images.sum() for images, _, _ in loader], runs)
    what = f"{len(cohort)} synthetic JPEGs to {SIZE} px, one process"
    return [
        Row(f"one epoch of loading, {what}", f"decoded each time: {told(slow)}", told(fast)),
        Row("the same: the first pass, which decodes", "", told(decode)),
    ]
