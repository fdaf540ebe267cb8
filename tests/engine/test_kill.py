"""kill -9 at twenty moments of a run, half of them while a file is being written: nothing is lost, and nothing is left over."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import write_camvid

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    write_camvid(folder / "data", num_train=9, num_val=2)
    command = [sys.executable, "-m", "tests.engine.kill_training", str(folder), "1"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=400)
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


def test_twenty_kills_met_all_kinds_of_moments(folder: Path) -> None:
    report = json.loads((folder / "kills.json").read_text())
    assert report["whole"] == report["last"] == 0
    kills = report["kills"]
    assert [kill["status"] for kill in kills] == [-9] * 20
    unfinished = [name for kill in kills for name in kill["unfinished"]]
    assert sum(bool(kill["unfinished"]) for kill in kills) >= 7, unfinished
    assert any("last." in name for name in unfinished), unfinished
    steps = [kill["step"] for kill in kills]
    assert steps == sorted(steps) and len(set(steps)) > 4, "a kill never costs more than what was done since the last saving"


@pytest.mark.parametrize("name", ["last.state", "last.ckpt", "best.ckpt", "checkpoints/epoch_0014.ckpt"])
def test_files_equal_those_of_a_run_that_nobody_killed(folder: Path, name: str) -> None:
    assert (folder / "killed" / name).read_bytes() == (folder / "whole" / name).read_bytes()


def test_every_step_and_evaluation_is_recorded_once(folder: Path) -> None:
    killed, whole = ([known(json.loads(line)) for line in (folder / run / "metrics.jsonl").open()] for run in ("killed", "whole"))
    assert killed == whole
    assert [record["step"] for record in killed if record["kind"] == "train"] == list(range(1, 57))
    assert [record["epoch"] for record in killed if record["kind"] == "eval"] == list(range(2, 15, 2))


def known(record: dict[str, object]) -> dict[str, object]:
    """Leave out what was measured by the clock."""
    return {name: value for name, value in record.items() if name in ("kind", "step", "epoch", "loss", "lr", "miou", "skipped_updates")}


def test_nothing_half_written_is_left(folder: Path) -> None:
    assert not list((folder / "killed").rglob(".*"))
