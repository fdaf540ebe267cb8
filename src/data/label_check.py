"""Look at all labels and at the ends of all pictures: unusable data is refused before the graph compiles, and classes are counted."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.data.class_pixels import count_values
from src.data.pictures import read_index_label

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
    problems, rows = [], []
    with ThreadPoolExecutor(workers, thread_name_prefix="label-reader") as pool:
        for found in pool.map(lambda index: _look_at(dataset, index), indices):
            progress(1)
            if isinstance(found, UserError):
                problems.append(str(found))
            else:
                rows.append(found)
    if problems:
        more = f" | and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"{len(problems)} of {len(indices)} pictures and labels are wrong: " + " | ".join(problems[:SHOWN]) + more)
    _refuse_masks(dataset, indices[:8])
    return np.array(rows, np.int64).reshape(len(indices), -1)


def _look_at(dataset: BaseDataset, index: int) -> list[int] | UserError:
    """Return size, class pixels and ignored pixels of a sample, or what is wrong with it."""
    num_classes = len(dataset.info.class_names)
    try:
        height, width = dataset.size_hw(index)
        dataset.check_image_end(index)
        label = dataset.read_label(index)
    except UserError as error:
        return error
    pixels = count_values(label)[:num_classes].tolist()
    return [height, width, *pixels, height * width - sum(pixels)]


def _refuse_masks(dataset: BaseDataset, indices: Sequence[int]) -> None:
    """Refuse 0/255 masks where 255 is ignored, so that nothing but class 0 would be learned."""
    if dataset.label_ids().get(255) is not None:
        return
    values: set[int] = set()
    for index in indices:
        values.update(np.unique(read_index_label(dataset.label_path(index))).tolist())
        if not values <= {0, 255}:
            return
    if values == {0, 255}:
        raise UserError(
            f"{dataset.label_path(indices[0])} and {len(indices) - 1} more labels hold only 0 and 255: these look like binary masks, "
            "in which 255 would be ignored; map 255 to 1"
        )
