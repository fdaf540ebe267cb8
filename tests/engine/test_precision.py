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
from tests.family import HEADS, Family
from tests.random_weights import randomize
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
        assert losses != pytest.approx(expected, rel=1e-5), f"{level} computed in float32"  # where the mode alone changes 1e-7
        assert all(parameter.dtype == ms.float32 for parameter in network.get_parameters())
        assert network.backbone.bn1.moving_variance.asnumpy() == pytest.approx(statistics, rel=5e-3)


FEATURES = [np.random.default_rng(0).normal(size=(2, channels, 9, 7)).astype(np.float32) for channels in (64, 128)]


class AllLogits(nn.Cell):
    """The logits of heads, in float32."""

    def __init__(self, heads: list[str], level: str) -> None:
        super().__init__()
        self.heads = Family(heads).heads
        randomize(self.heads, seed=2)
        # Batch norms over the few positions of a tiny map enlarge rounding a hundredfold, whatever the precision: not in training.
        apply_amp(self, level).set_train(False)
        # The backbone ends in batch norms, whose precision its features have.
        self.dtype = ms.float16 if level == "O3" else ms.float32

    def construct(self, *features: ms.Tensor) -> list[ms.Tensor]:
        features = [x.astype(self.dtype) for x in features]
        return [logits.astype(ms.float32) for head in self.heads for logits in head(*features)]


def test_every_head_takes_float16(pynative: None) -> None:
    features = [ms.Tensor(x) for x in FEATURES]
    expected = [logits.asnumpy() for logits in AllLogits(list(HEADS), "O0")(*features)]
    for level in ("O2", "O3"):
        for given, wanted in zip(AllLogits(list(HEADS), level)(*features), expected, strict=True):
            np.testing.assert_allclose(given.asnumpy(), wanted, atol=1e-2 * np.abs(wanted).max(), err_msg=level)


@pytest.mark.parametrize("level", ["O2", "O3"])
def test_gradients_of_attention_in_float16_follow_float32(level: str, pynative: None) -> None:
    def gradients(level: str) -> dict[str, np.ndarray]:
        network = AllLogits(["base_oc"], level)
        weights = ms.ParameterTuple(network.trainable_params())
        given = ms.grad(lambda *features: 64 * network(*features)[1].mean(), None, weights)(*map(ms.Tensor, FEATURES))
        return {weight.name: gradient.asnumpy() for weight, gradient in zip(weights, given, strict=True)}

    halves = gradients(level)
    for name, wanted in gradients("O0").items():
        # Rounding puts some positions on the other side of a ReLU.
        off = np.linalg.norm(halves[name] - wanted) / max(np.linalg.norm(wanted), 1)
        assert off < 0.1, f"{name} is off by {off:.3f}"
