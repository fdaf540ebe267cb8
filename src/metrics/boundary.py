"""Scores near the borders of classes: IoU by the distance from a border, and Boundary IoU.

Pixels that are ignored are of no class: where a class meets them there is no border.
"""

import math

import cv2
import numpy as np

from src.metrics.binned import BinnedCounts
from src.metrics.confusion import count_pairs

DISTANCE_LIMITS = (2, 5, 10, 20)  # pixels: largest distance of each band but the last
NUM_BANDS = len(DISTANCE_LIMITS) + 1
BOUNDARY_WIDTH = 0.02  # of the picture's diagonal
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class BorderDistanceCounts(BinnedCounts):
    """Count pixels by class and by the distance from the nearest border of classes in the label.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, NUM_BANDS)

    def add(self, prediction: np.ndarray, label: np.ndarray, ignored: np.ndarray) -> None:
        """Count the pixels of a picture; arguments as for `BinnedCounts.update`."""
        bands = border_bands(label, ignored)
        self.update(prediction, label, ignored, bands, bands)


class BoundaryCounts:
    """Count what Boundary IoU is made of: the pixels of a class that lie near its boundary, in label and prediction.

    The counts are over all pictures, as those of mIoU here; the paper takes the mean over the objects of instance segmentation.

    Args:
        num_classes: K.

    Attributes:
        both: (K,) int64, pixels of the class near its boundary, in label and prediction.
        label: (K,) int64, in the label.
        prediction: (K,) int64, in the prediction.

    Source: Cheng et al., Boundary IoU, CVPR 2021, arXiv 2103.16562, section 4.
    """

    def __init__(self, num_classes: int) -> None:
        self.both, self.label, self.prediction = np.zeros((3, num_classes), np.int64)

    def add(self, prediction: np.ndarray, label: np.ndarray, ignored: np.ndarray) -> None:
        """Count the pixels of a picture; arguments as for `BinnedCounts.update`."""
        width = boundary_width(label.shape)
        in_label = is_near_boundary(label, ignored, width) & ~ignored
        in_prediction = is_near_boundary(prediction, ignored, width) & ~ignored
        in_both = in_label & in_prediction & (label == prediction)
        self.label += self._count(label, in_label)
        self.prediction += self._count(prediction, in_prediction)
        self.both += self._count(label, in_both)

    def _count(self, classes: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return count_pairs(classes, mask.view(np.uint8))[: self.both.size, 1]

    def iou(self) -> np.ndarray:
        """Return (K,) float64, 0..1: Boundary IoU; nan for classes without a label pixel near a boundary."""
        union = self.label + self.prediction - self.both
        return np.where(self.label > 0, self.both / np.maximum(union, 1), np.nan)

    def mean_iou(self) -> float:
        """Return the mean over the classes that have one; nan if none has."""
        values = self.iou()[self.label > 0]
        return float(values.mean()) if values.size else float("nan")


def boundary_width(size_hw: tuple[int, ...]) -> int:
    """Return how deep a boundary reaches into a class, pixels, for pictures of a height and width."""
    return max(1, round(BOUNDARY_WIDTH * math.hypot(*size_hw)))


def is_near_boundary(classes: np.ndarray, ignored: np.ndarray, width: int) -> np.ndarray:
    """Return (H, W) bool: pixels within `width` of another class or of the outside of the picture, along the longer axis.

    Args:
        classes: (H, W) uint8.
        ignored: (H, W) bool; the answer means nothing there.
        width: pixels, at least 1.
    """
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * width + 1, 2 * width + 1))
    near = _sees_other(classes, ignored, square)
    near[:width] = near[-width:] = near[:, :width] = near[:, -width:] = True
    return near


def border_bands(label: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Return (H, W) uint8, 0..NUM_BANDS-1: the band of each pixel's distance from the nearest border in a label.

    A pixel with another class above, below, left or right of it has distance 1; any other one, 1 more than the Euclidean distance to the
    nearest such pixel. Where there is no border at all, all pixels are in the last band.

    Args:
        label: (H, W) uint8.
        ignored: (H, W) bool; the answer means nothing there.
    """
    at_border = _sees_other(label, ignored, _CROSS) & ~ignored
    if not at_border.any():
        return np.full(label.shape, NUM_BANDS - 1, np.uint8)
    distance = cv2.distanceTransform((~at_border).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    bands = np.zeros(label.shape, np.uint8)
    for limit in DISTANCE_LIMITS:
        bands += distance > limit - 1
    return bands


def _sees_other(classes: np.ndarray, ignored: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return (H, W) bool: whether the window around a pixel holds two classes that count.

    All classes at once: smallest and largest class differ. An ignored pixel is neither. Nothing is outside the picture.
    """
    smallest = cv2.erode(np.where(ignored, 255, classes).astype(np.uint8), window)
    largest = cv2.dilate(np.where(ignored, 0, classes).astype(np.uint8), window)
    return smallest < largest
