"""Have one process of a node copy, while the others wait for its success or failure.

The process that gets the lock of CACHE/.lock copies and keeps the lock until its job ends; the kernel frees it however the process dies, so
that no lock outlives a job. What the process does stands in CACHE/copy.json: `copying`, `done` or `failed`, with pid and start time of the
process. A state counts if its process is that of a live job, or if it was written while this process was waiting.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

import psutil

from src.checkpoint.atomic import atomic_path
from src.checkpoint.lock import close_in_children, try_lock
from src.config.errors import UserError
from src.runtime.entry import WorkError

LOCK_FILE = ".lock"
STATE_FILE = "copy.json"
TIMEOUT_VARIABLE = "COPY_TIMEOUT"
_DEFAULT_TIMEOUT_SECONDS = 7200.0
_POLL_SECONDS = 0.1
_TELL_SECONDS = 60.0

Paths = dict[str, str]


@dataclass(frozen=True)
class CopyState:
    """Content of copy.json.

    Attributes:
        state: "copying", "done" or "failed".
        request: what the job wants copied; tells jobs apart.
        paths: what became of it, when done.
        message: what is wrong, when failed.
        is_users: whether that is for the user to mend.
        pid: of the copying process.
        started: its start, seconds since the epoch.
        written: when this was written, likewise.
    """

    state: str
    request: dict[str, str]
    paths: Paths = field(default_factory=dict)
    message: str = ""
    is_users: bool = False
    pid: int = field(default_factory=os.getpid)
    started: float = field(default_factory=lambda: psutil.Process().create_time())
    written: float = field(default_factory=time.time)

    def save(self, cache: Path) -> None:
        """Write copy.json."""
        with atomic_path(cache / STATE_FILE) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def is_alive(self) -> bool:
        """Whether the process that wrote it still runs."""
        try:
            process = psutil.Process(self.pid)
            return process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@contextmanager
def copied_once(cache: Path, request: dict[str, str], copy: Callable[[], Paths]) -> Iterator[Paths]:
    """Call `copy` in one process of the node; yield what it returned, in all of them, and hold the lock meanwhile where it is ours.

    Args:
        cache: folder on the node's disk.
        request: what is copied; equal in all processes of a job.
        copy: does the work and returns where things are.

    Raises:
        UserError: if another job uses the folder, or `copy` raised it, here or elsewhere.
        WorkError: if copying failed, its process died, or it took longer than COPY_TIMEOUT.
    """
    timeout = _timeout()
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / LOCK_FILE, "a", encoding="utf-8") as lock:
        close_in_children(lock)
        paths = _wait_or_be_elected(cache, lock, request, timeout)
        yield _copy(cache, request, copy) if paths is None else paths


def _copy(cache: Path, request: dict[str, str], copy: Callable[[], Paths]) -> Paths:
    CopyState("copying", request).save(cache)
    try:
        paths = copy()
    except BaseException as error:
        message = " ".join(str(error).split()) or f"copying was stopped by {type(error).__name__}"
        CopyState("failed", request, message=message, is_users=isinstance(error, (UserError, OSError))).save(cache)
        raise
    CopyState("done", request, paths).save(cache)
    return paths


def _wait_or_be_elected(cache: Path, lock: IO[str], request: dict[str, str], timeout: float) -> Paths | None:
    """Return what another process copied, or None with the lock taken: this process is to copy."""
    began, told = time.time(), time.monotonic()
    start, watched = told, False
    while True:
        is_ours = try_lock(lock)  # before the state is read: whoever let go of the lock has written its last word
        state = _read(cache)
        if state and (state.written >= began or (not is_ours and state.is_alive())):
            _check_request(cache, state, request)
            if state.state == "done":
                return state.paths
            if state.state == "failed":
                raise UserError(state.message) if state.is_users else WorkError(state.message)
            watched = True
        if is_ours and watched:
            raise WorkError(f"the process that copied to {cache} died; its own output says why; start the job again")
        if is_ours:
            return None
        now = time.monotonic()
        if now - start > timeout:
            raise WorkError(
                f"waited {timeout:g} s for {_describe(state, cache)}; a longer time is allowed by the environment variable "
                f"{TIMEOUT_VARIABLE}, in seconds"
            )
        if now - told >= _TELL_SECONDS:
            told = now
            print(f"waiting for {_describe(state, cache)}: {(now - start) / 60:.0f} of at most {timeout / 60:.0f} minutes", flush=True)
        time.sleep(_POLL_SECONDS)


def _check_request(cache: Path, state: CopyState, request: dict[str, str]) -> None:
    if state.request != request:
        raise UserError(f"{cache} is used by another job (process {state.pid}, {_urls(state)}); give this one another --cache_path")


def _describe(state: CopyState | None, cache: Path) -> str:
    return f"process {state.pid}, which copies {_urls(state)} to {cache}" if state else f"the process that holds {cache / LOCK_FILE}"


def _urls(state: CopyState) -> str:
    return ", ".join(f"{name} {value}" for name, value in state.request.items())


def _read(cache: Path) -> CopyState | None:
    """Return the state; None where there is none, or of another version of this program."""
    try:
        return CopyState(**json.loads((cache / STATE_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _timeout() -> float:
    text = os.environ.get(TIMEOUT_VARIABLE, "")
    try:
        seconds = float(text or _DEFAULT_TIMEOUT_SECONDS)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise UserError(f"the environment variable {TIMEOUT_VARIABLE} is '{text}'; expected seconds to wait for the copy, such as 7200")
    return seconds
