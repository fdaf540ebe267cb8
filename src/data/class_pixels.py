"""Count the pixels of each label value, picture by picture."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

READERS = 2
NUM_VALUES = 256  # of a uint8 label


def count_pixels(read: Callable[[int], np.ndarray], indices: Sequence[int]) -> np.ndarray:
    """Return how many pixels of each label hold each value, (len(indices), 256) int64.

    Args:
        read: returns a label, uint8, for an index.
        indices: which labels to look at.
    """

    def count(index: int) -> np.ndarray:
        return np.bincount(read(index).ravel(), minlength=NUM_VALUES)

    with ThreadPoolExecutor(READERS, thread_name_prefix="label-reader") as pool:
        counted = tqdm(pool.map(count, indices), total=len(indices), desc="labels", unit="img", disable=not sys.stderr.isatty())
        return np.array(list(counted), np.int64).reshape(len(indices), NUM_VALUES)
