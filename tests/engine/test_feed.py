"""Bundles of the device's queue, with a stand-in for the queue: no device with one is at hand."""

import mindspore as ms
import pytest

from src.config import UserError
from src.engine.feed import host_steps, sink_steps


class Loader:
    """As many batches as asked for, the numbers 0, 1, ..."""

    def __init__(self, size: int) -> None:
        self.size = size

    def get_dataset_size(self) -> int:
        return self.size

    def create_tuple_iterator(self, num_epochs: int) -> object:
        assert num_epochs == 1
        return iter([(ms.Tensor(i, ms.float32),) for i in range(self.size)])


def stub_sink(monkeypatch: pytest.MonkeyPatch, fail_at: int = -1) -> None:
    def data_sink(step: object, loader: Loader, sink_size: int) -> object:
        numbers = iter(range(loader.size))

        def sink() -> ms.Tensor:
            number = next(numbers)
            if number == fail_at:
                raise RuntimeError("C++ ...\nsrc.config.errors.UserError: list:3: x.png: truncated\nmore")
            return step(ms.Tensor(number, ms.float32))

        assert sink_size == 1
        return sink

    monkeypatch.setattr(ms, "data_sink", data_sink)


def square(x: ms.Tensor) -> ms.Tensor:
    return x * x


def test_bundles_end_with_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch)
    outcomes = list(sink_steps(square, Loader(14), steps_per_epoch=7, bundle=3))
    assert [(outcome.steps, outcome.loss) for outcome in outcomes] == [(3, 4), (3, 25), (1, 36), (3, 81), (3, 144), (1, 169)]


def test_both_ways_train_on_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch)
    sunk = [outcome.loss for outcome in sink_steps(square, Loader(6), steps_per_epoch=3, bundle=1)]
    assert sunk == [outcome.loss for outcome in host_steps(square, Loader(6))] == [0, 1, 4, 9, 16, 25]


def test_a_bad_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch, fail_at=4)
    with pytest.raises(UserError, match=r"^list:3: x.png: truncated$"):
        list(sink_steps(square, Loader(6), steps_per_epoch=3, bundle=2))
