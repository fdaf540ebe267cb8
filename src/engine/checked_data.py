"""The data of a run, looked at before anything is compiled: every rank checks its share, and all of them know what the whole holds."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from src.data.basedataset import BaseDataset
from src.data.label_check import check_labels
from src.data.loader import build_dataset
from src.data.statistics import Statistics, describe, describe_copies, describe_weights
from src.engine.progress import show_progress
from src.runtime.distributed import Group

CHECK_HINT = "python -m src.data.check, with the same --config, --data_path and words, decodes every file and shows the classes"


@dataclass(frozen=True)
class CheckedData:
    """A data set whose labels have all been looked at, and their statistics."""

    dataset: BaseDataset
    statistics: Statistics


def checked_data(config: Any, split: str, group: Group) -> CheckedData:
    """Return a data set after each rank has looked at its share of the labels; every rank must call it.

    Raises:
        UserError: naming the labels that cannot be learned from.
    """
    dataset, share = checked_share(config, split, group)
    table = np.zeros((len(dataset), share.shape[1]), np.int64)
    table[group.rank :: group.size] = share
    return CheckedData(dataset, Statistics.from_table(group.sum_int64(table)))


def checked_share(config: Any, split: str, group: Group) -> tuple[BaseDataset, np.ndarray]:
    """Return a data set, and what `check_labels` says of this rank's share: every size-th sample, from the rank's on.

    Raises:
        UserError: naming the labels that cannot be learned from.
    """
    dataset = build_dataset(config, split)
    indices = range(group.rank, len(dataset), group.size)
    with show_progress(len(indices), f"checking {split} labels", "label", enabled=group.is_main) as bar:
        return dataset, check_labels(dataset, indices, config.workers, bar.update)


def data_report(config: Any, train: CheckedData, val: CheckedData | None) -> list[str]:
    """Return a few lines on what is trained and validated with, for the log of the main rank."""
    info = train.dataset.info
    lines = describe(train.statistics, val.statistics if val else None, info.class_names)
    copies = describe_copies(train.dataset, val.dataset) if val else []
    origins = {"training": train, **({"validation": val} if val else {})}
    lines.append(f"pictures: {', '.join(f'for {part} from {data.dataset.origin}' for part, data in origins.items())}")
    hints = [CHECK_HINT] if config.data_format == "files" else []  # packed data were looked at when they were packed
    return [*lines, *describe_weights(config, info), *copies, *hints]
