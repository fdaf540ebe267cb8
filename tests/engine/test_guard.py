"""Ranks that vote after a step: a stub adds what the others say."""

import signal
from typing import Any

import numpy as np
import pytest

from src.engine.guard import Guard
from src.runtime.entry import WorkError
from src.runtime.stopping import Stopped, StopSignals


class Others:
    """A group whose other ranks say `votes`: SIGTERM, SIGINT, not finite."""

    def __init__(self, *votes: int) -> None:
        self.votes = np.array(votes, np.int64)

    def sum_int64(self, array: np.ndarray) -> np.ndarray:
        return array + self.votes if array.shape == (3,) else array * 2


def guard(votes: tuple[int, int, int] = (0, 0, 0), requested: int = 0, most: int = 1) -> Guard:
    signals = StopSignals()
    signals.requested = requested
    group: Any = Others(*votes)
    return Guard(group, signals, most)


@pytest.mark.parametrize(
    ("votes", "requested", "loss", "verdict"),
    [
        ((0, 0, 0), 0, 1.0, (0, True)),
        ((0, 0, 0), signal.SIGINT, 1.0, (signal.SIGINT, True)),
        ((1, 0, 0), 0, 1.0, (signal.SIGTERM, True)),
        ((1, 0, 0), signal.SIGINT, 1.0, (signal.SIGTERM, True)),  # all ranks end with one status
        ((0, 1, 0), signal.SIGTERM, 1.0, (signal.SIGTERM, True)),
        ((0, 0, 1), 0, 1.0, (0, False)),
        ((0, 0, 0), 0, float("inf"), (0, False)),
    ],
)
def test_ranks_decide_alike(votes: tuple[int, int, int], requested: int, loss: float, verdict: tuple[int, bool]) -> None:
    assert guard(votes, requested).after_step(loss) == verdict


def test_losses_are_counted_in_a_row() -> None:
    judge = guard(most=2)
    for loss, fails in ((np.nan, False), (1.0, None), (np.nan, False), (np.nan, True)):
        if judge.after_step(loss).is_finite:
            continue
        if fails:
            with pytest.raises(WorkError, match=r"^the loss is nan; lower --lr$"):
                judge.check_row("the loss is nan", "lower --lr", was_skipped=True, is_last=False)
        else:
            judge.check_row("the loss is nan", "lower --lr", was_skipped=True, is_last=False)


def test_an_evaluation_is_left_by_all_ranks_before_it_is_summed() -> None:
    matrix = np.arange(4)
    assert (guard().sum_unless_stopped(matrix) == [0, 2, 4, 6]).all()
    with pytest.raises(Stopped) as caught:
        guard(votes=(1, 0, 0)).sum_unless_stopped(matrix)
    assert caught.value.status == 143
