"""Tell how training goes: progress bar, log lines, metrics.jsonl, TensorBoard, curves."""

import datetime
import logging
import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from src.data.read_ahead import num_readers
from src.engine.feed import Outcome
from src.engine.history import History
from src.engine.progress import ProgressBar, StepClock

logger = logging.getLogger("ocrnet")

_BAR_LINE = {"bar": True}  # left out on a terminal, where the progress bar shows the same
_MOST_WAITING = 0.1  # of the time, for data, without a hint
_FEWEST_STEPS = 10  # to judge that, of one epoch or of several short ones


def log_recipe(config: Any, world: int, first_rate: float) -> None:
    """Say what decides a run's updates and savings.

    Args:
        config: the complete configuration.
        world: number of ranks.
        first_rate: learning rate of the first step to come.
    """
    accumulated = config.train.accumulate_steps
    counts = config.batchsize, world, accumulated, config.batchsize * world * accumulated
    logger.info("batch: %d per device x %d ranks x %d accumulated = %d pictures per update", *counts)
    ratio, decay = config.train.head_lr_ratio, config.train.ema_decay
    of_heads = f"; of the heads {ratio:g} times that" if ratio != 1 else ""
    logger.info("lr: %g, at the first step %g%s", config.lr, first_rate, of_heads)
    if decay:
        logger.info("averaged weights (train.ema_decay %g) are evaluated and written into weight files; last.state holds both", decay)
    each = f"every {config.save_state_steps} steps and " if config.save_state_steps else ""
    logger.info("last.state and last.ckpt: %safter every epoch", each)
    if config.mode == "GRAPH":
        logger.info("the first step takes longer: it compiles the network, unless an earlier start left the graph (compile_cache)")


def data_hint(config: Any) -> str:
    """Return what to do where training waits for data.

    Args:
        config: the complete configuration.
    """
    ways = []
    if num_readers(config.workers + 1) > num_readers(config.workers):
        ways.append(f"give more --workers than {config.workers}, up to the number of CPU cores")
    if config.data_format == "files":
        ways.append("pack the data once (python -m src.data.pack) and train with --data_format mindrecord")
    return ", or ".join(ways) or "every CPU core reads packed data already: it takes more or faster cores, or a faster disk"


class Reporter:
    """Everything that the main rank says about a run.

    Args:
        folder: the output directory.
        first_step: batches done before.
        epoch_steps: batches of an epoch.
        end_epoch: epochs of the run.
        pictures_per_step: over all ranks.
        log_interval: steps between two records.
        data_hint: what to do where the device waits for data.
        is_evaluated: the evaluation after `first_step` is done.
    """

    def __init__(
        self,
        folder: Path,
        first_step: int,
        *,
        epoch_steps: int,
        end_epoch: int,
        pictures_per_step: int,
        log_interval: int,
        data_hint: str = "",
        is_evaluated: bool = True,
    ) -> None:
        self._epoch_steps, self._end_epoch = epoch_steps, end_epoch
        self._pictures_per_step, self._log_interval = pictures_per_step, log_interval
        self._history = History(folder, first_step, is_evaluated)
        self._bar = ProgressBar(first_step, end_epoch * epoch_steps)
        self._clock = StepClock()
        self._is_compiling = True
        self._data_hint = data_hint
        self._unjudged = (0, 0.0, 0.0)  # steps, their seconds, and of these waiting for data, since that was last judged

    def steps(self, step: int, outcome: Outcome, lr: float, skipped: int) -> None:
        """Report some steps.

        Args:
            step: batches done.
            outcome: of the steps just done.
            lr: of the last update.
            skipped: updates skipped on overflow since the start.
        """
        clock = self._clock
        clock.add(outcome.steps, outcome.data_seconds)
        epoch, in_epoch = (step - 1) // self._epoch_steps + 1, (step - 1) % self._epoch_steps + 1
        times = self._times()
        figures = {"loss": f"{outcome.loss:.4f}", "lr": f"{lr:.2e}", "img/s": f"{times['images_per_second']:.1f}"}
        data = {"data": f"{times['data_ms']:.0f}ms"} if "data_ms" in times else {}
        self._bar.update(outcome.steps, f"{epoch}/{self._end_epoch}", **figures, **data)
        if in_epoch % self._log_interval == 0 or in_epoch == self._epoch_steps:
            logger.info("epoch: %d step: %d, loss is %s", epoch, in_epoch, outcome.loss, extra=_BAR_LINE)
            shown = f"step time: {times['step_ms']:.1f} ms{self._data_text()}, {times['images_per_second']:.2f} img/s, lr: {lr:.3g}"
            logger.info("%s", shown, extra=_BAR_LINE)
            loss = outcome.loss if math.isfinite(outcome.loss) else None  # JSON has no nan
            self._history.add("train", step, epoch=epoch, loss=loss, lr=lr, skipped_updates=skipped, **times)
        if self._is_compiling:  # the first steps compile the network; speed and time left are about the others
            self._is_compiling = False
            self._clock = StepClock()

    def _times(self) -> dict[str, float]:
        """Return the means since the clock was started: step_ms, data_ms where it is known, images_per_second."""
        step, data = self._clock.step_seconds, self._clock.data_per_step
        times = {"step_ms": step * 1e3, "images_per_second": self._pictures_per_step / step}
        if data is not None:
            times["data_ms"] = data * 1e3
        return {name: round(value, 3) for name, value in times.items()}

    def _data_text(self) -> str:
        data = self._clock.data_per_step
        return "" if data is None else f" (waiting for data: {data * 1e3:.1f} ms)"

    def epoch(self, epoch: int, skipped: int, loss_scale: float) -> None:
        """Report the end of an epoch, counted from 1."""
        if self._clock.steps:
            self._epoch_time(epoch)
            self._hint_at_data()
        if skipped:
            logger.warning("%d updates skipped so far because gradients overflowed (loss scale %g)", skipped, loss_scale)

    def _epoch_time(self, epoch: int) -> None:
        clock = self._clock
        # The epoch in which the network is compiled, or into which a run resumes, is measured in part.
        part = "" if clock.steps == self._epoch_steps else f" ({clock.steps} of {self._epoch_steps} steps measured)"
        times = clock.seconds * 1e3, clock.step_seconds * 1e3
        logger.info("epoch time: %.3f ms, per step time: %.3f ms%s", *times, part, extra=_BAR_LINE)
        left = datetime.timedelta(seconds=round((self._end_epoch - epoch) * self._epoch_steps * clock.step_seconds))
        data = clock.data_per_step
        waiting = (
            "waiting for data is not measured with the device's queue (--sink_mode off measures it)"
            if data is None
            else f"{data * 1e3:.1f} ms of a step spent waiting for data"
        )
        logger.info("epoch %d/%d: %s, %s left", epoch, self._end_epoch, waiting, left, extra=_BAR_LINE)

    def _hint_at_data(self) -> None:
        """Say once in a run what to do, after an epoch that ends some steps in which the device waited for data for long."""
        if self._clock.data_seconds is None:
            return
        steps, seconds, waited = self._unjudged
        steps, seconds, waited = steps + self._clock.steps, seconds + self._clock.seconds, waited + self._clock.data_seconds
        self._unjudged = (steps, seconds, waited)
        if steps < _FEWEST_STEPS:
            return
        self._unjudged = (0, 0.0, 0.0)
        if self._data_hint and waited > _MOST_WAITING * seconds:
            logger.warning(
                "hint: the device waited for data for %.0f %% of the last %d steps; %s", 100 * waited / seconds, steps, self._data_hint
            )
            self._data_hint = ""

    def untimed(self) -> AbstractContextManager[None]:
        """Return a block whose time, for saving, does not count as training time."""
        return self._clock.paused()

    def evaluation(self, step: int, epoch: int, miou: float, seconds: float) -> None:
        """Record an evaluation."""
        self._history.add("eval", step, epoch=epoch, miou=miou, seconds=round(seconds, 3))

    def start_epoch(self) -> None:
        """Start the clock anew: evaluation and saving do not count as training time."""
        self._clock = StepClock()

    def draw(self) -> None:
        """Write curves.png."""
        self._history.draw()

    def close(self) -> None:
        """Leave bar and files complete."""
        self._bar.close()
        self._history.close()
