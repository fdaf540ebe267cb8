"""Attention between the positions of feature maps, with a gradient that keeps no similarities."""

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

EVALUATION_BLOCK = 1024  # queries at once where nothing is said: as fast as all at once, with a tenth of the memory (docs/PERFORMANCE.md)


class DotProductAttention(nn.Cell):
    """Each query's context: the values, weighted by the softmax of its similarity to the keys.

    Queries may be taken in blocks, one behind the other, so that the similarities of one block alone are held at a time. The gradient works
    each block's similarities out again. What comes out is the same but for float rounding.

    All is computed in float32: among thousands of keys weights, and gradients of similarities, would be subnormal in float16.

    Args:
        key_channels: D, channels of query and key.
        block: so many queries at once; 0: all in training, where blocks take longer, and EVALUATION_BLOCK in evaluation.

    Attributes:
        whole: whether all queries are taken at once in `construct`, whatever `block` says: a graph for any number of positions then has no
            loop, and holds N * M similarities. False, unless somebody sets it before the graph is compiled.

    Inputs:
        query: (B, D, N) float.
        key: (B, D, M).
        value: (B, V, M).

    Outputs:
        (B, V, N), dtype of value.

    Source: Vaswani et al., arXiv 1706.03762, equation 1; for pictures: Wang et al., arXiv 1711.07971; the gradient by blocks:
    Rabe and Staats, arXiv 2112.05682.
    """

    def __init__(self, key_channels: int, block: int = 0) -> None:
        super().__init__()
        self.block, self.whole = block, False
        # A tensor, because MindSpore Lite's converter rejects scalar constants.
        self.temperature = Tensor([key_channels**-0.5], ms.float32)
        # Primitives, not functions: MindSpore 2.8 in GRAPH mode loses functions that a bprop calls.
        self.softmax, self.concat, self.depend, self.cast = ops.Softmax(-1), ops.Concat(2), ops.Depend(), ops.Cast()
        self.multiply, self.left_transposed, self.right_transposed = (
            ops.BatchMatMul(),
            ops.BatchMatMul(transpose_a=True),
            ops.BatchMatMul(transpose_b=True),
        )
        self.sum, self.tile, self.zeros_like = ops.ReduceSum(keep_dims=True), ops.Tile(), ops.ZerosLike()

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the context of each query."""
        dtype = value.dtype
        query, key, value = self._scaled(query), self.cast(key, ms.float32), self.cast(value, ms.float32)
        if self.whole:
            return self.cast(self._attend(query, key, value), dtype)
        count = ops.shape(query)[2]
        block = self.block or (count if self.training else EVALUATION_BLOCK)
        if count <= block:
            return self.cast(self._attend(query, key, value), dtype)
        return self.cast(self._attend_by_blocks(query, key, value, block), dtype)

    def _attend_by_blocks(self, query: Tensor, key: Tensor, value: Tensor, block: int) -> Tensor:
        # The first block takes what whole blocks leave over: MindSpore Lite has no slices that reach beyond the end.
        count = ops.shape(query)[2]
        start = (count - 1) % block + 1
        context = self._attend(query[:, :, 0:start], key, value)
        # A while loop, which MindSpore unrolls where N is known and keeps where it changes from call to call.
        while start < count:
            # Not before the last block is done: all would be held at once.
            later = self.depend(query, context)[:, :, start : start + block]
            context = self.concat((context, self._attend(later, key, value)))
            start = start + block
        return context

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return self.right_transposed(value, self._weights(query, key))

    def _weights(self, query: Tensor, key: Tensor) -> Tensor:
        return self.softmax(self.left_transposed(query, key))  # (B, N, M)

    def _scaled(self, query: Tensor) -> Tensor:
        return self.cast(query, ms.float32) * self.temperature

    def bprop(self, query: Tensor, key: Tensor, value: Tensor, context: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of query, key and value from that of the context."""
        dtypes = query.dtype, key.dtype, value.dtype
        query, key, value = self._scaled(query), self.cast(key, ms.float32), self.cast(value, ms.float32)
        gradient, context = self.cast(gradient, ms.float32), self.cast(context, ms.float32)
        count = ops.shape(query)[2]
        step = self.block or count
        num_keys = ops.shape(key)[2]
        # What the softmax's gradient subtracts, one number for each query.
        shift = self.sum(gradient * context, 1).reshape((-1, count, 1))  # (B, N, 1)
        of_query: tuple[Tensor, ...] = ()
        of_key, of_value = self.zeros_like(key), self.zeros_like(value)
        done: tuple[Tensor, ...] = (shift,)
        for start in range(0, count, step):
            stop = start + step
            queries, gradients = self.depend(query, done)[:, :, start:stop], self.depend(gradient, done)[:, :, start:stop]
            weights = self._weights(queries, key)  # (B, n, M)
            of_value = of_value + self.multiply(gradients, weights)
            of_weights = self.left_transposed(gradients, value)
            # Tiled, because a subtraction that broadcasts keeps 16 bytes an element for as long as the graph lives (2.8, CPU).
            shifts = self.tile(shift[:, start:stop], (1, 1, num_keys))
            of_similarity = weights * (of_weights - shifts)
            of_query = of_query + (self.right_transposed(key, of_similarity),)
            of_key = of_key + self.multiply(queries, of_similarity)
            done = (of_query[-1], of_key, of_value)
        return self.cast(self._scaled(self.concat(of_query)), dtypes[0]), self.cast(of_key, dtypes[1]), self.cast(of_value, dtypes[2])


class MapAttention(nn.Cell):
    """Attention from all positions of a map to all.

    Args:
        key_channels: D, channels of query and key.
        block: see `DotProductAttention`.

    Inputs:
        query: (B, D, H, W) float.
        key: (B, D, H, W).
        value: (B, V, H, W).

    Outputs:
        (B, V, H, W), dtype of value.
    """

    def __init__(self, key_channels: int, block: int = 0) -> None:
        super().__init__()
        self.attend = DotProductAttention(key_channels, block)

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the context of each position."""
        _, _, height, width = ops.shape(query)
        batch, channels, _, _ = ops.shape(value)
        context = self.attend(_positions(query), _positions(key), _positions(value))
        return context.reshape((batch, channels, height, width))


def _positions(x: Tensor) -> Tensor:
    """Return a map (B, C, H, W) as (B, C, HW)."""
    batch, channels, _, _ = ops.shape(x)
    return x.reshape((batch, channels, -1))


class GridAttention(nn.Cell):
    """Attention between the positions of each cell of a grid; what height and width leave over belongs to the last cells.

    Args:
        key_channels: D, channels of query and key.
        grid: cells each way; the map has at least as many rows and columns.
        block: see `DotProductAttention`.

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

    def _bounds(self, index: int, size: int) -> tuple[Any, Any]:
        """Return where a cell begins and ends along a side."""
        step = size // self.grid
        return index * step, size if index == self.grid - 1 else (index + 1) * step
