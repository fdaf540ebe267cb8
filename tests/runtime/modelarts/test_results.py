"""What is sent, in which order, how often, and what a failure does."""

import logging
import os
import signal
from pathlib import Path

import pytest

from src.runtime import stopping
from src.runtime.entry import WorkError
from src.runtime.modelarts import results
from src.runtime.modelarts.results import LocalTarget, Results, list_files
from src.runtime.moxing_adapter import ObjectStorage
from src.runtime.stopping import StopSignals
from tests.runtime.standin import Storage, open_storage

URL = "obs://bucket/out"


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.setattr(results, "_PAUSES_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(logging.getLogger("ocrnet"), "propagate", True)  # for caplog
    return open_storage(tmp_path / "storage", monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.yaml", "last.state", "last.ckpt", "train.log", "zz.txt", "checkpoints/epoch_0001.ckpt"):
        write(tmp_path / "out" / name, name)
    return tmp_path / "out"


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def sent(storage: Storage) -> list[str]:
    """Return the names that were sent since the last call, in their order."""
    names = [target.removeprefix(f"{URL}/") for _, target, _ in storage.calls("copy")]
    (storage.root / "calls.txt").unlink(missing_ok=True)
    return names


def remote(storage: Storage) -> set[str]:
    return set(list_files(storage.root / "bucket/out"))


def test_state_goes_last_and_temporary_files_never(storage: Storage, folder: Path) -> None:
    write(folder / ".123.last.ckpt", "half")
    write(folder / "checkpoints" / ".123.epoch_0002.ckpt", "half")
    Results(folder, URL, ObjectStorage(), {}).send()
    names = sent(storage)
    assert names[-1] == "last.state"
    assert sorted(names) == ["checkpoints/epoch_0001.ckpt", "config.yaml", "last.ckpt", "last.state", "train.log", "zz.txt"]
    assert (storage.root / "bucket/out/last.ckpt").read_text() == "last.ckpt"


def test_only_what_changed_is_sent_again(storage: Storage, folder: Path) -> None:
    run = Results(folder, URL, ObjectStorage(), {})
    run.send()
    sent(storage)
    run.send()
    assert sent(storage) == []
    write(folder / "train.log", "longer than before")
    write(folder / "last.state", "LAST.STATE")  # of the same size
    run.send()
    assert sent(storage) == ["train.log", "last.state"]


def test_what_is_there_already_is_not_sent(storage: Storage, folder: Path) -> None:
    there = list_files(folder)
    write(folder / "eval.json", "{}")
    Results(folder, URL, ObjectStorage(), there).send()
    assert sent(storage) == ["eval.json"]


def test_pruned_checkpoints_are_removed_there_and_nothing_else_is(storage: Storage, folder: Path) -> None:
    run = Results(folder, URL, ObjectStorage(), {})
    run.send()
    storage.write("bucket/out/checkpoints/of_somebody_else.ckpt")
    (folder / "checkpoints/epoch_0001.ckpt").unlink()
    (folder / "zz.txt").unlink()
    write(folder / "checkpoints/epoch_0002.ckpt", "2")
    run.send()
    run.send()
    assert {name for name in remote(storage) if name.startswith("checkpoints")} == {
        "checkpoints/epoch_0002.ckpt",
        "checkpoints/of_somebody_else.ckpt",
    }
    assert "zz.txt" in remote(storage)
    assert len(storage.calls("remove")) == 1


def test_names_of_an_evaluation(storage: Storage, folder: Path) -> None:
    write(folder / "eval/0.png", "picture")
    write(folder / "eval.json", "{}")
    Results(folder, URL, ObjectStorage(), {}, only=("eval.json", "eval")).send()
    assert sent(storage) == ["eval.json", "eval/0.png"]


def test_a_failure_keeps_the_earlier_state_and_is_made_good(storage: Storage, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Results(folder, URL, ObjectStorage(), {})
    run.send()
    for name in ("last.ckpt", "last.state"):
        write(folder / name, "new")
    storage.rule("copy", f"{URL}/last.ckpt", fail="status 503", times=1)
    sent(storage)
    run.send_while_training()
    assert "the next saving tries again: obs://bucket/out/last.ckpt: copying to it failed" in caplog.text
    assert (storage.root / "bucket/out/last.state").read_text() == "last.state"
    assert (storage.root / "bucket/out/last.ckpt").read_text() == "last.ckpt"
    sent(storage)
    run.send_while_training()
    assert sent(storage) == ["last.ckpt", "last.state"]
    assert (storage.root / "bucket/out/last.state").read_text() == "new"


def test_training_waits_for_slow_sending_and_a_signal_does_not_cut_it_short(
    storage: Storage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal_while_sending(monkeypatch, "last.ckpt", 1)
    storage.rule("copy", "last.ckpt", sleep=0.2)
    with StopSignals() as signals:
        signals.patient = True  # as between the steps of training
        Results(folder, URL, ObjectStorage(), {}).send_while_training()
    assert signals.requested == signal.SIGTERM
    assert remote(storage) == set(list_files(folder))


def signal_while_sending(monkeypatch: pytest.MonkeyPatch, name: str, number: int) -> None:
    """Send SIGTERM to this process as it begins to send a file."""
    put = ObjectStorage.put
    monkeypatch.setattr(stopping, "_SAME_REQUEST_SECONDS", 0.0)

    def put_and_signal(storage: ObjectStorage, path: Path, url: str) -> None:
        for _ in range(number if path.name == name else 0):
            os.kill(os.getpid(), signal.SIGTERM)
        put(storage, path, url)

    monkeypatch.setattr(ObjectStorage, "put", put_and_signal)


@pytest.mark.parametrize(("failures", "succeeds"), [(2, True), (3, False)])
def test_three_tries_at_the_end(failures: int, succeeds: bool, storage: Storage, folder: Path) -> None:
    storage.rule("copy", "config.yaml", fail="status 503", times=failures)
    run = Results(folder, URL, ObjectStorage(), {})
    if succeeds:
        run.send_at_end()
        assert "last.state" in remote(storage)
    else:
        with pytest.raises(WorkError, match=f"results in {folder} could not be sent in 3 tries: obs://bucket/out/config.yaml"):
            run.send_at_end()


def test_a_mounted_folder_as_target(folder: Path, tmp_path: Path) -> None:
    run = Results(folder, str(tmp_path / "mounted"), LocalTarget(), {})
    run.send()
    assert list_files(tmp_path / "mounted").keys() == list_files(folder).keys()
    (folder / "checkpoints/epoch_0001.ckpt").unlink()
    run.send()
    assert not (tmp_path / "mounted/checkpoints/epoch_0001.ckpt").exists()


def test_a_mounted_folder_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mounted").write_text("a file")
    with pytest.raises(WorkError, match="mounted/checkpoints/epoch_0001.ckpt: copying to it failed"):
        Results(folder, str(tmp_path / "mounted"), LocalTarget(), {}).send()
