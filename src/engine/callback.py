"""What happens at the end of an epoch: weight files, evaluation and the best weights so far."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mindspore import nn

from src.checkpoint.atomic import NoRoomError, check_room
from src.checkpoint.run_folder import STATE_FILE
from src.checkpoint.state import Progress, first_not_finite, save_state, state_size
from src.checkpoint.weights import save_weights, weights_size
from src.config.loading import config_beside
from src.config.schema import last_epoch
from src.data.basedataset import BaseDataset
from src.data.loader import iterate_eval
from src.engine.evaluator import EvalResult, Observer, evaluate, format_table
from src.engine.guard import Guard
from src.engine.progress import show_progress
from src.engine.train_step import TrainStep
from src.inference.predictor import Predictor
from src.runtime.distributed import Group
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")


class CheckpointKeeper:
    """Write the run's weight files; main rank only.

    `checkpoints/epoch_NNNN.ckpt` every `save_checkpoint_epochs`, the newest `keep_checkpoint_max` of them; `best.ckpt` by mIoU; `last.ckpt`
    and `last.state` after every epoch and every `save_state_steps` steps. The state comes last: what is older than it is whole, and
    whatever a kill left out of a saving is written again by the run that resumes. With `train.ema_decay`, weight files hold the averages.

    Args:
        config: the complete configuration.
        folder: the output directory.
        on_saved: called after every saving; where results are copied elsewhere, it copies them.
    """

    def __init__(self, config: Any, folder: Path, on_saved: Callable[[], None] = lambda: None) -> None:
        self._config = config
        self._folder = folder
        self._on_saved = on_saved

    def save(self, network: nn.Cell, train_step: TrainStep, progress: Progress, epoch: int | None = None) -> None:
        """Write last.ckpt and last.state and, at the end of an epoch, its numbered weight file where one is due.

        Raises:
            WorkError: if a parameter is not finite; nothing is written then.
            NoRoomError: if the disk is full; each file is the new or the earlier one, and where it was full before, both are of one step.
        """
        broken = first_not_finite(train_step.state())
        if broken:
            good = last_good_files(self._folder)
            raise WorkError(f"{broken} holds numbers that are not finite after step {progress.step}; nothing was written, {good}")
        with self._how_to_go_on():
            if epoch is not None:
                self._save_numbered(network, epoch)
            self._save_pair("last.ckpt", network, train_step, progress)
        self._on_saved()

    def save_evaluated(self, network: nn.Cell, train_step: TrainStep, progress: Progress, is_best: bool) -> None:
        """Write best.ckpt where these weights are the best so far, and the state again, which knows of the evaluation.

        Raises:
            NoRoomError: as `save`.
        """
        with self._how_to_go_on():
            if is_best:
                self._save_pair("best.ckpt", network, train_step, progress)
            else:
                save_state(train_step.state(), progress, self._folder / STATE_FILE)
        self._on_saved()

    def _save_pair(self, name: str, network: nn.Cell, train_step: TrainStep, progress: Progress) -> None:
        """Write a weight file and the state that belongs to it, or neither where there is no room for both."""
        weights, state = self._folder / name, self._folder / STATE_FILE
        check_room({weights: weights_size(network), state: state_size(train_step.state())})
        save_weights(network, weights, self._config)
        save_state(train_step.state(), progress, state)

    def _save_numbered(self, network: nn.Cell, epoch: int) -> None:
        if epoch % self._config.save_checkpoint_epochs and epoch != last_epoch(self._config):
            return
        folder = self._folder / "checkpoints"
        folder.mkdir(exist_ok=True)
        save_weights(network, folder / f"epoch_{epoch:04d}.ckpt", self._config)
        numbered = sorted(folder.glob("epoch_*.ckpt"))
        for path in numbered[: -self._config.keep_checkpoint_max]:
            config_beside(path).unlink(missing_ok=True)
            path.unlink()

    @contextmanager
    def _how_to_go_on(self) -> Iterator[None]:
        try:
            yield
        except NoRoomError as error:
            resumable = (self._folder / STATE_FILE).is_file()
            raise NoRoomError(f"{error}, then {f'--resume {self._folder}' if resumable else 'start again'}") from error


def last_good_files(folder: Path) -> str:
    """Return where a run's last state and weights are, for messages."""
    paths = [str(folder / name) for name in (STATE_FILE, "last.ckpt") if (folder / name).is_file()]
    return f"last good state and weights: {', '.join(paths) or 'none yet'}"


def is_evaluation_due(config: Any, epoch: int) -> bool:
    """Whether to evaluate after an epoch, counted from 1."""
    return config.eval_callback and epoch > 0 and (epoch % config.eval_interval == 0 or epoch == last_epoch(config))


class EvalCallback:
    """Evaluate what is being trained, or the averages of its weights, shared among all ranks."""

    def __init__(self, config: Any, network: nn.Cell, dataset: BaseDataset, group: Group, folder: Path) -> None:
        self._config = config
        self._network = network
        self._dataset = dataset
        self._group = group
        self._folder = folder
        self._predictor = Predictor.from_config(network, config)

    def run(self, guard: Guard) -> EvalResult:
        """Evaluate on the validation set; log the table; write eval.json and pictures.

        Raises:
            Stopped: on all ranks, if one of them is asked to stop; the picture at hand is finished.
        """
        result = evaluate_network(self._config, self._predictor, self._dataset, self._group, self._folder, guard)
        if self._group.is_main:
            logger.info("\n%s", format_table(result))
        return result


def evaluate_network(
    config: Any,
    predictor: Predictor,
    dataset: BaseDataset,
    group: Group,
    folder: Path,
    guard: Guard | None = None,
    observer: Observer | None = None,
) -> EvalResult:
    """Evaluate with the configuration's protocol; ranks share the pictures and sum the confusion matrix.

    Args:
        config: the complete configuration.
        predictor: gives labels.
        dataset: pictures and labels.
        group: the ranks.
        folder: for eval.json and eval/.
        guard: asked after each batch whether to stop.
        observer: shown this rank's pictures.

    Raises:
        Stopped: if the guard is told to stop.
    """
    with show_progress(len(dataset) // group.size, "evaluating", "img", enabled=group.is_main) as bar:
        return evaluate(
            predictor,
            iterate_eval(dataset, config, rank=group.rank, world=group.size),
            info=dataset.info,
            ignore_label=config.dataset.ignore_label,
            batch_size=config.eval.batch_size,
            output_dir=folder,
            overlays=config.eval.overlays,
            sum_matrix=guard.sum_unless_stopped if guard else group.sum_int64,
            is_main=group.is_main,
            progress=bar.update,
            is_stopped=guard.is_stopped if guard else lambda: False,
            observer=observer,
        )
