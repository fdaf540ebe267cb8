"""Whether a configuration suits the data: classes, balance, crops, batches, reading processes."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from src.config.errors import UserError
from src.data.check.findings import ERROR, NOTE, WARNING, Finding
from src.data.check.survey import Survey
from src.data.loader import steps_per_epoch
from src.data.statistics import WEIGHTS_COMMAND, Statistics, shortened

LARGE_IMBALANCE = 100  # of the commonest to the rarest class, in pixels
ENLARGED = 1.5  # pictures are made so much larger at scale 1
STRIDE = 32  # of what is suggested as a crop's sides


def class_findings(train: Survey, val: Survey) -> Iterator[Finding]:
    """Yield the classes that one split or both do not hold."""
    names = train.dataset.info.class_names
    in_train, in_val = train.statistics.is_present, val.statistics.is_present
    split = "divide the data so that both parts hold every class: python -m src.data.split FOLDER --val 0.2"
    for level, title, which, fix in (
        (WARNING, "the validation labels hold classes that no training label holds", ~in_train & in_val, split),
        (NOTE, "the training labels hold classes that no validation label holds, which mIoU leaves out", in_train & ~in_val, split),
        (
            NOTE,
            "no label holds",
            ~in_train & ~in_val,
            "nothing, where these classes are not expected; else look at the values of the labels",
        ),
    ):
        if which.any():
            yield Finding(level, f"{title}: {shortened([names[k] for k in np.flatnonzero(which)])}", fix)


def balance_findings(train: Survey, config: Any) -> Iterator[Finding]:
    """Yield a large imbalance of the classes that the configuration does nothing about."""
    share, names = train.statistics.share, train.dataset.info.class_names
    present = np.flatnonzero(share)
    weights = config.loss.class_weights or train.dataset.info.class_weights
    if (config.loss.use_weights and weights) or config.train.rare_class_temperature or len(present) < 2:
        return
    common, rare = present[share[present].argmax()], present[share[present].argmin()]
    ratio = share[common] / share[rare]
    if ratio > LARGE_IMBALANCE:
        yield Finding(
            NOTE,
            f"train: {names[common]} has {ratio:.0f} times as many pixels as {names[rare]}",
            f"class weights: {WEIGHTS_COMMAND}; or pictures drawn by class: train.rare_class_temperature=0.01; "
            "crops with more than one class: train.crop_max_class_ratio=0.75",
        )


def crop_findings(statistics: Statistics, config: Any) -> Iterator[Finding]:
    """Yield crops that most pictures do not fill, and pictures that are enlarged."""
    train = config.train
    longer = statistics.sizes_hw.max(axis=1, keepdims=True)
    factor = train.base_size / longer if train.base_size else np.ones(longer.shape)
    if np.median(factor) > ENLARGED:
        title = f"train: train.base_size {train.base_size} enlarges most pictures {np.median(factor):.1f} times, at scale 1"
        yield Finding(NOTE, title, f"train.base_size=0 keeps their size; their longer side is {np.median(longer):.0f} pixels")
    scale = float(np.mean(train.scale_range)) if train.multi_scale else 1.0
    sides, crop = statistics.sizes_hw * factor * scale, np.array(train.image_size)
    is_padded = (sides < crop).any(axis=1)
    if is_padded.mean() > 0.5:
        filled = (np.minimum(sides, crop) / crop).prod(axis=1)
        fitting = np.minimum(crop, np.maximum(np.median(sides, axis=0) // STRIDE, 1) * STRIDE).astype(int).tolist()
        title = (
            f"train: at the mean scale {scale:g}, {100 * is_padded.mean():.0f} % of the pictures are smaller than the crop "
            f"{crop.tolist()} and fill {100 * np.median(filled):.0f} % of it"
        )
        yield Finding(NOTE, title, f"train.image_size=[{fitting[0]},{fitting[1]}], or larger scales: train.scale_range")


def batch_findings(train: Survey, config: Any) -> Iterator[Finding]:
    """Yield too few pictures for a batch, and processors that nothing uses."""
    try:
        steps_per_epoch(len(train.dataset), config.batchsize, 1)
    except UserError as error:
        title, _, fix = str(error).partition("; ")
        yield Finding(ERROR, f"train: {title}", fix)
    cores = os.cpu_count() or 1
    if config.workers < cores // 2:
        title = f"{config.workers} processes would read pictures; this machine has {cores} cores"
        yield Finding(NOTE, title, f"--workers {min(cores // 2, 16)}, for one device, if the log shows time spent on data")
