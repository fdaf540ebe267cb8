"""Which backbone a set of weights has: HRNet's stages and branches, or a ResNet's stem and blocks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from src.checkpoint.conversion.shapes import Shapes
from src.config.errors import UserError

_EXPANSION = 4  # of the bottleneck
_RESNETS: dict[tuple[int, ...], str] = {(3, 4, 6, 3): "ResNet-50", (3, 4, 23, 3): "ResNet-101", (3, 8, 36, 3): "ResNet-152"}


@dataclass(frozen=True)
class Backbone:
    """A backbone as its weights tell of it.

    Attributes:
        name: hrnet or resnet.
        title: for people: HRNetV2-W48, ResNet-101.
        width: channels of an HRNet's first branch, or of a ResNet's first stage.
        settings: configuration key -> value.
    """

    name: str
    title: str
    width: int
    settings: Mapping[str, Any]


def read_backbone(shapes: Shapes) -> Backbone:
    """Return the backbone of a file's weights.

    Raises:
        UserError: if a layer is missing that tells of its structure, or the residual blocks are of a kind that this project has not.
    """
    return _resnet(shapes) if "layer4.0.conv1.weight" in shapes else _hrnet(shapes)


def _hrnet(shapes: Shapes) -> Backbone:
    stages = {number: _hrnet_stage(shapes, number) for number in (1, 2, 3, 4)}
    width = shapes.channels("stage4.0.branches.0.0.conv1")
    settings = {f"model.extra.STAGE{number}.{key}": value for number, stage in stages.items() for key, value in stage.items()}
    return Backbone("hrnet", f"HRNetV2-W{width}", width, settings)


def _hrnet_stage(shapes: Shapes, number: int) -> dict[str, Any]:
    branches = ["layer1"] if number == 1 else [f"stage{number}.0.branches.{branch}" for branch in range(number)]
    is_bottleneck = f"{branches[0]}.0.conv3.weight" in shapes
    return {
        "NUM_MODULES": 1 if number == 1 else shapes.count(rf"stage{number}\.(\d+)\."),
        "BLOCK": "BOTTLENECK" if is_bottleneck else "BASIC",
        "NUM_BLOCKS": [shapes.count(rf"{re.escape(branch)}\.(\d+)\.") for branch in branches],
        "NUM_CHANNELS": [shapes.channels(f"{branch}.0.conv1") for branch in branches],
    }


def _resnet(shapes: Shapes) -> Backbone:
    _check_bottleneck(shapes)
    blocks = [shapes.count(rf"layer{stage}\.(\d+)\.") for stage in (1, 2, 3, 4)]
    if 0 in blocks:
        raise UserError(f"{shapes.where}: the file has no complete network: layer{blocks.index(0) + 1} is missing")
    stem = ("conv1",) if shapes.kernel("conv1")[2] == 7 else ("conv1", "conv2", "conv3")
    width = shapes.channels("layer1.0.conv1")
    settings = {
        "model.resnet.blocks": blocks,
        "model.resnet.channels": width,
        "model.resnet.stem_channels": [shapes.channels(layer) for layer in stem],
    }
    return Backbone("resnet", _RESNETS.get(tuple(blocks), f"ResNet {blocks}"), width, settings)


def _check_bottleneck(shapes: Shapes) -> None:
    """Refuse the relatives of ResNet whose names are the same.

    Raises:
        UserError: saying what was found.
    """
    first = "layer1.0"

    def refuse(found: str) -> UserError:
        return UserError(f"{shapes.where}: {found}; of ResNets this project has those of plain bottlenecks (ResNet-50, -101, -152)")

    if f"{first}.conv3.weight" not in shapes:
        raise refuse(f"{first}.conv3 is missing: blocks of two convolutions, as in ResNet-18 and -34")
    if shapes.is_convolution(f"{first}.downsample.1"):
        raise refuse(f"{first}.downsample.1 is a convolution: shortcuts with average pooling, as in ResNet-D")
    out, into = shapes.kernel(f"{first}.conv2")[:2]
    if out != into:
        raise refuse(f"{first}.conv2 joins {into} of {shapes.channels(f'{first}.conv1')} channels: grouped convolutions, as in ResNeXt")
    if shapes.channels(f"{first}.conv3") != _EXPANSION * out:
        raise refuse(f"{first} widens {out} channels to {shapes.channels(f'{first}.conv3')} instead of {_EXPANSION * out}: a wide ResNet")
