"""Everything that resuming needs, in one file: parameters, optimizer, counters, loss scale, and where training stands.

There is no hidden random state to keep: the order of pictures and their augmentation are functions of (seed, epoch, sample), dropout of
(seed, counter), and the counters are parameters that the file holds.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError

_PROGRESS_KEY = "__progress__"
_ENTRY_SIZE = 512  # bytes that an archive holds for an array beside its numbers, at most: two zip records and numpy's header
_PROGRESS_SIZE = 1024  # bytes of the progress and its entry, at most


@dataclass
class Progress:
    """Where training stands.

    Attributes:
        step: batches done since epoch 0, so also the number of the next batch.
        layout: what the number of a batch means: pictures in the data set, batchsize, ranks, batches per update, how pictures are drawn.
        best_miou: highest mIoU so far, -1 before the first evaluation.
        best_epoch: the epoch after which it was reached.
        evaluated_epoch: the last epoch that was evaluated; 0 for none.
    """

    step: int = 0
    layout: dict[str, float] = field(default_factory=dict)
    best_miou: float = -1.0
    best_epoch: int = 0
    evaluated_epoch: int = 0

    def add_evaluation(self, epoch: int, miou: float) -> bool:
        """Note what the evaluation after an epoch gave; return whether it is the best so far."""
        self.evaluated_epoch = epoch
        is_best = miou > self.best_miou
        if is_best:
            self.best_miou, self.best_epoch = miou, epoch
        return is_best


def batch_layout(config: Any, pictures: int, ranks: int) -> dict[str, float]:
    """Return what decides which pictures the batch of a number holds, beside the seed; what is not there is 0, or off."""
    drawn = ("rare_class_temperature", "rare_class_min_pixels") if config.train.rare_class_temperature else ()
    return {
        "training pictures": pictures,
        "batchsize": config.batchsize,
        "ranks": ranks,
        "train.accumulate_steps": config.train.accumulate_steps,
        **{f"train.{name}": config.train[name] for name in drawn},
    }


def state_size(parameters: Mapping[str, ms.Parameter]) -> int:
    """Return how many bytes `save_state` writes, at most."""
    return _PROGRESS_SIZE + sum(parameter.nbytes + _ENTRY_SIZE for parameter in parameters.values())


def save_state(parameters: dict[str, ms.Parameter], progress: Progress, path: Path) -> None:
    """Write a training step's state and its progress, as an uncompressed numpy archive without pickles.

    Raises:
        NoRoomError: if it does not fit onto the disk.
    """
    arrays = {name: parameter.asnumpy() for name, parameter in parameters.items()}
    arrays[_PROGRESS_KEY] = np.frombuffer(json.dumps(asdict(progress)).encode(), np.uint8)
    with atomic_path(path, state_size(parameters)) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def first_not_finite(parameters: Mapping[str, ms.Parameter]) -> str | None:
    """Return the name of the first parameter that holds a number that is not finite; None where all are finite."""
    return next((name for name, parameter in parameters.items() if not np.isfinite(parameter.asnumpy()).all()), None)


def load_state(parameters: dict[str, ms.Parameter], layout: dict[str, float], path: Path) -> Progress:
    """Restore a training step's state; return the progress.

    Raises:
        UserError: if the state belongs to another network or optimizer, or counts its batches otherwise.
    """
    arrays, progress = _read(path)
    for name in dict.fromkeys((*layout, *progress.layout)):
        before, now = (each.get(name, 0) for each in (progress.layout, layout))
        if before != now:
            raise UserError(
                f"{path}: the run had {name} {before}, now it is {now}, and its batches cannot be continued; "
                "resume as it was, or start anew with --checkpoint_path"
            )
    odd = sorted(set(arrays) ^ set(parameters))
    odd += [name for name, parameter in parameters.items() if name in arrays and tuple(parameter.shape) != arrays[name].shape]
    if odd:
        raise UserError(
            f"{path}: the state does not fit this configuration ({len(odd)} parameters differ, such as {odd[0]}); "
            "resume with the configuration of the run, or start anew with --checkpoint_path"
        )
    for name, parameter in parameters.items():
        parameter.set_data(ms.Tensor(arrays[name], parameter.dtype))
    return progress


def _read(path: Path) -> tuple[dict[str, np.ndarray], Progress]:
    if not path.is_file():
        raise UserError(f"--resume {path.parent}: no {path.name} in this folder, so there is nothing to resume")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        progress = Progress(**json.loads(arrays.pop(_PROGRESS_KEY).tobytes()))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read ({reason}); start anew from last.ckpt with --checkpoint_path") from error
    return arrays, progress
