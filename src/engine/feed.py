"""Bring batches to the training step: from the host one by one, or in bundles through the device's queue."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import mindspore as ms
from mindspore import nn

from src.data.loader import reader_error


class Outcome(NamedTuple):
    """What some training steps gave.

    Attributes:
        steps: batches that were trained on.
        loss: of the last of them.
        data_seconds: time spent waiting for data; 0 where the device's queue hides it.
    """

    steps: int
    loss: float
    data_seconds: float


def run_steps(train_step: nn.Cell, loader: Any, *, steps_per_epoch: int, log_interval: int, sink_mode: bool) -> Iterator[Outcome]:
    """Train on every batch of a loader, yielding after each bundle of steps.

    Args:
        train_step: Cell (image, label) -> loss.
        loader: a MindSpore data set of (image, label) batches.
        steps_per_epoch: batches of an epoch; no bundle reaches over its end.
        log_interval: upper limit of a bundle.
        sink_mode: bundles through the device's queue; otherwise single steps from the host.
    """
    if sink_mode:
        return _sink_steps(train_step, loader, sink_size(steps_per_epoch, log_interval))
    return _host_steps(train_step, loader)


def sink_size(steps_per_epoch: int, limit: int) -> int:
    """Return the largest number of steps up to `limit` that divides an epoch, so that bundles end with it."""
    return max(size for size in range(1, min(limit, steps_per_epoch) + 1) if steps_per_epoch % size == 0)


def _host_steps(train_step: nn.Cell, loader: Any) -> Iterator[Outcome]:
    batches = loader.create_tuple_iterator(num_epochs=1)
    while True:
        start = time.perf_counter()
        try:
            batch = next(batches, None)
        except RuntimeError as error:
            raise (reader_error(error) or error) from None
        if batch is None:
            return
        waited = time.perf_counter() - start
        yield Outcome(1, float(train_step(*batch).asnumpy()), waited)


def _sink_steps(train_step: nn.Cell, loader: Any, size: int) -> Iterator[Outcome]:
    sink = ms.data_sink(train_step, loader, sink_size=size)
    for _ in range(loader.get_dataset_size() // size):
        yield Outcome(size, float(sink().asnumpy()), 0.0)
