"""The modules of OCNet's and openseg's heads in torch, under their own names, written from the papers for these tests.

Sources: arXiv 1809.00916 (Base-OC, Pyramid-OC, ASP-OC), 1907.12273 (interlaced sparse self-attention), 1909.11065 (OCR); which layers have
biases and activations, and what they are called: OCNet.pytorch, openseg.pytorch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.parity.references.resnet_torch import InPlaceABN, inplace_norm, plain_norm_act

QUERIES_AT_ONCE = 4096  # a map of 33,000 x 33,000 similarities would take 4 GB


@dataclass(frozen=True)
class Norms:
    """The batch norms of a network: without activation, and with one."""

    norm: Callable[[int], nn.Module]
    norm_act: Callable[[int], nn.Module]


INPLACE = Norms(inplace_norm, InPlaceABN)
PLAIN = Norms(nn.BatchNorm2d, plain_norm_act)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return for each position of a map the values of all positions, weighted by softmax(q . k / sqrt(D))."""
    q, k, v = (x.flatten(2).transpose(1, 2) for x in (query, key, value))
    parts = [(part @ k.transpose(1, 2) / k.shape[2] ** 0.5).softmax(2) @ v for part in q.split(QUERIES_AT_ONCE, 1)]
    return torch.cat(parts, 1).transpose(1, 2).unflatten(2, query.shape[2:])


def chain(norms: Norms, *widths: int, bias: bool) -> nn.Sequential:
    """1x1 convolutions with norm and activation."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(before, after, 1, bias=bias), norms.norm_act(after)]
    return nn.Sequential(*layers)


class SelfAttention(nn.Module):
    """OCNet's block (query and key in common), or openseg's (apart, of two convolutions each), on one of several grids."""

    def __init__(self, norms: Norms, width: int, key: int, value: int, *, apart: bool = False, pool: int = 1, grid: int = 1) -> None:
        super().__init__()
        self.f_key = chain(norms, width, key, key, bias=True) if apart else chain(norms, width, key, bias=True)
        self.f_query = chain(norms, width, key, key, bias=True) if apart else self.f_key
        self.f_value, self.W = nn.Conv2d(width, value, 1), nn.Conv2d(value, width, 1)
        self.pool, self.grid = pool, grid

    def forward(self, x: Tensor) -> Tensor:
        small = F.max_pool2d(x, self.pool)
        maps = self.f_query(small), self.f_key(small), self.f_value(small)
        edges = [[n * (side // self.grid) for n in range(self.grid)] + [side] for side in small.shape[2:]]
        rows = []
        for top, bottom in zip(edges[0], edges[0][1:], strict=False):
            cells = [attend(*(m[:, :, top:bottom, left:right] for m in maps)) for left, right in zip(edges[1], edges[1][1:], strict=False)]
            rows.append(torch.cat(cells, 3))
        context = self.W(torch.cat(rows, 2))
        return context if self.pool == 1 else F.interpolate(context, x.shape[2:], mode="bilinear", align_corners=True)


class BaseOC(nn.Module):
    """Context and features, fused."""

    def __init__(self, norms: Norms, width: int, key: int, apart: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList([SelfAttention(norms, width, key, key, apart=apart)])
        self.conv_bn_dropout = chain(norms, 2 * width, width, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_bn_dropout(torch.cat([self.stages[0](x), x], 1))


class PyramidOC(nn.Module):
    """Widened features and the contexts within each grid, fused."""

    def __init__(self, norms: Norms, width: int, grids: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList([SelfAttention(norms, width, width // 2, width, grid=grid) for grid in grids])
        self.up_dr = chain(norms, width, width * len(grids), bias=True)
        self.conv_bn_dropout = chain(norms, 2 * width * len(grids), width, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_bn_dropout(torch.cat([self.up_dr(x), *(stage(x) for stage in self.stages)], 1))


class PooledContext(nn.Module):
    """Context of the map pooled by 2; openseg leaves out the convolution behind it and halves the values."""

    def __init__(self, norms: Norms, width: int, apart: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList([SelfAttention(norms, width, width // 2, width // 2 if apart else width, apart=apart, pool=2)])
        self.conv_bn_dropout = nn.Sequential(norms.norm_act(width)) if apart else chain(norms, width, width, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_bn_dropout(self.stages[0](x))


class AspOC(nn.Module):
    """Pooled context, a 1x1 and three dilated 3x3 convolutions, fused."""

    def __init__(self, norms: Norms, width: int, apart: bool) -> None:
        super().__init__()
        half = width // 2
        self.context = nn.Sequential(nn.Conv2d(width, half, 3, padding=1), norms.norm_act(half), PooledContext(norms, half, apart))
        self.conv2 = chain(norms, width, half, bias=False)
        for number, rate in ((3, 12), (4, 24), (5, 36)):
            dilated = nn.Conv2d(width, half, 3, padding=rate, dilation=rate, bias=False)
            setattr(self, f"conv{number}", nn.Sequential(dilated, norms.norm_act(half)))
        self.conv_bn_dropout = chain(norms, 5 * half, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = [getattr(self, name)(x) for name in ("context", "conv2", "conv3", "conv4", "conv5")]
        return self.conv_bn_dropout(torch.cat(parts, 1))


class RangeAttention(nn.Module):
    """Attention within each of many small maps."""

    def __init__(self, norms: Norms, width: int, key: int) -> None:
        super().__init__()
        self.f_query, self.f_key = (chain(norms, width, key, key, bias=False) for _ in range(2))
        self.f_value, self.W = nn.Conv2d(width, width, 1, bias=False), chain(norms, width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.W(attend(self.f_query(x), self.f_key(x), self.f_value(x)))


class Interlaced(nn.Module):
    """Attention from block to block, between positions at the same place of theirs; then within each block."""

    def __init__(self, norms: Norms, width: int, key: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.long_range_sa, self.short_range_sa = (RangeAttention(norms, width, key) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        side, (height, width) = self.side, x.shape[2:]
        more_h, more_w = -height % side, -width % side
        x = F.pad(x, (more_w // 2, more_w - more_w // 2, more_h // 2, more_h - more_h // 2))
        places = [(slice(None), slice(None), slice(i, None, side), slice(j, None, side)) for i in range(side) for j in range(side)]
        x = self._within(x, places, self.long_range_sa)
        corners = [(i, j) for i in range(0, x.shape[2], side) for j in range(0, x.shape[3], side)]
        x = self._within(x, [(slice(None), slice(None), slice(i, i + side), slice(j, j + side)) for i, j in corners], self.short_range_sa)
        return x[:, :, more_h // 2 : more_h // 2 + height, more_w // 2 : more_w // 2 + width]

    @staticmethod
    def _within(x: Tensor, places: Sequence[tuple[slice, ...]], attention: nn.Module) -> Tensor:
        """All parts as one batch, for the sake of the batch norms."""
        parts = attention(torch.cat([x[place] for place in places])).chunk(len(places))
        result = torch.empty_like(x)
        for place, part in zip(places, parts, strict=True):
            result[place] = part
        return result


class ISA(nn.Module):
    """Features and interlaced context, fused."""

    def __init__(self, norms: Norms, width: int, key: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList([Interlaced(norms, width, key, 8)])
        self.conv_bn = chain(norms, 2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_bn(torch.cat([x, self.stages[0](x)], 1))


class ObjectRegions(nn.Module):
    """OCR of features and the auxiliary logits."""

    def __init__(self, norms: Norms, width: int, key: int) -> None:
        super().__init__()
        self.object_context_block = _ObjectContext(norms, width, key)
        self.conv_bn_dropout = chain(norms, 2 * width, width, bias=True)

    def forward(self, pixels: Tensor, aux: Tensor) -> Tensor:
        regions = (pixels.flatten(2) @ aux.flatten(2).softmax(2).transpose(1, 2)).unsqueeze(3)
        return self.conv_bn_dropout(torch.cat([self.object_context_block(pixels, regions), pixels], 1))


class _ObjectContext(nn.Module):
    def __init__(self, norms: Norms, width: int, key: int) -> None:
        super().__init__()
        self.f_pixel, self.f_object = (chain(norms, width, key, key, bias=True) for _ in range(2))
        self.f_down, self.f_up = chain(norms, width, key, bias=True), chain(norms, key, width, bias=True)

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        return self.f_up(attend(self.f_pixel(pixels), self.f_object(regions), self.f_down(regions)))
