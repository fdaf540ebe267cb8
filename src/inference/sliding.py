"""Sliding windows: where they lie, and the mean of the logits where they overlap."""

from collections.abc import Callable

import numpy as np

SizeHW = tuple[int, int]


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Return the first pixel of each window along one side.

    Args:
        length: of the side, pixels; at least `window`.
        window: of the window, pixels.
        stride: step, pixels, at most `window`; the last window is shifted back to end at the border.
    """
    last = length - window
    return [*range(0, last, stride), last]


def sliding_logits(
    image: np.ndarray, network: Callable[[np.ndarray], np.ndarray], window_hw: SizeHW, stride_hw: SizeHW, batch_size: int
) -> np.ndarray:
    """Return the logits of pictures, averaged where windows overlap.

    Args:
        image: (B, 3, H, W) float32, normalised; smaller than a window, it is padded with 0, the mean colour, at the bottom and right.
        network: from windows (N, 3, *window_hw) to their logits (N, K, *window_hw).
        window_hw: height and width of a window, pixels.
        stride_hw: step down and across, pixels.
        batch_size: windows given to the network at once.

    Returns:
        (B, K, H, W) float32.
    """
    batch, _, height, width = image.shape
    short_hw = [max(0, side - length) for side, length in zip(window_hw, (height, width), strict=True)]
    padded = np.pad(image, ((0, 0), (0, 0), (0, short_hw[0]), (0, short_hw[1])))
    rows, columns = (window_starts(*args) for args in zip(padded.shape[2:], window_hw, stride_hw, strict=True))
    windows = [np.s_[:, top : top + window_hw[0], left : left + window_hw[1]] for top in rows for left in columns]
    places = [(picture, window) for picture in range(batch) for window in windows]
    count = np.zeros((1, *padded.shape[2:]), np.float32)
    for window in windows:
        count[window] += 1
    total: np.ndarray | None = None
    for first in range(0, len(places), batch_size):
        chunk = places[first : first + batch_size]
        logits = network(np.stack([padded[picture][window] for picture, window in chunk]))
        if total is None:
            total = np.zeros((batch, logits.shape[1], *padded.shape[2:]), np.float32)
        for (picture, window), window_logits in zip(chunk, logits, strict=True):
            total[picture][window] += window_logits
    assert total is not None
    total /= count
    return total[:, :, :height, :width]
