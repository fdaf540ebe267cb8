"""Dilated ResNet backbone of output stride 8.

Source: He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385; its dilation: Yu et al., Dilated Residual Networks,
arXiv 1705.09914; the stem of three 3x3 convolutions: He et al., arXiv 1812.01187, section 4.2.
"""

from collections.abc import Sequence
from typing import Any

from mindspore import Tensor, nn, ops

from src.models.layers import Bottleneck, batch_norm, conv

# Stride and dilation of layer1 to layer4: the last two keep the resolution of layer2.
_STAGES = ((1, 1), (2, 1), (1, 2), (1, 4))


class StemPool(nn.Cell):
    """3x3 max pooling with stride 2 behind a ReLU, whose values are not negative: zeros around them change no maximum.

    Args:
        ceil: sizes are rounded up, to H // 2 + 1 (torch's ceil_mode), or down, to (H - 1) // 2 + 1; they differ where H is even.

    Inputs:
        x: (B, C, H, W) float, 0 or larger.

    Outputs:
        (B, C, H', W').
    """

    def __init__(self, ceil: bool) -> None:
        super().__init__()
        behind = 2 if ceil else 1
        # The primitive: the gradient of ops.pad of 2.8 is wrong on the CPU in GRAPH mode.
        self.pad = ops.Pad(((0, 0), (0, 0), (1, behind), (1, behind)))
        self.pool = nn.MaxPool2d(3, 2)

    def construct(self, x: Tensor) -> Tensor:
        """Return the pooled map."""
        return self.pool(self.pad(x))


class ResNet(nn.Cell):
    """ResNet of bottlenecks whose last two stages dilate instead of halving the resolution.

    Args:
        resnet: `model.resnet` of the configuration.
        norm: class of every batch norm.

    Inputs:
        image: (B, 3, H, W) float, normalised.

    Outputs:
        tuple of the features for the auxiliary head, behind layer3, and for the main one, behind layer4: (B, `aux_channels`, h, w) and
        (B, `out_channels`, h, w), where h and w are about an eighth of H and W: 97 of 769; of 1024 129 with `ceil_pool` and 128 without.

    Attributes:
        aux_channels: channels of the features for the auxiliary head.
        out_channels: channels of the features for the main head.
    """

    def __init__(self, resnet: Any, norm: type[nn.Cell]) -> None:
        super().__init__()
        stem = list(resnet.stem_channels)
        self.deep, self.ceil_pool = len(stem) == 3, resnet.ceil_pool
        self.conv1 = conv(3, stem[0], 3 if self.deep else 7, stride=2)
        self.bn1 = batch_norm(norm, stem[0])
        if self.deep:
            self.conv2 = conv(stem[0], stem[1], 3)
            self.bn2 = batch_norm(norm, stem[1])
            self.conv3 = conv(stem[1], stem[2], 3)
            self.bn3 = batch_norm(norm, stem[2])
        self.relu = nn.ReLU()
        self.maxpool = StemPool(resnet.ceil_pool)
        widths = [resnet.channels * 2**stage for stage in range(4)]
        outputs = [width * Bottleneck.expansion for width in widths]
        inputs = [stem[-1], *outputs[:3]]
        first_full = resnet.first_dilation == "full"
        layers = [_layer(inputs[i], widths[i], resnet.blocks[i], norm, *_STAGES[i], first_full) for i in range(4)]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.aux_channels, self.out_channels = outputs[2:]

    def construct(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of the third and of the fourth stage."""
        x = self.relu(self.bn1(self.conv1(image)))
        if self.deep:
            x = self.relu(self.bn2(self.conv2(x)))
            x = self.relu(self.bn3(self.conv3(x)))
        third = self.layer3(self.layer2(self.layer1(self.maxpool(x))))
        return third, self.layer4(third)

    def feature_hw(self, size_hw: Sequence[int]) -> tuple[int, int]:
        """Return height and width of the features of a picture of a height and width."""
        height, width = (self._feature_side(side) for side in size_hw)
        return height, width

    def _feature_side(self, side: int) -> int:
        stem = -(-side // 2)
        pooled = stem // 2 + 1 if self.ceil_pool else -(-stem // 2)
        return -(-pooled // 2)


def _layer(
    in_channels: int, channels: int, count: int, norm: type[nn.Cell], stride: int, dilation: int, first_full: bool
) -> nn.SequentialCell:
    """Return a stage's blocks: the first has the stride, and half the dilation unless `first_full`."""
    first = Bottleneck(in_channels, channels, norm, stride=stride, dilation=dilation if first_full else max(1, dilation // 2))
    others = [Bottleneck(channels * Bottleneck.expansion, channels, norm, dilation=dilation) for _ in range(count - 1)]
    return nn.SequentialCell([first, *others])
