"""Progress bars, and the clock behind the figures they show."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


def show_progress(total: int, title: str, unit: str, enabled: bool = True) -> tqdm:
    """Return a short-lived bar with time left, to be used in a `with` block; it shows nothing where stderr is no terminal."""
    shown = enabled and sys.stderr.isatty()
    return tqdm(total=total, desc=title, unit=unit, disable=not shown, dynamic_ncols=True, leave=False)


class ProgressBar:
    """One bar over all steps of a run with epoch, loss, lr, img/s, data time and time left; nothing where stderr is no terminal."""

    def __init__(self, first_step: int, total_steps: int, enabled: bool = True) -> None:
        shown = enabled and sys.stderr.isatty()
        self._bar = tqdm(total=total_steps, initial=first_step, unit="step", disable=not shown, dynamic_ncols=True, smoothing=0.05)

    def update(self, steps: int, epoch: str, **values: str) -> None:
        """Advance by `steps`; `epoch` is "2/10", the values are shown behind the bar."""
        self._bar.set_description(f"epoch {epoch}", refresh=False)
        self._bar.set_postfix(values, refresh=False)
        self._bar.update(steps)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


class StepClock:
    """Time of an epoch's steps and of their waiting for data, in seconds.

    Attributes:
        steps: batches since the clock was started.
        data_seconds: of these, spent waiting for the input pipeline; None where that is not known.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self.steps = 0
        self.data_seconds: float | None = 0.0

    def add(self, steps: int, data_seconds: float | None) -> None:
        """Count batches."""
        self.steps += steps
        self.data_seconds = None if data_seconds is None or self.data_seconds is None else self.data_seconds + data_seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time of a block out."""
        start = time.perf_counter()
        yield
        self._start += time.perf_counter() - start

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._start

    @property
    def step_seconds(self) -> float:
        """Mean seconds per batch, data time included; only where there were batches."""
        return self.seconds / self.steps

    @property
    def data_per_step(self) -> float | None:
        """Mean seconds per batch spent waiting for data; only where there were batches."""
        return None if self.data_seconds is None else self.data_seconds / self.steps
