"""Exponential moving average of a network's weights, in a second network that is evaluated and written in its place."""

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from src.checkpoint.weights import AVERAGE_PREFIX, network_weights
from src.models.builder import assemble_network
from src.models.precision import apply_amp

_WARM_UP = 10  # d is at most (1 + t) / (10 + t)


def build_averaged_network(config: Any, network: nn.Cell, amp_level: str) -> nn.Cell | None:
    """Return a second network with the weights of the first, whose parameters are called as there behind `AVERAGE_PREFIX`.

    Args:
        config: the complete configuration.
        network: in training, with the weights that it starts from.
        amp_level: precision of the run.

    Returns:
        None where `train.ema_decay` is 0.
    """
    if not config.train.ema_decay:
        return None
    averaged = assemble_network(config)
    mark_averages(averaged)
    weights = network_weights(network)
    for name, average in network_weights(averaged).items():
        average.set_data(ms.Tensor(weights[name].asnumpy(), average.dtype))
    return apply_amp(averaged, amp_level)


def mark_averages(network: nn.Cell) -> None:
    """Put `AVERAGE_PREFIX` in front of the names of a network's parameters."""
    # Cell.update_parameters_name would put the names of the cells there too, which networks leave out.
    for parameter in network.get_parameters():
        parameter.name = AVERAGE_PREFIX + parameter.name


class WeightAverage(nn.Cell):
    """Move every average towards its weight: average += (1 - d) * (weight - average), d = min(decay, (1 + t) / (10 + t)).

    Updates count from t = 0, so the first averages are near the weights of the first updates and not near the initial ones. Means and
    variances of batch norms are averaged as weights are: those of the last few batches would not fit weights of many updates.

    Args:
        network: in training.
        averaged: of `build_averaged_network`, changed in place.
        decay: 0 < decay < 1.

    Inputs:
        num_updates: int32 (1,), updates done, with the one that the averages are to follow: t + 1.

    Source: tf.train.ExponentialMovingAverage with num_updates; statistics as in timm's ModelEmaV3 (mmengine's default copies the last).
    """

    def __init__(self, network: nn.Cell, averaged: nn.Cell, decay: float) -> None:
        super().__init__(auto_prefix=False)
        weights, averages = network_weights(network), network_weights(averaged)
        self.weights = ms.ParameterTuple([weights[name] for name in averages])
        self.averages = ms.ParameterTuple(averages.values())
        self.least_step = 1 - decay  # of Python's float: in float32, 1 - 0.9999 would be 0.0001 to three digits
        self.move = ops.MultitypeFuncGraph("move")
        self.move.register("Tensor", "Tensor", "Tensor")(_move)
        self.hyper_map = ops.HyperMap()

    def construct(self, num_updates: ms.Tensor) -> tuple:
        """Return what ends when the averages are moved."""
        # 1 - (1 + t) / (10 + t) = 9 / (10 + t)
        warm_up_step = (_WARM_UP - 1) / (num_updates.astype(ms.float32) + (_WARM_UP - 1))
        step = ops.maximum(warm_up_step, self.least_step).reshape(())
        return self.hyper_map(ops.partial(self.move, step), self.averages, self.weights)


def _move(step: ms.Tensor, average: ms.Tensor, weight: ms.Tensor) -> ms.Tensor:
    return ops.assign_add(average, step * (weight - average))
