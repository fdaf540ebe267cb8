"""What the benchmarks share: peak memory, the line of a result, and another side in a process of its own."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class OtherSide:
    """A program that runs one forward for each line on its stdin and answers with {"seconds": ..., "peak_mib": ...} on its stdout.

    Args:
        command: program and arguments.
        environment: of the process; None: this one's.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.command = command
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def forward(self) -> dict[str, float]:
        """Return seconds and peak_mib of one forward."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{' '.join(self.command)} stopped; its message stands above")
        return json.loads(answer)

    def close(self) -> None:
        """End the process, which then writes what it was asked to."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def peak_mib() -> float:
    """Return the largest resident memory that this process has had (VmHWM), MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def report(name: str, seconds: Sequence[float], batch: int, peak: float) -> float:
    """Print one side's line and return its median seconds."""
    median = statistics.median(seconds)
    best = min(seconds)
    print(f"{name:10} {1000 * median:9.1f} ms (best {1000 * best:.1f})  {batch / median:8.3f} img/s  peak {peak:7.0f} MiB", flush=True)
    return median
