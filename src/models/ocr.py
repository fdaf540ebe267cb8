"""Object-contextual representations.

Source: Yuan et al., Object-Contextual Representations for Semantic Segmentation, arXiv 1909.11065, section 3.
"""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.conventions import Conventions
from src.models.dropout import channel_dropout
from src.models.layers import batch_norm, conv, head_activation
from src.models.resizing import Resize


class SpatialGather(nn.Cell):
    """Region representations: the mean of the pixel features under each class's soft mask.

    Inputs:
        features: (B, C, H, W) float.
        logits: (B, K, H, W) float, the auxiliary head's.

    Outputs:
        (B, C, K, 1), dtype of features.

    Source: section 3.2, equation 2 (object region representations).
    """

    def __init__(self) -> None:
        super().__init__()
        self.weigh = ops.BatchMatMul(transpose_b=True)

    def construct(self, features: Tensor, logits: Tensor) -> Tensor:
        """Return the region representations."""
        batch, channels, _, _ = ops.shape(features)
        masks = self.masks(logits)
        # In float32: each mask sums to 1 over all pixels, so that its values would be subnormal in float16.
        pixels = features.reshape((batch, channels, -1)).astype(ms.float32)  # (B, C, HW)
        # MindSpore 2.8's softmax adds in float32 one by one on the CPU: over the 131,072 pixels of a whole frame masks sum to 1.0002, an
        # error that the attention enlarges. Their own sum, added more exactly, takes it out.
        totals = ops.expand_dims(masks.sum(2), 1)  # (B, 1, K)
        regions = (self.weigh(pixels, masks) / totals).astype(features.dtype)
        return ops.expand_dims(regions, 3)  # (B, C, K, 1)

    def masks(self, logits: Tensor) -> Tensor:
        """Return the soft object regions, (B, K, HW) float32: of each class, how much of it each pixel is."""
        batch, num_classes, _, _ = ops.shape(logits)
        flat = logits.reshape((batch, num_classes, -1)).astype(ms.float32)
        return ops.softmax(flat, 2)


class QueryPool(nn.Cell):
    """Max pooling of the query map and the way back to the full resolution.

    Args:
        scale: side of the pooled squares, 2 or more.
        conventions: the rule of resizing.
    """

    def __init__(self, scale: int, conventions: Conventions) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(scale, scale)
        self.resize = Resize(conventions.align_corners, conventions.half_pixel_centers)

    def construct(self, x: Tensor) -> Tensor:
        """Return the pooled map."""
        return self.pool(x)

    def restore(self, context: Tensor, reference: Tensor) -> Tensor:
        """Return `context` at the size of `reference`."""
        return self.resize(context, reference)


class NoPool(nn.Cell):
    """The query map as it is."""

    def construct(self, x: Tensor) -> Tensor:
        """Return the map as it is."""
        return x

    def restore(self, context: Tensor, reference: Tensor) -> Tensor:
        """Return `context`, which already has the size of `reference`."""
        return context


class ObjectAttentionBlock(nn.Cell):
    """Each pixel's context: the regions, weighted by their similarity to the pixel.

    Args:
        in_channels: C, channels of pixels, regions and context.
        key_channels: D, channels of query, key and value.
        scale: the query map is max-pooled by this before the attention; 1 does not pool.
        conventions: what frameworks do differently.

    Inputs:
        features: (B, C, H, W) float.
        regions: (B, C, K, 1).

    Outputs:
        (B, C, H, W).

    Source: section 3.2, equations 3 to 5, and the supplement's f_pixel, f_object, f_down, f_up.
    """

    def __init__(self, in_channels: int, key_channels: int, scale: int, conventions: Conventions) -> None:
        super().__init__()
        self.pool = QueryPool(scale, conventions) if scale > 1 else NoPool()
        self.f_pixel = _transform(conventions, in_channels, key_channels, key_channels)
        self.f_object = _transform(conventions, in_channels, key_channels, key_channels)
        self.f_down = _transform(conventions, in_channels, key_channels)
        self.f_up = _transform(conventions, key_channels, in_channels)
        self.compare = ops.BatchMatMul(transpose_a=True)
        self.weigh = ops.BatchMatMul(transpose_b=True)
        self.key_channels = key_channels
        # A tensor, because MindSpore Lite's converter rejects scalar constants.
        self.temperature = Tensor([key_channels**-0.5], ms.float32)

    def construct(self, features: Tensor, regions: Tensor) -> Tensor:
        """Return the object context of each pixel."""
        pooled = self.pool(features)
        batch, _, height, width = ops.shape(pooled)
        value = self.f_down(regions).reshape((batch, self.key_channels, -1))  # (B, D, K)
        attention = self.relation(pooled, regions).astype(value.dtype)
        context = self.weigh(value, attention).reshape((batch, self.key_channels, height, width))  # from (B, D, HW)
        return self.pool.restore(self.f_up(context), features)

    def relation(self, pooled: Tensor, regions: Tensor) -> Tensor:
        """Return the pixel-region relation, (B, HW, K) float32: how much of a pixel's context each region gives; rows sum to 1.

        Args:
            pooled: (B, C, H, W), the features that ask.
            regions: (B, C, K, 1).
        """
        batch = ops.shape(pooled)[0]
        query = self.f_pixel(pooled).reshape((batch, self.key_channels, -1))  # (B, D, HW)
        key = self.f_object(regions).reshape((batch, self.key_channels, -1))  # (B, D, K)
        similarity = self.compare(query, key).astype(ms.float32) * self.temperature  # (B, HW, K)
        return ops.softmax(similarity, -1)


def _transform(conventions: Conventions, *widths: int) -> nn.SequentialCell:
    cells: list[nn.Cell] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        cells += [conv(before, after, 1, bias=conventions.transform_bias), _bn_activation(conventions, after)]
    return nn.SequentialCell(cells)


def _bn_activation(conventions: Conventions, channels: int) -> nn.SequentialCell:
    # As one Cell, parameter names `0.*` inside it: the official ones.
    return nn.SequentialCell([batch_norm(conventions.norm, channels), head_activation(conventions)])


class SpatialOCR(nn.Cell):
    """Features augmented by their object context.

    Args:
        channels: C, channels of features, regions and result.
        key_channels: see `ObjectAttentionBlock`.
        dropout: chance that a channel is dropped in training; 0 leaves dropout out.
        dropout_seed: see `ChannelDropout`.
        scale: see `ObjectAttentionBlock`.
        conventions: what frameworks do differently.

    Inputs:
        features: (B, C, H, W) float.
        regions: (B, C, K, 1).

    Outputs:
        (B, C, H, W).

    Source: section 3.2, equation 6 (augmented representations).
    """

    def __init__(
        self, channels: int, key_channels: int, *, dropout: float, dropout_seed: int, scale: int, conventions: Conventions
    ) -> None:
        super().__init__()
        self.object_context_block = ObjectAttentionBlock(channels, key_channels, scale, conventions)
        fuse = conv(2 * channels, channels, 1, bias=conventions.transform_bias)
        self.conv_bn_dropout = nn.SequentialCell([fuse, _bn_activation(conventions, channels), channel_dropout(dropout, dropout_seed)])

    def construct(self, features: Tensor, regions: Tensor) -> Tensor:
        """Return the augmented features."""
        context = self.object_context_block(features, regions)
        return self.conv_bn_dropout(ops.concat((context, features), 1))
