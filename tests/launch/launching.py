"""A small program in place of training, stubs of msrun and mpirun that behave as the real ones do, and the launcher around them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# As msrun 2.8 does: a scheduler that waits for ranks that died, workers in sessions of their own, SIGKILL for all as soon as one fails.
_MSRUN = """import os, signal, subprocess, sys, time
options = dict(word[2:].split("=") for word in sys.argv[1:] if word.startswith("--") and "=" in word)
command = ["python", *sys.argv[next(i for i, word in enumerate(sys.argv) if i and not word.startswith("--")):]]
print("arguments:", *sys.argv[1:], flush=True)
if "REFUSE" in os.environ:
    sys.exit("no cluster today")
scheduler = subprocess.Popen(command, env={**os.environ, "MS_ROLE": "MS_SCHED"})
count, node = int(options["local_worker_num"]), int(options.get("node_rank", 0))
workers = []
for place in range(count):
    own = {"MS_ROLE": "MS_WORKER", "RANK_ID": str(node * count + place), "DEVICE_ID": str(place)}
    workers.append(subprocess.Popen(command, env={**os.environ, **own}, start_new_session=True))
while any(worker.poll() is None for worker in workers):
    if any(worker.poll() for worker in workers):
        for worker in workers:
            worker.poll() is not None or os.killpg(worker.pid, signal.SIGKILL)
    time.sleep(0.2)
sys.exit(scheduler.wait())
"""

_MPIRUN = """import os, subprocess, sys
print("arguments:", *sys.argv[1:], flush=True)
count = int(sys.argv[sys.argv.index("-n") + 1])
place = next(i for i, word in enumerate(sys.argv) if "python" in word and i)
ranks = [subprocess.Popen(sys.argv[place:], env={**os.environ, "OMPI_COMM_WORLD_RANK": str(n)}) for n in range(count)]
sys.exit(max([rank.wait() for rank in ranks]))
"""

# As `python -m src.launch`, less patient.
_LAUNCHER = """
import sys
from src.launch import __main__ as launch, rank_log, supervisor
from src.runtime import entry
supervisor.FAILURE_GRACE, supervisor.STARTER_GRACE, supervisor.POLL_SECONDS = 0.5, 0.5, 0.05
rank_log.PATIENCE = 0.5
sys.exit(entry.run(launch.main))
"""

_PROGRAM = """
import os, signal, subprocess, sys, time
from pathlib import Path
rank = int(os.environ.get("OMPI_COMM_WORLD_RANK") or os.environ.get("RANK_ID") or 0)
here = Path(__file__).parent
(here / f"pid_{{os.getpid()}}").touch()
if os.environ.get("MS_ROLE") == "MS_SCHED":
    time.sleep(1000)
def wait_for(name):
    while not list(here.glob(name)):
        time.sleep(0.02)
{body}
"""


class Launching:
    """A folder with spaces in its name that holds interpreter, stubs and program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a folder"
        self.logs = self.folder / "logs"
        self.bin = self.folder / "bin"
        self.bin.mkdir(parents=True)
        (self.bin / "python").symlink_to(sys.executable)
        for name, text in (("msrun", _MSRUN), ("mpirun", _MPIRUN)):
            (self.bin / name).write_text(f"#!{sys.executable}\n{text}")
            (self.bin / name).chmod(0o755)

    def command(self, how: str, body: str) -> list[str]:
        """Return a call of the launcher; the body of the program sees `rank`, `here` and `wait_for`."""
        program = self.folder / "program.py"
        program.write_text(_PROGRAM.format(body=body))
        words = ["--log_dir", str(self.logs), *how.replace("TABLE", str(self.folder / "table.json")).split("|")]
        return [sys.executable, "-c", _LAUNCHER, *words, "--", str(self.bin / "python"), str(program)]

    def start(self, how: str, body: str, preexec: Callable[[], None] | None = None, **environment: str) -> subprocess.Popen:
        """Start the launcher."""
        return subprocess.Popen(
            self.command(how, body),
            cwd=PROJECT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=preexec,
        )

    def run(self, how: str, body: str, **environment: str) -> tuple[int, str, str]:
        """Run the launcher; return status, stdout, stderr."""
        return finish(self.start(how, body, **environment))

    def wait_for(self, pattern: str) -> Path:
        """Wait for a file of the program."""
        deadline = time.monotonic() + 30
        while not (found := list(self.folder.glob(pattern))):
            assert time.monotonic() < deadline, f"no {pattern}"
            time.sleep(0.02)
        return found[0]

    def living(self) -> list[int]:
        """Return which processes of the program live."""
        return [pid for path in self.folder.glob("pid_*") if is_alive(pid := int(path.name[4:]))]

    def assert_all_end(self) -> None:
        """Wait for the end of what the program started."""
        deadline = time.monotonic() + 20
        while self.living():
            assert time.monotonic() < deadline, f"{self.living()} live"
            time.sleep(0.05)


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    """Wait for the launcher; return status, stdout, stderr."""
    output, errors = process.communicate(timeout=60)
    return process.returncode, output.decode(errors="replace"), errors.decode(errors="replace")


def is_alive(pid: int) -> bool:
    """Return whether a process has not ended, by what ps says."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")
