"""Bring batches to the training step: from the host one by one, or in bundles through the device's queue."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import mindspore as ms
from mindspore import nn

from src.data.loader import reader_error
from src.runtime.entry import restore_interrupt


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


def host_steps(train_step: nn.Cell, loader: Any) -> Iterator[Outcome]:
    """Train on every batch of a loader, fetched from the host one by one.

    Args:
        train_step: Cell (image, label) -> loss.
        loader: a MindSpore data set of (image, label) batches.

    Raises:
        UserError: what is wrong with a picture or label, as the reader said it.
    """
    batches = loader.create_tuple_iterator(num_epochs=1)
    while True:
        start = time.perf_counter()
        with _reader_errors():
            batch = next(batches, None)
        if batch is None:
            return
        waited = time.perf_counter() - start
        restore_interrupt()
        yield Outcome(1, float(train_step(*batch).asnumpy()), waited)


def sink_steps(train_step: nn.Cell, loader: Any, steps_per_epoch: int, bundle: int) -> Iterator[Outcome]:
    """Train on every batch of a loader, through the device's queue.

    Args:
        train_step: Cell (image, label) -> loss.
        loader: a MindSpore data set of whole epochs of (image, label) batches.
        steps_per_epoch: batches of an epoch; no bundle reaches over its end.
        bundle: steps between two looks at the loss; in between the host runs ahead of the device.

    Raises:
        UserError: what is wrong with a picture or label, as the reader said it.
    """
    sink = ms.data_sink(train_step, loader, sink_size=1)
    restore_interrupt()
    for _ in range(loader.get_dataset_size() // steps_per_epoch):
        for first in range(0, steps_per_epoch, bundle):
            size = min(bundle, steps_per_epoch - first)
            with _reader_errors():
                losses = [sink() for _ in range(size)]
                loss = float(losses[-1].asnumpy())
            yield Outcome(size, loss, 0.0)


@contextmanager
def _reader_errors() -> Iterator[None]:
    """Turn what MindSpore makes of a reader's exception back into the one line that the reader said."""
    try:
        yield
    except RuntimeError as error:
        raise (reader_error(error) or error) from None
