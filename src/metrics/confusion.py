"""Confusion matrix over a data set, streamed, and the scores taken from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

NUM_VALUES = 256  # of a uint8 label
# calcHist returns float32 counts, which are exact up to 2**24.
MAX_EXACT_COUNT = 1 << 24


@dataclass(frozen=True)
class Scores:
    """Scores over all pixels whose label counts.

    A class without a label pixel is absent: its IoU and accuracy are nan and it is left out of every mean. What was wrongly predicted as an
    absent class is still in `predicted`, and counts as a miss of the class that it should have been. cityscapesScripts differs in one case:
    it gives a class that is predicted but never labelled an IoU of 0 that counts in the mean; `miou_cityscapes` is that number.

    Attributes:
        iou: (K,) float64, 0..1, tp / (tp + fp + fn); nan for absent classes.
        class_accuracy: (K,) float64, 0..1, tp / (tp + fn), the recall; nan for absent classes.
        miou: mean of `iou` over the classes present; nan if there is none.
        miou_cityscapes: mean IoU by cityscapesScripts' rule; equals `miou` unless an absent class was predicted.
        accuracy: part of the pixels that are right; nan if there are no pixels.
        mean_accuracy: mean of `class_accuracy` over the classes present.
        frequency_weighted_iou: mean of `iou` weighted by the pixels of each class.
        pixels: (K,) int64, label pixels of each class.
        predicted: (K,) int64, pixels predicted as each class, where the label counts.
    """

    iou: np.ndarray
    class_accuracy: np.ndarray
    miou: float
    miou_cityscapes: float
    accuracy: float
    mean_accuracy: float
    frequency_weighted_iou: float
    pixels: np.ndarray
    predicted: np.ndarray

    @property
    def is_absent(self) -> np.ndarray:
        """(K,) bool, the classes without a label pixel."""
        return self.pixels == 0


class ConfusionMatrix:
    """Count pixels by label and prediction; memory does not depend on how many are counted.

    Args:
        num_classes: K, 1..256.
        ignore_label: label value that is not counted, 0..255. It wins over a class of the same number.

    Attributes:
        matrix: (K, K) int64; rows are labels, columns predictions.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> confusion = ConfusionMatrix(num_classes=2, ignore_label=255)
        >>> confusion.update(np.array([[0, 1, 1]]), np.array([[0, 0, 255]]))
        >>> confusion.matrix.tolist()
        [[1, 1], [0, 0]]
    """

    def __init__(self, num_classes: int, ignore_label: int = 255) -> None:
        if not 1 <= num_classes <= NUM_VALUES:
            raise ValueError(f"num_classes is {num_classes}; uint8 labels hold 1..{NUM_VALUES}")
        if not 0 <= ignore_label < NUM_VALUES:
            raise ValueError(f"ignore_label is {ignore_label}; it must be in 0..{NUM_VALUES - 1}")
        self.num_classes = num_classes
        self.ignore_label = ignore_label
        self.matrix = np.zeros((num_classes, num_classes), np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Count the pixels of one or more pictures.

        Args:
            prediction: (H, W) or (B, H, W) integers 0..K-1.
            label: the same shape, integers 0..K-1 or `ignore_label`.

        Raises:
            ValueError: if shapes differ, or a value is out of its range; nothing is counted then.
        """
        if prediction.shape != label.shape:
            raise ValueError(f"prediction has shape {prediction.shape} but label {label.shape}; they must agree")
        pairs = count_pairs(_as_uint8(label, "label"), _as_uint8(prediction, "prediction"))
        pairs_of_ignored = pairs[self.ignore_label].copy()
        pairs[self.ignore_label] = 0
        self._refuse_outside(pairs.sum(axis=1), "label")
        self._refuse_outside(pairs.sum(axis=0) + pairs_of_ignored, "prediction")
        self.matrix += pairs[: self.num_classes, : self.num_classes]

    def _refuse_outside(self, counts: np.ndarray, what: str) -> None:
        wrong = np.flatnonzero(counts[self.num_classes :]) + self.num_classes
        if wrong.size:
            allowed = f"0..{self.num_classes - 1}" + (f" and {self.ignore_label} (ignored)" if what == "label" else "")
            shown = ", ".join(f"{value} ({counts[value]} pixels)" for value in wrong[:6])
            raise ValueError(f"{what} holds {shown}; expected {allowed}")

    def merge(self, matrix: np.ndarray) -> None:
        """Add the (K, K) counts of another part of the data set.

        Raises:
            ValueError: if it has another shape.
        """
        if matrix.shape != self.matrix.shape:
            raise ValueError(f"matrix has shape {matrix.shape}, expected {self.matrix.shape}")
        self.matrix += matrix.astype(np.int64)

    def compute(self) -> Scores:
        """Return the scores of what was counted so far."""
        right = np.diag(self.matrix)
        pixels, predicted = self.matrix.sum(axis=1), self.matrix.sum(axis=0)
        union = pixels + predicted - right
        is_present = pixels > 0
        iou = np.where(is_present, right / np.maximum(union, 1), np.nan)
        class_accuracy = np.where(is_present, right / np.maximum(pixels, 1), np.nan)
        total = int(pixels.sum())
        return Scores(
            iou=iou,
            class_accuracy=class_accuracy,
            miou=_mean(iou[is_present]),
            miou_cityscapes=_mean(np.nan_to_num(iou[union > 0])),
            accuracy=float(right.sum() / total) if total else float("nan"),
            mean_accuracy=_mean(class_accuracy[is_present]),
            frequency_weighted_iou=float(pixels @ np.nan_to_num(iou) / total) if total else float("nan"),
            pixels=pixels,
            predicted=predicted,
        )


def _as_uint8(array: np.ndarray, what: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{what} has dtype {array.dtype}; expected integers")
    if array.size and not 0 <= array.min() <= array.max() < NUM_VALUES:
        raise ValueError(f"{what} holds values {array.min()}..{array.max()}; expected 0..{NUM_VALUES - 1}")
    return array.astype(np.uint8)


def count_pairs(label: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Return (256, 256) int64: how often each label meets each prediction."""
    flat: Sequence[np.ndarray] = [np.ascontiguousarray(array).reshape(-1) for array in (label, prediction)]
    pairs = np.zeros((NUM_VALUES, NUM_VALUES), np.int64)
    for start in range(0, flat[0].size, MAX_EXACT_COUNT):
        chunk = [array[start : start + MAX_EXACT_COUNT] for array in flat]
        # A histogram over two 8-bit channels needs no index array: several times faster than np.bincount (benchmarks/confusion.py).
        pairs += cv2.calcHist(chunk, [0, 1], None, [NUM_VALUES, NUM_VALUES], [0, NUM_VALUES, 0, NUM_VALUES]).astype(np.int64)
    return pairs


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
