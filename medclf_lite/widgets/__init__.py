"""Pictures with dials: they move on the page without a kernel, and live in a notebook."""

from medclf_lite.widgets.augmentation import augmentations, what_is_left
from medclf_lite.widgets.confounding import confounding
from medclf_lite.widgets.splits import divide, leaking, split_explorer
from medclf_lite.widgets.states import Dial, Frame, States
from medclf_lite.widgets.threshold import outcomes, thresholds

__all__ = [
    "Dial",
    "Frame",
    "States",
    "augmentations",
    "confounding",
    "divide",
    "leaking",
    "outcomes",
    "split_explorer",
    "thresholds",
    "what_is_left",
]
