"""What an OCR head's answer comes from: its soft object regions and each pixel's relation to them."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.models.segmentation import SegmentationNetwork


class OCRMaps(nn.Cell):
    """A network with an OCR head that gives its inner maps beside its logits, by the same computation and with the same parameters.

    Args:
        network: its head is an `OCRHead`.

    Inputs:
        image: (B, 3, H, W) float32, normalised; of any size in one compiled graph.

    Outputs:
        - logits: (B, K, h, w), those of the network's main head.
        - regions: (B, K, h, w) float32, how much of each class's object region each pixel is; each sums to 1 over the picture.
        - relation: (B, K, h', w') float32, how much of a pixel's context each region gives; sums to 1 over the K regions. h' and w' are
          h and w divided by `model.ocr.scale`, rounded down.

    Source: Yuan et al., arXiv 1909.11065, section 3.2: soft object regions and pixel-region relations.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__(auto_prefix=False)
        self.backbone, self.head = network.backbone, network.head
        self.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))

    def construct(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, regions and relation."""
        head = self.head
        block = head.ocr_distri_head.object_context_block
        aux_features, features = self.backbone(image)
        aux = head.aux_head(aux_features)
        features = head.conv3x3_ocr(features)
        representations = head.ocr_gather_head(features, aux)
        logits = head.cls_head(head.ocr_distri_head(features, representations))
        masks = head.ocr_gather_head.masks(aux)
        masks = masks / ops.expand_dims(masks.sum(2), 2)  # the softmax's own sum is not exactly 1, see SpatialGather
        pooled = block.pool(features)
        relation = block.relation(pooled, representations).swapaxes(1, 2)  # (B, K, h'w')
        batch, num_classes, _, _ = ops.shape(aux)
        _, _, height, width = ops.shape(pooled)
        return logits, masks.reshape(ops.shape(aux)), relation.reshape((batch, num_classes, height, width))
