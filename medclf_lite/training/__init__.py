"""One flat loop, a linear head on frozen features, checkpoints, and scores of a loader."""

from medclf_lite.training.checkpoints import load_weights, save_weights, weights_info
from medclf_lite.training.config import TrainConfig, TrainResult
from medclf_lite.training.head import HeadFit, fit_head, head_scores
from medclf_lite.training.inference import predict, score_images
from medclf_lite.training.loop import train
from medclf_lite.training.parts import positive_weight

__all__ = [
    "HeadFit",
    "TrainConfig",
    "TrainResult",
    "fit_head",
    "head_scores",
    "load_weights",
    "positive_weight",
    "predict",
    "save_weights",
    "score_images",
    "train",
    "weights_info",
]
