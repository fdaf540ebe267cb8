"""Real processes of one node: one copies, the others learn what became of it, and no lock outlives its job."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from src.checkpoint.lock import try_lock
from src.config import UserError
from src.runtime.entry import WorkError
from src.runtime.modelarts import node_copy
from src.runtime.modelarts.node_copy import CopyState, copied_once
from tests.runtime.standin import Storage, open_storage

ROOT = Path(__file__).parents[3]
DATA = "obs://bucket/data"


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    storage = open_storage(tmp_path / "storage", monkeypatch)
    for i in range(3):
        storage.write(f"bucket/data/{i}.txt", str(i))
    return storage


class Node:
    """Starts processes of jobs on one cache, and ends those that are left."""

    def __init__(self, cache: Path, storage: Storage) -> None:
        self.cache, self.storage = cache, storage
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, url: str = DATA, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.runtime.modelarts.one_process", "--modelarts", "True", "--data_url", url]
        command += ["--cache_path", str(self.cache), *more]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        environment = self.storage.environment(COPY_TIMEOUT="60")
        environment["PYTHONPATH"] += f":{ROOT}"
        process = subprocess.Popen(command, text=True, cwd=ROOT, env=environment, **pipes)
        self.processes.append(process)
        return process

    def start_copier(self, url: str = DATA, *more: str) -> subprocess.Popen[str]:
        """Return a process that is copying, with its state written."""
        process = self.start(url, *more)
        deadline = time.monotonic() + 60
        while (state := node_copy._read(self.cache)) is None or state.pid != process.pid:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.02)
        return process


@pytest.fixture
def node(tmp_path: Path, storage: Storage) -> Iterator[Node]:
    node = Node(tmp_path / "cache", storage)
    yield node
    for process in node.processes:
        process.kill()
        process.communicate()


def is_elsewhere_locked(cache: Path) -> bool:
    with open(cache / node_copy.LOCK_FILE) as lock:
        return not try_lock(lock)


def answer(process: subprocess.Popen[str]) -> dict:
    """Return what a process that has its job open printed."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise AssertionError(process.communicate()[1])


def test_one_of_four_copies(node: Node, storage: Storage) -> None:
    storage.rule("copy_parallel", "1.txt", sleep=0.8)
    processes = [node.start() for _ in range(4)]
    answers = [answer(process)["flags"] for process in processes]
    assert answers == [{"data_path": str(node.cache / "copies/data"), "output_path": str(node.cache / "output")}] * 4
    assert sorted(path.name for path in (node.cache / "copies/data").iterdir()) == ["0.txt", "1.txt", "2.txt"]
    calls = storage.calls("copy_parallel")
    assert len(calls) == 3 and len({pid for *_, pid in calls}) == 1
    assert [process.communicate()[1] for process in processes] == [""] * 4
    assert [process.returncode for process in processes] == [0] * 4
    assert not is_elsewhere_locked(node.cache)


def test_all_of_four_tell_the_same_failure(node: Node, storage: Storage) -> None:
    storage.rule("copy_parallel", "1.txt", sleep=0.8, fail="status 403")
    processes = [node.start() for _ in range(4)]
    errors = {process.communicate()[1] for process in processes}
    assert errors == {f"error: {DATA}: copying it from there failed (MoxFileRespException: status 403)\n"}
    assert {process.returncode for process in processes} == {1}


def test_copier_killed_while_copying(node: Node, storage: Storage) -> None:
    storage.rule("copy_parallel", "1.txt", sleep=60, times=1)
    copier = node.start_copier()
    waiting = node.start()
    while not any(file.path == str(node.cache / node_copy.LOCK_FILE) for file in psutil.Process(waiting.pid).open_files()):
        time.sleep(0.02)
    time.sleep(0.3)
    copier.kill()
    copier.wait()
    _, error = waiting.communicate()
    assert (waiting.returncode, error) == (
        1,
        f"error: the process that copied to {node.cache} died; its own output says why; start the job again\n",
    )
    assert CopyState(**json.loads((node.cache / "copy.json").read_text())).state == "copying"
    again = node.start()
    assert answer(again)["flags"]["data_path"] == str(node.cache / "copies/data")
    assert len(list((node.cache / "copies/data").iterdir())) == 3


def test_copier_killed_later_though_a_child_of_it_lives(node: Node, storage: Storage) -> None:
    copier = node.start(DATA, "--fork")
    child = psutil.Process(answer(copier)["child"])
    assert is_elsewhere_locked(node.cache)
    copier.send_signal(signal.SIGKILL)
    copier.wait()
    try:
        deadline = time.monotonic() + 10  # the child may not have run at all yet
        while is_elsewhere_locked(node.cache) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert child.is_running() and not is_elsewhere_locked(node.cache)
    finally:
        child.kill()
    # The next job, of other data: nothing of the first one is left among its copies.
    other = storage.write("bucket/other/new.txt").removesuffix("/new.txt")
    process = node.start(other)
    assert answer(process)["flags"]["data_path"] == str(node.cache / "copies/data")
    assert [path.name for path in (node.cache / "copies").rglob("*.txt")] == ["new.txt"]


def test_while_another_process_copies(node: Node, storage: Storage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    storage.rule("copy_parallel", "1.txt", sleep=60)
    copier = node.start_copier()
    with pytest.raises(UserError, match=f"used by another job .process {copier.pid}, .*{DATA}.*--cache_path"):
        fetch(node.cache, {"for": "training", "data_url": "obs://bucket/other"})
    monkeypatch.setenv("COPY_TIMEOUT", "0.5")
    monkeypatch.setattr(node_copy, "_TELL_SECONDS", 0.2)
    with pytest.raises(WorkError, match=f"waited 0.5 s for process {copier.pid}, which copies .*{DATA} to {node.cache}.*COPY_TIMEOUT"):
        fetch(node.cache, {"for": "training", "data_url": DATA})
    assert f"waiting for process {copier.pid}, which copies for training, data_url {DATA}" in capsys.readouterr().out


def fetch(cache: Path, request: dict[str, str], path: str = "here") -> str:
    with copied_once(cache, request, lambda: {"data_path": path}) as paths:
        return paths["data_path"]


@pytest.mark.parametrize("state", ["copying", "done", "failed"])
@pytest.mark.parametrize(("pid", "started"), [(os.getpid(), 1.0), (2**22 + 1, 1.0)], ids=["started later", "gone"])
def test_a_state_that_nobody_stands_behind(state: str, pid: int, started: float, tmp_path: Path) -> None:
    request = {"data_url": DATA}
    CopyState(state, {"data_url": "obs://of/old"}, {"data_path": "old"}, "old", pid=pid, started=started, written=time.time() - 5).save(
        tmp_path
    )
    assert fetch(tmp_path, request) == "here"
    left = CopyState(**json.loads((tmp_path / "copy.json").read_text()))
    assert (left.state, left.request, left.pid) == ("done", request, os.getpid())


def test_a_state_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "copy.json").write_text('{"state": "done"')
    assert fetch(tmp_path, {}) == "here"


def test_one_who_died_before_it_said_anything_is_replaced(tmp_path: Path) -> None:
    (tmp_path / node_copy.LOCK_FILE).touch()
    with open(tmp_path / node_copy.LOCK_FILE) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(fetch(tmp_path, {})))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive() and not found
    waiting.join(10)
    assert found == ["here"]


def test_result_of_one_that_ended_meanwhile(tmp_path: Path) -> None:
    (tmp_path / node_copy.LOCK_FILE).touch()
    with open(tmp_path / node_copy.LOCK_FILE) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found: list[str] = []
        waiting = threading.Thread(target=lambda: found.append(fetch(tmp_path, {})))
        waiting.start()
        waiting.join(0.3)
        CopyState("done", {}, {"data_path": "there"}, pid=2**22 + 1, started=1.0).save(tmp_path)
    waiting.join(10)
    assert found == ["there"]


def test_the_lock_is_kept_while_the_job_runs(tmp_path: Path) -> None:
    with copied_once(tmp_path, {}, dict):
        assert is_elsewhere_locked(tmp_path)
    assert not is_elsewhere_locked(tmp_path)


def test_the_one_that_copies_keeps_its_own_error(tmp_path: Path) -> None:
    def full() -> dict[str, str]:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), copied_once(tmp_path, {}, full):
        pass
    left = CopyState(**json.loads((tmp_path / "copy.json").read_text()))
    assert (left.state, left.is_users) == ("failed", True) and "No space left" in left.message


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan"])
def test_wrong_timeout(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPY_TIMEOUT", value)
    with pytest.raises(UserError, match=f"COPY_TIMEOUT is '{value}'; expected seconds"):
        fetch(tmp_path, {})
