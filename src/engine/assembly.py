"""Put network, loss, optimizer and precision together into what a training run steps."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from src.checkpoint.weights import load_weights
from src.engine.averaging import WeightAverage
from src.engine.optimizer import build_optimizer
from src.engine.train_step import NetworkWithLoss, StepOptions, TrainStep
from src.losses.segmentation import build_loss
from src.models.builder import build_network
from src.models.precision import apply_amp
from src.runtime.device import Runtime, choose_norm


def build_train_network(config: Any, runtime: Runtime, resume: bool) -> nn.Cell:
    """Return the network in the run's precision, with fresh weights or those of `checkpoint_path`.

    Args:
        config: the complete configuration.
        runtime: device and process group.
        resume: the weights will come from a state instead.

    Raises:
        UserError: if the weights do not fit.
    """
    group, norm = runtime.group, choose_norm(runtime, config.train.sync_bn)
    network = build_network(config, norm=norm, dropout_seed=config.seed * group.size + group.rank)
    if config.checkpoint_path and not resume:
        load_weights(network, Path(config.checkpoint_path), complete=False)
    return apply_amp(network, runtime.amp_level)


def build_train_step(
    config: Any, network: nn.Cell, rates: np.ndarray, class_weights: Sequence[float] | None, world: int, averaged: nn.Cell | None = None
) -> TrainStep:
    """Return the training step of a network.

    Args:
        config: the complete configuration.
        network: the network.
        rates: float32 (T,) learning rate of each update.
        class_weights: the data set's table.
        world: number of ranks.
        averaged: of `build_averaged_network`; None averages nothing.
    """
    optimizer = build_optimizer(network, rates, config.train)
    average = None if averaged is None else WeightAverage(network, averaged, config.train.ema_decay)
    with_loss = NetworkWithLoss(network, build_loss(config, class_weights))
    return TrainStep(with_loss, optimizer, StepOptions.from_config(config), world, average)
