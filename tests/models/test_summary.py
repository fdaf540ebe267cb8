"""Costs of a network: against hand-counted ones, and against its convolutions' own shapes while it runs."""

import math
from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops
from omegaconf import DictConfig

from src.models.builder import build_network
from src.models.summary.__main__ import main
from src.models.summary.operators import Operator, compiled_operators, parameters_by_module
from src.models.summary.table import costs_by_module, format_table, total
from src.runtime.entry import run


class Small(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, 2, pad_mode="pad", padding=1, has_bias=True)
        self.second = nn.SequentialCell([nn.Conv2d(4, 6, 1, group=2), nn.BatchNorm2d(6), nn.ReLU()])
        self.product = ops.BatchMatMul(transpose_b=True)

    def construct(self, image: Tensor) -> Tensor:
        x = self.second(self.first(image))
        x = x + x
        x = x.reshape((2, 6, -1))
        return self.product(x, x[:, :5, :])


def test_counts_by_hand() -> None:
    network = Small()
    operators = compiled_operators(network, (2, 3, 8, 10))
    costs = costs_by_module(operators, parameters_by_module(network), depth=1)
    first, second = costs["first"], costs["second"]
    assert (first.parameters, second.parameters) == (3 * 4 * 9 + 4, 6 * 2 + 2 * 6)  # a batch norm's statistics are not counted
    assert first.macs == 2 * 4 * 4 * 5 * 27 and second.macs == 2 * 6 * 4 * 5 * 2
    assert first.shape == (2, 4, 4, 5)
    products = [operator for operator in operators if operator.kind == "BatchMatMul"]
    assert [operator.macs for operator in products] == [2 * 6 * 5 * 20]
    assert products[0].shape == (2, 6, 5)
    everything = total(costs.values())
    assert everything.layers == 3 and everything.macs == first.macs + second.macs + products[0].macs
    assert second.activation_bytes == 4 * 2 * 6 * 20 * 4  # convolution, batch norm, ReLU and the addition behind them


def test_network_agrees_with_what_its_convolutions_see(tiny_config: Callable[..., DictConfig]) -> None:
    network = build_network(tiny_config()).set_train(False)
    seen = []
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            cell.register_forward_hook(lambda cell, inputs, output: seen.append(math.prod(output.shape) * math.prod(cell.weight.shape[1:])))
    network(Tensor(np.zeros((1, 3, 64, 96), np.float32)))
    num_pixels, num_classes, channels, keys = 16 * 24, 3, 12, 5
    products = num_pixels * num_classes * (channels + 2 * keys)  # regions, relation, context
    fresh = build_network(tiny_config())
    costs = costs_by_module(compiled_operators(fresh, (1, 3, 64, 96)), parameters_by_module(fresh), depth=1)
    assert total(costs.values()).macs == sum(seen) + products
    assert total(costs.values()).parameters == sum(parameter.size for parameter in fresh.trainable_params())
    assert list(costs) == ["backbone", "head"]
    assert costs["head"].shape == (1, 3, 16, 24)
    assert ms.get_context("mode") == ms.PYNATIVE_MODE, "counting leaves the mode as it was"


def test_table_adds_up() -> None:
    operators = [Operator("Conv2D", ("a", "b", "c"), (1, 2, 3), 5_000_000), Operator("ReLU", ("a", "d"), (1, 2, 2**20), 0)]
    lines = format_table(costs_by_module(operators, [], 2)).splitlines()
    assert lines[0].split() == ["module", "last", "output", "layers", "parameters", "GMACs", "GFLOPs", "activations"]
    assert lines[2].split() == ["a.b", "1x2x3", "1", "0", "0.005", "0.010", "0.0", "MiB"]
    assert lines[3].split() == ["a.d", "1x2x1048576", "0", "0", "0.000", "0.000", "8.0", "MiB"]
    assert lines[-1].split() == ["total", "1x2x1048576", "1", "0", "0.005", "0.010", "8.0", "MiB"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "hrnetv2_w49"], "hrnetv2_w48"),
        (["--image_size", "16", "64"], "--image_size 16 64: this network needs at least 32 pixels"),
        (["--image_size", "1000000", "1000000"], "--image_size 1000000 1000000: more than 268,435,456 pixels in a batch"),
        (["--image_size", "64", "64", "--batch", "1000000"], "--image_size 64 64 --batch 1000000: more than 268,435,456 pixels"),
        (["--depth", "0"], "--depth 0: expected 1 or more"),
        (["model.nmae=x"], "model.name"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert run(main, arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
