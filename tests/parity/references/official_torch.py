"""HRNetV2 + OCR in torch, under the official parameter names, written from the papers and the table of conventions for these tests.

Sources: arXiv 1904.04514 and 1908.07919 (HRNetV2), arXiv 1909.11065 (OCR).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


@dataclass(frozen=True)
class Conventions:
    """What implementations of the same network do differently.

    Attributes:
        align_corners: bilinear resizing maps corner pixels onto each other.
        legacy_resize: without align_corners: pixel corners are scaled instead of centres, as MindSpore's ResizeBilinear does.
        fuse_nearest: inside the stages, branches are resized to the nearest pixel by scaled corners.
        head_bias: biases in front of the batch norms of aux_head and conv3x3_ocr.
        transform_bias: likewise in the object context block.
        aux_kernel: side of the auxiliary head's first convolution.
    """

    align_corners: bool = True
    legacy_resize: bool = False
    fuse_nearest: bool = False
    head_bias: bool = True
    transform_bias: bool = False
    aux_kernel: int = 1

    def resize(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Resize outside the stages."""
        if self.legacy_resize:
            return _legacy(_legacy(x, size[0], 2), size[1], 3)
        return F.interpolate(x, list(size), mode="bilinear", align_corners=self.align_corners)

    def fuse(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Resize inside the stages."""
        return F.interpolate(x, list(size), mode="nearest") if self.fuse_nearest else self.resize(x, size)


OFFICIAL = Conventions()
OPENSEG = Conventions(transform_bias=True, aux_kernel=3)
MODEL_ZOO = Conventions(align_corners=False, legacy_resize=True, fuse_nearest=True, head_bias=False)


def _legacy(x: Tensor, size: int, axis: int) -> Tensor:
    """Linear interpolation along one axis: output pixel i lies at i * length / size."""
    length = x.shape[axis]
    position = torch.arange(size, dtype=x.dtype) * (length / size)
    low = position.floor().long()
    high = (low + 1).clamp(max=length - 1)
    part = (position - low).reshape([-1 if dimension == axis else 1 for dimension in range(4)])
    return x.index_select(axis, low) * (1 - part) + x.index_select(axis, high) * part


def conv(before: int, after: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=bias)


def conv_bn(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [conv(before, after, kernel, stride), nn.BatchNorm2d(after)]


class Residual(nn.Module):
    """A chain of convolutions with a shortcut: 3x3, 3x3 or 1x1, 3x3, 1x1."""

    def __init__(self, before: int, widths: Sequence[int], kernels: Sequence[int]) -> None:
        super().__init__()
        self.depth = len(widths)
        for number, (source, width, kernel) in enumerate(zip([before, *widths], widths, kernels, strict=False), start=1):
            setattr(self, f"conv{number}", conv(source, width, kernel))
            setattr(self, f"bn{number}", nn.BatchNorm2d(width))
        if before != widths[-1]:
            self.downsample = nn.Sequential(*conv_bn(before, widths[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.downsample(x) if hasattr(self, "downsample") else x
        for number in range(1, self.depth + 1):
            x = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(x))
            x = F.relu(x + shortcut if number == self.depth else x)
        return x


def blocks(kind: str, before: int, width: int, count: int) -> nn.Sequential:
    if kind == "BASIC":
        widths, kernels = [width, width], [3, 3]
    else:
        widths, kernels = [width, width, 4 * width], [1, 3, 1]
    return nn.Sequential(*(Residual(widths[-1] if n else before, widths, kernels) for n in range(count)))


class Exchange(nn.Module):
    """Blocks on every branch, then each branch becomes the sum of all, brought to its resolution."""

    def __init__(self, stage: Any, conventions: Conventions) -> None:
        super().__init__()
        widths = stage["NUM_CHANNELS"]
        self.conventions = conventions
        self.branches = nn.ModuleList(
            blocks(stage["BLOCK"], width, width, count) for width, count in zip(widths, stage["NUM_BLOCKS"], strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_way(widths, source, target) for source in range(len(widths))) for target in range(len(widths))
        )

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        branches = [branch(x) for branch, x in zip(self.branches, branches, strict=True)]
        fused = []
        for target, row in zip(branches, self.fuse_layers, strict=True):
            ways = [way(x) for way, x in zip(row, branches, strict=True)]
            fused.append(F.relu(sum(x if x.shape == target.shape else self.conventions.fuse(x, target.shape[2:]) for x in ways)))
        return fused


def _way(widths: Sequence[int], source: int, target: int) -> nn.Module:
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(*conv_bn(widths[source], widths[target], 1))
    halvings = target - source
    steps = [nn.Sequential(*conv_bn(widths[source], widths[source], 3, 2), nn.ReLU()) for _ in range(halvings - 1)]
    return nn.Sequential(*steps, nn.Sequential(*conv_bn(widths[source], widths[target], 3, 2)))


class Transition(nn.ModuleList):
    """The way to the next stage: convolutions where the width changes, and one branch more."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        kept = [
            nn.Identity() if old == new else nn.Sequential(*conv_bn(old, new, 3), nn.ReLU())
            for old, new in zip(before, after, strict=False)
        ]
        super().__init__([*kept, nn.Sequential(nn.Sequential(*conv_bn(before[-1], after[-1], 3, 2), nn.ReLU()))])

    def forward(self, branches: list[Tensor]) -> list[Tensor]:
        return [way(x) for way, x in zip(self, [*branches, branches[-1]], strict=True)]


class HRNet(nn.Module):
    """The backbone, whose branches are joined at stride 4."""

    def __init__(self, extra: Any, conventions: Conventions) -> None:
        super().__init__()
        self.conventions = conventions
        self.conv1, self.bn1 = conv_bn(3, 64, 3, 2)
        self.conv2, self.bn2 = conv_bn(64, 64, 3, 2)
        first = extra["STAGE1"]
        self.layer1 = blocks(first["BLOCK"], 64, first["NUM_CHANNELS"][0], first["NUM_BLOCKS"][0])
        widths = [4 * first["NUM_CHANNELS"][0]]
        for number in (2, 3, 4):
            stage = extra[f"STAGE{number}"]
            setattr(self, f"transition{number - 1}", Transition(widths, stage["NUM_CHANNELS"]))
            setattr(self, f"stage{number}", nn.Sequential(*(Exchange(stage, conventions) for _ in range(stage["NUM_MODULES"]))))
            widths = stage["NUM_CHANNELS"]
        self.width = sum(widths)

    def features(self, image: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(image)))
        x = F.relu(self.bn2(self.conv2(x)))
        branches = [self.layer1(x)]
        for number in (2, 3, 4):
            branches = getattr(self, f"stage{number}")(getattr(self, f"transition{number - 1}")(branches))
        size = branches[0].shape[2:]
        return torch.cat([branches[0], *(self.conventions.resize(branch, size) for branch in branches[1:])], 1)


def bn_relu(width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU())


class ObjectContextBlock(nn.Module):
    """Attention of pixels to regions (arXiv 1909.11065, section 3.2)."""

    def __init__(self, width: int, key_width: int, bias: bool) -> None:
        super().__init__()

        def transform(*widths: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for before, after in zip(widths, widths[1:], strict=False):
                layers += [conv(before, after, 1, bias=bias), bn_relu(after)]
            return nn.Sequential(*layers)

        self.f_pixel = transform(width, key_width, key_width)
        self.f_object = transform(width, key_width, key_width)
        self.f_down = transform(width, key_width)
        self.f_up = transform(key_width, width)
        self.key_width = key_width

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        query, key, value = (f(x).flatten(2) for f, x in ((self.f_pixel, pixels), (self.f_object, regions), (self.f_down, regions)))
        attention = torch.einsum("bdn,bdk->bnk", query, key).div(self.key_width**0.5).softmax(2)
        context = torch.einsum("bnk,bdk->bdn", attention, value)
        return self.f_up(context.unflatten(2, pixels.shape[2:]))


class SpatialOCR(nn.Module):
    """Pixels joined with their context."""

    def __init__(self, width: int, key_width: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.object_context_block = ObjectContextBlock(width, key_width, bias)
        self.conv_bn_dropout = nn.Sequential(conv(2 * width, width, 1, bias=bias), bn_relu(width), nn.Dropout2d(dropout))

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        return self.conv_bn_dropout(torch.cat([self.object_context_block(pixels, regions), pixels], 1))


class OfficialOCRNet(HRNet):
    """HRNetV2 + OCR.

    Args:
        extra: the stages, in the form of `model.extra`.
        num_classes: K.
        widths: channels of pixel and region features, and of query and key.
        conventions: what differs between implementations.
        dropout: chance that a channel is dropped.
    """

    def __init__(
        self,
        extra: Any,
        num_classes: int,
        widths: tuple[int, int] = (512, 256),
        conventions: Conventions = OFFICIAL,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(extra, conventions)
        width, (middle, key_width), bias = self.width, widths, conventions.head_bias
        self.aux_head = nn.Sequential(
            conv(width, width, conventions.aux_kernel, bias=bias), nn.BatchNorm2d(width), nn.ReLU(), conv(width, num_classes, 1, bias=True)
        )
        self.conv3x3_ocr = nn.Sequential(conv(width, middle, 3, bias=bias), nn.BatchNorm2d(middle), nn.ReLU())
        self.ocr_distri_head = SpatialOCR(middle, key_width, dropout, conventions.transform_bias)
        self.cls_head = conv(middle, num_classes, 1, bias=True)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return auxiliary and main logits at stride 4."""
        features = self.features(image)
        aux = self.aux_head(features)
        pixels = self.conv3x3_ocr(features)
        masks = aux.flatten(2).softmax(2)
        regions = torch.einsum("bcn,bkn->bck", pixels.flatten(2), masks).unsqueeze(3)
        return aux, self.cls_head(self.ocr_distri_head(pixels, regions))
