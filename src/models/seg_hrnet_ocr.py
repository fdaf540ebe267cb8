"""HRNetV2 with the OCR head.

Source: Yuan et al., Object-Contextual Representations for Semantic Segmentation, arXiv 1909.11065, section 3.3.
"""

from typing import Any

from mindspore import Tensor, nn

from src.models.conventions import Conventions
from src.models.layers import batch_norm, classifier, conv, head_activation
from src.models.ocr import SpatialGather, SpatialOCR
from src.models.seg_hrnet import HRNetV2


class SegHRNetOCR(HRNetV2):
    """HRNetV2 + OCR: coarse logits mark the regions, whose features then refine each pixel's.

    Args:
        extra: `model.extra` of the configuration.
        ocr: `model.ocr` of the configuration.
        num_classes: K, channels of the logits.
        conventions: what frameworks do differently.
        dropout_seed: see `ChannelDropout`.

    Inputs:
        image: (B, 3, H, W) float, normalised.

    Outputs:
        tuple (aux, out) of logits (B, K, ceil(H / 4), ceil(W / 4)); out is the main head's.
    """

    def __init__(self, extra: Any, ocr: Any, num_classes: int, conventions: Conventions, dropout_seed: int = 0) -> None:
        super().__init__(extra, conventions)
        width, mid = self.out_channels, ocr.mid_channels
        self.aux_head = classifier(conventions, width, num_classes, kernel=ocr.aux_kernel)
        self.conv3x3_ocr = nn.SequentialCell(
            [conv(width, mid, 3, bias=conventions.head_bias), batch_norm(conventions.norm, mid), head_activation(conventions)]
        )
        self.ocr_gather_head = SpatialGather()
        self.ocr_distri_head = SpatialOCR(
            mid, ocr.key_channels, dropout=ocr.dropout, dropout_seed=dropout_seed, scale=ocr.scale, conventions=conventions
        )
        self.cls_head = conv(mid, num_classes, 1, bias=True)

    def construct(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return (auxiliary logits, logits)."""
        features = self.extract(image)
        aux = self.aux_head(features)
        features = self.conv3x3_ocr(features)
        regions = self.ocr_gather_head(features, aux)
        features = self.ocr_distri_head(features, regions)
        return aux, self.cls_head(features)
