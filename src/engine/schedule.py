"""Learning rate per update."""

from typing import Any

import numpy as np


def learning_rates(config: Any, total_updates: int) -> np.ndarray:
    """Return the learning rate of every update of the whole schedule.

    With t the update's number and T their count:
        exp: lr / exp(lr_power * t^2), the MindSpore model zoo's formula;
        poly: (lr - min_lr) * (1 - t/T)^lr_power + min_lr, as mmsegmentation's PolyLR; the official recipe with min_lr 0;
        cosine: (lr - min_lr) * (1 + cos(pi t/T)) / 2 + min_lr, SGDR (arXiv 1608.03983, equation 5) without restarts.
    In the first `train.warmup_steps` updates it is multiplied by a line from `train.warmup_ratio` to 1.

    Args:
        config: the configuration; reads lr, lr_power and train.{schedule, min_lr, warmup_steps, warmup_ratio}.
        total_updates: length of the schedule, T.

    Returns:
        float32 (T,).
    """
    train = config.train
    step = np.arange(total_updates, dtype=np.float64)
    part = step / total_updates
    span = config.lr - train.min_lr
    if train.schedule == "exp":
        rates = np.maximum(config.lr / np.exp(config.lr_power * step**2), train.min_lr)
    elif train.schedule == "poly":
        rates = span * (1 - part) ** config.lr_power + train.min_lr
    else:
        rates = span * (1 + np.cos(np.pi * part)) / 2 + train.min_lr
    if train.warmup_steps:
        ramp = np.minimum(step / train.warmup_steps, 1)
        rates *= train.warmup_ratio + (1 - train.warmup_ratio) * ramp
    return rates.astype(np.float32)
