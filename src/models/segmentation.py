"""A backbone with a head."""

from mindspore import Tensor, nn


class SegmentationNetwork(nn.Cell):
    """A backbone and the head on its features. Parameters are called as in the two parts, without a prefix.

    Args:
        backbone: a Cell from image (B, 3, H, W) to the features for the auxiliary head and those for the main one.
        head: a Cell from the two to a tuple of logits.

    Inputs:
        image: (B, 3, H, W) float, normalised.

    Outputs:
        tuple of logits (B, K, h, w), the last of which is the main head's.
    """

    def __init__(self, backbone: nn.Cell, head: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.backbone = backbone
        self.head = head

    def construct(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of all heads."""
        aux_features, features = self.backbone(image)
        return self.head(aux_features, features)
