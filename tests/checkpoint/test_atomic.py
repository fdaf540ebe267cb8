"""Files on a disk that is full: what is said, and that the earlier file stays; leftovers of killed processes."""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

from src.checkpoint import atomic, state
from src.checkpoint.atomic import NoRoomError, atomic_path, check_room, remove_leftovers
from src.checkpoint.state import Progress, save_state

PROJECT = Path(__file__).resolve().parents[2]


def limit_room(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 10**12 - free, free))


def test_nothing_is_written_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_room(monkeypatch, free=12_999_999)
    path = tmp_path / "last.state"
    with pytest.raises(NoRoomError) as caught, atomic_path(path, size=559_000_001):
        raise AssertionError("the block is not entered")
    assert str(caught.value) == f"{path}: 560 MB are needed and 12 MB are free; free room"
    path.write_text("earlier")
    with pytest.raises(NoRoomError, match="12 MB are free; the earlier file is intact; free room$"), atomic_path(path, size=559_000_001):
        pass
    assert path.read_text() == "earlier" and os.listdir(tmp_path) == ["last.state"]
    with atomic_path(path, size=12_999_999) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_files_are_begun_only_if_all_have_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit_room(monkeypatch, free=10_000)
    first, second = tmp_path / "first", tmp_path / "second"
    check_room({first: 4000, second: 6000})
    with pytest.raises(NoRoomError, match=r"second: 11 kB are needed and 10 kB are free; free room"):
        check_room({first: 4000, second: 6001})
    first.write_bytes(bytes(3000))  # its room is free again before the second is begun
    check_room({first: 4000, second: 9000})
    with pytest.raises(NoRoomError, match="first: 11 kB"):
        check_room({first: 10_001, second: 1})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_while_writing(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.state"
    save_state({}, Progress(step=1), path)
    before = path.read_bytes()

    def fill(stream: object, **arrays: np.ndarray) -> None:
        stream.write(b"some of it")  # type: ignore[attr-defined]
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(state.np, "savez", fill)
    with pytest.raises(NoRoomError, match=r"last.state: \d+ MB are needed and \d+ MB are free; the earlier file is intact; free room$"):
        save_state({}, Progress(step=2), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["last.state"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ü" * 125 + ".json"])
def test_the_longest_names_that_a_disk_takes(name: str, tmp_path: Path) -> None:
    with atomic_path(tmp_path / name) as temporary, atomic_path(tmp_path / f"y{name[1:]}") as other:
        assert temporary != other and temporary.suffix == Path(name).suffix
        temporary.write_text("one")
        other.write_text("other")
        assert atomic._TEMPORARY.match(temporary.name)
    assert (tmp_path / name).read_text() == "one" and sorted(os.listdir(tmp_path)) == sorted([name, f"y{name[1:]}"])


def test_other_failures_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output") as caught, atomic_path(tmp_path / "x"):
        raise OSError(errno.EIO, "Input/output error")
    assert not isinstance(caught.value, NoRoomError)


def test_data_are_on_the_disk_before_the_name_and_the_name_before_the_next_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    flush, rename = os.fsync, os.replace

    def note_flush(number: int) -> None:
        calls.append(("flush", Path(os.readlink(f"/proc/self/fd/{number}")).name))
        flush(number)

    def note_renaming(source: Path, target: Path) -> None:
        calls.append(("rename", target.name))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "replace", note_renaming)
    (tmp_path / "folder").mkdir()
    with atomic_path(tmp_path / "folder" / "x") as temporary:
        temporary.touch()
    assert calls == [("flush", temporary.name), ("rename", "x"), ("flush", "folder")]


@pytest.mark.parametrize(("number", "is_error"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_mounted_storage_that_cannot_flush_folders(number: int, is_error: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flush(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", flush)
    with pytest.raises(OSError, match="Input/output") if is_error else nullcontext(), atomic_path(tmp_path / "x") as temporary:
        temporary.touch()
    assert os.listdir(tmp_path) == ["x"]


# In a namespace of its own, where a file system of 1 MB may be mounted: a file of 400 kB fits twice and not three times.
ON_A_SMALL_DISK = """
import os, shutil, sys
from pathlib import Path
import numpy as np
from src.runtime.environment import prepare_environment
prepare_environment("CPU")
import mindspore as ms
from src.checkpoint import atomic
from src.checkpoint.atomic import NoRoomError, atomic_path
from src.checkpoint.state import Progress, save_state
from src.checkpoint.weights import write_checkpoint

folder = Path(sys.argv[1])
parameters = {"x": ms.Parameter(ms.Tensor(np.ones(100_000, np.float32)), name="x")}
save_state(parameters, Progress(step=1), folder / "last.state")
earlier = (folder / "last.state").read_bytes()
(folder / "other").write_bytes(bytes(400_000))
real = shutil.disk_usage
for usage in (real, lambda path: real("/")):  # the second does not tell that the disk is full: writing does
    atomic.shutil.disk_usage = usage
    try:
        save_state(parameters, Progress(step=2), folder / "last.state")
    except NoRoomError as error:
        print(error)
    assert (folder / "last.state").read_bytes() == earlier
try:
    with atomic_path(folder / "last.ckpt", 400_000) as temporary:
        write_checkpoint(parameters, temporary)
except NoRoomError as error:
    print(error)
assert sorted(os.listdir(folder)) == ["last.state", "other"], os.listdir(folder)
(folder / "other").unlink()
save_state(parameters, Progress(step=2), folder / "last.state")
"""


def test_a_real_small_disk(tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=1m none '{tmp_path}'"
    isolated = ["unshare", "-rm", "sh", "-c"]
    if shutil.which("unshare") is None or subprocess.run([*isolated, mount], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here, so none is filled")
    command = [*isolated, f'{mount} && exec "$0" -c "$1" "$2"', sys.executable, ON_A_SMALL_DISK, str(tmp_path)]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    checked, state_failed, weights_failed = result.stdout.splitlines()
    assert checked.startswith(f"{tmp_path}/last.state: ") and checked.endswith("; the earlier file is intact; free room")
    assert " kB are needed and " in checked and " kB are free" in checked
    assert state_failed.startswith(f"{tmp_path}/last.state: ") and state_failed.endswith("; the earlier file is intact; free room")
    assert weights_failed.startswith(f"{tmp_path}/last.ckpt: ") and "earlier" not in weights_failed


def test_leftovers_of_dead_processes_are_removed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    (tmp_path / "checkpoints").mkdir()
    dead = [tmp_path / f".{child.pid}.last.tmp", tmp_path / "checkpoints" / f".{child.pid}.epoch_0001.ckpt", tmp_path / f".{2**40}.x"]
    own = tmp_path / f".{os.getpid()}.last.state"  # of a process that had this number before: nothing is being written yet
    kept = [tmp_path / f".{os.getppid()}.last.state", tmp_path / ".hidden", tmp_path / "1.state", tmp_path / ".12"]
    again = tmp_path / f".{os.getppid()}.last.ckpt"  # older than the process that has this number now
    for path in (*dead, own, *kept, again):
        path.touch()
    os.utime(again, (1.0, 1.0))
    remove_leftovers(tmp_path)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(kept)
