"""Train a network: the loop from the first batch to the last checkpoint."""

import logging
import math
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.run_folder import STATE_FILE
from src.checkpoint.state import Progress, batch_layout, load_state
from src.config.errors import UserError
from src.config.schema import last_epoch
from src.data.loader import build_train_loader, steps_per_epoch
from src.data.rare_classes import RareClasses
from src.engine.assembly import build_train_network, build_train_step
from src.engine.averaging import build_averaged_network
from src.engine.callback import CheckpointKeeper, EvalCallback, is_evaluation_due, last_good_files
from src.engine.checked_data import checked_data, data_report
from src.engine.feed import Outcome, bundle_sizes, host_steps, sink_steps
from src.engine.guard import BadLoss, Guard
from src.engine.reporter import Reporter, data_hint, log_recipe
from src.engine.schedule import learning_rates
from src.engine.shared_memory import check_shared_memory
from src.runtime.compile_cache import CompileCache
from src.runtime.device import Runtime
from src.runtime.stopping import Stopped, StopSignals

logger = logging.getLogger("ocrnet")


class Trainer:
    """One training run. Building it checks everything that can be checked; nothing is written before `run`.

    Args:
        config: the complete configuration.
        runtime: device and process group.
        folder: the output directory.
        resume: continue from the folder's last.state.
        on_saved: called by the main rank after every saving.

    Attributes:
        progress: where training stands.

    Raises:
        UserError: if data, weights or state do not fit.
    """

    def __init__(
        self, config: Any, runtime: Runtime, folder: Path, resume: bool = False, on_saved: Callable[[], None] = lambda: None
    ) -> None:
        self.config, self.runtime, self.folder = config, runtime, folder
        check_shared_memory(config, runtime.group)
        train = checked_data(config, "train", runtime.group)
        val = checked_data(config, "val", runtime.group) if config.eval_callback else None
        self.dataset = train.dataset
        self._rare_classes = RareClasses.from_config(config, train.statistics.class_pixels)
        self._data_report = data_report(config, train, val) if runtime.group.is_main else []
        self.epoch_steps = steps_per_epoch(len(self.dataset), config.batchsize, runtime.group.size)
        self.network = build_train_network(config, runtime, resume)
        averaged = build_averaged_network(config, self.network, runtime.amp_level)
        self.kept = self.network if averaged is None else averaged  # what is evaluated and written
        total_steps = config.total_epoch * self.epoch_steps
        self.rates = learning_rates(config, max(1, total_steps // config.train.accumulate_steps))
        weights, world = self.dataset.info.class_weights, runtime.group.size
        self.train_step = build_train_step(config, self.network, self.rates, weights, world, averaged)
        self.progress = self._start(resume)
        self._check_same_start()
        self._skipped = int(self.train_step.skipped_updates.asnumpy())
        self.keeper = CheckpointKeeper(config, folder, on_saved)
        self.evaluator = EvalCallback(config, self.kept, val.dataset, runtime.group, folder) if val else None

    def _start(self, resume: bool) -> Progress:
        config = self.config
        layout = batch_layout(config, len(self.dataset), self.runtime.group.size)
        if resume:
            progress = load_state(self.train_step.state(), layout, self.folder / STATE_FILE)
        else:
            progress = Progress(step=config.begin_epoch * self.epoch_steps, layout=layout, evaluated_epoch=config.begin_epoch)
            global_step = self.train_step.optimizer.global_step
            global_step.set_data(global_step + progress.step // config.train.accumulate_steps)
        return progress

    def _check_same_start(self) -> None:
        step, group = self.progress.step, self.runtime.group
        if int(group.sum_int64(np.array([step]))[0]) != step * group.size:
            raise UserError(f"{self.folder}: ranks would start at different steps (this one at {step}); all hosts must see the same folder")

    def refuse_if_complete(self) -> None:
        """Raise a UserError where `run` has nothing left to do."""
        end, total = last_epoch(self.config), self.config.total_epoch
        if self._is_complete():
            hint = f"give a larger --end_epoch, up to {total}, to go on" if end < total else "it is complete"
            raise UserError(f"{self.folder}: training already reached epoch {end}; {hint}")

    @property
    def _last_step(self) -> int:
        return last_epoch(self.config) * self.epoch_steps

    def _is_complete(self) -> bool:
        return self.progress.step >= self._last_step and not self._is_evaluation_missing()

    def _is_evaluation_missing(self) -> bool:
        """Whether the run ended after an epoch's end, with its state written, and before the epoch's evaluation was done."""
        epoch, step = divmod(self.progress.step, self.epoch_steps)
        return step == 0 and self.progress.evaluated_epoch < epoch and is_evaluation_due(self.config, epoch)

    def run(self) -> Progress:
        """Train from where progress stands to the end of epoch `end_epoch`; where that is reached, nothing is written.

        Returns:
            Where training stands at the end.

        Raises:
            Stopped: on SIGTERM or SIGINT; from the first step on only when the step has ended and its state is written.
            WorkError: if the loss is no longer finite, or another rank has failed.
        """
        if self._is_complete():
            logger.info("training already reached epoch %d: nothing is left to do", last_epoch(self.config))
            return self.progress
        with StopSignals() as signals:
            self.guard = Guard(self.runtime.group, signals, self.config.train.max_nonfinite_losses)
            reporter = self._build_reporter() if self.runtime.group.is_main else None
            try:
                self._run(signals, reporter)
            finally:
                if reporter:
                    reporter.close()
        return self.progress

    def _run(self, signals: StopSignals, reporter: Reporter | None) -> None:
        if self._is_evaluation_missing():
            signals.patient = True
            self._evaluate(self.progress.step // self.epoch_steps, reporter)
        if self._is_complete():
            return
        # Nothing is lost in the first step, which compiles the network for minutes: a signal ends it at once, or as soon as it can.
        signals.patient = False
        if signals.requested:
            raise Stopped(signals.requested)
        self.train_step.set_train()
        for outcome in self._steps():
            signals.patient = True
            self._after_steps(outcome, reporter)

    def _build_reporter(self) -> Reporter:
        config, group = self.config, self.runtime.group
        first, pictures, end = self.progress.step, len(self.dataset), last_epoch(config)
        start = f"from {self._place(first + 1)} " if 0 < first < self._last_step else ""
        logger.info("training: %d pictures, %d steps per epoch, %sto epoch %d", pictures, self.epoch_steps, start, end)
        for line in self._data_report:
            logger.info("%s", line)
        log_recipe(config, group.size, self.rates[min(self._num_updates(), len(self.rates) - 1)])
        return Reporter(
            self.folder,
            self.progress.step,
            epoch_steps=self.epoch_steps,
            end_epoch=last_epoch(config),
            pictures_per_step=config.batchsize * group.size,
            log_interval=config.log_interval,
            data_hint=data_hint(config),
            is_evaluated=not self._is_evaluation_missing(),
        )

    def _steps(self) -> Iterator[Outcome]:
        config, group, first, last = self.config, self.runtime.group, self.progress.step, self._last_step
        loader = build_train_loader(
            self.dataset,
            config,
            rank=group.rank,
            world=group.size,
            first_step=first,
            last_step=last,
            rare_classes=self._rare_classes,
        )
        if self.runtime.sink_mode:
            sizes = bundle_sizes(
                first, last, epoch_steps=self.epoch_steps, log_interval=config.log_interval, save_steps=config.save_state_steps
            )
            steps = sink_steps(self.train_step, loader, sizes)
        else:
            steps = host_steps(self.train_step, loader)
        weights = self.dataset.info.class_weights
        with CompileCache(config, self.runtime).compiling("train", self.train_step, constants=weights):
            first_outcomes = list(islice(steps, 1))
        yield from chain(first_outcomes, steps)

    def _after_steps(self, outcome: Outcome, reporter: Reporter | None) -> None:
        skipped_before, self._skipped = self._skipped, int(self.train_step.skipped_updates.asnumpy())
        first, self.progress.step = self.progress.step, self.progress.step + outcome.steps
        verdict = self.guard.after_steps(outcome.losses)
        lr = float(self.rates[max(self._num_updates() - 1, 0)])
        for bad in verdict.bad:
            self._check_loss(bad, outcome.losses[bad.position], first + bad.position + 1, lr, self._skipped > skipped_before)
        epoch, in_epoch = divmod(self.progress.step, self.epoch_steps)
        every = self.config.save_state_steps
        is_due = bool(verdict.stop) or in_epoch == 0 or (every > 0 and self.progress.step % every == 0)
        with self.guard.together(ask=is_due):
            if reporter:
                reporter.steps(self.progress.step, outcome, lr, self._skipped)
        if is_due and verdict.is_finite:
            self._save(epoch if in_epoch == 0 else None, reporter)
        if in_epoch == 0:
            self._after_epoch(epoch, verdict.is_finite and not verdict.stop, reporter)
        if verdict.stop and not self._is_complete():
            self._stop(verdict.stop, verdict.is_finite)

    def _stop(self, number: int, is_saved: bool) -> None:
        kept = "" if is_saved else f", whose loss is not finite and which was not saved; {last_good_files(self.folder)}"
        line = f"stopped by {signal.Signals(number).name} at {self._place(self.progress.step)}{kept}; {self._how_to_continue()}"
        logger.info("%s", line, extra={"bar": True})  # for train.log; a terminal shows it as the process's last line
        raise Stopped(number, line)

    def _how_to_continue(self) -> str:
        of_group = " under the same launcher (its script: RESUME=1)" if self.runtime.group.size > 1 else ""
        return f"continue with --resume {self.folder}{of_group}"

    def _check_loss(self, bad: BadLoss, loss: float, step: int, lr: float, was_skipped: bool) -> None:
        loss_is = f"the loss is {loss}" if not math.isfinite(loss) else "the loss of another rank is not finite"
        where = f"{loss_is} at {self._place(step)} (lr {lr:.3g})"
        advice = f"lower --lr or lengthen train.warmup_steps; {last_good_files(self.folder)}"
        self.guard.check_loss(bad, where, advice, was_skipped, is_last=step == self._last_step)

    def _place(self, step: int) -> str:
        epoch, in_epoch = divmod(step - 1, self.epoch_steps)
        return f"epoch {epoch + 1} step {in_epoch + 1}"

    def _num_updates(self) -> int:
        return int(self.train_step.optimizer.global_step.asnumpy()[0])

    def _save(self, epoch: int | None, reporter: Reporter | None) -> None:
        """Save the state and, where `epoch` is given, what its end leaves."""
        with reporter.untimed() if reporter else nullcontext():
            self.runtime.group.average_buffers(self.train_step)
            with self.guard.together():
                if reporter:
                    if epoch is not None and not is_evaluation_due(self.config, epoch):
                        reporter.draw()  # before the state, after which nobody makes up for what a kill left out
                    self.keeper.save(self.kept, self.train_step, self.progress, epoch)

    def _after_epoch(self, epoch: int, may_evaluate: bool, reporter: Reporter | None) -> None:
        if reporter:
            reporter.epoch(epoch, self._skipped, float(self.train_step.loss_scale.asnumpy()))
        # Weights that were not saved are not evaluated either: a run that resumes would not come to the same best.ckpt.
        if may_evaluate and is_evaluation_due(self.config, epoch):
            self._evaluate(epoch, reporter)
        if reporter:
            reporter.start_epoch()

    def _evaluate(self, epoch: int, reporter: Reporter | None) -> None:
        assert self.evaluator is not None
        try:
            with self.guard.together():
                self._evaluate_and_save(self.evaluator, epoch, reporter)
        except Stopped as stop:
            name = signal.Signals(stop.number).name
            line = f"stopped by {name} in the evaluation after epoch {epoch}; {self._how_to_continue()}"
            raise Stopped(stop.number, line) from None

    def _evaluate_and_save(self, evaluator: EvalCallback, epoch: int, reporter: Reporter | None) -> None:
        result = evaluator.run(self.guard)
        miou = float(np.nan_to_num(result.scores.miou))  # nan: no label has any class
        is_best = self.progress.add_evaluation(epoch, miou)
        if reporter:
            reporter.evaluation(self.progress.step, epoch, miou, result.seconds)
            reporter.draw()
            self.keeper.save_evaluated(self.kept, self.train_step, self.progress, is_best)
