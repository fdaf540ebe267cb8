"""The dilated ResNet: published sizes, torch's rules of pooling and dilation, names."""

import math

import numpy as np
import pytest
import torch
from mindspore import Tensor, nn
from mindspore.nn.utils import no_init_parameters
from omegaconf import OmegaConf

from src.models.builder import is_backbone
from src.models.resnet import ResNet, StemPool
from tests.random_weights import randomize

DEEP, SHALLOW = [64, 64, 128], [64]


def resnet(**keys: object) -> ResNet:
    settings = {"blocks": [3, 4, 23, 3], "channels": 64, "stem_channels": DEEP, "ceil_pool": True, "first_dilation": "full"}
    return ResNet(OmegaConf.create(settings | keys), nn.BatchNorm2d)


# torchvision's published sizes are 25,557,032 (ResNet-50) and 44,549,160 (ResNet-101), with a classifier of 2048 x 1000 + 1000.
PUBLISHED = {(3, 4, 6, 3): 25_557_032 - 2_049_000, (3, 4, 23, 3): 44_549_160 - 2_049_000}


@pytest.mark.parametrize("blocks", PUBLISHED)
def test_sizes_are_the_published_ones(blocks: tuple[int, ...]) -> None:
    with no_init_parameters():
        plain, deep = resnet(blocks=list(blocks), stem_channels=SHALLOW), resnet(blocks=list(blocks))
    count = {network: sum(p.size for p in network.trainable_params()) for network in (plain, deep)}
    assert count[plain] == PUBLISHED[blocks]
    # Three 3x3 convolutions for the 7x7 one, and a wider input of the first block.
    stem = 27 * 64 + 9 * 64 * 64 + 9 * 64 * 128 + 2 * (64 + 64 + 128) - (49 * 3 * 64 + 2 * 64)
    assert count[deep] - count[plain] == stem + 64 * (64 + 256)


@pytest.mark.parametrize("ceil", [True, False])
def test_stem_pooling_is_torchs(ceil: bool) -> None:
    for size in ((8, 8), (9, 6), (11, 13)):
        x = np.maximum(np.random.default_rng(0).normal(size=(2, 3, *size)), 0).astype(np.float32)
        expected = torch.nn.functional.max_pool2d(torch.from_numpy(x), 3, 2, 1, ceil_mode=ceil).numpy()
        np.testing.assert_array_equal(StemPool(ceil)(Tensor(x)).asnumpy(), expected)


def torch_stage(
    weights: dict[str, torch.Tensor], x: torch.Tensor, name: str, count: int, stride: int, dilations: list[int]
) -> torch.Tensor:
    """One stage in evaluation, from the rules of He et al. and of dilation."""

    def conv(x: torch.Tensor, at: str, **keys: int) -> torch.Tensor:
        return torch.nn.functional.conv2d(x, weights[f"{at}.weight"], **keys)

    def norm(x: torch.Tensor, at: str) -> torch.Tensor:
        mean, variance, gamma, beta = (weights[f"{at}.{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta"))
        return torch.nn.functional.batch_norm(x, mean, variance, gamma, beta, eps=1e-5)

    for index in range(count):
        block, step, dilation = f"{name}.{index}", stride if index == 0 else 1, dilations[index]
        y = norm(conv(x, f"{block}.conv1"), f"{block}.bn1").relu()
        y = norm(conv(y, f"{block}.conv2", stride=step, padding=dilation, dilation=dilation), f"{block}.bn2").relu()
        y = norm(conv(y, f"{block}.conv3"), f"{block}.bn3")
        x = norm(conv(x, f"{block}.downsample.0", stride=step), f"{block}.downsample.1") if index == 0 else x
        x = (x + y).relu()
    return x


@pytest.mark.parametrize(("first", "dilations"), [("full", [[1, 1], [1, 1], [2, 2], [4, 4]]), ("half", [[1, 1], [1, 1], [1, 2], [2, 4]])])
def test_features_are_those_of_the_rules(first: str, dilations: list[list[int]]) -> None:
    deep = first == "full"
    network = resnet(blocks=[2, 2, 2, 2], channels=4, stem_channels=[4, 4, 8] if deep else [4], ceil_pool=deep, first_dilation=first)
    randomize(network, seed=1)
    network.set_train(False)
    weights = {p.name: torch.from_numpy(p.asnumpy().copy()) for p in network.get_parameters()}
    image = np.random.default_rng(0).normal(size=(1, 3, 48, 43)).astype(np.float32)
    x = torch.from_numpy(image)
    for number, side in ((1, 3), (2, 3), (3, 3)) if deep else ((1, 7),):
        x = torch.nn.functional.conv2d(x, weights[f"conv{number}.weight"], stride=2 if number == 1 else 1, padding=side // 2)
        parts = [weights[f"bn{number}.{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")]
        x = torch.nn.functional.batch_norm(x, *parts, eps=1e-5).relu()
    x = torch.nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=deep)
    stages = []
    for stage in range(4):
        x = torch_stage(weights, x, f"layer{stage + 1}", 2, 2 if stage == 1 else 1, dilations[stage])
        stages.append(x.numpy())
    for given, expected in zip(network(Tensor(image)), stages[2:], strict=True):
        np.testing.assert_allclose(given.asnumpy(), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("ceil", [True, False])
def test_feature_sizes_can_be_told_beforehand(ceil: bool) -> None:
    with no_init_parameters():
        network = resnet(ceil_pool=ceil)
    assert network.feature_hw((769, 1024)) == (97, 129 if ceil else 128)
    for side in range(32, 64):
        stem = math.ceil(side / 2)
        pooled = torch.nn.functional.max_pool2d(torch.zeros(1, 1, stem, stem), 3, 2, 1, ceil_mode=ceil).shape[-1]
        assert network.feature_hw((side, 33))[0] == math.ceil(pooled / 2)


def test_the_backbones_names_are_known() -> None:
    with no_init_parameters():
        assert all(is_backbone(p.name) for p in resnet().get_parameters())
    assert not any(map(is_backbone, ("context.0.weight", "aux_head.0.weight", "cls_head.bias")))
