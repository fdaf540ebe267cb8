"""Send results to where they outlive the job."""

import logging
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from src.checkpoint.atomic import atomic_path
from src.checkpoint.run_folder import STATE_FILE
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")

_PAUSES_SECONDS = (5.0, 20.0)  # between the tries at the end
_PRUNED = "checkpoints"

Stamp = tuple[int, int]


class Target(Protocol):
    """Where files go."""

    def put(self, path: Path, url: str) -> None:
        """Copy a file there; what was there is replaced when all of the new one has arrived."""

    def remove(self, url: str) -> None:
        """Remove a file if it is there."""


class LocalTarget:
    """A folder of this machine, such as one that ModelArts mounts."""

    def put(self, path: Path, url: str) -> None:
        """Copy a file there."""
        try:
            Path(url).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(Path(url)) as temporary:
                shutil.copyfile(path, temporary)
        except OSError as error:
            raise WorkError(f"{url}: copying to it failed ({error.strerror})") from error

    def remove(self, url: str) -> None:
        """Remove a file if it is there."""
        try:
            Path(url).unlink(missing_ok=True)
        except OSError as error:
            raise WorkError(f"{url}: removing it failed ({error.strerror})") from error


class Results:
    """A folder whose files are sent to a url, those alone that changed since they were sent.

    Args:
        folder: the local folder.
        url: where to.
        target: what url is part of.
        sent: files that are there already, by `list_files`.
        only: names in the folder to send; empty sends all.
    """

    def __init__(self, folder: Path, url: str, target: Target, sent: dict[str, Stamp], only: tuple[str, ...] = ()) -> None:
        self._folder, self._url, self._target, self._only = folder, url, target, only
        self._sent = dict(sent)

    def send(self) -> None:
        """Send what changed, last.state last of all, so that what has arrived can be resumed; remove checkpoints that were removed here.

        Raises:
            WorkError: at the first file that cannot be sent; the others and last.state wait for the next time.
        """
        files = list_files(self._folder, self._only)
        for name in sorted(files, key=lambda name: (name == STATE_FILE, name)):
            if self._sent.get(name) != files[name]:
                self._target.put(self._folder / name, f"{self._url}/{name}")
                self._sent[name] = files[name]
        for name in sorted(set(self._sent) - set(files)):
            if name.startswith(f"{_PRUNED}/"):  # nothing else is ever removed here by training
                self._target.remove(f"{self._url}/{name}")
                del self._sent[name]

    def send_while_training(self) -> None:
        """Send; a failure is told and made good by the next time."""
        try:
            self.send()
        except WorkError as error:
            logger.warning("results were not sent, the next saving tries again: %s", error)

    def send_at_end(self) -> None:
        """Send, three times where it fails.

        Raises:
            WorkError: naming the folder that holds the results.
        """
        for pause in (*_PAUSES_SECONDS, None):
            try:
                self.send()
                break
            except WorkError as error:
                if pause is None:
                    tries = len(_PAUSES_SECONDS) + 1
                    raise WorkError(f"the results in {self._folder} could not be sent in {tries} tries: {error}") from error
                logger.warning("results were not sent, trying again in %g s: %s", pause, error)
                time.sleep(pause)
        logger.info("results sent to %s", self._url)


def list_files(folder: Path, only: tuple[str, ...] = ()) -> dict[str, Stamp]:
    """Return size in bytes and time of change in ns of all files, by their path in the folder; hidden ones are half-written ones."""
    files = {}
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts) or (only and parts[0] not in only) or not path.is_file():
            continue
        with suppress(FileNotFoundError):  # a launcher's logs lie here too, and others than this process write them
            stat = path.stat()
            files["/".join(parts)] = (stat.st_size, stat.st_mtime_ns)
    return files
