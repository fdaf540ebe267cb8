"""IoU by the size of objects: connected parts of one class, measured against the picture."""

import cv2
import numpy as np

from src.metrics.binned import BinnedCounts

# Upper limits of the bins but the last, as parts of the picture's area: at 2048x1024 they are squares of 32, 102 and 251 pixels, near the
# limits that others use for small, medium and large things there; at another size they are the same things.
SIZE_LIMITS = (0.0005, 0.005, 0.03)
NUM_SIZES = len(SIZE_LIMITS) + 1
_NUM_VALUES = 256  # of a uint8 label


class ObjectSizeCounts(BinnedCounts):
    """Count pixels by class and by the size of the object that they belong to.

    An object is an 8-connected part of one class, without the ignored pixels. Hits and misses go by the object of the label, false alarms
    by the object of the prediction, whatever of it is right.

    Args:
        num_classes: K.

    Attributes:
        num_objects: (K, NUM_SIZES) int64, objects of the labels.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, NUM_SIZES)
        self.num_objects = np.zeros((num_classes, NUM_SIZES), np.int64)

    def add(self, prediction: np.ndarray, label: np.ndarray, ignored: np.ndarray) -> None:
        """Count the pixels of a picture.

        Args:
            prediction: (H, W) uint8, 0..K-1.
            label: (H, W) uint8, 0..K-1 where not ignored.
            ignored: (H, W) bool.
        """
        label_sizes, num_objects = object_sizes(label, ignored)
        prediction_sizes, _ = object_sizes(prediction, ignored)
        self.num_objects += num_objects[: len(self.num_objects)]
        self.update(prediction, label, ignored, label_sizes, prediction_sizes)


def object_sizes(classes: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the size bin of the object that each pixel belongs to, and how many objects there are.

    Args:
        classes: (H, W) uint8.
        ignored: (H, W) bool, pixels that belong to no object.

    Returns:
        (H, W) uint8 bins, 0..NUM_SIZES-1, 0 where ignored; and (256, NUM_SIZES) int64, the number of objects of each value.
    """
    sizes, num_objects = np.zeros(classes.shape, np.uint8), np.zeros((_NUM_VALUES, NUM_SIZES), np.int64)
    limits = np.array(SIZE_LIMITS) * classes.size
    counts = cv2.calcHist([classes], [0], (~ignored).view(np.uint8), [_NUM_VALUES], [0, _NUM_VALUES])
    for value in np.flatnonzero(counts):
        mask = (classes == value) & ~ignored
        left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
        box = np.s_[top : top + height, left : left + width]
        num_parts, parts = cv2.connectedComponents(mask[box].view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
        # The class's own pixels alone: tables over the whole box take three times as long, since most boxes hold little of their class.
        part_of = parts[mask[box]]
        bins = np.searchsorted(limits, np.bincount(part_of, minlength=num_parts), side="right").astype(np.uint8)
        num_objects[value] = np.bincount(bins[1:], minlength=NUM_SIZES)  # the first part is what is not of the class
        sizes[box][mask[box]] = bins[part_of]
    return sizes, num_objects
