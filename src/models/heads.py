"""Heads: from a backbone's features to logits."""

from typing import Any

from mindspore import Tensor, nn

from src.models.conventions import Conventions
from src.models.dropout import channel_dropout
from src.models.isa import ISA
from src.models.layers import batch_norm, conv, head_activation
from src.models.ocnet import AspOC, BaseOC, PyramidOC
from src.models.ocr import SpatialGather, SpatialOCR


def classifier(conventions: Conventions, channels: int, num_classes: int, *, kernel: int = 1, last_kernel: int = 1) -> nn.SequentialCell:
    """Return convolution, batch norm, activation and the convolution to the classes, parameter names `0.*`, `1.*` and `3.*`.

    Args:
        conventions: bias of the first convolution, class of the batch norm, activation.
        channels: channels of the input and of the first convolution.
        num_classes: channels of the logits.
        kernel: side of the first convolution.
        last_kernel: side of the last one.
    """
    first = _convolved(conventions, channels, channels, kernel)
    return nn.SequentialCell([*first, conv(channels, num_classes, last_kernel, bias=True)])


def deep_supervision(
    conventions: Conventions,
    in_channels: int,
    mid_channels: int,
    num_classes: int,
    *,
    drop: nn.Cell,
    activated: bool = True,
) -> nn.SequentialCell:
    """Return an auxiliary head on a stage's features, parameter names `0.*`, `1.*` and `3.*`.

    Args:
        conventions: bias of the first convolution, class of the batch norm, activation.
        in_channels: channels of the input.
        mid_channels: channels of the 3x3 convolution.
        num_classes: channels of the logits.
        drop: the dropout in front of the last convolution.
        activated: an activation follows the batch norm.

    Source: Lee et al., Deeply-Supervised Nets, arXiv 1409.5185; as in OCNet: arXiv 1809.00916, section 3.4.
    """
    convolution, norm, activation = _convolved(conventions, in_channels, mid_channels, 3, activated)
    # As one Cell, so that the last convolution is element 3 with and without dropout: OCNet's name for it.
    regularised = nn.SequentialCell([activation, drop])
    return nn.SequentialCell([convolution, norm, regularised, conv(mid_channels, num_classes, 1, bias=True)])


def _convolved(conventions: Conventions, before: int, after: int, kernel: int, activated: bool = True) -> list[nn.Cell]:
    convolution = conv(before, after, kernel, bias=conventions.head_bias)
    return [convolution, batch_norm(conventions.norm, after), head_activation(conventions) if activated else nn.Identity()]


class PlainHead(nn.Cell):
    """Two convolutions on the features of the main head: HRNetV2's own.

    Args:
        channels: C, channels of the features.
        num_classes: K, channels of the logits.
        last_kernel: side of the last convolution.
        conventions: what frameworks do differently.

    Inputs:
        aux_features: not looked at.
        features: (B, C, H, W) float.

    Outputs:
        tuple of one: logits (B, K, H, W).

    Source: Wang et al., arXiv 1908.07919, section 3.
    """

    def __init__(self, channels: int, num_classes: int, last_kernel: int, conventions: Conventions) -> None:
        super().__init__()
        self.last_layer = classifier(conventions, channels, num_classes, last_kernel=last_kernel)

    def construct(self, aux_features: Tensor, features: Tensor) -> tuple[Tensor]:
        """Return (logits,)."""
        return (self.last_layer(features),)


class OCRHead(nn.Cell):
    """Object-contextual representations: coarse logits mark the regions, whose features then refine each pixel's.

    Args:
        aux_head: from the features (B, A, H, W) to the coarse logits.
        channels: C, channels of the features.
        num_classes: K, channels of the logits.
        ocr: `model.ocr` of the configuration.
        conventions: what frameworks do differently.
        dropout_seed: see `ChannelDropout`.

    Inputs:
        aux_features: (B, A, H, W) float.
        features: (B, C, H, W) float.

    Outputs:
        tuple (aux, out) of logits (B, K, H, W); out is the main head's.

    Source: Yuan et al., Object-Contextual Representations for Semantic Segmentation, arXiv 1909.11065, section 3.3.
    """

    def __init__(
        self, aux_head: nn.Cell, channels: int, num_classes: int, ocr: Any, conventions: Conventions, dropout_seed: int = 0
    ) -> None:
        super().__init__()
        mid = ocr.mid_channels
        self.aux_head = aux_head
        self.conv3x3_ocr = nn.SequentialCell(_convolved(conventions, channels, mid, 3))
        self.ocr_gather_head = SpatialGather()
        self.ocr_distri_head = SpatialOCR(
            mid, ocr.key_channels, dropout=ocr.dropout, dropout_seed=dropout_seed, scale=ocr.scale, conventions=conventions
        )
        self.cls_head = conv(mid, num_classes, 1, bias=True)

    def construct(self, aux_features: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (auxiliary logits, logits)."""
        aux = self.aux_head(aux_features)
        features = self.conv3x3_ocr(features)
        regions = self.ocr_gather_head(features, aux)
        features = self.ocr_distri_head(features, regions)
        return aux, self.cls_head(features)


class ContextHead(nn.Cell):
    """A 3x3 convolution, a module that looks at context, a 1x1 convolution to the classes, and an auxiliary head.

    Args:
        aux_head: from the features (B, A, H, W) to the auxiliary logits.
        channels: C, channels of the features.
        mid_channels: M, channels in front of and behind the module.
        num_classes: K, channels of the logits.
        module: a Cell from (B, M, H, W) to the same, see `context_module`.
        conventions: what frameworks do differently.
        activated: an activation follows the batch norm in front of the module.

    Inputs:
        aux_features: (B, A, H, W) float.
        features: (B, C, H, W) float.

    Outputs:
        tuple (aux, out) of logits (B, K, H, W); out is the main head's.

    Source: Yuan et al., OCNet: Object Context Network for Scene Parsing, arXiv 1809.00916, section 3.4.
    """

    def __init__(
        self,
        aux_head: nn.Cell,
        channels: int,
        mid_channels: int,
        num_classes: int,
        module: nn.Cell,
        conventions: Conventions,
        activated: bool = True,
    ) -> None:
        super().__init__()
        self.aux_head = aux_head
        self.context = nn.SequentialCell([*_convolved(conventions, channels, mid_channels, 3, activated), module])
        self.cls_head = conv(mid_channels, num_classes, 1, bias=True)

    def construct(self, aux_features: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return (auxiliary logits, logits)."""
        return self.aux_head(aux_features), self.cls_head(self.context(features))


def context_module(head: str, oc: Any, conventions: Conventions, dropout_seed: int = 0) -> nn.Cell:
    """Return the module of a head; that of the plain one is nothing but its dropout.

    Args:
        head: base_oc, pyramid_oc, asp_oc, isa or plain.
        oc: `model.oc` of the configuration.
        conventions: what frameworks do differently.
        dropout_seed: see `ChannelDropout`.
    """
    drop = channel_dropout(oc.dropout, dropout_seed)
    if head == "plain":
        return drop
    if head == "isa":
        return ISA(oc.mid_channels, oc.key_channels, oc.down_factors, drop, conventions)
    common = {"separate": oc.separate_query, "block": oc.block, "drop": drop, "conventions": conventions}
    if head == "base_oc":
        return BaseOC(oc.mid_channels, oc.key_channels, **common)
    if head == "pyramid_oc":
        return PyramidOC(oc.mid_channels, oc.key_channels, oc.grids, **common)
    assert head == "asp_oc"
    return AspOC(oc.mid_channels, oc.key_channels, oc.dilations, oc.pool, **common)
