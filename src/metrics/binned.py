"""Right and wrong pixels by class and by a property of the pixel, streamed."""

import numpy as np

from src.metrics.confusion import count_pairs

_NOWHERE = 255  # bin of a pixel that is not counted


class BinnedCounts:
    """Count hits, misses and false alarms of each class in bins, such as object sizes or distances from a border.

    Summed over the bins, they are the diagonal of the confusion matrix, the rest of its rows and the rest of its columns.

    Args:
        num_classes: K.
        num_bins: B, at most 127.

    Attributes:
        hits: (K, B) int64, label pixels that are predicted right, in the bin of the label.
        misses: (K, B) int64, label pixels that are predicted as another class, in the bin of the label.
        false_alarms: (K, B) int64, pixels wrongly predicted as the class, in the bin of the prediction.

    Example:
        >>> counts = BinnedCounts(num_classes=2, num_bins=1)
        >>> label, prediction = np.array([[0, 1, 1]], np.uint8), np.array([[0, 0, 1]], np.uint8)
        >>> counts.update(prediction, label, np.zeros((1, 3), bool), np.zeros((1, 3), np.uint8), np.zeros((1, 3), np.uint8))
        >>> counts.iou().tolist()
        [[0.5], [0.5]]
    """

    def __init__(self, num_classes: int, num_bins: int) -> None:
        self.hits, self.misses, self.false_alarms = np.zeros((3, num_classes, num_bins), np.int64)

    def update(
        self, prediction: np.ndarray, label: np.ndarray, ignored: np.ndarray, label_bins: np.ndarray, prediction_bins: np.ndarray
    ) -> None:
        """Count the pixels of a picture.

        Args:
            prediction: (H, W) uint8, 0..K-1.
            label: (H, W) uint8, 0..K-1 where not ignored.
            ignored: (H, W) bool, pixels that count nowhere.
            label_bins: (H, W) uint8, 0..B-1, of each pixel as one of its label's class.
            prediction_bins: (H, W) uint8, 0..B-1, of each pixel as one of its predicted class; the same array where there is no difference.
        """
        num_classes, num_bins = self.hits.shape
        is_right = prediction == label
        # Misses in the first B columns, hits in the next: one histogram for both.
        columns = np.where(ignored, _NOWHERE, label_bins + np.uint8(num_bins) * is_right).astype(np.uint8)
        of_label = count_pairs(label, columns)[:num_classes]
        self.misses += of_label[:, :num_bins]
        self.hits += of_label[:, num_bins : 2 * num_bins]
        columns = np.where(ignored | is_right, _NOWHERE, prediction_bins).astype(np.uint8)
        self.false_alarms += count_pairs(prediction, columns)[:num_classes, :num_bins]

    @property
    def pixels(self) -> np.ndarray:
        """(K, B) int64: label pixels of each class in each bin."""
        return self.hits + self.misses

    def iou(self) -> np.ndarray:
        """Return (K, B) float64, 0..1: IoU of each class in each bin; nan where the bin has no label pixel of the class."""
        union = self.pixels + self.false_alarms
        return np.where(self.pixels > 0, self.hits / np.maximum(union, 1), np.nan)

    def mean_iou(self) -> np.ndarray:
        """Return (B,) float64: mean of `iou` over the classes that have label pixels in the bin; nan where none has."""
        num_present = (self.pixels > 0).sum(axis=0)
        return np.where(num_present > 0, np.nansum(self.iou(), axis=0) / np.maximum(num_present, 1), np.nan)
