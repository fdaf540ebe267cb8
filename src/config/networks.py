"""Names of networks, a backbone and a head, and what follows from them."""

from typing import Any

HEADS = ("ocr", "plain", "base_oc", "pyramid_oc", "asp_oc", "isa")
BACKBONES = ("hrnet", "resnet")
STRIDES = {"hrnet": 4, "resnet": 8}  # of features and logits, pixels
_LOWEST_STRIDE = 32  # of HRNet's fourth branch


def network_name(backbone: str, head: str) -> str:
    """Return `model.name` of a backbone with a head; the plain head is not named."""
    return f"seg_{backbone}" if head == "plain" else f"seg_{backbone}_{head}"


NAMES = tuple(network_name(backbone, head) for backbone in BACKBONES for head in HEADS)


def parts_of(name: str) -> tuple[str, str]:
    """Return backbone and head of a `model.name`."""
    _, backbone, *head = name.split("_", 2)
    return backbone, head[0] if head else "plain"


def num_outputs(name: str) -> int:
    """Return how many logits a network gives: HRNet's plain head has no auxiliary one."""
    return 1 if parts_of(name) == ("hrnet", "plain") else 2


def grid_side(model: Any) -> int:
    """Return the height and width of a picture, pixels, below which a cell of a grid would be empty: 1 without grids.

    Args:
        model: `model` of the configuration.
    """
    backbone, head = parts_of(model.name)
    return (max(model.oc.grids) - 1) * STRIDES[backbone] + 1 if head == "pyramid_oc" else 1


def smallest_side(model: Any) -> int:
    """Return the smallest height and width of an exported graph's pictures, pixels: the lowest resolution has a whole position.

    Args:
        model: `model` of the configuration.
    """
    return max(_LOWEST_STRIDE, grid_side(model))
