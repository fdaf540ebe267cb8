#!/usr/bin/env python3
"""Time to accumulate one prediction into the confusion matrix, ours against two np.bincount versions; single-threaded.

python benchmarks/confusion.py --size 1024 2048 --classes 19
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.metrics.confusion import ConfusionMatrix  # noqa: E402

IGNORE = 255


def make_pair(size_hw: tuple[int, int], num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return label and prediction, HW uint8: blocks of one class, 10 % of the predictions wrong, 10 % of the labels ignored."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, num_classes, (16, 32)).astype(np.uint8)
    prediction = cv2.resize(blocks, size_hw[::-1], interpolation=cv2.INTER_NEAREST)
    label = prediction.copy()
    wrong = rng.random(size_hw) < 0.1
    prediction[wrong] = rng.integers(0, num_classes, int(wrong.sum()))
    label[rng.random(size_hw) < 0.1] = IGNORE
    return label, prediction


def count_masked(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """The usual version: select the valid pixels, then np.bincount of an int64 index."""
    valid = label != IGNORE
    index = num_classes * label[valid].astype(np.int64) + prediction[valid]
    return np.bincount(index, minlength=num_classes**2).reshape(num_classes, num_classes)


def count_looped(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """The model zoo's way: np.bincount, then a Python loop over all pairs of classes."""
    valid = label != IGNORE
    counts = np.bincount(num_classes * label[valid].astype(np.int32) + prediction[valid])
    matrix = np.zeros((num_classes, num_classes))
    for row in range(num_classes):
        for column in range(num_classes):
            index = row * num_classes + column
            if index < len(counts):
                matrix[row, column] = counts[index]
    return matrix


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call after one to warm up, milliseconds."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


def main() -> int:
    """Measure, print one line per version, and fail if they disagree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048), metavar=("H", "W"))
    parser.add_argument("--classes", type=int, default=19)
    parser.add_argument("--repeats", type=int, default=30)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    label, prediction = make_pair(tuple(arguments.size), arguments.classes)
    confusion = ConfusionMatrix(arguments.classes, IGNORE)
    confusion.update(prediction, label)
    for count in (count_masked, count_looped):
        assert np.array_equal(count(label, prediction, arguments.classes), confusion.matrix), count.__name__
        print(f"{count.__name__:16} {median_ms(lambda: count(label, prediction, arguments.classes), arguments.repeats):7.2f} ms")  # noqa: B023
    print(f"{'ConfusionMatrix':16} {median_ms(lambda: confusion.update(prediction, label), arguments.repeats):7.2f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
