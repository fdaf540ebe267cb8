"""Ranks that vote after their steps: a stub adds what the others say, or two threads are two ranks."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from src.engine.guard import Guard
from src.runtime.entry import WorkError
from src.runtime.stopping import Stopped, StopSignals


class Others:
    """A group whose other ranks say `votes` (SIGTERM, SIGINT, not finite, failed), and of which `bad` losses are not finite."""

    def __init__(self, votes: tuple[int, ...], bad: tuple[int, ...] = ()) -> None:
        self.votes, self.bad, self.calls = np.array(votes, np.int64), bad, 0

    def sum_int64(self, array: np.ndarray) -> np.ndarray:
        self.calls += 1
        if array.shape == (4,):
            return array + self.votes
        return array + np.array(self.bad) if self.bad else array * 2


def guard(votes: tuple[int, int, int, int] = (0, 0, 0, 0), requested: int = 0, most: int = 1, group: Any = None) -> Guard:
    signals = StopSignals()
    signals.requested = requested
    return Guard(group or Others(votes), signals, most)


@pytest.mark.parametrize(
    ("votes", "requested", "loss", "verdict"),
    [
        ((0, 0, 0, 0), 0, 1.0, (0, True)),
        ((0, 0, 0, 0), signal.SIGINT, 1.0, (signal.SIGINT, True)),
        ((1, 0, 0, 0), 0, 1.0, (signal.SIGTERM, True)),
        ((1, 0, 0, 0), signal.SIGINT, 1.0, (signal.SIGTERM, True)),  # all ranks end with one status
        ((0, 1, 0, 0), signal.SIGTERM, 1.0, (signal.SIGTERM, True)),
        ((0, 0, 0, 0), 0, float("inf"), (0, False)),
    ],
)
def test_ranks_decide_alike(votes: tuple[int, int, int, int], requested: int, loss: float, verdict: tuple[int, bool]) -> None:
    assert guard(votes, requested).after_steps([loss])[:2] == verdict


def test_steps_are_counted_in_a_row_over_all_ranks() -> None:
    group = Others((0, 0, 1, 0), bad=(0, 1, 0, 0, 0))
    judge = guard(group=group)
    assert judge.after_steps([np.nan, 1.0, 1.0, 1.0, np.inf]) == (0, False, ((0, 1), (1, 2), (4, 1)))
    group.bad = (1, 0)
    assert judge.after_steps([1.0, 1.0]) == (0, True, ((0, 2),)), "goes on with the row before it"
    group.bad = (0, 1)
    assert judge.after_steps([1.0, 1.0]) == (0, False, ((1, 1),))
    group.votes[2], group.calls = 0, 0
    assert judge.after_steps([1.0, 1.0]) == (0, True, ())
    assert group.calls == 1, "which loss it is, is asked only where there is one"


def test_the_row_decides() -> None:
    judge = guard(most=2)
    for loss, fails in ((np.nan, False), (1.0, None), (np.nan, False), (np.nan, True)):
        for bad in judge.after_steps([loss]).bad:
            if fails:
                with pytest.raises(WorkError, match=r"^the loss is nan; lower --lr$"):
                    judge.check_loss(bad, "the loss is nan", "lower --lr", was_skipped=True, is_last=False)
            else:
                judge.check_loss(bad, "the loss is nan", "lower --lr", was_skipped=True, is_last=False)


def test_an_evaluation_is_left_by_all_ranks_before_it_is_summed() -> None:
    matrix = np.arange(4).reshape(2, 2)
    assert (guard().sum_unless_stopped(matrix) == [[0, 2], [4, 6]]).all()
    with pytest.raises(Stopped) as caught:
        guard(votes=(1, 0, 0, 0)).sum_unless_stopped(matrix)
    assert caught.value.status == 143


class TwoRanks:
    """One of two ranks that are threads; a rank that waits for one that does not come breaks the barrier."""

    def __init__(self) -> None:
        self.barrier, self.given = threading.Barrier(2, timeout=5), [np.zeros(0, np.int64)] * 2

    def rank(self, number: int) -> Any:
        other = Others(())

        def sum_int64(array: np.ndarray) -> np.ndarray:
            other.calls += 1
            self.given[number] = array
            self.barrier.wait()
            total = self.given[0] + self.given[1]
            self.barrier.wait()
            return total

        other.sum_int64 = sum_int64  # type: ignore[method-assign]
        return other


@pytest.mark.parametrize("where", ["alone", "untold", "before the sum", "after the sum"])
@pytest.mark.parametrize("failing", [0, 1])
def test_what_one_rank_fails_with_ends_all(where: str, failing: int) -> None:
    ranks = TwoRanks()

    def fail(number: int, here: str) -> None:
        if (number, here) == (failing, where):
            raise OSError("disk full")

    def work(number: int) -> tuple[BaseException | None, int]:
        group = ranks.rank(number)
        judge = guard(group=group)
        try:
            with judge.together(ask=where != "untold"):
                fail(number, "alone")
                fail(number, "untold")
            judge.after_steps([1.0])
            with judge.together():
                fail(number, "before the sum")
                judge.sum_unless_stopped(np.array([number]))
                fail(number, "after the sum")
        except Exception as error:
            return error, group.calls
        return None, group.calls

    with ThreadPoolExecutor(2) as pool:
        errors, calls = zip(*pool.map(work, (0, 1)), strict=True)
    assert str(errors[failing]) == "disk full"
    assert isinstance(errors[1 - failing], WorkError) and "another rank failed" in str(errors[1 - failing])
    assert calls == ({"alone": 1, "untold": 1, "before the sum": 3, "after the sum": 5}[where],) * 2, "equally many, and no more"
