"""Self-attention between the positions of a feature map: the scaled dot product, and the transforms around it."""

import mindspore as ms
from mindspore import Tensor, nn, ops


class DotProductAttention(nn.Cell):
    """Each query's context: the values, weighted by the softmax of its similarity to the keys.

    Args:
        key_channels: D, channels of query and key.

    Inputs:
        query: (B, D, N) float.
        key: (B, D, M).
        value: (B, V, M).

    Outputs:
        (B, V, N), dtype of value.

    Source: Vaswani et al., arXiv 1706.03762, equation 1; as a block for pictures: Wang et al., arXiv 1711.07971.
    """

    def __init__(self, key_channels: int) -> None:
        super().__init__()
        self.compare = ops.BatchMatMul(transpose_a=True)
        self.weigh = ops.BatchMatMul(transpose_b=True)
        # A tensor, because MindSpore Lite's converter rejects scalar constants.
        self.temperature = Tensor([key_channels**-0.5], ms.float32)

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the context of each query."""
        similarity = self.compare(query, key).astype(ms.float32) * self.temperature  # (B, N, M)
        return self.weigh(value, ops.softmax(similarity, -1).astype(value.dtype))


class MapAttention(nn.Cell):
    """Attention from all positions of a map to all.

    Args:
        key_channels: D, channels of query and key.
        block: attend from so many positions at once; 0: from all.

    Inputs:
        query: (B, D, H, W) float.
        key: (B, D, H, W).
        value: (B, V, H, W).

    Outputs:
        (B, V, H, W), dtype of value.
    """

    def __init__(self, key_channels: int, block: int = 0) -> None:
        super().__init__()
        self.attend = DotProductAttention(key_channels)

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the context of each position."""
        batch, _, height, width = ops.shape(query)
        context = self.attend(_positions(query), _positions(key), _positions(value))
        return context.reshape((batch, -1, height, width))


def _positions(x: Tensor) -> Tensor:
    """Return a map (B, C, H, W) as (B, C, HW)."""
    batch, channels, _, _ = ops.shape(x)
    return x.reshape((batch, channels, -1))


class GridAttention(nn.Cell):
    """Attention between the positions of each cell of a grid; what height and width leave over belongs to the last cells.

    Args:
        key_channels: D, channels of query and key.
        grid: cells each way; the map has at least as many rows and columns.
        block: see `MapAttention`.

    Inputs:
        query: (B, D, H, W) float.
        key: (B, D, H, W).
        value: (B, V, H, W).

    Outputs:
        (B, V, H, W), dtype of value.

    Source: Yuan et al., arXiv 1809.00916, section 3.3 (Pyramid-OC).
    """

    def __init__(self, key_channels: int, grid: int, block: int = 0) -> None:
        super().__init__()
        self.grid = grid
        self.attend = MapAttention(key_channels, block)

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the context of each position."""
        height, width = ops.shape(query)[-2:]
        rows: tuple[Tensor, ...] = ()
        for i in range(self.grid):
            top, bottom = self._bounds(i, height)
            row: tuple[Tensor, ...] = ()
            for j in range(self.grid):
                left, right = self._bounds(j, width)
                context = self.attend(
                    query[:, :, top:bottom, left:right], key[:, :, top:bottom, left:right], value[:, :, top:bottom, left:right]
                )
                row = row + (context,)
            rows = rows + (ops.concat(row, 3),)
        return ops.concat(rows, 2)

    def _bounds(self, index: int, size: int) -> tuple[int, int]:
        """Return where a cell begins and ends along a side."""
        step = size // self.grid
        return index * step, size if index == self.grid - 1 else (index + 1) * step
