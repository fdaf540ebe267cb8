"""SIGTERM and Ctrl-C: stop at once or, while training, when the step has ended and its state is written."""

import math
import os
import signal
import sys
import threading
import time
from types import FrameType, TracebackType
from typing import Any

# GNU timeout and some schedulers send one request twice, to a process and to its group.
_SAME_REQUEST_SECONDS = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal ends the process.

    Args:
        number: the signal's.
        message: one line for stderr; None says the signal alone.
    """

    def __init__(self, number: int, message: str | None = None) -> None:
        super().__init__(message or f"interrupted by {signal.Signals(number).name}")
        self.number = number

    @property
    def status(self) -> int:
        """The exit status that shells give a process killed by this signal."""
        return 128 + self.number


class StopSignals:
    """A block in which SIGTERM and SIGINT raise `Stopped` or, while `patient`, are noted.

    A second signal always raises. MindSpore 2.8 turns SIGINT into SIGTERM while a graph is compiled or runs and while data is read: such a
    Ctrl-C is handled as SIGTERM.

    Attributes:
        patient: only note the first signal in `requested` and go on, because whoever set this looks there soon.
        requested: number of the first signal; 0 where there was none. It is noted in any case, and told to blocks within: what
            MindSpore calls while it compiles a graph may swallow exceptions.
    """

    def __init__(self) -> None:
        self.patient = False
        self.requested = 0
        self._last = -math.inf  # when a signal came, seconds
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        self._outer: StopSignals | None = None

    def __enter__(self) -> "StopSignals":
        global _innermost
        self._outer, _innermost = _innermost, self
        self.requested = self._outer.requested if self._outer else 0
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.install()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        global _innermost
        _innermost = self._outer
        if _in_main_thread():
            for number, handler in self._before.items():
                # None: not made by Python, and out of its reach.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def install(self) -> None:
        """Take the signals, also from MindSpore, which puts its own handlers in their place."""
        if _in_main_thread():
            for number in _SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            os._exit(128 + number)  # a data worker, forked a moment ago, that has not set its own handlers yet
        if _is_importing_mindspore():
            # An exception in there aborts the process. A signal that comes again in a moment finds the import done sooner or later.
            again = threading.Timer(_SAME_REQUEST_SECONDS, os.kill, (self._process, number))
            again.daemon = True
            again.start()
            return
        now = time.monotonic()
        if now - self._last < _SAME_REQUEST_SECONDS:
            return
        self._last = now
        is_first = not self.requested
        self.requested = self.requested or number
        if not (self.patient and is_first):
            raise Stopped(number)


def _is_importing_mindspore() -> bool:
    return getattr(getattr(sys.modules.get("mindspore"), "__spec__", None), "_initializing", False)


_innermost: StopSignals | None = None


def restore_signals() -> None:
    """Give the signals back to the innermost block of `StopSignals`: reading data and running a graph change their handlers."""
    if _innermost:
        _innermost.install()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
