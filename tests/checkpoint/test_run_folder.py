"""The output directory: what is refused before anything is written."""

import os
from pathlib import Path

import pytest

from src.checkpoint.run_folder import check_output, config_for_checkpoint, config_for_resume, open_output
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
