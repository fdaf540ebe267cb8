"""Weights that no training has made: a network that computes something with each of them."""

import numpy as np
from mindspore import Tensor, nn


def randomize(network: nn.Cell, seed: int) -> None:
    """Give every parameter values that tell it from the others and keep the features' size."""
    rng = np.random.default_rng(seed)
    for parameter in network.get_parameters():
        if parameter.ndim == 4:
            values = rng.normal(scale=(2 / np.prod(parameter.shape[1:])) ** 0.5, size=parameter.shape)
        else:
            low, high = (0.5, 1.5) if parameter.name.endswith(("gamma", "moving_variance")) else (-0.3, 0.3)
            values = rng.uniform(low, high, parameter.shape)
        parameter.set_data(Tensor(values.astype(np.float32), parameter.dtype))
