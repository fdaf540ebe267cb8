"""Interlaced sparse self-attention: from far positions to far ones, then from near to near.

Source: Huang et al., Interlaced Sparse Self-Attention for Semantic Segmentation, arXiv 1907.12273, section 3.2; names, padding and missing
biases are those of openseg.pytorch (lib/models/modules/isa_block.py).
"""

from collections.abc import Sequence

from mindspore import Tensor, nn, ops

from src.models.attention import MapAttention
from src.models.conventions import Conventions
from src.models.layers import conv
from src.models.ocnet import transform


class RangeAttention(nn.Cell):
    """Self-attention with batch norms behind all convolutions but that of the values.

    Args:
        in_channels: C, channels of the input.
        key_channels: D, channels of query and key.
        value_channels: V, channels of values and context.
        conventions: what frameworks do differently.

    Inputs:
        x: (B, C, H, W) float.

    Outputs:
        (B, V, H, W).
    """

    def __init__(self, in_channels: int, key_channels: int, value_channels: int, conventions: Conventions) -> None:
        super().__init__()
        self.f_query = transform(conventions, in_channels, key_channels, key_channels, bias=False)
        self.f_key = transform(conventions, in_channels, key_channels, key_channels, bias=False)
        self.f_value = conv(in_channels, value_channels, 1)
        self.attend = MapAttention(key_channels)
        self.W = transform(conventions, value_channels, value_channels, bias=False)

    def construct(self, x: Tensor) -> Tensor:
        """Return the context of each position."""
        return self.W(self.attend(self.f_query(x), self.f_key(x), self.f_value(x)))


class InterlacedAttention(nn.Cell):
    """Attention between positions that stand at the same place of their blocks, then between those of each block.

    Args:
        channels: M, channels of input and output.
        key_channels: D, channels of query and key.
        block_hw: P and Q, height and width of a block. The map is padded with zeros to whole blocks, half on each side, the odd one behind.
        conventions: what frameworks do differently.

    Inputs:
        x: (B, M, H, W) float.

    Outputs:
        (B, M, H, W).
    """

    def __init__(self, channels: int, key_channels: int, block_hw: Sequence[int], conventions: Conventions) -> None:
        super().__init__()
        self.block_hw = tuple(block_hw)
        # Of a fixed width, the most that is needed, and cut to what is: sizes of one graph may change from call to call.
        self.margins = tuple(side // 2 for side in self.block_hw)
        self.pad = ops.Pad(((0, 0), (0, 0), *((margin, margin) for margin in self.margins)))
        self.long_range_sa = RangeAttention(channels, key_channels, channels, conventions)
        self.short_range_sa = RangeAttention(channels, key_channels, channels, conventions)

    def construct(self, x: Tensor) -> Tensor:
        """Return the context of each position."""
        batch, channels, height, width = ops.shape(x)
        p, q = self.block_hw
        rows, columns = (height + p - 1) // p, (width + q - 1) // q  # R and S, number of blocks
        front_h, front_w = (rows * p - height) // 2, (columns * q - width) // 2
        top, left = self.margins[0] - front_h, self.margins[1] - front_w
        x = self.pad(x)[:, :, top : top + rows * p, left : left + columns * q]  # (B, M, RP, SQ)
        x = x.reshape((batch, channels, rows, p, columns, q)).transpose((0, 3, 5, 1, 2, 4))  # (B, P, Q, M, R, S)
        x = self.long_range_sa(x.reshape((-1, channels, rows, columns)))
        x = x.reshape((batch, p, q, channels, rows, columns)).transpose((0, 4, 5, 3, 1, 2))  # (B, R, S, M, P, Q)
        x = self.short_range_sa(x.reshape((-1, channels, p, q)))
        x = x.reshape((batch, rows, columns, channels, p, q)).transpose((0, 3, 1, 4, 2, 5))  # (B, M, R, P, S, Q)
        x = x.reshape((batch, channels, rows * p, columns * q))
        return x[:, :, front_h : front_h + height, front_w : front_w + width]


class ISA(nn.Cell):
    """Features beside their interlaced context, fused.

    Args:
        channels: M, channels of input and output, and of the values.
        key_channels: D, channels of query and key.
        block_hw: see `InterlacedAttention`.
        drop: the dropout at the end.
        conventions: what frameworks do differently.

    Inputs:
        features: (B, M, H, W) float.

    Outputs:
        (B, M, H, W).
    """

    def __init__(self, channels: int, key_channels: int, block_hw: Sequence[int], drop: nn.Cell, conventions: Conventions) -> None:
        super().__init__()
        self.stages = nn.CellList([InterlacedAttention(channels, key_channels, block_hw, conventions)])
        self.conv_bn = nn.SequentialCell([*transform(conventions, 2 * channels, channels, bias=False), drop])

    def construct(self, features: Tensor) -> Tensor:
        """Return the fused features."""
        return self.conv_bn(ops.concat((features, self.stages[0](features)), 1))
