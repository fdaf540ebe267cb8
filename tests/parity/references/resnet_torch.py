"""Dilated ResNet in torch, under torchvision's names, and the batch norms of OCNet's and openseg's networks. Written for these tests.

Sources: arXiv 1512.03385 (residual blocks), 1705.09914 (dilation), 1712.02616 (In-Place Activated BatchNorm).
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

DILATIONS, STRIDES = (1, 1, 2, 4), (1, 2, 1, 1)


class InPlaceABN(nn.BatchNorm2d):
    """Batch norm whose factor is |weight| + eps, and a leaky ReLU, in one layer.

    Args:
        width: channels.
        slope: below 0; 1 is no activation.
    """

    def __init__(self, width: int, slope: float = 0.01) -> None:
        super().__init__(width)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        factor = self.weight.abs() + self.eps
        x = F.batch_norm(x, self.running_mean, self.running_var, factor, self.bias, self.training, self.momentum, self.eps)
        return F.leaky_relu(x, self.slope)


def inplace_norm(width: int) -> nn.Module:
    return InPlaceABN(width, slope=1.0)


def plain_norm_act(width: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int, dilation: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), norm(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False), norm(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), norm(4 * width)
        if stride > 1 or before != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(before, 4 * width, 1, stride, bias=False), norm(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.relu(self.bn3(self.conv3(x)) + shortcut)


class DilatedResNet(nn.Module):
    """Stem and four stages of output stride 8.

    Args:
        blocks: of each stage.
        width: of the first stage.
        stem: channels of three 3x3 convolutions, or of one of 7x7.
        first_half: the first block of a dilated stage has half the dilation of the others.
        ceil: max pooling rounds sizes up.
        norm: makes a batch norm without activation.
    """

    def __init__(
        self, blocks: Sequence[int], width: int, stem: Sequence[int], *, first_half: bool, ceil: bool, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.depth, self.ceil = len(stem), ceil
        for number, (before, after) in enumerate(zip((3, *stem), stem, strict=False), start=1):
            side = 7 if self.depth == 1 else 3
            setattr(self, f"conv{number}", nn.Conv2d(before, after, side, 2 if number == 1 else 1, side // 2, bias=False))
            setattr(self, f"bn{number}", norm(after))
        before = stem[-1]
        for stage in range(4):
            after, dilation = width * 2**stage, DILATIONS[stage]
            first = max(1, dilation // 2) if first_half else dilation
            rows = [Bottleneck(before, after, STRIDES[stage], first, norm)]
            rows += [Bottleneck(4 * after, after, 1, dilation, norm) for _ in range(blocks[stage] - 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*rows))
            before = 4 * after

    def features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the third and the fourth stage give."""
        for number in range(1, self.depth + 1):
            image = F.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(image)))
        x = F.max_pool2d(image, 3, 2, 1, ceil_mode=self.ceil)
        third = self.layer3(self.layer2(self.layer1(x)))
        return third, self.layer4(third)


def flip_signs(model: nn.Module, seed: int = 0) -> None:
    """Give half of the factors of in-place norms the other sign, which changes nothing for them."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, InPlaceABN):
            with torch.no_grad():
                module.weight *= torch.randint(0, 2, module.weight.shape, generator=generator) * 2 - 1
