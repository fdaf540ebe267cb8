"""Train a network: the loop from the first batch to the last checkpoint."""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.run_folder import STATE_FILE
from src.checkpoint.state import Progress, load_state
from src.checkpoint.weights import load_weights
from src.config.errors import UserError
from src.config.schema import last_epoch
from src.data.loader import build_train_loader, steps_per_epoch
from src.engine.callback import CheckpointKeeper, EvalCallback, checked_dataset
from src.engine.feed import Outcome, host_steps, sink_steps
from src.engine.optimizer import build_optimizer
from src.engine.precision import apply_amp
from src.engine.reporter import Reporter
from src.engine.schedule import learning_rates
from src.engine.shared_memory import check_shared_memory
from src.engine.train_step import NetworkWithLoss, StepOptions, TrainStep
from src.losses.segmentation import build_loss
from src.models.builder import build_network
from src.runtime.device import Runtime, choose_norm
from src.runtime.entry import WorkError

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
        self.dataset = checked_dataset(config, "train", runtime.group)
        val_dataset = checked_dataset(config, "val", runtime.group) if config.eval_callback else None
        self.epoch_steps = steps_per_epoch(len(self.dataset), config.batchsize, runtime.group.size)
        self.network = self._build_network(resume)
        total_steps = config.total_epoch * self.epoch_steps
        self.rates = learning_rates(config, max(1, total_steps // config.train.accumulate_steps))
        self.train_step = self._build_train_step()
        self.progress = self._start(resume)
        self.keeper = CheckpointKeeper(config, folder, on_saved)
        self.evaluator = EvalCallback(config, self.network, val_dataset, runtime.group, folder) if val_dataset else None

    def _build_network(self, resume: bool) -> Any:
        config, group = self.config, self.runtime.group
        norm = choose_norm(self.runtime, config.train.sync_bn)
        network = build_network(config, norm=norm, dropout_seed=config.seed * group.size + group.rank)
        if config.checkpoint_path and not resume:
            load_weights(network, Path(config.checkpoint_path), complete=False)
        return apply_amp(network, self.runtime.amp_level)

    def _build_train_step(self) -> TrainStep:
        network_with_loss = NetworkWithLoss(self.network, build_loss(self.config, self.dataset.info.class_weights))
        optimizer = build_optimizer(self.network, self.rates, self.config.train)
        return TrainStep(network_with_loss, optimizer, StepOptions.from_config(self.config), self.runtime.group.size)

    def _start(self, resume: bool) -> Progress:
        config = self.config
        layout = {
            "training pictures": len(self.dataset),
            "batchsize": config.batchsize,
            "ranks": self.runtime.group.size,
            "train.accumulate_steps": config.train.accumulate_steps,
        }
        if resume:
            progress = load_state(self.train_step.state(), layout, self.folder / STATE_FILE)
        else:
            progress = Progress(step=config.begin_epoch * self.epoch_steps, layout=layout)
            global_step = self.train_step.optimizer.global_step
            global_step.set_data(global_step + progress.step // config.train.accumulate_steps)
        if progress.step >= self._last_step:
            hint = (
                f"give a larger --end_epoch, up to {config.total_epoch}, to go on"
                if last_epoch(config) < config.total_epoch
                else "it is complete"
            )
            raise UserError(f"{self.folder}: training already reached epoch {last_epoch(config)}; {hint}")
        return progress

    @property
    def _last_step(self) -> int:
        return last_epoch(self.config) * self.epoch_steps

    def run(self) -> Progress:
        """Train from where progress stands to the end of epoch `end_epoch`.

        Returns:
            Where training stands at the end.

        Raises:
            WorkError: if the loss is no longer finite.
        """
        reporter = self._build_reporter() if self.runtime.group.is_main else None
        self.train_step.set_train()
        try:
            for outcome in self._steps():
                self._after_steps(outcome, reporter)
                if self.progress.step % self.epoch_steps == 0:
                    self._after_epoch(self.progress.step // self.epoch_steps, reporter)
        finally:
            if reporter:
                reporter.close()
        return self.progress

    def _build_reporter(self) -> Reporter:
        config, end_epoch = self.config, last_epoch(self.config)
        logger.info("training: %d pictures, %d steps per epoch, to epoch %d", len(self.dataset), self.epoch_steps, end_epoch)
        logger.info("the first step takes longer: it compiles the network")
        pictures_per_step = config.batchsize * self.runtime.group.size
        return Reporter(self.folder, self.progress.step, self.epoch_steps, end_epoch, pictures_per_step, config.log_interval)

    def _steps(self) -> Iterator[Outcome]:
        config, group, first = self.config, self.runtime.group, self.progress.step
        loader = build_train_loader(self.dataset, config, rank=group.rank, world=group.size, first_step=first, last_step=self._last_step)
        if self.runtime.sink_mode:
            return sink_steps(self.train_step, loader, self.epoch_steps, config.log_interval)
        return host_steps(self.train_step, loader)

    def _after_steps(self, outcome: Outcome, reporter: Reporter | None) -> None:
        self.progress.step += outcome.steps
        update = int(self.train_step.optimizer.global_step.asnumpy()[0])
        lr = float(self.rates[max(update - 1, 0)])
        if not math.isfinite(outcome.loss):
            epoch, step = divmod(self.progress.step - 1, self.epoch_steps)
            raise WorkError(
                f"the loss is {outcome.loss} at epoch {epoch + 1} step {step + 1} (lr {lr:.3g}); lower --lr or lengthen "
                f"train.warmup_steps; last good state: {self._last_good_state()}"
            )
        if reporter:
            reporter.steps(self.progress.step, outcome, lr, self._skipped())

    def _skipped(self) -> int:
        return int(self.train_step.skipped_updates.asnumpy())

    def _last_good_state(self) -> str:
        path = self.folder / STATE_FILE
        return str(path) if path.is_file() else "none yet"

    def _after_epoch(self, epoch: int, reporter: Reporter | None) -> None:
        if reporter:
            reporter.epoch(epoch, self._skipped(), float(self.train_step.loss_scale.asnumpy()))
        self.runtime.group.average_buffers(self.network)
        if reporter:
            self.keeper.save_epoch(self.network, epoch)
            self.keeper.save_last(self.network, self.train_step, self.progress)
        if self.evaluator and self.evaluator.is_due(epoch):
            self._evaluate(epoch, reporter)
        if reporter:
            reporter.draw()
            reporter.start_epoch()

    def _evaluate(self, epoch: int, reporter: Reporter | None) -> None:
        assert self.evaluator is not None
        result = self.evaluator.run()
        miou = float(np.nan_to_num(result.scores.miou))  # nan: no label has any class
        if reporter:
            reporter.evaluation(self.progress.step, epoch, miou, result.seconds)
        if miou > self.progress.best_miou:
            self.progress.best_miou, self.progress.best_epoch = miou, epoch
            if reporter:
                self.keeper.save_best(self.network)
                # Again, with the best mIoU: the state was saved before, so that a failing evaluation loses no epoch.
                self.keeper.save_last(self.network, self.train_step, self.progress)
