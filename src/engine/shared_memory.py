"""Is there room in /dev/shm for the processes that read pictures? Where there is not, they die of SIGBUS in the middle of an epoch."""

import os
from pathlib import Path
from typing import Any

from src.config.errors import UserError
from src.data.read_ahead import num_readers, shared_memory_bytes
from src.runtime.distributed import Group

FOLDER = Path("/dev/shm")
MIB = 1 << 20


def free_bytes(folder: Path = FOLDER) -> int:
    """Return the bytes that are free in shared memory; 0 where there is none."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return 0
    return status.f_bavail * status.f_frsize


def check_shared_memory(config: Any, group: Group, free: int | None = None) -> None:
    """Refuse to start a training whose reading processes would not fit.

    The first process of each host looks, for all of them: later, what the others hold already would no longer be free.

    Args:
        config: reads train.image_size, batchsize and workers.
        group: how many processes train on this host.
        free: bytes that are free; None looks.

    Raises:
        UserError: if more is needed than is free.
    """
    needed = group.local_size * shared_memory_bytes(config.train.image_size, config.batchsize, config.workers)
    free = free_bytes() if free is None else free
    if group.local_rank != 0 or needed <= free:
        return
    whose = f"{num_readers(config.workers)} workers" + (f" of each of {group.local_size} processes" if group.local_size > 1 else "")
    raise UserError(
        f"{FOLDER} has {free / MIB:.0f} MiB free, but {whose} need {needed / MIB:.0f} MiB; lower --workers (1 needs none), "
        f"or make it larger: docker run --shm-size=... or --ipc=host, or mount -o remount,size=... {FOLDER}"
    )
