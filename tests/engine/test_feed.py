"""Bundles of the device's queue, with a stand-in for the queue: no device with one is at hand."""

import mindspore as ms
import pytest

from src.config import UserError
from src.engine.feed import bundle_sizes, host_steps, sink_steps


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


@pytest.mark.parametrize(
    ("first", "last", "save_steps", "sizes"),
    [
        (0, 14, 0, [3, 3, 1, 3, 3, 1]),
        (0, 14, 4, [3, 1, 2, 1, 1, 2, 2, 1, 1]),  # savings at 4, 8, 12; looks at 3, 6, 10, 13; epochs' ends at 7, 14
        (5, 14, 0, [1, 1, 3, 3, 1]),  # resumed amid an epoch: the looks are where they were
        (5, 14, 4, [1, 1, 1, 2, 2, 1, 1]),
        (7, 14, 500, [3, 3, 1]),
        (0, 5, 0, [3, 2]),
    ],
)
def test_bundles_end_where_there_is_something_to_do(first: int, last: int, save_steps: int, sizes: list[int]) -> None:
    assert list(bundle_sizes(first, last, epoch_steps=7, log_interval=3, save_steps=save_steps)) == sizes


def test_bundles_are_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch)
    outcomes = list(sink_steps(square, Loader(8), [3, 1, 4]))
    assert [(outcome.steps, outcome.loss) for outcome in outcomes] == [(3, 4), (1, 9), (4, 49)]


def test_the_loss_of_every_step_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch)
    (outcome,) = sink_steps(lambda x: x if x != 1 else x / 0, Loader(3), [3])
    assert outcome.losses == (0, float("inf"), 2)


def test_both_ways_train_on_the_same_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch)
    sunk = [outcome.loss for outcome in sink_steps(square, Loader(6), [1] * 6)]
    assert sunk == [outcome.loss for outcome in host_steps(square, Loader(6))] == [0, 1, 4, 9, 16, 25]


def test_a_bad_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    stub_sink(monkeypatch, fail_at=4)
    with pytest.raises(UserError, match=r"^list:3: x.png: truncated$"):
        list(sink_steps(square, Loader(6), [2, 1, 2, 1]))
