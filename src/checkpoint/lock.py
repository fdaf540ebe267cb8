"""Locks on files: the kernel frees them however their process dies, so that none outlives it."""

import fcntl
import os
import weakref
from typing import IO


def try_lock(stream: IO, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file, without waiting; return whether it is ours now. Closing it, or the end of the process, frees it.

    Args:
        stream: the file.
        kind: fcntl.LOCK_EX, for one alone, or fcntl.LOCK_SH, for several.

    Raises:
        OSError: if the file system has no locks.
    """
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def close_in_children(stream: IO[str]) -> None:
    """Processes that are forked from this one (readers of data) must not keep the lock when it dies."""
    reference = weakref.ref(stream)
    os.register_at_fork(after_in_child=lambda: _close(reference()))


def _close(stream: IO[str] | None) -> None:
    if stream is not None:
        stream.close()
