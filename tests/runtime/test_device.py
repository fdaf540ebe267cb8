"""Which batch norm, and which device."""

import logging

import pytest
from mindspore import nn

from src.config.errors import UserError
from src.runtime import device
from src.runtime.device import Runtime, choose_norm
from src.runtime.distributed import Group


def runtime(target: str, size: int = 1) -> Runtime:
    return Runtime(target, Group(0, size, 0, size), "O0", False)


@pytest.mark.parametrize(
    ("target", "size", "sync_bn", "norm", "line"),
    [
        ("Ascend", 8, True, nn.SyncBatchNorm, "batch norm: synchronised over 8 ranks"),
        ("Ascend", 8, False, nn.BatchNorm2d, "statistics of each of 8 ranks alone (no SyncBatchNorm: train.sync_bn is off)"),
        ("Ascend", 1, True, nn.BatchNorm2d, "batch norm: one process, nothing to synchronise"),
        ("GPU", 8, True, nn.BatchNorm2d, "statistics of each of 8 ranks alone (no SyncBatchNorm: MindSpore has none for GPU)"),
        ("CPU", 2, True, nn.BatchNorm2d, "MindSpore has none for CPU"),
    ],
)
def test_batch_norm(target: str, size: int, sync_bn: bool, norm: type[nn.Cell], line: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "ocrnet"):
        assert choose_norm(runtime(target, size), sync_bn) is norm
    assert line in caplog.text


class Context:
    """Stands for MindSpore's: it keeps what it is told."""

    def __init__(self) -> None:
        self.told: dict[str, object] = {}

    def set_context(self, **values: object) -> None:
        self.told.update(values)


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    for name in ("MS_ROLE", "OMPI_COMM_WORLD_RANK", "RANK_TABLE_FILE", "DEVICE_ID"):
        monkeypatch.delenv(name, raising=False)
    context = Context()
    monkeypatch.setattr(device.ms, "set_context", context.set_context)
    return context


def test_rank_table_gives_the_device_of_the_environment(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK_TABLE_FILE", "table.json")
    monkeypatch.setenv("DEVICE_ID", "5")
    device._set_device("Ascend", 0, run_distribute=True)
    assert context.told == {"device_target": "Ascend", "device_id": 5}


@pytest.mark.parametrize("launcher", ["MS_ROLE", "OMPI_COMM_WORLD_RANK"])
def test_launchers_choose_the_device_themselves(context: Context, monkeypatch: pytest.MonkeyPatch, launcher: str) -> None:
    monkeypatch.setenv("RANK_TABLE_FILE", "table.json")
    monkeypatch.setenv(launcher, "0")
    device._set_device("Ascend", 3, run_distribute=True)
    device._set_device("GPU", 3, run_distribute=True)
    assert "device_id" not in context.told


def test_one_process_takes_the_configured_device(context: Context) -> None:
    device._set_device("GPU", 3, run_distribute=False)
    assert context.told == {"device_target": "GPU", "device_id": 3}


@pytest.mark.parametrize("text", [None, "", "first"])
def test_rank_table_without_a_device_number(context: Context, monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    monkeypatch.setenv("RANK_TABLE_FILE", "table.json")
    if text is not None:
        monkeypatch.setenv("DEVICE_ID", text)
    with pytest.raises(UserError, match="DEVICE_ID is .*run_distribute_train.sh"):
        device._set_device("Ascend", 0, run_distribute=True)
