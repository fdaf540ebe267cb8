"""What the labels of a split hold: sizes, and pixels of each class in each picture; and what a training should know of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from src.data.basedataset import BaseDataset, DatasetInfo
from src.data.duplicates import equal_files, equal_keys

SHOWN = 8  # names in a line
WEIGHTS_COMMAND = "python -m src.data.class_weights with the same --config, --data_path and words"


@dataclass(frozen=True)
class Statistics:
    """Counts over N pictures of a data set with K classes.

    Attributes:
        sizes_hw: (N, 2) int64, height and width, pixels.
        class_pixels: (N, K) int64, pixels of each class.
        ignored_pixels: (N,) int64, pixels that nothing counts.
    """

    sizes_hw: np.ndarray
    class_pixels: np.ndarray
    ignored_pixels: np.ndarray

    @classmethod
    def from_table(cls, table: np.ndarray) -> "Statistics":
        """Return what a table holds, (N, 2 + K + 1) int64: size, pixels of each class, ignored pixels of each picture."""
        return cls(table[:, :2], table[:, 2:-1], table[:, -1])

    @property
    def is_present(self) -> np.ndarray:
        """(K,) bool, the classes that have a pixel."""
        return self.class_pixels.any(axis=0)

    @property
    def share(self) -> np.ndarray:
        """(K,) float64, the part of the labelled pixels that each class has; 0 where there are none."""
        pixels = self.class_pixels.sum(axis=0)
        return pixels / max(pixels.sum(), 1)

    @property
    def ignored_share(self) -> float:
        """The part of all pixels that nothing counts."""
        return float(self.ignored_pixels.sum() / max(self.ignored_pixels.sum() + self.class_pixels.sum(), 1))

    @property
    def num_pictures(self) -> np.ndarray:
        """(K,) int64, the pictures that hold each class."""
        return (self.class_pixels > 0).sum(axis=0)

    def sizes_text(self) -> str:
        """Return the one size, or the smallest and the largest by area and how many there are, width first."""
        sizes = np.unique(self.sizes_hw, axis=0)
        by_area = sizes[np.argsort(sizes.prod(axis=1), kind="stable")]
        ends = [f"{width}x{height}" for height, width in (by_area[0], by_area[-1])]
        return ends[0] if len(sizes) == 1 else f"{ends[0]} to {ends[1]} ({len(sizes)} sizes)"


def describe(train: Statistics, val: Statistics | None, class_names: Sequence[str]) -> list[str]:
    """Return lines that say what a training learns from and, where it validates, is measured by."""
    lines = []
    for title, split in (("training", train), ("validation", val)):
        if split is not None:
            lines.append(
                f"{title} data: {counted(len(split.sizes_hw), 'picture')} of {split.sizes_text()}, "
                f"{split.is_present.sum()} of {len(class_names)} classes, {100 * split.ignored_share:.1f} % of pixels ignored"
            )
    in_val = train.is_present if val is None else val.is_present
    absent = {
        "neither training nor validation labels hold": ~train.is_present & ~in_val,
        "warning: validation labels hold, and training labels do not,": ~train.is_present & in_val,
        "warning: training labels hold, and validation labels do not,": train.is_present & ~in_val,
    }
    if val is None:
        absent = {"training labels do not hold": ~train.is_present}
    lines += [f"{what} {shortened([class_names[k] for k in np.flatnonzero(which)])}" for what, which in absent.items() if which.any()]
    return lines


def describe_weights(config: Any, info: DatasetInfo) -> list[str]:
    """Return a line that says that classes are to be weighed and no weights are there; none where they are, or nothing is to be weighed.

    Args:
        config: reads `loss`.
        info: of the training data.
    """
    if not config.loss.use_weights or config.loss.class_weights or info.class_weights:
        return []
    return [f"loss.use_weights is on but {info.name} has no class weights: all classes weigh 1 ({WEIGHTS_COMMAND} computes some)"]


def describe_copies(train: BaseDataset, val: BaseDataset) -> list[str]:
    """Return a line that warns of training pictures which are validated on too, by the bytes of their files; none where there are none."""
    paths = [dataset.image_path(index) for dataset in (train, val) for index in range(len(dataset))]
    digests = [digest for dataset in (train, val) for digest in dataset.image_digests() or []]
    groups = equal_keys(digests) if digests else equal_files(paths)
    pairs = [(paths[group[0]], paths[group[-1]]) for group in groups if group[0] < len(train) <= group[-1]]
    if not pairs:
        return []
    first = " = ".join(map(str, dict.fromkeys(pairs[0])))
    return [f"warning: pictures both for training and for validation ({len(pairs)}), the first {first}: mIoU will look better than it is"]


def counted(number: int, noun: str) -> str:
    """Return "1 picture" or "2 pictures"."""
    return f"{number} {noun}" + "s" * (number != 1)


def shortened(names: Sequence[str]) -> str:
    """Return names separated by commas, the first 8 of them."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
