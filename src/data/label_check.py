"""Look at all labels and at the ends of all pictures: unusable data is refused before the graph compiles, and classes are counted."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.data.class_pixels import NUM_VALUES

SHOWN = 5


def check_labels(
    dataset: BaseDataset, indices: Sequence[int], workers: int = 2, progress: Callable[[int], object] = lambda _: None
) -> np.ndarray:
    """Check the sizes and values of labels, and that pictures have their size and end; count the pixels of each class.

    Args:
        dataset: pictures and labels.
        indices: which to look at.
        workers: number of reading threads.
        progress: called with 1 after each label.

    Returns:
        (len(indices), 2 + K + 1) int64: height and width, pixels of each of the K classes, ignored pixels.

    Raises:
        UserError: one line that names up to 5 bad files, or says that all labels are 0/255 masks.
    """
    num_classes, problems, found = len(dataset.info.class_names), [], []
    with ThreadPoolExecutor(workers, thread_name_prefix="label-reader") as pool:
        for sample in pool.map(lambda index: _look_at(dataset, index), indices):
            progress(1)
            if isinstance(sample, UserError):
                problems.append(str(sample))
            else:
                found.append(sample)
    if problems:
        more = f" | and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"{len(problems)} of {len(indices)} pictures and labels are wrong: " + " | ".join(problems[:SHOWN]) + more)
    # The shapes are given: of more ranks than pictures some look at none.
    sizes = np.array([size for size, _ in found], np.int64).reshape(len(indices), 2)
    pixels = np.array([counts for _, counts in found], np.int64).reshape(len(indices), NUM_VALUES)
    masks = dataset.describe_masks(pixels.sum(axis=0))
    if masks:
        raise UserError(f"{dataset.label_path(indices[0])} and {len(indices) - 1} more: {masks}")
    classes, ignored = dataset.values.by_class(pixels, num_classes)
    return np.column_stack([sizes, classes, ignored])


def _look_at(dataset: BaseDataset, index: int) -> tuple[tuple[int, int], np.ndarray] | UserError:
    """Return size and pixels of each stored value of a sample, or what is wrong with it."""
    try:
        size_hw = dataset.size_hw(index)
        dataset.check_image_end(index)
        pixels = dataset.value_pixels(index)
    except UserError as error:
        return error
    wrong = dataset.describe_wrong(pixels)
    return UserError(dataset.pairs[index].named(f"{dataset.label_path(index)}: {wrong}")) if wrong else (size_hw, pixels)
