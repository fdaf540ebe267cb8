"""How much shared memory the reading processes take: what is computed against what they hold."""

import os
from pathlib import Path

import numpy as np
import pytest

from src.data import read_ahead
from src.data.loader import batches
from src.data.read_ahead import num_readers, prefetch_size, shared_memory_bytes

MIB = 1 << 20


class Samples:
    """Samples of an odd size: 65 x 71."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, _: int) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((3, 65, 71), np.float32), np.zeros((65, 71), np.int32)


def segments() -> dict[int, int]:
    """Return inode -> bytes of what this process holds in /dev/shm; the readers' segments are handed to it."""
    held = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(descriptor).startswith("/dev/shm/"):
                status = os.stat(descriptor)
                held[status.st_ino] = 512 * status.st_blocks
        except OSError:  # closed in between
            continue
    return held


@pytest.mark.skipif(num_readers(2) < 2, reason="one core: samples are read in a thread")
def test_what_is_computed_is_what_a_run_holds() -> None:
    before = segments()
    computed = shared_memory_bytes((65, 71), 2, 2)
    held: dict[int, int] = {}
    for _ in batches(Samples(), 2, 2).create_tuple_iterator(num_epochs=1, output_numpy=True):
        held |= segments()
    size = sum(size for inode, size in held.items() if inode not in before)
    assert size <= computed
    assert size == pytest.approx(computed - MIB, rel=0.02)


def test_computed_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ahead.os, "cpu_count", lambda: 64)
    sample = 512 * 1024 * 16
    assert shared_memory_bytes((512, 1024), 4, 1) == 0
    assert shared_memory_bytes((512, 1024), 4, 2) == MIB + 2 * (8 + 2) * sample
    assert shared_memory_bytes((512, 1024), 4, 8) == MIB + 8 * (4 + 2) * sample  # 4 * 8 / 8 places
    assert shared_memory_bytes((512, 1024), 1, 32) == MIB + 32 * (2 + 2) * sample
    assert shared_memory_bytes((1, 1), 1, 2) == MIB + 2 * 4 * 4096
    assert [prefetch_size(size) for size in (1, 4, 100)] == [2, 8, 16]
    assert num_readers(100) == 64
