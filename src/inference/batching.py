"""Pictures that can be given to a network at once."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np


class HasImage(Protocol):
    """Something with a picture, (H, W, 3) uint8 RGB."""

    @property
    def image(self) -> np.ndarray:
        """The picture."""


Sample = TypeVar("Sample", bound=HasImage)


def equal_sized_batches(samples: Iterable[Sample], batch_size: int) -> Iterator[list[Sample]]:
    """Yield runs of neighbours of one size, at most `batch_size` long."""
    batch: list[Sample] = []
    for sample in samples:
        if batch and (len(batch) >= batch_size or sample.image.shape != batch[0].image.shape):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch
