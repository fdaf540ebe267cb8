"""Watch over the ranks of this host: show what the first prints, pass on a request to stop, and end them all when one dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.launch.processes import adopt_orphans, bind_child, is_alive, kill_below, reap_orphans
from src.launch.rank_log import LiveLog, last_lines, write
from src.launch.rank_record import End, RankRecord
from src.launch.starting import Plan

POLL_SECONDS = 0.2
FAILURE_GRACE = 3.0  # seconds for the other ranks to say what they have to say, once one failed
STARTER_GRACE = 5.0  # seconds for msrun or mpirun to end, once all ranks of a single host have
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass
class Supervisor:
    """Starts the processes of a plan and stays until all have ended."""

    plan: Plan
    folder: Path
    starter_log: Path
    stop_timeout: float
    _processes: list[subprocess.Popen] = field(default_factory=list)
    _ends: dict[int, End] = field(default_factory=dict)
    _told: set[int] = field(default_factory=set)  # ranks that got SIGTERM
    _asked: int = 0  # signal by which this launcher was asked to stop
    _orphaned: bool = False  # the starter ended before its ranks
    _deadline: float = float("inf")

    def __post_init__(self) -> None:
        self._records = {rank: RankRecord(self.folder, rank) for rank in self.plan.ranks}
        self._live = LiveLog(self._records[min(self.plan.ranks)].log)

    def run(self) -> int:
        """Start, watch, end; return the exit status."""
        adopt_orphans()
        with self._stop_signals():
            try:
                self._start()
                while self._step() and time.monotonic() < self._deadline:
                    self._live.show()
                    time.sleep(POLL_SECONDS)
            finally:
                late = self._running()
                remaining = kill_below()
        self._live.show(to_the_end=True)  # with the signals' own effect again: nothing is left to save
        if remaining:
            _say(f"could not be killed (waiting within the kernel?): {_join(remaining)}")
        return self._verdict(late)

    @contextmanager
    def _stop_signals(self) -> Iterator[None]:
        before = {}
        for number in _STOP_SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP, a shell's background SIGINT
                before[number] = signal.signal(number, self._note_stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note_stop(self, number: int, frame: Any) -> None:
        if self._asked and number == signal.SIGINT:
            self._deadline = 0  # Ctrl-C once more: no patience left
        self._asked = self._asked or number

    def _start(self) -> None:
        with open(self.starter_log, "ab") as log:
            for command, environment in self.plan.starts:
                self._processes.append(
                    subprocess.Popen(
                        command,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                        # A rank started directly watches for this process's end itself, and has time to save then.
                        preexec_fn=bind_child() if self.plan.starter else None,
                    )
                )

    def _step(self) -> bool:
        """Look at all processes, pass on what is due; return whether there is something to wait for."""
        started = [process for process in self._processes if process.poll() is None]
        reap_orphans({process.pid for process in started})
        self._collect()
        running = self._running()
        if running and not started and not self._failures():
            self._orphaned = True
        if self._asked or (self._stopped_ranks() and not self._orphaned):
            self._pass_on_stop(running)
        elif self._orphaned or self._failures():
            self._limit(FAILURE_GRACE)
        if running:
            return not self._asked or bool(self._told)  # asked to stop before the first rank began: there is nothing to save
        if any(end.status for end in self._ends.values()) or not started:
            return False
        if not self.plan.node or self._asked:
            self._limit(STARTER_GRACE)  # on several hosts the scheduler serves the others' ranks to their end
        return True

    def _collect(self) -> None:
        for place, (rank, record) in enumerate(self._records.items()):
            if rank in self._ends:
                continue
            pid = record.pid()
            gone = pid is not None and not is_alive(pid)
            end = record.end()  # read after the look at the process: it writes this last
            if end is None and not self.plan.starter:
                returncode = self._processes[place].poll()
                end = None if returncode is None else record.end() or End.from_returncode(returncode or 1)
            if end is None and gone:
                end = End(1, time.time_ns(), certain=False)
            if end is not None:
                self._ends[rank] = end

    def _running(self) -> list[int]:
        return [rank for rank in self._records if rank not in self._ends]

    def _failures(self) -> list[int]:
        """Return the ranks that failed, the first by time first; to end when asked to is no failure."""
        failed = {rank: end for rank, end in self._ends.items() if end.status and not end.stopped_itself}
        if self._asked:
            failed = {rank: end for rank, end in failed.items() if end.signal not in _STOP_SIGNALS}
        return sorted(failed, key=lambda rank: failed[rank].time_ns)

    def _stopped_ranks(self) -> list[int]:
        """Return the ranks that ended because of a signal, by their own doing, the first by time first."""
        return sorted((rank for rank, end in self._ends.items() if end.stopped_itself), key=lambda rank: self._ends[rank].time_ns)

    def _limit(self, seconds: float) -> None:
        self._deadline = min(self._deadline, time.monotonic() + seconds)

    def _pass_on_stop(self, running: Sequence[int]) -> None:
        """Send SIGTERM to each rank that has not got it, once; also where a rank got it from elsewhere, for a group stops together."""
        self._limit(self.stop_timeout)
        for rank in running:
            pid = self._records[rank].pid()
            if rank not in self._told and pid is not None:
                self._told.add(rank)
                try:
                    os.kill(pid, signal.SIGTERM)
                except ProcessLookupError:
                    pass  # it has just ended

    def _verdict(self, late: Sequence[int]) -> int:
        """Say what went wrong, if anything did, and return the exit status."""
        failures = [] if self._orphaned else self._failures() or ([] if self._asked else self._stopped_ranks())
        if late and self._told:
            _say(f"killed, because they had not ended after the signal (STOP_TIMEOUT: {self.stop_timeout:g} s): ranks {_join(late)}")
        if failures:
            return self._report_failure(failures[0])
        if self._asked and (late or any(end.status for end in self._ends.values())):
            return 128 + self._asked
        if self._orphaned or self.plan.node and self._processes[0].returncode:
            return self._report_starter()
        return 0

    def _report_failure(self, rank: int) -> int:
        end, log = self._ends[rank], self._records[rank].log
        # msrun kills the others too, so that several may be found dead at once.
        gone = [other for other, found in self._ends.items() if not found.certain]
        if not end.signal and self._records[rank].end() is None:
            log = self._log_of_wrappers(gone)
        if not self._live.has_shown(log):
            _show(last_lines(log))
        if not end.certain:
            logs = " and ".join(str(path) for path in (log, self._records[rank].log) if path.exists())
            _say(f"rank{'s' * (len(gone) > 1)} {_join(gone)} vanished: rank.py was killed or failed; see {logs}")
        elif end.signal:
            name = signal.Signals(end.signal).name
            hint = "by somebody, or by the kernel for lack of memory" if end.signal == signal.SIGKILL else f"signal {end.signal}"
            _say(f"rank {rank} was killed by {name} ({hint}); its log: {log}")
        elif end.stopped_itself:
            cause = "sent by somebody, or by MindSpore where its scheduler or a rank of another host died"
            _say(f"rank {rank} ended with status {end.status} after a signal ({cause}); its log: {log}")
        else:
            _say(f"rank {rank} failed with status {end.status}; its log: {log}")
        return end.status if end.status < 128 else 1

    def _log_of_wrappers(self, ranks: Sequence[int]) -> Path:
        """Return where rank.py's own words on what it failed of stand."""
        own = [self.folder / f"worker_{rank}.log" for rank in ranks] if self.plan.starter == "msrun" else []
        return next((log for log in own if last_lines(log)), self.starter_log)

    def _report_starter(self) -> int:
        end = End.from_returncode(self._processes[0].returncode or 0)
        how = f"was killed by {signal.Signals(end.signal).name}" if end.signal else f"ended with status {end.status}"
        _show(last_lines(self.starter_log))
        _say(f"{self.plan.starter} {how} {'before its ranks' if self._orphaned else 'after them'}; its log: {self.starter_log}")
        return 1


def _join(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _say(line: str) -> None:
    _show(f"error: {line}")


def _show(text: str) -> None:
    if text and sys.stderr is not None:
        try:
            write(2, f"{text}\n".encode(errors="replace"))
        except OSError:
            pass  # nobody listens; the status still tells
