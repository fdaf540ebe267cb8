"""What happens at the end of an epoch: weight files, evaluation and the best weights so far."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindspore import nn

from src.checkpoint.run_folder import STATE_FILE
from src.checkpoint.state import Progress, save_state
from src.checkpoint.weights import save_weights
from src.config.loading import config_beside
from src.config.schema import last_epoch
from src.data.basedataset import BaseDataset
from src.data.label_check import check_labels
from src.data.loader import build_dataset, iterate_eval
from src.engine.evaluator import EvalResult, evaluate, format_table
from src.engine.progress import show_progress
from src.engine.train_step import TrainStep
from src.inference.predictor import Predictor
from src.runtime.distributed import Group

logger = logging.getLogger("ocrnet")


class CheckpointKeeper:
    """Write the run's weight files; main rank only.

    `checkpoints/epoch_NNNN.ckpt` every `save_checkpoint_epochs`, the newest `keep_checkpoint_max` of them; `best.ckpt` by mIoU; `last.ckpt`
    and `last.state` after every epoch.

    Args:
        config: the complete configuration.
        folder: the output directory.
        on_saved: called after every saving; where results are copied elsewhere, it copies them.
    """

    def __init__(self, config: Any, folder: Path, on_saved: Callable[[], None] = lambda: None) -> None:
        self._config = config
        self._folder = folder
        self._on_saved = on_saved

    def save_best(self, network: nn.Cell) -> None:
        """Write best.ckpt; `save_last` follows, which tells that there is something new."""
        save_weights(network, self._folder / "best.ckpt", self._config)

    def save_last(self, network: nn.Cell, train_step: TrainStep, progress: Progress) -> None:
        """Write last.state, then last.ckpt; resuming reads the state alone, so that a kill between the two does no harm."""
        save_state(train_step.state(), progress, self._folder / STATE_FILE)
        save_weights(network, self._folder / "last.ckpt", self._config)
        self._on_saved()

    def save_epoch(self, network: nn.Cell, epoch: int) -> None:
        """Write a numbered weight file where one is due and remove the oldest ones over the limit."""
        if epoch % self._config.save_checkpoint_epochs and epoch != last_epoch(self._config):
            return
        folder = self._folder / "checkpoints"
        folder.mkdir(exist_ok=True)
        save_weights(network, folder / f"epoch_{epoch:04d}.ckpt", self._config)
        numbered = sorted(folder.glob("epoch_*.ckpt"))
        for path in numbered[: -self._config.keep_checkpoint_max]:
            config_beside(path).unlink(missing_ok=True)
            path.unlink()


class EvalCallback:
    """Evaluate the network that is being trained, shared among all ranks."""

    def __init__(self, config: Any, network: nn.Cell, dataset: BaseDataset, group: Group, folder: Path) -> None:
        self._config = config
        self._network = network
        self._dataset = dataset
        self._group = group
        self._folder = folder
        self._predictor = Predictor.from_config(network, config)

    def is_due(self, epoch: int) -> bool:
        """Whether to evaluate after this epoch, counted from 1."""
        return epoch % self._config.eval_interval == 0 or epoch == last_epoch(self._config)

    def run(self) -> EvalResult:
        """Evaluate on the validation set; log the table; write eval.json and pictures."""
        result = evaluate_network(self._config, self._predictor, self._dataset, self._group, self._folder)
        if self._group.is_main:
            logger.info("\n%s", format_table(result))
        return result


def checked_dataset(config: Any, split: str, group: Group) -> BaseDataset:
    """Return a data set whose labels have all been looked at, each rank at its share.

    Raises:
        UserError: naming the labels that cannot be learned from.
    """
    dataset = build_dataset(config, split)
    indices = range(group.rank, len(dataset), group.size)
    with show_progress(len(indices), f"checking {split} labels", "label", enabled=group.is_main) as bar:
        check_labels(dataset, indices, config.workers, bar.update)
    return dataset


def evaluate_network(config: Any, predictor: Predictor, dataset: BaseDataset, group: Group, folder: Path) -> EvalResult:
    """Evaluate with the configuration's protocol; ranks share the pictures and sum the confusion matrix."""
    with show_progress(len(dataset) // group.size, "evaluating", "img", enabled=group.is_main) as bar:
        return evaluate(
            predictor,
            iterate_eval(dataset, config, rank=group.rank, world=group.size),
            info=dataset.info,
            ignore_label=config.dataset.ignore_label,
            batch_size=config.eval.batch_size,
            output_dir=folder,
            overlays=config.eval.overlays,
            sum_matrix=group.sum_int64,
            is_main=group.is_main,
            progress=bar.update,
        )
