"""What ends a run before its last step: a signal, or losses that are not finite. All ranks decide alike, after the same step."""

import logging
import math
import signal
from typing import NamedTuple

import numpy as np

from src.runtime.distributed import Group
from src.runtime.entry import WorkError
from src.runtime.stopping import Stopped, StopSignals

logger = logging.getLogger("ocrnet")


class Verdict(NamedTuple):
    """What all ranks say after a step.

    Attributes:
        stop: number of the signal that some rank was given, SIGTERM before SIGINT; 0 goes on.
        is_finite: whether the losses of all ranks are finite.
    """

    stop: int
    is_finite: bool


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

    def after_step(self, loss: float) -> Verdict:
        """Return what all ranks say after a step; `loss` is this rank's."""
        # One small reduction: a rank that stopped alone would leave the others waiting in the next step's.
        requested = self._signals.requested
        votes = np.array([requested == signal.SIGTERM, requested == signal.SIGINT, not math.isfinite(loss)], np.int64)
        num_term, num_int, num_nonfinite = (int(count) for count in self._group.sum_int64(votes))
        self._num_nonfinite = self._num_nonfinite + 1 if num_nonfinite else 0
        stop = signal.SIGTERM if num_term else signal.SIGINT if num_int else 0
        return Verdict(int(stop), num_nonfinite == 0)

    def check_row(self, where: str, advice: str, was_skipped: bool, is_last: bool) -> None:
        """Say that a loss is not finite or, after `max_nonfinite` of them in a row, fail.

        Args:
            where: the loss, epoch, step and learning rate, for the message.
            advice: what to do, for the error.
            was_skipped: whether the optimizer skipped an update since the last look.
            is_last: the run ends with this step, and could not be saved any more.

        Raises:
            WorkError: on all ranks after the same step.
        """
        row, most = self._num_nonfinite, self._max_nonfinite
        if row >= most or is_last:
            raise WorkError(f"{where}{f', the {row}th in a row' if row > 3 else ''}; {advice}")
        effect = "its update was skipped" if was_skipped else "no update was skipped"
        logger.warning("warning: %s; %s; %d in a row, training stops at %d", where, effect, row, most)

    def wait_for_all(self) -> None:
        """Return when all ranks are here; launchers kill the others soon after one has ended, and the main rank may still be writing."""
        self._group.sum_int64(np.zeros(1, np.int64))

    def is_stopped(self) -> bool:
        """Return whether this process is asked to stop; the other ranks are not asked."""
        return self._signals.requested != 0

    def sum_unless_stopped(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of an int64 array over all ranks.

        Raises:
            Stopped: on all ranks, if one of them was asked to stop.
        """
        stop = self.after_step(0.0).stop
        if stop:
            raise Stopped(stop)
        return self._group.sum_int64(array)
