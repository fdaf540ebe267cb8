"""Building blocks shared by the networks: convolution, batch norm, bilinear resizing and residual blocks."""

from mindspore import Tensor, nn, ops

BN_MOMENTUM = 0.9  # of the old statistics; torch's 0.1
BN_EPS = 1e-5


def conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a convolution padded by kernel // 2 on every side, so that stride 1 keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, kernel, stride, pad_mode="pad", padding=kernel // 2, has_bias=bias)


def batch_norm(norm: type[nn.Cell], channels: int) -> nn.Cell:
    """Return `norm` with the family's momentum and epsilon, which no version's defaults may change."""
    return norm(channels, momentum=BN_MOMENTUM, eps=BN_EPS)


def bn_relu(norm: type[nn.Cell], channels: int) -> nn.SequentialCell:
    """Return batch norm and ReLU as one Cell, parameter names `0.*`, as in the official OCR head."""
    return nn.SequentialCell([batch_norm(norm, channels), nn.ReLU()])


def conv_bn_relu(norm: type[nn.Cell], in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.SequentialCell:
    """Return convolution, batch norm and ReLU, parameter names `0.*` and `1.*`."""
    return nn.SequentialCell([conv(in_channels, out_channels, kernel, stride), batch_norm(norm, out_channels), nn.ReLU()])


class Resize(nn.Cell):
    """Bilinear resizing to the height and width of a reference, which may change from call to call.

    Args:
        align_corners: corner pixels map onto each other; otherwise pixel centres are scaled (torch's align_corners=False).

    Inputs:
        x: (B, C, H, W) float.
        reference: any tensor whose last two dimensions are the height and width wanted.

    Outputs:
        (B, C, height, width), dtype of x.
    """

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.resize = ops.ResizeBilinearV2(align_corners, not align_corners)

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x at the reference's height and width."""
        return self.resize(x, ops.shape(reference)[-2:])


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

    Inputs:
        x: (B, in_channels, H, W) float.

    Outputs:
        (B, 4 * channels, H, W).

    Source: He et al., arXiv 1512.03385, figure 5 right.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, norm: type[nn.Cell]) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.conv1 = conv(in_channels, channels, 1)
        self.bn1 = batch_norm(norm, channels)
        self.conv2 = conv(channels, channels, 3)
        self.bn2 = batch_norm(norm, channels)
        self.conv3 = conv(channels, out_channels, 1)
        self.bn3 = batch_norm(norm, out_channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(norm, in_channels, out_channels)

    def construct(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


def _shortcut(norm: type[nn.Cell], in_channels: int, out_channels: int) -> nn.Cell:
    if in_channels == out_channels:
        return nn.Identity()
    return nn.SequentialCell([conv(in_channels, out_channels, 1), batch_norm(norm, out_channels)])


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
