"""What the values that label files hold mean, and which of them are wrong."""

from collections.abc import Mapping

import numpy as np

from src.data.class_pixels import NUM_VALUES

SHOWN = 6
MASK = {0, 255}


class LabelValues:
    """The meaning of each value of a uint8 label.

    Args:
        label_ids: train id of each value that a label file may hold; None is ignored.
        ignore_label: train id given to what is ignored, 0..255.

    Attributes:
        table: (256,) uint8, train id of each value.
        is_valid: (256,) bool, which values label files may hold.
    """

    def __init__(self, label_ids: Mapping[int, int | None], ignore_label: int) -> None:
        self._ids = dict(label_ids)
        self.table = np.full(NUM_VALUES, ignore_label, np.uint8)
        self.is_valid = np.zeros(NUM_VALUES, bool)
        for value, train_id in label_ids.items():
            self.table[value] = ignore_label if train_id is None else train_id
            self.is_valid[value] = True

    def by_class(self, pixels: np.ndarray, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels of each class, (..., K) int64, and those that are ignored, (...) int64; wrong values are in neither.

        Args:
            pixels: (..., 256) int64, how many pixels hold each value.
            num_classes: K.
        """
        classes = np.zeros((*pixels.shape[:-1], num_classes), np.int64)
        ignored = np.zeros(pixels.shape[:-1], np.int64)
        for value, train_id in self._ids.items():
            if train_id is None:
                ignored += pixels[..., value]
            else:
                classes[..., train_id] += pixels[..., value]
        return classes, ignored

    def wrong(self, pixels: np.ndarray) -> list[int]:
        """Return the values of no class that (256,) counts hold."""
        values: list[int] = np.flatnonzero((pixels > 0) & ~self.is_valid).tolist()
        return values

    def describe(self, wrong: list[int], pixels: np.ndarray) -> str:
        """Return wrong values with their numbers of pixels, and which would be right."""
        shown = ", ".join(f"{value} ({pixels[value]} pixels)" for value in wrong[:SHOWN])
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        return f"label values {shown}{more} are none of {ranges(np.flatnonzero(self.is_valid).tolist())}"

    def look_like_masks(self, pixels: np.ndarray) -> bool:
        """Whether (256,) counts are those of binary masks of 0 and 255, of which 255 would be ignored and one class be left."""
        return set(np.flatnonzero(pixels).tolist()) == MASK and self._ids.get(255, 0) is None


def ranges(values: list[int]) -> str:
    """Return sorted numbers as text: [0, 1, 2, 255] is "0..2, 255"."""
    starts = [v for v in values if v - 1 not in values]
    ends = [v for v in values if v + 1 not in values]
    return ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in zip(starts, ends, strict=True))
