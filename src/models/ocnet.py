"""Object context modules: Base-OC, Pyramid-OC and ASP-OC.

Source: Yuan et al., OCNet: Object Context Network for Scene Parsing, arXiv 1809.00916, section 3; names and biases are those of its code
(OCNet.pytorch, oc_module/), the other form of its attention is that of openseg.pytorch (lib/models/modules/base_oc_block.py).
"""

from collections.abc import Sequence

from mindspore import Tensor, nn, ops

from src.models.attention import GridAttention, MapAttention
from src.models.conventions import Conventions
from src.models.layers import batch_norm, conv, head_activation
from src.models.ocr import NoPool, QueryPool


def transform(conventions: Conventions, *widths: int, bias: bool) -> nn.SequentialCell:
    """Return 1x1 convolutions with batch norm and activation, parameter names `0.*`, `1.*`, `3.*`, `4.*` and so on."""
    cells: list[nn.Cell] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        cells += [conv(before, after, 1, bias=bias), batch_norm(conventions.norm, after), head_activation(conventions)]
    return nn.SequentialCell(cells)


class SelfAttention(nn.Cell):
    """The context of each position of a feature map.

    Args:
        in_channels: C, channels of the input.
        key_channels: D, channels of query and key.
        value_channels: V, channels of the values.
        out_channels: O, channels of the context.
        attend: a Cell from query (B, D, H, W), key and value to the context (B, V, H, W).
        separate: query and key have transforms of their own, of two convolutions each (openseg), not one in common (OCNet).
        pool: the map is max-pooled by this before the attention; 1 does not pool.
        conventions: what frameworks do differently.

    Inputs:
        x: (B, C, H, W) float.

    Outputs:
        (B, O, H, W).

    Its last convolution, W, starts at zero: a fresh network goes by the features alone. In training OCNet's code runs the common transform
    twice, which moves the statistics of its batch norm twice in a step; here they move once.

    Source: section 3.2 (object context pooling).
    """

    def __init__(
        self,
        in_channels: int,
        key_channels: int,
        value_channels: int,
        out_channels: int,
        attend: nn.Cell,
        *,
        separate: bool,
        pool: int = 1,
        conventions: Conventions,
    ) -> None:
        super().__init__()
        widths = (in_channels, key_channels, key_channels) if separate else (in_channels, key_channels)
        self.pool = QueryPool(pool, conventions) if pool > 1 else NoPool()
        self.separate = separate
        self.f_key = transform(conventions, *widths, bias=True)
        if separate:
            self.f_query = transform(conventions, *widths, bias=True)
        self.f_value = conv(in_channels, value_channels, 1, bias=True)
        self.attend = attend
        self.W = conv(value_channels, out_channels, 1, bias=True)

    def construct(self, x: Tensor) -> Tensor:
        """Return the context."""
        pooled = self.pool(x)
        key = self.f_key(pooled)
        query = self.f_query(pooled) if self.separate else key
        context = self.W(self.attend(query, key, self.f_value(pooled)))
        # Joined with features of batch norms, whose precision may be another than a convolution's.
        return self.pool.restore(context.astype(x.dtype), x)


class BaseOC(nn.Cell):
    """Features beside their object context, from all positions to all.

    Args:
        channels: M, channels of input and output.
        key_channels: D, channels of query, key and value.
        separate: see `SelfAttention`.
        block: see `MapAttention`.
        drop: the dropout at the end.
        conventions: what frameworks do differently.

    Inputs:
        features: (B, M, H, W) float.

    Outputs:
        (B, M, H, W).

    Source: section 3.3 (Base-OC).
    """

    def __init__(self, channels: int, key_channels: int, *, separate: bool, block: int, drop: nn.Cell, conventions: Conventions) -> None:
        super().__init__()
        attend = MapAttention(key_channels, block)
        stage = SelfAttention(channels, key_channels, key_channels, channels, attend, separate=separate, conventions=conventions)
        self.stages = nn.CellList([stage])
        self.conv_bn_dropout = nn.SequentialCell([*transform(conventions, 2 * channels, channels, bias=True), drop])

    def construct(self, features: Tensor) -> Tensor:
        """Return the fused features."""
        return self.conv_bn_dropout(ops.concat((self.stages[0](features), features), 1))


class PyramidOC(nn.Cell):
    """Features beside their object context within grids of several sizes.

    Args:
        channels: M, channels of input and output, and of the values.
        key_channels: D, channels of query and key.
        grids: cells each way of each grid.
        separate: see `SelfAttention`.
        block: see `MapAttention`.
        drop: the dropout at the end.
        conventions: what frameworks do differently.

    Inputs:
        features: (B, M, H, W) float; H and W not below the largest of `grids`.

    Outputs:
        (B, M, H, W).

    Source: section 3.3 (Pyramid-OC).
    """

    def __init__(
        self,
        channels: int,
        key_channels: int,
        grids: Sequence[int],
        *,
        separate: bool,
        block: int,
        drop: nn.Cell,
        conventions: Conventions,
    ) -> None:
        super().__init__()
        attentions = [GridAttention(key_channels, grid, block) if grid > 1 else MapAttention(key_channels, block) for grid in grids]
        self.stages = nn.CellList(
            [
                SelfAttention(channels, key_channels, channels, channels, attend, separate=separate, conventions=conventions)
                for attend in attentions
            ]
        )
        joined = channels * len(grids)
        self.up_dr = transform(conventions, channels, joined, bias=True)
        self.conv_bn_dropout = nn.SequentialCell([*transform(conventions, 2 * joined, channels, bias=True), drop])

    def construct(self, features: Tensor) -> Tensor:
        """Return the fused features."""
        parts: tuple[Tensor, ...] = (self.up_dr(features),)
        for stage in self.stages:
            parts = parts + (stage(features),)
        return self.conv_bn_dropout(ops.concat(parts, 1))


class PooledContext(nn.Cell):
    """Object context of a map pooled for the attention, without the features themselves: the branch of ASP-OC that attends.

    Args:
        channels: C, channels of input and output.
        key_channels: D, channels of query and key.
        pool: side of the pooled squares.
        separate: see `SelfAttention`; openseg's values then have C / 2 channels, and no convolution follows.
        block: see `MapAttention`.
        conventions: what frameworks do differently.
    """

    def __init__(self, channels: int, key_channels: int, pool: int, *, separate: bool, block: int, conventions: Conventions) -> None:
        super().__init__()
        attend = MapAttention(key_channels, block)
        values = channels // 2 if separate else channels
        stage = SelfAttention(channels, key_channels, values, channels, attend, separate=separate, pool=pool, conventions=conventions)
        self.stages = nn.CellList([stage])
        first = nn.Identity() if separate else conv(channels, channels, 1, bias=True)
        self.conv_bn_dropout = nn.SequentialCell([first, batch_norm(conventions.norm, channels), head_activation(conventions)])

    def construct(self, features: Tensor) -> Tensor:
        """Return the context."""
        return self.conv_bn_dropout(self.stages[0](features))


class AspOC(nn.Cell):
    """Object context beside a 1x1 and dilated 3x3 convolutions, fused.

    Args:
        channels: M, channels of input and output; each branch has half of them.
        key_channels: twice the channels of query and key.
        dilations: of the three dilated convolutions.
        pool: see `PooledContext`.
        separate: see `SelfAttention`.
        block: see `MapAttention`.
        drop: the dropout at the end.
        conventions: what frameworks do differently.

    Inputs:
        features: (B, M, H, W) float.

    Outputs:
        (B, M, H, W).

    Source: section 3.3 (ASP-OC).
    """

    def __init__(
        self,
        channels: int,
        key_channels: int,
        dilations: Sequence[int],
        pool: int,
        *,
        separate: bool,
        block: int,
        drop: nn.Cell,
        conventions: Conventions,
    ) -> None:
        super().__init__()
        width = channels // 2

        def branch(kernel: int, dilation: int, *, bias: bool = False) -> list[nn.Cell]:
            convolution = conv(channels, width, kernel, dilation=dilation, bias=bias)
            return [convolution, batch_norm(conventions.norm, width), head_activation(conventions)]

        attention = PooledContext(width, key_channels // 2, pool, separate=separate, block=block, conventions=conventions)
        self.context = nn.SequentialCell([*branch(3, 1, bias=True), attention])
        self.conv2 = nn.SequentialCell(branch(1, 1))
        self.conv3, self.conv4, self.conv5 = (nn.SequentialCell(branch(3, dilation)) for dilation in dilations)
        self.conv_bn_dropout = nn.SequentialCell([*transform(conventions, 5 * width, channels, bias=False), drop])

    def construct(self, features: Tensor) -> Tensor:
        """Return the fused features."""
        branches = (self.context(features), self.conv2(features), self.conv3(features), self.conv4(features), self.conv5(features))
        return self.conv_bn_dropout(ops.concat(branches, 1))
