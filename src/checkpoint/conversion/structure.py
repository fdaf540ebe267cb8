"""What network a set of weights belongs to, read from this project's names and shapes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from src.checkpoint.conversion.backbones import read_backbone
from src.checkpoint.conversion.heads import read_head
from src.checkpoint.conversion.shapes import Shapes
from src.config import preset_names
from src.config.loading import DEFAULT_PRESET
from src.config.networks import network_name

_RESNET_PRESET = "resnet101_base_oc"


class Structure:
    """The backbone and the head of a set of weights.

    Args:
        arrays: by this project's names.
        where: the flag and the file, for messages.

    Attributes:
        backbone: what the weights tell of it.
        head: the same; None for a backbone alone.

    Raises:
        UserError: if a layer is missing that tells of the structure, or this project has no such network.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], where: str) -> None:
        shapes = Shapes(arrays, where)
        self.backbone = read_backbone(shapes)
        self.head = read_head(shapes)

    def settings(self) -> dict[str, Any]:
        """Return configuration key -> value for everything that names and shapes tell, but for the number of classes."""
        if self.head is None:
            return dict(self.backbone.settings)
        name = network_name(self.backbone.name, self.head.name)
        return {**self.backbone.settings, **self.head.settings, "model.name": name}

    def usual_preset(self) -> str:
        """Return the preset of a network of this kind."""
        if self.backbone.name == "hrnet":
            return DEFAULT_PRESET
        own = f"resnet101_{self.head.name}" if self.head else ""
        return own if own in preset_names() else _RESNET_PRESET

    def describe(self, num_classes: int) -> str:
        """Return the network in words; `num_classes` as it was converted to."""
        if self.head is None:
            return f"{self.backbone.title} backbone"
        return f"{self.backbone.title}{' + ' if self.head.title else ''}{self.head.title}, {num_classes} classes"
