"""What ends a run before its last step: a signal, losses that are not finite, or work that fails on one rank.

All ranks decide alike, at the same place: one that left alone would leave the others waiting in their next reduction.
"""

import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from src.runtime.distributed import Group
from src.runtime.entry import WorkError
from src.runtime.stopping import Stopped, StopSignals

logger = logging.getLogger("ocrnet")


class BadLoss(NamedTuple):
    """A loss that is not finite, on this rank or another.

    Attributes:
        position: of its step among those just done, from 0.
        row: steps in a row with such a loss, this one included.
    """

    position: int
    row: int


class Verdict(NamedTuple):
    """What all ranks say after some steps.

    Attributes:
        stop: number of the signal that some rank was given, SIGTERM before SIGINT; 0 goes on.
        is_finite: whether the last step's losses are finite on all ranks.
        bad: the losses that are not.
    """

    stop: int
    is_finite: bool
    bad: tuple[BadLoss, ...] = ()


class Guard:
    """Ask all ranks whether to go on; every rank asks equally often.

    Args:
        group: the ranks.
        signals: those of this process.
        max_nonfinite: losses in a row that are not finite, after which training fails.
    """

    def __init__(self, group: Group, signals: StopSignals, max_nonfinite: int) -> None:
        self._group, self._signals, self._max_nonfinite = group, signals, max_nonfinite
        self._num_nonfinite = 0
        self._failure: Exception | None = None  # of this rank, not told to the others yet
        self._is_over = False  # all ranks have been told to raise

    def after_steps(self, losses: Sequence[float]) -> Verdict:
        """Return what all ranks say after some steps; `losses` are this rank's.

        Raises:
            WorkError: if another rank has failed; on that rank, what it failed with.
        """
        is_bad = ~np.isfinite(losses)
        stop, is_any_bad = self._vote(bool(is_bad.any()))
        if not is_any_bad:
            self._num_nonfinite = 0
            return Verdict(stop, True)
        bad = []
        for position, num_bad in enumerate(self._group.sum_int64(is_bad.astype(np.int64))):
            self._num_nonfinite = self._num_nonfinite + 1 if num_bad else 0
            if num_bad:
                bad.append(BadLoss(position, self._num_nonfinite))
        return Verdict(stop, self._num_nonfinite == 0, tuple(bad))

    def _vote(self, is_bad: bool = False) -> tuple[int, bool]:
        """Return the signal that some rank was given, and whether one has a bad loss; raise on all ranks if one has failed."""
        requested = self._signals.requested
        votes = np.array([requested == signal.SIGTERM, requested == signal.SIGINT, is_bad, self._failure is not None], np.int64)
        num_term, num_int, num_bad, num_failed = (int(count) for count in self._group.sum_int64(votes))
        if num_failed:
            self._is_over = True
            raise self._failure or WorkError("another rank failed; its last line says why")
        return int(signal.SIGTERM if num_term else signal.SIGINT if num_int else 0), num_bad > 0

    def check_loss(self, bad: BadLoss, where: str, advice: str, was_skipped: bool, is_last: bool) -> None:
        """Say that a loss is not finite or, after `max_nonfinite` of them in a row, fail.

        Args:
            bad: the loss, of `Verdict.bad`.
            where: the loss, epoch, step and learning rate, for the message.
            advice: what to do, for the error.
            was_skipped: whether the optimizer skipped an update since the last look.
            is_last: the run ends with this step, and could not be saved any more.

        Raises:
            WorkError: on all ranks after the same step.
        """
        row, most = bad.row, self._max_nonfinite
        if row >= most or is_last:
            raise WorkError(f"{where}{f', the {row}th in a row' if row > 3 else ''}; {advice}")
        effect = "its update was skipped" if was_skipped else "no update was skipped"
        logger.warning("warning: %s; %s; %d in a row, training stops at %d", where, effect, row, most)

    @contextmanager
    def together(self, ask: bool = True) -> Iterator[None]:
        """A block in which ranks do different things, such as writing files; what one of them fails with ends all.

        Nobody leaves it before all are done, so that launchers, which kill the others soon after one has ended, kill no writer.

        Args:
            ask: vote at the block's end; otherwise a failure is told in the next vote.

        Raises:
            WorkError: if another rank has failed; on that rank, what it failed with.
        """
        try:
            yield
        except Exception as error:
            if self._is_over:
                raise
            self._failure = error
        if ask:
            self._vote()

    def is_stopped(self) -> bool:
        """Return whether this process is asked to stop; the other ranks are not asked."""
        return self._signals.requested != 0

    def sum_unless_stopped(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of an int64 array over all ranks.

        Raises:
            Stopped: on all ranks, if one of them was asked to stop.
            WorkError: if another rank has failed.
        """
        stop, _ = self._vote()
        if stop:
            raise Stopped(stop)
        return self._group.sum_int64(array)
