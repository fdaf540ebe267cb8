"""What the name of a network says of the configuration, as strong as where it is named."""

from collections.abc import Sequence
from typing import Any

from src.config.networks import num_outputs
from src.config.schema import SCHEMA


def with_network(layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the layers with as many loss weights as the network has outputs, where a weaker layer's are for another network.

    They come just below the last layer that names the network: what that layer or a stronger one gives stays, right or wrong.

    Args:
        layers: checked, the weakest first.
    """
    naming = [index for index, layer in enumerate(layers) if "name" in layer.get("model", {})]
    if not naming:
        return list(layers)
    place = naming[-1]
    outputs = num_outputs(layers[place]["model"]["name"])
    usual = SCHEMA["loss"]["balance_weights"].default
    weaker = [layer["loss"]["balance_weights"] for layer in layers[:place] if "balance_weights" in layer.get("loss", {})]
    if len([usual, *weaker][-1]) == outputs:
        return list(layers)
    return [*layers[:place], {"loss": {"balance_weights": usual[-outputs:]}}, *layers[place:]]
