"""Linux processes: who is below whom, who dies with whom, and an end for all of them. Standard library only: every rank starts with it."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Make this process the parent of every process below it whose own parent dies, whatever session that process is in."""
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def die_with_parent(parent: int) -> None:
    """Have this process, and what it becomes by exec, killed by SIGKILL as soon as its parent ends, however that happens."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def bind_child() -> Callable[[], None]:
    """Return a function for a child between fork and exec: it dies with this process, and no signal is blocked in it."""
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    return prepare


def _state_and_parent(pid: int) -> tuple[str, int]:
    """Return the letter of a process's state ("Z": ended, not waited for; "" for none) and its parent's id."""
    try:
        # The name in brackets may hold spaces and brackets: what follows the last bracket is of use.
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "", 0
    return words[0].decode(), int(words[1])


def is_alive(pid: int) -> bool:
    """Return whether the process exists and has not ended."""
    return _state_and_parent(pid)[0] not in ("", "Z", "X")


def living_below(ancestor: int) -> list[int]:
    """Return the ids of all living processes below another one."""
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            state, parent = _state_and_parent(int(entry))
            children.setdefault(parent, []).append((int(entry), state))
    found, waiting = [], [ancestor]
    while waiting:
        for pid, state in children.get(waiting.pop(), ()):
            waiting.append(pid)
            if state not in ("", "Z", "X"):
                found.append(pid)
    return found


def reap_orphans(own: set[int]) -> None:
    """Wait for adopted processes that have ended.

    Args:
        own: ids of children that somebody else waits for; the first of them that has ended ends the reaping until it was waited for.
    """
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, os.WNOHANG)


def kill_below(seconds: float = 20.0) -> list[int]:
    """Kill every process below this one by SIGKILL until none lives; needs `adopt_orphans`.

    Args:
        seconds: how long at most; a process within a system call that cannot be interrupted stays longer.

    Returns:
        The ids of those that still live.
    """
    deadline = time.monotonic() + seconds
    while (living := living_below(os.getpid())) and time.monotonic() < deadline:
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended by itself
        time.sleep(0.02)
    return living
