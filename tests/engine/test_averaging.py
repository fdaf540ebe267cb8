"""Averaged weights and the heads' own learning rate: numbers by hand, what files hold, resuming bit for bit."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

import eval as evaluation
import train
from src.checkpoint.state import Progress, load_state, save_state, state_size
from src.checkpoint.weights import network_weights, read_checkpoint
from src.config import UserError
from src.engine.averaging import WeightAverage, build_averaged_network, mark_averages
from src.engine.optimizer import build_optimizer
from src.engine.train_step import StepOptions, TrainStep
from src.models.builder import build_network
from src.runtime import distributed
from src.runtime.entry import run
from tests.tiny import TINY_WORDS, tiny_config, write_camvid

LR = 0.5


class TwoParts(nn.Cell):
    """Loss (backbone + head + bias) * mean(image): every gradient is mean(image)."""

    def __init__(self) -> None:
        super().__init__(auto_prefix=False)
        self.backbone = ms.Parameter(ms.Tensor([2.0], ms.float32), name="layer1.0.conv1.weight")
        self.head = ms.Parameter(ms.Tensor([3.0], ms.float32), name="cls_head.weight")
        self.bias = ms.Parameter(ms.Tensor([4.0], ms.float32), name="cls_head.bias")
        self.mean = ms.Parameter(ms.Tensor([8.0], ms.float32), name="bn1.moving_mean", requires_grad=False)

    def construct(self, image: ms.Tensor, label: ms.Tensor) -> ms.Tensor:
        return ((self.backbone + self.head + self.bias) * image.mean()).sum()


def batch(x: float) -> tuple[ms.Tensor, ms.Tensor]:
    return ms.Tensor(np.full((1, 3, 2, 2), x, np.float32)), ms.Tensor(np.zeros((1, 2, 2), np.int32))


def values(network: nn.Cell) -> dict[str, float]:
    return {
        name.split(".")[-1]: float(weight.asnumpy()[0]) for name, weight in network_weights(network).items() if "layer1" not in name
    } | {"backbone": float(network.backbone.asnumpy()[0])}


def build(ratio: float, options: StepOptions, decay: float = 0.0, wd: float = 0.0) -> tuple[TwoParts, TwoParts, TrainStep]:
    network, averaged = TwoParts(), TwoParts()
    mark_averages(averaged)
    train_section = SimpleNamespace(opt_momentum=0.0, nesterov=False, wd=wd, decay_norm_and_bias=False, head_lr_ratio=ratio)
    optimizer = build_optimizer(network, np.full(9, LR, np.float32), train_section)
    average = WeightAverage(network, averaged, decay) if decay else None
    return network, averaged, TrainStep(network, optimizer, options, average=average).set_train()


@pytest.mark.parametrize("ratio", [10.0, 0.0])
def test_heads_learn_by_a_multiple_of_the_rate(ratio: float, pynative: None) -> None:
    network, _, step = build(ratio, StepOptions(), wd=0.1)
    step(*batch(1.0))
    # Gradient 1; weight decay adds a tenth of the weight, and nothing to the bias.
    expected = {"backbone": 2 - LR * (1 + 0.2), "weight": 3 - ratio * LR * (1 + 0.3), "bias": 4 - ratio * LR * 1, "moving_mean": 8}
    assert values(network) == pytest.approx(expected, rel=1e-6)
    assert not [name for name in step.state() if name.startswith("learning_rate")]


def test_averages_follow_the_updates_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    network, averaged, step = build(10.0, StepOptions(loss_scale=1024.0, dynamic=True, accumulate=2), decay=0.15)
    start = values(network)
    step(*batch(0.1))
    assert values(averaged) == start
    step(*batch(0.3))  # gradient 0.2
    after_one = {"backbone": 1.9, "weight": 2.0, "bias": 3.0, "moving_mean": 8}
    assert values(network) == pytest.approx(after_one, rel=1e-5)
    # d = min(0.15, 1 / 10) = 0.1
    expected = {name: 0.1 * start[name] + 0.9 * after_one[name] for name in start}
    assert values(averaged) == pytest.approx(expected, rel=1e-5)
    before = values(averaged)
    step(*batch(3e38))
    step(*batch(3e38))
    assert int(step.skipped_updates.asnumpy()) == 1
    assert values(averaged) == before
    ms.ops.assign(network.mean, ms.Tensor([18.0], ms.float32))  # as a forward pass does
    step(*batch(0.2))
    step(*batch(0.2))
    # d = min(0.15, 2 / 11) = 0.15; the statistics are averaged as well.
    after_two = {"backbone": 1.8, "weight": 1.0, "bias": 2.0, "moving_mean": 18}
    assert values(averaged) == pytest.approx({name: 0.15 * expected[name] + 0.85 * after_two[name] for name in start}, rel=1e-5)
    # Another rank, whose statistics are all 2: from their means both go on.
    monkeypatch.setattr(distributed, "_sum_over_ranks", lambda: lambda vector: ms.Tensor(vector.asnumpy() + 2))
    before = values(averaged)["moving_mean"]
    distributed.Group(size=2).average_buffers(step)
    assert values(network)["moving_mean"] == 10
    step(*batch(0.2))
    step(*batch(0.2))
    assert values(averaged)["moving_mean"] == pytest.approx(0.15 * (before + 2) / 2 + 0.85 * 10)
    assert {"ema.cls_head.bias", "ema.bn1.moving_mean", "cls_head.bias"} <= set(step.state())


def test_averages_begin_with_the_weights() -> None:
    config = tiny_config(None, "train.ema_decay=0.9")
    network = build_network(config)
    averaged = build_averaged_network(config, network, "O0")
    assert averaged is not None and build_averaged_network(tiny_config(), network, "O0") is None
    weights, averages = network_weights(network), network_weights(averaged)
    assert set(weights) == set(averages)
    for name, weight in weights.items():
        assert (weight.asnumpy() == averages[name].asnumpy()).all(), name
        assert averages[name].name == f"ema.{name}"


def test_a_decay_that_never_forgets_is_refused() -> None:
    with pytest.raises(UserError, match="train.ema_decay must be below 1, as in 0.999 .0: off.; got 1$"):
        tiny_config(None, "train.ema_decay=1")


def test_both_learning_rates_and_averages_are_resumed(tmp_path: Path, pynative: None) -> None:
    def train_on(step: TrainStep, gradients: list[float]) -> dict[str, np.ndarray]:
        for gradient in gradients:
            step(*batch(gradient))
        return {name: parameter.asnumpy().copy() for name, parameter in step.state().items()}

    gradients, options = [0.1, 0.7, 0.2, 0.9, 0.4], StepOptions(accumulate=2)
    *_, whole = build(10.0, options, decay=0.3, wd=0.1)
    *_, first = build(10.0, options, decay=0.3, wd=0.1)
    *_, second = build(10.0, options, decay=0.3, wd=0.1)
    train_on(first, gradients[:3])
    save_state(first.state(), Progress(), tmp_path / "last.state")
    assert (tmp_path / "last.state").stat().st_size <= state_size(first.state())
    load_state(second.state(), {}, tmp_path / "last.state")
    expected, resumed = train_on(whole, gradients), train_on(second, gradients[3:])
    assert {name for name in expected if (expected[name] != resumed[name]).any()} == set()


class TwoConvolutions(nn.Cell):
    """A network that compiles in a moment."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(auto_prefix=False)
        self.conv1 = nn.Conv2d(3, 4, 3, stride=4, pad_mode="pad", padding=1, weight_init="normal")
        self.bn1 = nn.BatchNorm2d(4)
        self.last_layer = nn.Conv2d(4, num_classes, 1, weight_init="normal")

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor]:
        return (self.last_layer(self.bn1(self.conv1(image))),)


@pytest.fixture(scope="module")
def small_networks() -> Iterator[None]:
    def build_small(config: Any, **options: Any) -> nn.Cell:
        network = TwoConvolutions(config.dataset.num_classes)
        for name, parameter in network.parameters_and_names():
            parameter.name = name
        return network

    with pytest.MonkeyPatch.context() as patch:
        for name in ("engine.assembly.build_network", "engine.averaging.assemble_network", "inference.segmenter.assemble_network"):
            patch.setattr(f"src.{name}", build_small)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, small_networks: None) -> tuple[Path, Path]:
    """A compiled run of two epochs of two steps, and one that ended amid an accumulation and was resumed."""
    folder = tmp_path_factory.mktemp("averaging")
    data = write_camvid(folder / "data")
    recipe = ["model.name=seg_hrnet", "loss.balance_weights=[1]", "train.ema_decay=0.3", "train.head_lr_ratio=10", "lr=0.1"]
    words = [*TINY_WORDS, *recipe, "train.accumulate_steps=3", "total_epoch=3"]
    common = ["--config", "camvid_w18_small", "--data_path", str(data), *words]
    assert run(train.main, [*common, "--output_path", str(folder / "whole"), "--end_epoch", "2"]) == 0
    assert run(train.main, [*common, "--output_path", str(folder / "parts"), "--end_epoch", "1"]) == 0
    assert run(train.main, ["--resume", str(folder / "parts"), "--end_epoch", "2"]) == 0
    return folder / "whole", folder / "parts"


def test_resuming_equals_never_having_stopped_with_averages(runs: tuple[Path, Path]) -> None:
    whole, parts = (np.load(folder / "last.state") for folder in runs)
    assert set(whole.files) == set(parts.files)
    assert {name for name in whole.files if name != "__progress__" and (whole[name] != parts[name]).any()} == set()


@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt", "checkpoints/epoch_0002.ckpt"])
def test_weight_files_hold_the_averages(name: str, runs: tuple[Path, Path]) -> None:
    state, weights = np.load(runs[0] / "last.state"), read_checkpoint(runs[0] / name)
    assert set(weights) == {"conv1.weight", "last_layer.weight"} | {
        f"bn1.{part}" for part in ("gamma", "beta", "moving_mean", "moving_variance")
    }
    assert all((weights[key] == state[f"ema.{key}"]).all() for key in weights)
    assert all((weights[key] != state[key]).any() for key in weights)


def test_averages_are_evaluated(runs: tuple[Path, Path], tmp_path: Path) -> None:
    log = (runs[0] / "train.log").read_text()
    assert "averaged weights (train.ema_decay 0.3) are evaluated and written" in log
    assert "; of the heads 10 times that" in log
    assert run(evaluation.main, ["--checkpoint_path", str(runs[0] / "best.ckpt"), "--output_path", str(tmp_path)]) == 0
    while_training, of_the_file = (json.loads((folder / "eval.json").read_text()) for folder in (runs[0], tmp_path))
    for name in ("iou", "predicted_pixels"):
        assert while_training[name] == of_the_file[name]
