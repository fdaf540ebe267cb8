"""Heads: from a backbone's features to logits."""

from typing import Any

from mindspore import Tensor, nn

from src.models.conventions import Conventions
from src.models.layers import batch_norm, classifier, conv, head_activation
from src.models.ocr import SpatialGather, SpatialOCR


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
        aux_channels: A, channels of the features that the coarse logits are made of.
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
        self, aux_channels: int, channels: int, num_classes: int, ocr: Any, conventions: Conventions, dropout_seed: int = 0
    ) -> None:
        super().__init__()
        mid = ocr.mid_channels
        self.aux_head = classifier(conventions, aux_channels, num_classes, kernel=ocr.aux_kernel)
        self.conv3x3_ocr = nn.SequentialCell(
            [conv(channels, mid, 3, bias=conventions.head_bias), batch_norm(conventions.norm, mid), head_activation(conventions)]
        )
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
