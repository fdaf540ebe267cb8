"""The output directory: what is refused before anything is written."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.checkpoint import run_folder
from src.checkpoint.run_folder import LOG_FILE, check_output, config_for_checkpoint, config_for_resume, lock_output, open_output
from src.config import UserError, load_config


def test_new_folder_is_made_with_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    check_output(folder, new_run=True)
    assert not folder.parent.exists()
    open_output(folder, load_config("demo"))
    assert load_config(str(folder / "config.yaml")) == load_config("demo")


def test_a_new_run_does_not_overwrite_another(tmp_path: Path) -> None:
    (tmp_path / "last.state").touch()
    with pytest.raises(UserError, match="--resume"):
        check_output(tmp_path, new_run=True)
    check_output(tmp_path, new_run=False)


LOCK_AND_WAIT = """
import sys
from pathlib import Path
from src.checkpoint.run_folder import lock_output
with lock_output(Path(sys.argv[1]), new_run=True):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_train_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-c", LOCK_AND_WAIT, str(folder)]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert other.stdout and other.stdout.readline() == b"locked\n"
    monkeypatch.setattr(run_folder, "_DYING_SECONDS", 0.2)
    with (
        pytest.raises(UserError, match="another process trains into this folder; .* run_distribute=True"),
        lock_output(folder, new_run=True),
    ):
        pass
    monkeypatch.setattr(run_folder, "_DYING_SECONDS", 20.0)
    other.kill()  # not waited for: the lock is ours as soon as the process is gone
    for _ in range(2):
        with lock_output(folder, new_run=True):
            assert os.listdir(folder) == [LOG_FILE]
    other.communicate()
    (folder / "last.state").touch()
    with pytest.raises(UserError, match="holds a run already"), lock_output(folder, new_run=True):
        pass
    with lock_output(folder, new_run=False):
        pass


def test_file_systems_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(stream: object) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_folder, "try_lock", fail)
    began = time.monotonic()
    with lock_output(tmp_path, new_run=True):
        assert time.monotonic() - began < 1


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="out: cannot be written .Not a directory"), lock_output(tmp_path / "file" / "out", new_run=True):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="not a folder that can be written"):
        check_output(tmp_path / "file" / "out", new_run=True)


def test_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(UserError, match="can be written"):
        check_output(tmp_path / "out", new_run=True)


def test_resume_needs_state_and_configuration(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no last.state"):
        config_for_resume(tmp_path)
    (tmp_path / "last.state").touch()
    with pytest.raises(UserError, match="no config.yaml"):
        config_for_resume(tmp_path)


def test_configuration_beside_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a.ckpt: no such file"):
        config_for_checkpoint(tmp_path / "a.ckpt", "demo")
    (tmp_path / "a.ckpt").touch()
    with pytest.raises(UserError, match="--config NAME or FILE"):
        config_for_checkpoint(tmp_path / "a.ckpt")
    assert config_for_checkpoint(tmp_path / "a.ckpt", "demo") == "demo"
    (tmp_path / "a.yaml").touch()
    assert config_for_checkpoint(tmp_path / "a.ckpt") == str(tmp_path / "a.yaml")
