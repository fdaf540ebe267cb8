"""Show what a rank prints: live on stdout while it works, and the last lines where it failed."""

import os
import select
import sys
from pathlib import Path

TAIL_LINES = 20
_TAIL_BYTES, _LINE_CHARACTERS = 1 << 16, 1000
_PIECE = 4096  # bytes; a pipe that is ready takes this many without waiting
PATIENCE = 5.0  # seconds that a reader may stand still at the end, as `less` and Ctrl-S make one do


class LiveLog:
    """Copies a growing file to stdout, byte for byte, so that progress bars move."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._source: int | None = None
        self._open = sys.stdout is not None
        self._left = b""

    def show(self, to_the_end: bool = False) -> None:
        """Copy what is new.

        Args:
            to_the_end: wait for a slow reader of stdout, as long as it moves; else what it does not take at once is left for the next
                call, so that the ranks are looked after meanwhile.
        """
        while self._open and (self._left or self._read()):
            try:
                self._left = write(1, self._left, wait=to_the_end)
            except OSError:  # nobody reads any more, as after `| head`: the work goes on
                self._open = False
            if self._left:
                return

    def has_shown(self, path: Path) -> bool:
        """Return whether the end of this log stands where stderr goes too: on one terminal, or in one file."""
        return self._open and path == self._path and sys.stderr is not None and os.path.sameopenfile(1, 2)

    def _read(self) -> bool:
        if self._source is None:
            try:
                self._source = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        self._left = os.read(self._source, _PIECE)
        return bool(self._left)


def write(descriptor: int, left: bytes, wait: bool = True) -> bytes:
    """Write to a pipe or terminal until its reader stands still, with `wait` for PATIENCE seconds; return what it left."""
    while left and select.select([], [descriptor], [], PATIENCE * wait)[1]:
        left = left[os.write(descriptor, left[:_PIECE]) :]
    return left


def last_lines(path: Path) -> str:
    """Return the end of a log as a terminal would show it: of a line that was overwritten by carriage returns, the last version."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip().rpartition("\r")[2][:_LINE_CHARACTERS] for line in text.rstrip().split("\n")]
    return "\n".join(lines[-TAIL_LINES:])
