"""Names of networks: a backbone and a head."""

HEADS = ("ocr", "plain", "base_oc", "pyramid_oc", "asp_oc", "isa")
BACKBONES = ("hrnet", "resnet")


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
