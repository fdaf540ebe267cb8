"""Names and shapes of a file's arrays, from which its network is read."""

import re
from collections.abc import Mapping

import numpy as np

from src.config.errors import UserError


class Shapes:
    """Looks up layers by this project's names.

    Args:
        arrays: by this project's names.
        where: the flag and the file, for messages.

    Attributes:
        where: the same.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], where: str) -> None:
        self._arrays = arrays
        self.where = where

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def has_part(self, part: str) -> bool:
        """Return whether there is anything of a part of the network, a layer or a sequence of them."""
        return any(name.startswith(f"{part}.") for name in self._arrays)

    def kernel(self, layer: str) -> tuple[int, ...]:
        """Return a convolution's (channels out, channels in, height, width).

        Raises:
            UserError: if the file has no convolution of that name.
        """
        weight = self._arrays.get(f"{layer}.weight")
        if weight is None or weight.ndim != 4:
            raise UserError(f"{self.where}: the file has no complete network: the convolution {layer}.weight is missing")
        return weight.shape

    def channels(self, layer: str) -> int:
        """Return the channels that a convolution gives; see `kernel`."""
        return self.kernel(layer)[0]

    def is_convolution(self, layer: str) -> bool:
        """Whether there is a convolution of that name."""
        weight = self._arrays.get(f"{layer}.weight")
        return weight is not None and weight.ndim == 4

    def has_bias(self, layer: str) -> bool:
        """Whether a layer has a bias."""
        return f"{layer}.bias" in self._arrays

    def count(self, pattern: str) -> int:
        """Return how far names count from 0 at the pattern's group without a gap."""
        numbers = {int(match[1]) for name in self._arrays if (match := re.match(pattern, name))}
        return next(number for number in range(len(numbers) + 1) if number not in numbers)
