"""In the backbone's place, before the same head: compiled and computed in a fraction of its time."""

from typing import Any

import mindspore as ms
from mindspore import nn

from src.models.conventions import Conventions


class TwoLayers(nn.Cell):
    """Features at stride 4 by one convolution; called and named as `src.models.hrnet.HRNetV2`.

    Args:
        extra: not used.
        conventions: what frameworks do differently.

    Inputs:
        image: (B, 3, H, W) float.

    Outputs:
        tuple of the auxiliary head's and the head's features, each (B, 8, H/4, W/4).
    """

    aux_channels = out_channels = 8

    def __init__(self, extra: Any, conventions: Conventions) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, stride=4, pad_mode="pad", padding=2)
        self.bn1 = conventions.norm(8)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Return the features."""
        features = self.bn1(self.conv1(image))
        return features, features
