"""From a data set to batches: which picture comes when, worker processes, and reading ahead for evaluation."""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from omegaconf import DictConfig

from src.config.datasets import NUM_CLASSES
from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.data.folders import check_data_folder
from src.data.memory import keep_freed_memory
from src.data.packed import PackedDataset
from src.data.packed_manifest import refuse_packed
from src.data.rare_classes import RareClasses
from src.data.read_ahead import num_readers, prefetch_size, read_ahead
from src.data.registry import DATASETS, dataset_info
from src.data.statistics import counted
from src.data.transforms import TrainTransform

LOG = logging.getLogger("ocrnet")
# MindSpore hands on a worker's exception as a RuntimeError with a traceback in its text.
READER_ERROR = re.compile(rf"{UserError.__name__}: ([^\n]+)")


def list_of(config: DictConfig, split: str) -> tuple[str, int]:
    """Return the list of a split, "train" or "val", and how many of its first pictures are used; 0 uses all."""
    return {
        "train": (config.train.train_list, config.train.num_samples),
        "val": (config.eval.eval_list, config.eval.num_samples),
    }[split]


def build_dataset(config: DictConfig, split: str, *, complete: bool = True) -> BaseDataset:
    """Return the pictures and labels of a split.

    Args:
        config: reads `data_path`, `data_format`, `dataset`, and `train.train_list`, `num_samples` or `eval.eval_list`, `num_samples`.
        split: "train" or "val".
        complete: False: files may be missing.

    Raises:
        UserError: if no folder is given, its files do not fit, or `dataset.num_classes` is not the data set's.
    """
    section = config.dataset
    check_data_folder(config.data_path, section.name)
    if section.classes is None and section.num_classes != NUM_CLASSES[section.name]:
        raise UserError(
            f"dataset.num_classes is {section.num_classes} but {section.name} has {NUM_CLASSES[section.name]} classes; "
            "dataset.name says which data set it is"
        )
    list_file, num_samples = list_of(config, split)
    info = dataset_info(config)
    if config.data_format == "mindrecord":
        return PackedDataset(config.data_path, list_file, split, section.ignore_label, num_samples, info)
    refuse_packed(config.data_path)
    options: dict[str, Any] = {"info": info}
    if section.name == "custom":
        options["folders"] = (section.image_folder, section.label_folder)
    dataset = DATASETS[section.name](config.data_path, list_file, split, section.ignore_label, num_samples, **options)
    if complete:
        dataset.refuse_missing_files()
    return dataset


def epoch_order(num_samples: int, epoch: int, seed: int, shuffle: bool, rank: int = 0, world: int = 1) -> np.ndarray:
    """Return the indices that a rank reads in an epoch, int64; over all ranks each sample comes once."""
    order = np.random.default_rng((seed, epoch)).permutation(num_samples) if shuffle else np.arange(num_samples)
    return order[rank::world]


def steps_per_epoch(num_samples: int, batchsize: int, world: int) -> int:
    """Return the number of full batches that every rank has in an epoch.

    Raises:
        UserError: if there is not one.
    """
    steps = num_samples // world // batchsize
    if steps == 0:
        pictures = counted(num_samples, "training picture")
        on_each = f" on each of {world} devices" if world > 1 else ""
        raise UserError(
            f"{pictures} cannot fill one batch of {batchsize}{on_each}; lower batchsize to {num_samples // world} or give more pictures"
            if num_samples >= world
            else f"{pictures} cannot be shared by {world} devices; use fewer devices or give more pictures"
        )
    return steps


class TrainSource:
    """The samples of the steps first_step..last_step-1 of a run, by position.

    Stateless: sample k is the same whoever asks, so that any number of workers, and a run resumed at any step, see the same data.

    Args:
        dataset: pictures and labels.
        config: reads `batchsize`, `seed`, `train`, `dataset`.
        rank: number of this process among `world`.
        world: number of processes that share the data set.
        first_step: global step of the first batch, from 0.
        last_step: global step after the last batch.
        rare_classes: draws the pictures, instead of an order in which each comes once in an epoch; an epoch is as long.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        config: DictConfig,
        *,
        rank: int,
        world: int,
        first_step: int,
        last_step: int,
        rare_classes: RareClasses | None = None,
    ):
        self.dataset = dataset
        self.transform = TrainTransform(config)
        self.batchsize = config.batchsize
        self.seed = config.seed
        self.first_step = first_step
        self.length = (last_step - first_step) * config.batchsize
        self.samples_per_epoch = steps_per_epoch(len(dataset), config.batchsize, world) * config.batchsize
        self.shuffle, self.rank, self.world = config.train.shuffle, rank, world
        self.rare_classes = rare_classes
        self._orders: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.length

    def locate(self, position: int) -> tuple[int, int]:
        """Return epoch and sample index of a position, where each sample comes once in an epoch."""
        epoch, offset = self._place(position)
        return epoch, int(self._order(epoch)[offset])

    def _place(self, position: int) -> tuple[int, int]:
        """Return the epoch of a position, and how many samples of this rank come before it in the epoch."""
        return divmod(self.first_step * self.batchsize + position, self.samples_per_epoch)

    def _order(self, epoch: int) -> np.ndarray:
        """Return the order of an epoch; the last two are kept, since workers run ahead over the end of an epoch."""
        if epoch not in self._orders:
            self._orders = {kept: order for kept, order in self._orders.items() if kept == epoch - 1}
            self._orders[epoch] = epoch_order(len(self.dataset), epoch, self.seed, self.shuffle, self.rank, self.world)
        return self._orders[epoch]

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image (CHW float32) and label (HW int32)."""
        # A worker process inherits OpenCV's thread pool by fork, where using it can hang; and processes are the parallelism here.
        cv2.setNumThreads(0)
        keep_freed_memory()
        if self.rare_classes is not None:
            return self._draw(self.rare_classes, int(position))
        epoch, index = self.locate(int(position))
        return self.transform.read(self.dataset, index, np.random.default_rng((self.seed, epoch, index)))

    def _draw(self, rare_classes: RareClasses, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sample that is drawn for a position; its random state is that of its number among those of all ranks."""
        epoch, offset = self._place(position)
        rng = np.random.default_rng((self.seed, epoch, offset * self.world + self.rank))
        index, wanted = rare_classes.draw(rng)
        return self.transform.read(self.dataset, index, rng, wanted)


def build_train_loader(
    dataset: BaseDataset,
    config: DictConfig,
    *,
    rank: int = 0,
    world: int = 1,
    first_step: int = 0,
    last_step: int,
    rare_classes: RareClasses | None = None,
) -> Any:
    """Return the batches of the steps first_step..last_step-1 as one MindSpore dataset, so that reading ahead crosses epochs.

    Args:
        dataset: pictures and labels.
        config: reads `workers` and what `TrainSource` reads.
        rank: number of this process among `world`.
        world: number of processes that share the data set.
        first_step: global step of the first batch; a resumed run starts here.
        last_step: global step after the last batch.
        rare_classes: as for `TrainSource`.

    Returns:
        A dataset with columns "image" (B, 3, H, W) float32 and "label" (B, H, W) int32.

    Raises:
        UserError: if the data set has not one batch for each process.
    """
    source = TrainSource(dataset, config, rank=rank, world=world, first_step=first_step, last_step=last_step, rare_classes=rare_classes)
    return batches(source, config.batchsize, config.workers)


def batches(source: Any, batchsize: int, workers: int) -> Any:
    """Return the samples of a random-access source, in its order, as a MindSpore dataset of batches read by worker processes."""
    import mindspore.dataset as ds  # slow to import, and evaluation and the generator need none of it

    ds.config.set_prefetch_size(prefetch_size(batchsize))
    readers = num_readers(workers)
    if readers < workers:
        LOG.info("workers: %d instead of %d, as many as there are cores", readers, workers)
    generator = ds.GeneratorDataset(
        source,
        ["image", "label"],
        num_parallel_workers=readers,
        sampler=ds.SequentialSampler(),
        python_multiprocessing=readers > 1,
    )
    return generator.batch(batchsize, drop_remainder=True)


def reader_error(exc: BaseException) -> UserError | None:
    """Return our one-line error out of what MindSpore made of a worker's exception; None if it is of another kind."""
    if isinstance(exc, UserError):
        return exc
    # With worker processes the text holds two nested tracebacks; the innermost exception comes last.
    found = [message for message in READER_ERROR.findall(str(exc)) if not message.startswith("Traceback")]
    return UserError(found[-1].strip()) if found else None


@dataclass(frozen=True)
class EvalSample:
    """One picture to evaluate: index and name in the data set, image HWC uint8 RGB, label HW uint8 train ids."""

    index: int
    name: str
    image: np.ndarray
    label: np.ndarray


def iterate_eval(dataset: BaseDataset, config: DictConfig, *, rank: int = 0, world: int = 1) -> Iterator[EvalSample]:
    """Yield the samples rank, rank + world, ... in order, reading a few ahead.

    Args:
        dataset: pictures and labels.
        config: reads `workers`, the number of reading threads and of samples held ahead.
        rank: number of this process among `world`.
        world: number of processes that share the data set.

    Raises:
        UserError: as `dataset.read` does, at the sample that cannot be read.
    """

    def read(index: int) -> EvalSample:
        return EvalSample(index, dataset.sample_name(index), *dataset.read(index))

    return read_ahead(read, range(rank, len(dataset), world), min(config.workers, 4))
