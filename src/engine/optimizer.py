"""SGD with the weight decay where the recipe wants it."""

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn


def is_norm_or_bias(name: str) -> bool:
    """Whether a parameter is a batch norm's scale or shift, or a bias."""
    return name.rsplit(".", 1)[-1] in ("gamma", "beta", "bias")


def build_optimizer(network: nn.Cell, rates: np.ndarray, train: Any) -> nn.SGD:
    """Return SGD over a network's trainable parameters.

    Args:
        network: the network.
        rates: float32 (T,) learning rate of each update.
        train: the configuration's section `train`; reads opt_momentum, nesterov, wd, decay_norm_and_bias.
    """
    parameters = network.trainable_params()
    if train.decay_norm_and_bias:
        groups = [{"params": parameters}]
    else:
        decayed = [p for p in parameters if not is_norm_or_bias(p.name)]
        others = [p for p in parameters if is_norm_or_bias(p.name)]
        groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}, {"order_params": parameters}]
    # By keyword: the fourth positional argument of nn.SGD is dampening, not weight decay.
    return nn.SGD(
        groups,
        learning_rate=ms.Tensor(rates),
        momentum=train.opt_momentum,
        dampening=0.0,
        weight_decay=train.wd,
        nesterov=train.nesterov,
    )
