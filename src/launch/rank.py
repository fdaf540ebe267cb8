"""Run one rank of a launch: `python src/launch/rank.py DIR COMMAND...`, started by `python -m src.launch`, msrun or mpirun.

What COMMAND prints goes to DIR/rank_N.log, how it ended to DIR/rank_N.exit. SIGTERM and SIGINT are passed on. What COMMAND leaves
behind is killed. When this process is killed, COMMAND is too; when the launcher or the one that started this process ends, COMMAND gets
SIGTERM, and SIGKILL after STOP_TIMEOUT.

The status is 0 whatever became of COMMAND: msrun and mpirun would kill the other ranks at once, some of which may be saving.

Environment:
    MS_ROLE: MS_SCHED makes this process COMMAND itself: msrun's scheduler, which is no rank.
    OMPI_COMM_WORLD_RANK, RANK_ID, DEVICE_ID: the rank's number, the first of these that is set (DEVICE_ID from msrun alone); else 0.
    OCRNET_LAUNCHER_PID: the launcher (default: this process's parent); where it is gone already, nothing is started.
    STOP_TIMEOUT: seconds that a rank may take to save and end (default: 120).
"""

import sys

if __name__ == "__main__":
    # msrun starts files, not modules: the root takes the place of this folder on the path.
    sys.path[0] = __file__.rsplit("/src/", 1)[0]

import os  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Mapping, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

from src.launch.processes import adopt_orphans, bind_child, die_with_parent, is_alive, kill_below, reap_orphans  # noqa: E402
from src.launch.rank_record import End, RankRecord  # noqa: E402

DEFAULT_STOP_TIMEOUT = 120.0
_POLL_SECONDS = 0.5  # between looks at whether the launcher still lives


def rank_number(environment: Mapping[str, str]) -> int:
    """Return the number of the rank that the starter gave."""
    names = ["OMPI_COMM_WORLD_RANK", "RANK_ID"] + ["DEVICE_ID"] * (environment.get("MS_ROLE") == "MS_WORKER")
    return next((int(environment[name]) for name in names if environment.get(name)), 0)


def run_rank(record: RankRecord, command: Sequence[str], stop_timeout: float, is_abandoned: Callable[[], bool]) -> None:
    """Run the command to its end and record it; the signals that are passed on must be blocked.

    Args:
        record: where it is recorded.
        command: program and arguments.
        stop_timeout: seconds between SIGTERM and SIGKILL, once the rank is abandoned.
        is_abandoned: tells whether nobody looks after this process any more.
    """
    record.begin()
    with open(record.log, "wb") as log:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, preexec_fn=bind_child())
        except OSError as error:
            log.write(f"{command[0]} cannot be started: {error}\n".encode())
            record.finish(End.from_returncode(127))
            return
    record.finish(End.from_returncode(_wait(process, stop_timeout, is_abandoned)))


def _wait(process: subprocess.Popen, stop_timeout: float, is_abandoned: Callable[[], bool]) -> int:
    """Return the process's status; pass signals on to it, and stop it once it is abandoned."""
    kill_at = None
    passed_on = {signal.SIGTERM, signal.SIGINT} if signal.getsignal(signal.SIGINT) != signal.SIG_IGN else {signal.SIGTERM}
    while process.poll() is None:
        received = signal.sigtimedwait(passed_on | {signal.SIGCHLD}, _POLL_SECONDS)
        if received and received.si_signo in passed_on:
            process.send_signal(received.si_signo)
        reap_orphans({process.pid})
        if kill_at is None and is_abandoned():
            kill_at = time.monotonic() + stop_timeout
            process.terminate()
        if kill_at is not None and time.monotonic() > kill_at:
            process.kill()
    return process.returncode


def main(argv: Sequence[str]) -> int:
    """Run the rank, clear away what it left; return 0."""
    parent = os.getppid()  # first of all: another one is the parent once it ended
    launcher = int(os.environ.get("OCRNET_LAUNCHER_PID") or parent)
    folder, command = Path(argv[0]), argv[1:]
    if not is_alive(launcher):
        return 1
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        die_with_parent(parent)
        os.execvp(command[0], list(command))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    adopt_orphans()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")  # what is printed shows at once
    record = RankRecord(folder, rank_number(os.environ))
    stop_timeout = float(os.environ.get("STOP_TIMEOUT") or DEFAULT_STOP_TIMEOUT)
    run_rank(record, command, stop_timeout, lambda: os.getppid() != parent or not is_alive(launcher))
    kill_below()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
