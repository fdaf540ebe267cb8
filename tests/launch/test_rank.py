"""rank.py and what it leaves, without a launcher around."""

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from src.launch import rank
from src.launch.rank_record import RankRecord

SAVES = """
import signal, sys, time
from pathlib import Path
here = Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda *_: ((here / "saved").touch(), sys.exit(143)))
(here / "ready").touch()
time.sleep(1000)
"""


def test_rank_ends_with_a_launcher_that_is_not_its_parent(tmp_path: Path) -> None:
    """So it is under msrun and mpirun; its parent, this process, lives on."""
    launcher = subprocess.Popen(["sleep", "1000"])
    environment = {**os.environ, "OCRNET_LAUNCHER_PID": str(launcher.pid)}
    command = [sys.executable, rank.__file__, str(tmp_path), sys.executable, "-c", SAVES, str(tmp_path)]
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    launcher.kill()
    launcher.wait()
    assert process.wait(timeout=30) == 0
    assert (tmp_path / "saved").exists() and (tmp_path / "rank_0.exit").read_text().split()[0] == "143"
    (tmp_path / "ready").unlink()
    assert subprocess.run(command, env=environment, timeout=30).returncode == 1 and not (tmp_path / "ready").exists()


def nfs_flock(stream: IO, kind: int) -> None:
    """What Linux does on NFS: locks of its server's, which want a stream that may be written, or read for a shared one."""
    if not (stream.writable() if kind & fcntl.LOCK_EX else stream.readable()):
        raise OSError(errno.EBADF, "Bad file descriptor")
    local_flock(stream, kind)


local_flock = fcntl.flock


def test_record_is_held_on_a_shared_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", nfs_flock)
    holder = RankRecord(tmp_path, 0)
    assert not RankRecord(tmp_path, 0).is_held()
    holder.begin()
    assert RankRecord(tmp_path, 0).is_held()
    del holder
    assert not RankRecord(tmp_path, 0).is_held() and (tmp_path / "rank_0.pid").exists()


def test_disk_without_locks_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(stream: IO, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    record = RankRecord(tmp_path, 0)
    record.begin()
    assert record.pid() == os.getpid() and not record.is_held()
