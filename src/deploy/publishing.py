"""Files that appear together: written in a folder of their own, given their names when all of them are right."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.config.errors import UserError


@contextmanager
def workspace(target: Path, flag: str = "--file_name") -> Iterator[Path]:
    """Yield an empty folder beside the files to write, which is removed at the end. Missing folders are made.

    Args:
        target: one of the files.
        flag: what named it, for the message.

    Raises:
        UserError: if the target's folder cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".export-", dir=target.parent)
    except OSError as error:
        raise UserError(f"{flag} {target}: the folder {target.parent} cannot be written to ({error.strerror})") from error
    with folder as name:
        yield Path(name)


def publish(folder: Path, target: Path) -> list[Path]:
    """Give the files of a folder their names in another one. Models first: a manifest never speaks of a file that is not there."""
    files = sorted(folder.iterdir(), key=lambda path: (path.suffix == ".json", path.name))
    for path in files:
        path.chmod(0o644)  # ms.export makes it 0400
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())
    for path in files:
        os.replace(path, target / path.name)
    return [target / path.name for path in files]
