"""One SGD step against numpy: unscaling, skipping, accumulation, clipping, decay."""

from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.engine.optimizer import build_optimizer, is_norm_or_bias
from src.engine.train_step import GROWTH_INTERVAL, StepOptions, TrainStep

LR, MOMENTUM, DECAY = 0.1, 0.9, 0.01


class Linear(nn.Cell):
    """Loss w * mean(x) + b * mean(label): gradients are mean(x) and mean(label)."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.w = ms.Parameter(ms.Tensor([2.0], ms.float32), name="layer.weight")
        self.b = ms.Parameter(ms.Tensor([1.0], ms.float32), name="layer.bias")

    def construct(self, image: ms.Tensor, label: ms.Tensor) -> ms.Tensor:
        return (self.w * image.mean() + self.b * label.astype(ms.float32).mean()).sum()


class NumpySgd:
    """The same in float64; weight decay on both parameters or on the weight alone."""

    def __init__(self, decay_bias: bool = True, nesterov: bool = False) -> None:
        self.value = np.array([2.0, 1.0])
        self.velocity = np.zeros(2)
        self.decay = np.array([DECAY, DECAY if decay_bias else 0.0])
        self.nesterov = nesterov

    def update(self, gradient: np.ndarray) -> None:
        gradient = gradient + self.decay * self.value
        self.velocity = MOMENTUM * self.velocity + gradient
        self.value = self.value - LR * (gradient + MOMENTUM * self.velocity if self.nesterov else self.velocity)


def build(options: StepOptions, decay_bias: bool = True, nesterov: bool = False) -> tuple[Linear, TrainStep]:
    network = Linear()
    train = SimpleNamespace(opt_momentum=MOMENTUM, nesterov=nesterov, wd=DECAY, decay_norm_and_bias=decay_bias, head_lr_ratio=1.0)
    step = TrainStep(network, build_optimizer(network, np.full(50, LR, np.float32), train), options)
    step.set_train()
    return network, step


def batch(x: float, y: int) -> tuple[ms.Tensor, ms.Tensor]:
    return ms.Tensor(np.full((1, 3, 2, 2), x, np.float32)), ms.Tensor(np.full((1, 2, 2), y, np.int32))


def values(network: Linear) -> np.ndarray:
    return np.concatenate([network.w.asnumpy(), network.b.asnumpy()])


@pytest.mark.parametrize("scale", [1.0, 10.0, 1024.0])
@pytest.mark.parametrize("decay_bias", [True, False])
def test_update_equals_numpy_for_any_loss_scale(scale: float, decay_bias: bool) -> None:
    network, step = build(StepOptions(loss_scale=scale), decay_bias)
    oracle = NumpySgd(decay_bias)
    for x, y in [(1.0, 2), (-0.5, 3), (2.0, 0)]:
        loss = float(step(*batch(x, y)).asnumpy())
        assert loss == pytest.approx(oracle.value @ [x, y], rel=1e-5)
        oracle.update(np.array([x, y]))
    assert values(network) == pytest.approx(oracle.value, rel=1e-5)


def test_nesterov_equals_numpy() -> None:
    network, step = build(StepOptions(), nesterov=True)
    oracle = NumpySgd(nesterov=True)
    for x, y in [(1.0, 2), (-0.5, 3)]:
        step(*batch(x, y))
        oracle.update(np.array([x, y]))
    assert values(network) == pytest.approx(oracle.value, rel=1e-5)


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_overflow_skips_the_update_and_halves_the_scale(mode: int) -> None:
    ms.set_context(mode=mode)
    try:
        network, step = build(StepOptions(loss_scale=1024.0, dynamic=True))
        step(*batch(1.0, 2))
        before = values(network), step.optimizer.accum[0].asnumpy().copy()
        loss = float(step(*batch(3e38, 2)).asnumpy())  # finite itself, infinite times 1024
        assert np.isfinite(loss) or loss > 1e38
        assert (values(network) == before[0]).all()
        assert (step.optimizer.accum[0].asnumpy() == before[1]).all()
        assert int(step.optimizer.global_step.asnumpy()[0]) == 1
        assert int(step.skipped_updates.asnumpy()) == 1
        assert float(step.loss_scale.asnumpy()) == 512
        step(*batch(1.0, 2))
        assert int(step.optimizer.global_step.asnumpy()[0]) == 2
        assert int(step.good_updates.asnumpy()) == 1
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


class Counting(nn.Cell):
    """Counts its forward passes."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.w = ms.Parameter(ms.Tensor([1.0], ms.float32), name="w")
        self.passes = ms.Parameter(ms.Tensor(0, ms.int32), name="passes", requires_grad=False)

    def construct(self, image: ms.Tensor, label: ms.Tensor) -> ms.Tensor:
        self.passes += 1
        return (self.w * image.mean()).sum()


@pytest.mark.parametrize("mode", [ms.GRAPH_MODE, ms.PYNATIVE_MODE])
def test_one_forward_pass_per_step(mode: int) -> None:
    ms.set_context(mode=mode)
    try:
        network = Counting()
        train = SimpleNamespace(opt_momentum=0.9, nesterov=False, wd=0.0, decay_norm_and_bias=True, head_lr_ratio=1.0)
        step = TrainStep(network, build_optimizer(network, np.full(9, LR, np.float32), train), StepOptions()).set_train()
        for _ in range(3):
            step(*batch(1.0, 1))
        assert int(network.passes.asnumpy()) == 3
    finally:
        ms.set_context(mode=ms.GRAPH_MODE)


def test_state_leaves_out_what_the_configuration_gives() -> None:
    _, fixed = build(StepOptions(loss_scale=8.0))
    _, dynamic = build(StepOptions(loss_scale=8.0, dynamic=True))
    assert set(dynamic.state()) - set(fixed.state()) == {"loss_scale"}
    assert {"layer.weight", "accum.layer.weight", "stat.layer.bias", "global_step", "skipped_updates"} <= set(fixed.state())
    assert not {"learning_rate", "momentum"} & set(dynamic.state())


def test_fixed_scale_stays_on_overflow() -> None:
    network, step = build(StepOptions(loss_scale=1024.0))
    before = values(network)
    step(*batch(3e38, 0))
    assert (values(network) == before).all()
    assert float(step.loss_scale.asnumpy()) == 1024
    assert int(step.skipped_updates.asnumpy()) == 1


def test_dynamic_scale_doubles_after_enough_good_updates() -> None:
    _, step = build(StepOptions(loss_scale=8.0, dynamic=True))
    step.good_updates.set_data(ms.Tensor(GROWTH_INTERVAL - 1, ms.int32))
    step(*batch(1.0, 1))
    assert float(step.loss_scale.asnumpy()) == 16
    assert int(step.good_updates.asnumpy()) == 0


def test_accumulation_averages_and_updates_once() -> None:
    network, step = build(StepOptions(loss_scale=16.0, accumulate=3))
    oracle = NumpySgd()
    batches = [(1.0, 2), (-0.5, 3), (2.5, 1)]
    for repeat in range(2):
        for i, (x, y) in enumerate(batches):
            before = values(network)
            step(*batch(x, y))
            assert (values(network) == before).all() == (i < 2), f"repeat {repeat}, batch {i}"
        oracle.update(np.mean(np.array(batches, float), axis=0))
    assert values(network) == pytest.approx(oracle.value, rel=1e-5)
    assert int(step.optimizer.global_step.asnumpy()[0]) == 2


def test_clipping_limits_the_global_norm() -> None:
    network, step = build(StepOptions(loss_scale=4.0, clip_norm=1.0))
    oracle = NumpySgd()
    step(*batch(3.0, 4))  # norm 5
    oracle.update(np.array([0.6, 0.8]))
    step(*batch(0.3, 0))  # norm 0.3: unchanged
    oracle.update(np.array([0.3, 0.0]))
    assert values(network) == pytest.approx(oracle.value, rel=1e-4)


def test_norm_and_bias_names() -> None:
    assert [is_norm_or_bias(name) for name in ("bn1.gamma", "bn1.beta", "cls_head.bias", "conv1.weight")] == [True, True, True, False]
