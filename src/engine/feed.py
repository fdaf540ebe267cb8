"""Bring batches to the training step: from the host one by one, or in bundles through the device's queue."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import mindspore as ms
from mindspore import nn

from src.data.loader import reader_error
from src.runtime.stopping import restore_signals


class Outcome(NamedTuple):
    """What some training steps gave.

    Attributes:
        losses: of each batch that was trained on.
        data_seconds: time spent waiting for data; None with the device's queue: its steps wait on the device, unseen by the host.
    """

    losses: tuple[float, ...]
    data_seconds: float | None

    @property
    def steps(self) -> int:
        """Batches that were trained on."""
        return len(self.losses)

    @property
    def loss(self) -> float:
        """That of the last batch."""
        return self.losses[-1]


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
        restore_signals()  # which reading took
        loss = float(train_step(*batch).asnumpy())
        restore_signals()  # which the step took
        yield Outcome((loss,), waited)


def bundle_sizes(first: int, last: int, *, epoch_steps: int, log_interval: int, save_steps: int) -> Iterator[int]:
    """Yield how many batches pass between two looks at the loss, from a step of a run to another.

    A bundle ends where there is something to do: at every `log_interval` steps of an epoch, at its end, and where the state is saved.

    Args:
        first: batches done before, since epoch 0; anywhere in an epoch.
        last: batches done at the end.
        epoch_steps: batches of an epoch.
        log_interval: batches between two records, counted from an epoch's start.
        save_steps: batches between two savings of the state, counted from epoch 0; 0 saves at the ends of epochs alone.
    """
    while first < last:
        epoch_start = first // epoch_steps * epoch_steps
        ends = [last, epoch_start + epoch_steps, epoch_start + _next_multiple(first - epoch_start, log_interval)]
        if save_steps:
            ends.append(_next_multiple(first, save_steps))
        yield min(ends) - first
        first = min(ends)


def _next_multiple(number: int, of: int) -> int:
    return (number // of + 1) * of


def sink_steps(train_step: nn.Cell, loader: Any, sizes: Iterable[int]) -> Iterator[Outcome]:
    """Train on every batch of a loader, through the device's queue.

    Args:
        train_step: Cell (image, label) -> loss.
        loader: a MindSpore data set of (image, label) batches.
        sizes: steps between two looks at the loss, `bundle_sizes`; in between the host runs ahead of the device. Their sum is the
            loader's size.

    Raises:
        UserError: what is wrong with a picture or label, as the reader said it.
    """
    sink = ms.data_sink(train_step, loader, sink_size=1)
    for size in sizes:
        restore_signals()
        with _reader_errors():
            losses = [sink() for _ in range(size)]
            values = tuple(float(loss.asnumpy()) for loss in losses)
        restore_signals()
        yield Outcome(values, None)


@contextmanager
def _reader_errors() -> Iterator[None]:
    """Turn what MindSpore makes of a reader's exception back into the one line that the reader said."""
    try:
        yield
    except RuntimeError as error:
        raise (reader_error(error) or error) from None
