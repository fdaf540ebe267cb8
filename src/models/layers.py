"""Building blocks shared by the networks: convolution, batch norm, activation and residual blocks."""

from mindspore import Tensor, nn

from src.models.conventions import Conventions

BN_MOMENTUM = 0.9  # of the old statistics; torch's 0.1
BN_EPS = 1e-5


def conv(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, dilation: int = 1, bias: bool = False) -> nn.Conv2d:
    """Return a convolution that is padded with zeros so that, with stride 1, height and width stay."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(in_channels, out_channels, kernel, stride, pad_mode="pad", padding=padding, dilation=dilation, has_bias=bias)


def halving_conv(conventions: Conventions, in_channels: int, out_channels: int) -> nn.Conv2d:
    """Return a 3x3 convolution with stride 2, padded as the conventions say.

    "symmetric" is one row or column of zeros on every side. "same" is no more than the output's ceil(size / 2) needs, the odd one behind:
    none in front and one behind an even size, one on both sides of an odd size.
    """
    if conventions.stride2_padding == "same":
        return nn.Conv2d(in_channels, out_channels, 3, 2, pad_mode="same", has_bias=False)
    return nn.Conv2d(in_channels, out_channels, 3, 2, pad_mode="pad", padding=1, has_bias=False)


def batch_norm(norm: type[nn.Cell], channels: int) -> nn.Cell:
    """Return `norm` with the family's momentum and epsilon, which no version's defaults may change."""
    return norm(channels, momentum=BN_MOMENTUM, eps=BN_EPS)


def conv_bn_relu(norm: type[nn.Cell], convolution: nn.Conv2d) -> nn.SequentialCell:
    """Return a convolution with batch norm and ReLU, parameter names `0.*` and `1.*`."""
    return nn.SequentialCell([convolution, batch_norm(norm, convolution.out_channels), nn.ReLU()])


def head_activation(conventions: Conventions) -> nn.Cell:
    """Return the activation of the heads: a plain ReLU where its slope is 0, which keeps exported graphs simple."""
    return nn.LeakyReLU(conventions.negative_slope) if conventions.negative_slope > 0 else nn.ReLU()


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions with a shortcut.

    Args:
        in_channels: channels of the input.
        channels: channels of the output.
        norm: class of the batch norm.

    Inputs:
        x: (B, in_channels, H, W) float.

    Outputs:
        (B, channels, H, W).

    Source: He et al., arXiv 1512.03385, figure 5 left.
    """

    expansion = 1

    def __init__(self, in_channels: int, channels: int, norm: type[nn.Cell]) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, channels, 3)
        self.bn1 = batch_norm(norm, channels)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = batch_norm(norm, channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(norm, in_channels, channels)

    def construct(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + self.downsample(x))


class Bottleneck(nn.Cell):
    """1x1, 3x3 and 1x1 convolutions with a shortcut; the output has 4 times `channels`.

    Args:
        in_channels: channels of the input.
        channels: channels of the 3x3 convolution.
        norm: class of the batch norm.
        stride: of the 3x3 convolution and of the shortcut.
        dilation: of the 3x3 convolution.

    Inputs:
        x: (B, in_channels, H, W) float.

    Outputs:
        (B, 4 * channels, ceil(H / stride), ceil(W / stride)).

    Source: He et al., arXiv 1512.03385, figure 5 right, with the stride on the 3x3 convolution as in torchvision.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, norm: type[nn.Cell], *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = conv(in_channels, channels, 1)
        self.bn1 = batch_norm(norm, channels)
        self.conv2 = conv(channels, channels, 3, stride=stride, dilation=dilation)
        self.bn2 = batch_norm(norm, channels)
        self.conv3 = conv(channels, out_channels, 1)
        self.bn3 = batch_norm(norm, out_channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(norm, in_channels, out_channels, stride)

    def construct(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


def _shortcut(norm: type[nn.Cell], in_channels: int, out_channels: int, stride: int = 1) -> nn.Cell:
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return nn.SequentialCell([conv(in_channels, out_channels, 1, stride=stride), batch_norm(norm, out_channels)])


BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {"BASIC": BasicBlock, "BOTTLENECK": Bottleneck}


def residual_blocks(block: str, in_channels: int, channels: int, count: int, norm: type[nn.Cell]) -> nn.SequentialCell:
    """Return `count` residual blocks in a row, the first of which changes the number of channels.

    Args:
        block: BASIC or BOTTLENECK.
        in_channels: channels of the input.
        channels: channels before the block's expansion.
        count: number of blocks, 1 or more.
        norm: class of the batch norm.
    """
    kind = BLOCKS[block]
    widths = [in_channels] + [channels * kind.expansion] * (count - 1)
    return nn.SequentialCell([kind(width, channels, norm) for width in widths])
