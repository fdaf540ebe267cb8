"""The output directory of a run: its file names, and the checks before anything is written into it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from src.checkpoint.atomic import atomic_path, remove_leftovers
from src.checkpoint.lock import close_in_children, try_lock
from src.config.errors import UserError
from src.config.loading import config_beside, save_config

CONFIG_FILE = "config.yaml"
STATE_FILE = "last.state"
LOG_FILE = "train.log"

_DYING_SECONDS = 5.0  # a process that was killed keeps its locks until the last of its memory and its device are given back


def check_weight_file(path: Path, flag: str = "--checkpoint_path") -> None:
    """Refuse a path that is no .ckpt file.

    Args:
        path: the file.
        flag: the flag that named it, for messages.

    Raises:
        UserError: if it is missing or of another kind.
    """
    if not path.is_file():
        raise UserError(f"{flag} {path}: no such file")
    if path.suffix != ".ckpt":
        raise UserError(f"{flag} {path}: expected a MindSpore .ckpt file; convert_from_torch.py makes one of other frameworks' weights")


def config_for_checkpoint(checkpoint: Path, given: str | None = None) -> str:
    """Return the configuration that was given for a weight file, or else the one written beside it.

    Raises:
        UserError: if there is none, or the weight file itself is missing.
    """
    check_weight_file(checkpoint)
    if given is not None:
        return given
    beside = config_beside(checkpoint)
    if not beside.is_file():
        raise UserError(f"no configuration {beside} beside the weights: give the one that they were trained with, --config NAME or FILE")
    return str(beside)


def config_for_resume(folder: Path) -> str:
    """Return the configuration of a run that can be resumed.

    Raises:
        UserError: if the folder is missing or holds no state.
    """
    for name in (STATE_FILE, CONFIG_FILE):
        if not (folder / name).is_file():
            raise UserError(f"--resume {folder}: no {name} in this folder, so there is nothing to resume")
    return str(folder / CONFIG_FILE)


def check_output(folder: Path, *, new_run: bool) -> None:
    """Refuse a folder that cannot be written to or, for a new run, that holds another run's state; nothing is created.

    Raises:
        UserError: saying what to do.
    """
    if new_run and (folder / STATE_FILE).exists():
        raise UserError(f"--output_path {folder} holds a run already: continue it with --resume {folder}, or choose another folder")
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UserError(f"--output_path {folder}: {existing} is not a folder that can be written to")


@contextmanager
def lock_output(folder: Path, *, new_run: bool) -> Iterator[None]:
    """Make the folder, and keep other processes from training into it; for the main rank, and before it reads a state from there.

    The lock is on train.log, which is open all the time anyway. A file system without locks is used without one.

    Raises:
        UserError: if another process trains into the folder, or it cannot be written, or as `check_output`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = open(folder / LOG_FILE, "a", encoding="utf-8")
    except OSError as error:
        raise _not_writable(folder, error) from error
    with stream:
        close_in_children(stream)
        if not _lock_soon(stream):
            raise UserError(
                f"--output_path {folder}: another process trains into this folder; wait for its end, or choose another folder; "
                "processes of one run need run_distribute=True"
            )
        check_output(folder, new_run=new_run)  # again: the process that had the lock may have written a state
        yield


def _lock_soon(stream: IO[str]) -> bool:
    end = time.monotonic() + _DYING_SECONDS
    try:
        while not try_lock(stream):
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
    except OSError:
        pass
    return True


def _not_writable(folder: Path, error: OSError) -> UserError:
    return UserError(f"--output_path {folder}: cannot be written ({error.strerror})")


def open_output(folder: Path, config: Any) -> None:
    """Make the folder, remove what killed processes left half-written there, and write the configuration into it.

    `--config FOLDER/config.yaml` repeats the run.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        with atomic_path(folder / CONFIG_FILE) as temporary:
            save_config(config, temporary)
    except OSError as error:
        raise _not_writable(folder, error) from error
