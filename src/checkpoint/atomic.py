"""Files that are complete or absent, and what is said where a disk has no room for them."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_TEMPORARY = re.compile(r"\.(\d+)\.")
_LONGEST_NAME = 100  # bytes that a temporary name repeats: file systems take 255 or fewer, and the process's number comes on top
_FULL = (errno.ENOSPC, errno.EDQUOT)
# What file systems answer that cannot flush a folder, such as object storage that is mounted.
_NO_FLUSHING = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES)


class NoRoomError(OSError):
    """A file does not fit onto its disk, or into its owner's quota; the message says all, without a number in front."""

    def __init__(self, message: str) -> None:
        super().__init__(errno.ENOSPC, message)

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def atomic_path(path: Path, size: int = 0) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well, remove it when not.

    The temporary name keeps the suffix, which writers look at. The data is flushed to the disk before the rename and the folder after it,
    so that a machine that loses power leaves the old file or the new one, and no later file without this one.

    Args:
        path: the file; an earlier one of its name takes its room until the rename.
        size: bytes that will be written, where they are known; nothing is written where there is no room for them.

    Raises:
        NoRoomError: if the disk is full, or too full for `size`.
    """
    temporary = path.with_name(f".{os.getpid()}.{_shortened(path)}")
    if size > shutil.disk_usage(path.parent).free:
        raise _no_room(path, size)
    with room_errors(path, size):
        try:
            yield temporary
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(temporary, path)
            _flush_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _shortened(path: Path) -> str:
    """Return a file's name, in place of a long one a digest with its suffix."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= _LONGEST_NAME else hashlib.sha256(name).hexdigest()[:32] + path.suffix


def _flush_folder(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise


@contextmanager
def room_errors(path: Path, size: int = 0) -> Iterator[None]:
    """Say of which file it is, and what room there is, where the block finds the disk full.

    Args:
        path: the file that the block writes.
        size: bytes that it writes; 0 where they are not known.

    Raises:
        NoRoomError: in place of an OSError that says that the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or isinstance(error, NoRoomError):
            raise
        raise _no_room(path, size) from error


def check_room(sizes: dict[Path, int]) -> None:
    """Refuse to begin with files of one folder that do not all fit; an earlier file of a name gives its room back once it is replaced.

    Args:
        sizes: bytes of each file, in the order in which they are written.

    Raises:
        NoRoomError: naming the first file that would not fit.
    """
    taken = 0
    for path, size in sizes.items():
        if taken + size > shutil.disk_usage(path.parent).free:
            raise _no_room(path, taken + size)
        taken += size - (path.stat().st_size if path.is_file() else 0)


def _no_room(path: Path, size: int) -> NoRoomError:
    free = shutil.disk_usage(path.parent).free
    unit, name = (10**6, "MB") if max(size, free) >= 10**6 else (10**3, "kB")
    # Rounded so that they never look equal.
    room = (
        f"{-(-size // unit)} {name} are needed and {free // unit} {name} are free"
        if size
        else f"No space left, or no quota ({free // unit} {name} are free)"
    )
    earlier = "; the earlier file is intact" if path.exists() else ""
    return NoRoomError(f"{path}: {room}{earlier}; free room")


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files below a folder that killed processes left there; those of living ones stay."""
    for path in folder.rglob(".*"):
        found = _TEMPORARY.match(path.name)
        with suppress(FileNotFoundError):  # its process has finished it just now
            if found and path.is_file() and not _is_being_written(path, int(found[1])):
                path.unlink()


def _is_being_written(path: Path, process: int) -> bool:
    """Whether another process of this number lives and is no younger than the file.

    In containers a new process often has the number of the one that was killed.
    """
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        return psutil.Process(process).create_time() <= path.stat().st_mtime
    except psutil.Error:  # a process that may not be looked at
        return True
