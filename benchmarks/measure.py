"""What the benchmarks share: peak memory and the line of a result."""

import statistics
from collections.abc import Sequence
from pathlib import Path


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
