"""Whether /dev/shm is large enough for the processes that read."""

from pathlib import Path

import pytest

from src.config.errors import UserError
from src.data.read_ahead import shared_memory_bytes
from src.engine import shared_memory, trainer
from src.engine.shared_memory import check_shared_memory, free_bytes
from src.runtime.device import Runtime
from src.runtime.distributed import Group
from tests.tiny import tiny_config, write_camvid


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.data.read_ahead.os.cpu_count", lambda: 4)


def test_all_processes_of_a_host_count() -> None:
    config = tiny_config(None, "workers=8", "train.image_size=[512,1024]")
    one = shared_memory_bytes((512, 1024), config.batchsize, 4)
    check_shared_memory(config, Group(0, 16, 0, 2), free=2 * one)
    with pytest.raises(UserError, match=r"but 4 workers of each of 2 processes need \d+ MiB; lower --workers .*--shm-size"):
        check_shared_memory(config, Group(0, 16, 0, 2), free=2 * one - 1)
    with pytest.raises(UserError, match=r"0 MiB free, but 4 workers need 193 MiB"):
        check_shared_memory(config, Group(), free=0)


def test_one_process_of_a_host_looks() -> None:
    check_shared_memory(tiny_config(None, "workers=4"), Group(1, 2, 1, 2), free=0)


def test_one_worker_needs_none() -> None:
    check_shared_memory(tiny_config(None, "workers=1"), Group(), free=0)


def test_free_shared_memory(tmp_path: Path) -> None:
    assert free_bytes(tmp_path) > 0
    assert free_bytes(tmp_path / "absent") == 0


def test_training_is_refused_before_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: 1 << 20)
    config = tiny_config(write_camvid(tmp_path / "data"), "workers=4")
    with pytest.raises(UserError, match="1 MiB free, but 4 workers of each of 2 processes need"):
        trainer.Trainer(config, Runtime("CPU", Group(0, 2, 0, 2), "O0", False), tmp_path / "out")
