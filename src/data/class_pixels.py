"""Count the pixels of each label value, picture by picture."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from tqdm import tqdm

READERS = 2
NUM_VALUES = 256  # of a uint8 label
EXACT_PIXELS = 1 << 24  # OpenCV gives the counts as float32


def count_values(values: np.ndarray) -> np.ndarray:
    """Return how many pixels of a label hold each value, (256,) int64.

    Args:
        values: HW uint8.
    """
    rows = max(1, EXACT_PIXELS // max(1, values.shape[1]))
    strips = (values[top : top + rows] for top in range(0, values.shape[0], rows))
    # 10 times faster than np.unique or np.bincount on uint8.
    counts = [cv2.calcHist([strip], [0], None, [NUM_VALUES], [0, NUM_VALUES])[:, 0].astype(np.int64) for strip in strips]
    total: np.ndarray = np.sum(counts, axis=0, dtype=np.int64)
    return total


def count_pixels(read: Callable[[int], np.ndarray], indices: Sequence[int]) -> np.ndarray:
    """Return how many pixels of each label hold each value, (len(indices), 256) int64.

    Args:
        read: returns a label, uint8, for an index.
        indices: which labels to look at.
    """
    with ThreadPoolExecutor(READERS, thread_name_prefix="label-reader") as pool:
        counted = tqdm(
            pool.map(lambda index: count_values(read(index)), indices),
            total=len(indices),
            desc="labels",
            unit="img",
            disable=not sys.stderr.isatty(),
        )
        return np.array(list(counted), np.int64).reshape(len(indices), NUM_VALUES)
