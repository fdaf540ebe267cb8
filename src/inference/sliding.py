"""Sliding windows: where they lie, and the mean of the logits where they overlap, row by row of windows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from src.data.pictures import Box

SizeHW = tuple[int, int]
# From the number of a picture and a rectangle in it to its pixels as the network takes them, (3, height, width).
WindowReader = Callable[[int, Box], np.ndarray]
Network = Callable[[np.ndarray], np.ndarray]


class Band(NamedTuple):
    """Rows of a picture that no later window touches: number of the picture, its first row, and logits (K, rows, W) float32."""

    picture: int
    top: int
    logits: np.ndarray


@dataclass(frozen=True)
class WindowGrid:
    """Windows over a picture; one that is smaller than a window is padded at the bottom and right.

    Attributes:
        size_hw: height and width of the picture, pixels.
        window_hw: of a window.
        stride_hw: step down and across, pixels.
        fill: what is padded with, a number or (3, 1, 1): the mean colour, which is 0 once it is normalised.
    """

    size_hw: SizeHW
    window_hw: SizeHW
    stride_hw: SizeHW
    fill: float | np.ndarray = 0.0

    @cached_property
    def starts(self) -> tuple[list[int], list[int]]:
        """First rows and first columns of the windows."""
        rows, columns = (
            window_starts(max(length, window), window, stride)
            for length, window, stride in zip(self.size_hw, self.window_hw, self.stride_hw, strict=True)
        )
        return rows, columns

    def coverage(self, axis: int) -> np.ndarray:
        """Return how many windows each row (axis 0) or column (axis 1) lies in, float32, padding included."""
        window = self.window_hw[axis]
        count = np.zeros(self.starts[axis][-1] + window, np.float32)
        for start in self.starts[axis]:
            count[start : start + window] += 1
        return count

    def read(self, reader: WindowReader, picture: int, top: int, left: int) -> np.ndarray:
        """Return a window, padded where the picture ends."""
        (height, width), (rows, columns) = self.window_hw, self.size_hw
        pixels = reader(picture, (top, left, min(top + height, rows), min(left + width, columns)))
        if pixels.shape[1:] == self.window_hw:
            return pixels
        padded = np.empty((pixels.shape[0], height, width), pixels.dtype)
        padded[...] = self.fill
        padded[:, : pixels.shape[1], : pixels.shape[2]] = pixels
        return padded


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Return the first pixel of each window along one side.

    Args:
        length: of the side, pixels; at least `window`.
        window: of the window, pixels.
        stride: step, pixels, at most `window`; the last window is shifted back to end at the border.
    """
    last = length - window
    return [*range(0, last, stride), last]


def sliding_bands(reader: WindowReader, num_pictures: int, grid: WindowGrid, network: Network, batch_size: int) -> Iterator[Band]:
    """Yield the logits of pictures from top to bottom, averaged where windows overlap; memory holds one row of windows.

    Args:
        reader: gives the pixels of pictures of the grid's size, a window at a time.
        num_pictures: how many there are.
        grid: where the windows lie.
        network: from windows (N, 3, *window_hw) to their logits (N, K, *window_hw).
        batch_size: windows given to the network at once, also of two pictures.
    """
    tops, lefts = grid.starts
    places = [(picture, top, left) for picture in range(num_pictures) for top in tops for left in lefts]
    sums: _BandSums | None = None
    for first in range(0, len(places), batch_size):
        chunk = places[first : first + batch_size]
        logits = network(np.stack([grid.read(reader, *place) for place in chunk]))
        sums = sums or _BandSums(grid, logits.shape[1])
        for (picture, top, left), window_logits in zip(chunk, logits, strict=True):
            sums.add(left, window_logits)
            if left == lefts[-1]:
                yield Band(picture, top, sums.take(top))


class _BandSums:
    """Sums of logits over the rows of the windows that are being added."""

    def __init__(self, grid: WindowGrid, num_classes: int) -> None:
        self._grid = grid
        self._row_counts, self._column_counts = grid.coverage(0), grid.coverage(1)
        self._sums = np.zeros((num_classes, grid.window_hw[0], self._column_counts.size), np.float32)

    def add(self, left: int, logits: np.ndarray) -> None:
        self._sums[:, :, left : left + self._grid.window_hw[1]] += logits

    def take(self, top: int) -> np.ndarray:
        """Return the means of the rows that the next windows leave out, and go on to those."""
        (height, width), tops = self._grid.size_hw, self._grid.starts[0]
        step = tops[tops.index(top) + 1] - top if top != tops[-1] else self._grid.window_hw[0]
        counts = self._row_counts[top : top + step, None] * self._column_counts
        means = (self._sums[:, :step] / counts)[:, : height - top, :width]
        self._sums[:, :-step] = self._sums[:, step:].copy()
        self._sums[:, -step:] = 0
        return means


def sliding_logits(reader: WindowReader, num_pictures: int, grid: WindowGrid, network: Network, batch_size: int) -> np.ndarray:
    """Return the logits of whole pictures, (num_pictures, K, *size_hw) float32; arguments as in `sliding_bands`."""
    logits: np.ndarray | None = None
    for band in sliding_bands(reader, num_pictures, grid, network, batch_size):
        if logits is None:
            logits = np.empty((num_pictures, len(band.logits), *grid.size_hw), np.float32)
        logits[band.picture, :, band.top : band.top + band.logits.shape[1]] = band.logits
    assert logits is not None
    return logits
