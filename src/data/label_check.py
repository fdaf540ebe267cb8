"""Look at a spread of labels before the graph compiles, so that a data set that cannot be learned from is refused at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.data.pictures import read_index_label

SHOWN = 5


def check_labels(dataset: BaseDataset, limit: int = 32) -> int:
    """Check the sizes and values of up to `limit` labels, evenly spread over the data set.

    Returns:
        How many were checked.

    Raises:
        UserError: one line that names up to 5 bad files, or says that all labels are 0/255 masks.
    """
    indices = np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).astype(int)).tolist()
    with ThreadPoolExecutor(2) as pool:
        problems = [text for text in pool.map(lambda index: _problem(dataset, index), indices) if text]
    if problems:
        more = f" | and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"{len(problems)} of {len(indices)} labels looked at are wrong: " + " | ".join(problems[:SHOWN]) + more)
    _refuse_masks(dataset, indices[:8])
    return len(indices)


def _problem(dataset: BaseDataset, index: int) -> str:
    try:
        dataset.size_hw(index)
        dataset.read_label(index)
    except UserError as error:
        return str(error)
    return ""


def _refuse_masks(dataset: BaseDataset, indices: list[int]) -> None:
    """Refuse 0/255 masks: 255 is the usual ignore label, so nothing but class 0 would be learned."""
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
