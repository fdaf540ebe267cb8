"""SGD with the weight decay and the learning rate where the recipe wants them."""

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from src.models.builder import is_backbone


def is_norm_or_bias(name: str) -> bool:
    """Whether a parameter is a batch norm's scale or shift, or a bias."""
    return name.rsplit(".", 1)[-1] in ("gamma", "beta", "bias")


def build_optimizer(network: nn.Cell, rates: np.ndarray, train: Any) -> nn.SGD:
    """Return SGD over a network's trainable parameters.

    Args:
        network: the network.
        rates: float32 (T,) learning rate of each update, that of the backbone.
        train: the configuration's section `train`; reads opt_momentum, nesterov, wd, decay_norm_and_bias, head_lr_ratio.
    """
    parameters = network.trainable_params()
    groups = [{"params": parameters}]
    if not train.decay_norm_and_bias:
        groups = _split(groups, is_norm_or_bias, {"weight_decay": 0.0})
    if train.head_lr_ratio != 1:
        groups = _split(groups, _is_of_head, {"lr": ms.Tensor(rates * np.float32(train.head_lr_ratio))})
    # By keyword: the fourth positional argument of nn.SGD is dampening, not weight decay.
    return nn.SGD(
        [*groups, {"order_params": parameters}],
        learning_rate=ms.Tensor(rates),
        momentum=train.opt_momentum,
        dampening=0.0,
        weight_decay=train.wd,
        nesterov=train.nesterov,
    )


def _split(groups: list[dict[str, Any]], is_special: Callable[[str], bool], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the groups with options for the parameters whose names are special, in groups of their own; none is empty."""
    halves = []
    for group in groups:
        halves.append({**group, "params": [p for p in group["params"] if not is_special(p.name)]})
        halves.append({**group, "params": [p for p in group["params"] if is_special(p.name)], **options})
    return [half for half in halves if half["params"]]


def _is_of_head(name: str) -> bool:
    return not is_backbone(name)
