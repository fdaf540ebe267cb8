"""What a rank leaves in the log folder: its log, its pid while it works, and its end."""

import errno
import fcntl
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from src.checkpoint.lock import try_lock

_ROOM = 64  # bytes; both records have this length


@dataclass(frozen=True)
class End:
    """How a rank ended.

    Attributes:
        status: exit status; 128 + n when signal n killed it.
        time_ns: when, in ns since 1970.
        signal: number of the signal that killed it, or 0.
        certain: False where the process of the rank is gone and nobody knows how.
    """

    status: int
    time_ns: int
    signal: int = 0
    certain: bool = True

    @classmethod
    def from_returncode(cls, returncode: int) -> "End":
        """Make one of what subprocess returns: a negative number for a signal."""
        number = max(0, -returncode)
        return cls(128 + number if number else returncode, time.time_ns(), number)

    @property
    def stopped_itself(self) -> bool:
        """Whether the rank says by its status (143, 130) that it ended because of SIGTERM or SIGINT; it was not killed by them."""
        return not self.signal and self.status in (128 + signal.SIGTERM, 128 + signal.SIGINT)


class RankRecord:
    """The files of one rank: `rank_N.log`, and `rank_N.pid` ("pid NUMBER") that becomes `rank_N.exit` ("STATUS TIME_NS SIGNAL")."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.rank = rank
        self.log = folder / f"rank_{rank}.log"
        self._pid = folder / f"rank_{rank}.pid"
        self._exit = folder / f"rank_{rank}.exit"

    def set_aside(self) -> None:
        """Remove pid and end of an earlier launch; its log gets the next free number behind its name."""
        self._pid.unlink(missing_ok=True)
        self._exit.unlink(missing_ok=True)
        set_log_aside(self.log)

    def begin(self) -> None:
        """Say that this process works for the rank, and hold the record until it ends."""
        self._stream = open(self._pid, "w+b", buffering=0)
        lock(self._stream, fcntl.LOCK_SH)
        self._stream.write(f"pid {os.getpid()}".ljust(_ROOM - 1).encode() + b"\n")

    def finish(self, end: End) -> None:
        """Say how the rank ended. This needs no room on the disk, which a full disk may be the reason for: the record changes in place."""
        os.pwrite(self._stream.fileno(), f"{end.status} {end.time_ns} {end.signal}".ljust(_ROOM - 1).encode() + b"\n", 0)
        os.replace(self._pid, self._exit)

    def is_held(self) -> bool:
        """Return whether a process works for the rank: one of an earlier launch, where this one has started none."""
        try:
            with open(self._pid, "r+b") as stream:  # NFS locks for one alone only what may be written
                return not lock(stream, fcntl.LOCK_EX)
        except FileNotFoundError:
            return False

    def pid(self) -> int | None:
        """Return the process that works for the rank, None before it starts and after it said how it ended."""
        words = _words(self._pid)
        return int(words[1]) if words[:1] == ["pid"] and len(words) == 2 else None

    def end(self) -> End | None:
        """Return how the rank ended, None while it has not said so."""
        words = _words(self._exit)
        return End(int(words[0]), int(words[1]), int(words[2])) if len(words) == 3 else None


def lock(stream: IO, kind: int) -> bool:
    """Lock a file, without waiting; return whether that was possible. Where the file system knows no locks, nothing holds one."""
    try:
        return try_lock(stream, kind)
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        return True


def set_log_aside(log: Path) -> None:
    """Rename a log to the next free one of NAME.1, NAME.2 and so on; an empty one may be overwritten."""
    if log.exists() and log.stat().st_size:
        number = next(number for number in itertools.count(1) if not log.with_name(f"{log.name}.{number}").exists())
        log.rename(log.with_name(f"{log.name}.{number}"))


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except FileNotFoundError:
        return []
