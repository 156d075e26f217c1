"""Training as one flat loop, to be read from top to bottom."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from accelerate.utils import set_seed
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from medclf_lite._memory import keep_freed_memory
from medclf_lite.backbones.classifier import Classifier, parameter_groups
from medclf_lite.errors import MedclfError
from medclf_lite.loaders import Item
from medclf_lite.training.config import TrainConfig, TrainResult
from medclf_lite.training.inference import collect, make_accelerator
from medclf_lite.training.parts import (
    auc_of,
    autocast,
    begin_epoch,
    check,
    check_batch,
    cosine_factor,
    deterministic_algorithms,
    loss_of,
)
from medclf_lite.training.resume import Run

LAST_FILE = "last.pt"


def train(  # noqa: C901 - one flat loop, read from top to bottom
    model: Classifier,
    train_loader: DataLoader[Item],
    val_loader: DataLoader[Item],
    config: TrainConfig | None = None,
    *,
    out: Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> TrainResult:
    """Train the layers that are not frozen, and leave the best epoch's weights in the model.

    The same code runs on a CPU, a GPU, or several (``accelerate launch``).

    Parameters
    ----------
    model : Classifier
        Changed in place; moved to the GPU if there is one.
    train_loader, val_loader : torch.utils.data.DataLoader
        From :func:`medclf_lite.loaders.make_loader`.
    config : TrainConfig, optional
    out : pathlib.Path, optional
        Folder that gets ``last.pt`` after each epoch, from which a run can go on.
    resume : bool, default False
        Go on from ``out/last.pt``: the run ends as if it had never been interrupted.
        Otherwise an earlier ``last.pt`` is overwritten.
    progress : bool, default False
        Show a progress bar an epoch.

    Returns
    -------
    TrainResult

    Raises
    ------
    MedclfError
        If the validation set cannot give the monitored value; if class imbalance is
        corrected twice; if BatchNorm meets a batch of one; if the loss is not a number in
        the first epoch; if a run to resume is missing or was a different one.

    Examples
    --------
    >>> from medclf_lite.backbones import build
    >>> from medclf_lite.cohort import Cohort
    >>> from medclf_lite.loaders import make_loader
    >>> labels = np.arange(16) % 2
    >>> names = [f"image {i}" for i in range(16)]
    >>> table = pd.DataFrame({"image_id": names, "patient_id": names, "label": labels})
    >>> pixels = np.repeat(labels * 200, 32 * 32).reshape(16, 32, 32).astype(np.uint8)
    >>> part = Cohort(table, None, "example", "CC0")
    >>> loaders = [make_loader(part, pixels, train=t, batch_size=8) for t in (True, False)]
    >>> result = train(build("tiny_cnn"), *loaders, TrainConfig(epochs=1))
    >>> len(result.history)
    1
    """
    config = config or TrainConfig()
    check(train_loader, val_loader, config, out, resume)
    keep_freed_memory()
    accelerator = make_accelerator()
    set_seed(config.seed, device_specific=True)

    optimizer: Any = torch.optim.AdamW(
        parameter_groups(model, config.lr, config.layer_decay, weight_decay=config.weight_decay)
    )
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"]
    plateau = ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=2)
    learning = [p for p in model.parameters() if p.requires_grad]
    network, optimizer, batches, val_batches = accelerator.prepare(
        model, optimizer, train_loader, val_loader
    )
    steps = config.epochs * len(batches)
    sign = 1.0 if config.monitor == "val_auc" else -1.0  # a better score is a higher one

    run = Run(config, len(batches), model, optimizer, plateau)
    if resume and out is not None:
        run.load(out / LAST_FILE)
    mixed = autocast(config, accelerator.device)
    failure, stopped = "", f"all {config.epochs} epochs done"

    with deterministic_algorithms(config.deterministic):
        while run.epoch < config.epochs:
            if config.patience is not None and run.waited >= config.patience:
                stopped = f"no better {config.monitor} in {run.waited} epochs"
                break
            started = time.perf_counter()
            begin_epoch(run.epoch, train_loader, batches)
            network.train()
            total, count, norms = 0.0, 0, []
            quiet = not (progress and accelerator.is_main_process)
            bar = tqdm(batches, desc=f"epoch {run.epoch + 1}", leave=False, disable=quiet)
            for i, (images, labels, _) in enumerate(bar):
                check_batch(model, images)
                if config.schedule == "cosine":
                    factor = cosine_factor(run.epoch * len(batches) + i, steps, config.warmup)
                    for group in optimizer.param_groups:
                        group["lr"] = factor * group["base_lr"]
                with mixed:
                    logits = network(images)
                loss = loss_of(logits, labels, config)
                optimizer.zero_grad()
                accelerator.backward(loss)
                norm = float(accelerator.clip_grad_norm_(learning, config.clip or math.inf))
                # The norm is the same in every process, so all of them stop here together.
                if not math.isfinite(norm):
                    failure = f"the gradient is {norm} in epoch {run.epoch + 1}, batch {i + 1}"
                    break
                optimizer.step()
                total += loss.item() * len(labels)  # the last batch is shorter
                count += len(labels)
                norms.append(norm)
            if failure:
                break

            sums = accelerator.reduce(torch.tensor([total, count], device=accelerator.device))
            val_logits, val_labels = collect(accelerator, model, val_batches)
            run.epoch += 1
            row = {
                "epoch": run.epoch,
                "train_loss": float(sums[0] / sums[1]),
                "val_loss": float(loss_of(val_logits, val_labels, config)),
                "val_auc": auc_of(val_labels.numpy(), val_logits.numpy()),
                "lr": float(max(group["lr"] for group in optimizer.param_groups)),
                "grad_norm": float(np.mean(norms)),
                "images": int(sums[1]),
                "seconds": time.perf_counter() - started,
            }
            run.history.append(row)
            score = sign * row[config.monitor]
            # NaN is neither better nor worse than anything, so it is asked for by name.
            if not math.isfinite(score):
                failure = f"{config.monitor} is {row[config.monitor]} in epoch {run.epoch}"
                break
            run.waited += 1
            if score > run.best_score:
                run.best_score, run.best_epoch, run.waited = score, run.epoch, 0
                run.keep_weights()
            if config.schedule == "plateau":
                plateau.step(score)
            if out is not None:
                run.save(out / LAST_FILE)

    if failure:
        stopped = f"{failure}: lower the learning rate ({config.lr}) or look at the images"
    if not run.best_weights:
        raise MedclfError(f"Training failed in its first epoch: {stopped}.")
    model.load_state_dict(run.best_weights)
    model.eval()
    return TrainResult(pd.DataFrame(run.history), run.best_epoch, sign * run.best_score, stopped)
