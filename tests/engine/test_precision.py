"""Mixed precision: which layers compute in what, and that a step in float16 is the float32 step to within float16's precision."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.engine.optimizer import build_optimizer
from src.engine.train_step import NetworkWithLoss, StepOptions, TrainStep
from src.losses.segmentation import build_loss
from src.models.builder import build_network
from src.models.precision import apply_amp
from tests.tiny import tiny_config


@pytest.mark.parametrize(("level", "conv_fp16", "norm_fp32"), [("O0", False, False), ("O2", True, True), ("O3", True, False)])
def test_levels_set_the_layers_precision(level: str, conv_fp16: bool, norm_fp32: bool) -> None:
    network = apply_amp(nn.SequentialCell(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.9), nn.ReLU()), level)
    assert bool(network[0].get_flags().get("fp16")) == conv_fp16
    assert bool(network[1].get_flags().get("fp32")) == norm_fp32


def first_steps(level: str, mode: int) -> tuple[list[float], nn.Cell]:
    """Return the losses of two steps on one batch, and the network after them."""
    ms.set_context(mode=mode)
    config = tiny_config(None, "train.param_initializer=HeNormal", "model.ocr.dropout=0")
    ms.set_seed(1)
    network = apply_amp(build_network(config), level)
    optimizer = build_optimizer(network, np.full(2, 0.01, np.float32), config.train)
    step = TrainStep(NetworkWithLoss(network, build_loss(config)), optimizer, StepOptions(loss_scale=64.0)).set_train()
    rng = np.random.default_rng(0)
    image = ms.Tensor(rng.normal(size=(2, 3, 64, 64)).astype(np.float32))
    label = ms.Tensor(rng.integers(0, 11, (2, 64, 64)).astype(np.int32))
    losses = [float(step(image, label).asnumpy()) for _ in range(2)]
    assert int(step.skipped_updates.asnumpy()) == 0
    return losses, network


def test_float16_steps_follow_float32_ones(pynative: None) -> None:
    # What float32 gives need not be compiled: GRAPH gives the same to far more digits than these tolerances.
    expected, plain = first_steps("O0", ms.PYNATIVE_MODE)
    statistics = plain.backbone.bn1.moving_variance.asnumpy()
    for level, mode in (("O2", ms.GRAPH_MODE), ("O3", ms.PYNATIVE_MODE)):
        losses, network = first_steps(level, mode)
        assert losses == pytest.approx(expected, rel=5e-3), level
        assert losses != pytest.approx(expected, rel=1e-4), f"{level} computed in float32"
        assert all(parameter.dtype == ms.float32 for parameter in network.get_parameters())
        assert network.backbone.bn1.moving_variance.asnumpy() == pytest.approx(statistics, rel=5e-3)
