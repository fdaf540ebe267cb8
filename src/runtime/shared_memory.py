"""Is there room in /dev/shm for the processes that read pictures? Where there is not, they die of SIGBUS in the middle of an epoch."""

import os
from pathlib import Path

from src.config.errors import UserError

FOLDER = Path("/dev/shm")
MIB = 1 << 20


def free_bytes(folder: Path = FOLDER) -> int:
    """Return the bytes that are free in shared memory; 0 where there is none."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def check_shared_memory(needed: int, processes: int, workers: int, free: int) -> None:
    """Refuse to start what would not fit.

    Args:
        needed: bytes for one training process.
        processes: training processes on this host.
        workers: reading processes of each, for the message.
        free: bytes that are free.

    Raises:
        UserError: if they need more than is free.
    """
    if processes * needed <= free:
        return
    whose = f"{processes} training processes with {workers} workers each" if processes > 1 else f"{workers} workers"
    raise UserError(
        f"{FOLDER} has {free / MIB:.0f} MiB free, but {whose} need {processes * needed / MIB:.0f} MiB; lower --workers (1 needs none), "
        f"or make it larger: docker run --shm-size=... or --ipc=host, or mount -o remount,size=... {FOLDER}"
    )
