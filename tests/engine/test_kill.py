"""kill -9 at twenty moments of a run, most of them while a file is being written: nothing is lost, and nothing is left over."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.kill_training import LAST_NAMES
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
    assert sum(bool(kill["unfinished"]) for kill in kills) >= 12, unfinished
    # In the order in which they are written at the end: the state comes after all that nobody would write again.
    assert [name.split(".", 2)[2] for name in unfinished[-5:]] == list(LAST_NAMES)
    assert [kill["step"] for kill in kills[-5:]] == [54, 54, 54, 56, 56]
    steps = [kill["step"] for kill in kills]
    assert steps == sorted(steps) and len(set(steps)) > 4, "a kill never costs more than what was done since the last saving"


def test_files_equal_those_of_a_run_that_nobody_killed(folder: Path) -> None:
    killed, whole = contents(folder / "killed"), contents(folder / "whole")
    assert killed.keys() == whole.keys()
    assert {"last.state", "last.ckpt", "best.ckpt", "curves.png", "eval.json", "checkpoints/epoch_0014.ckpt"} <= whole.keys()
    assert [name for name in whole if killed[name] != whole[name]] == []


def contents(run: Path) -> dict[str, bytes]:
    """Return all files but the logs, without the name of their folder and what was measured by the clock."""
    names = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
    files = {name: path.read_bytes() for name, path in names.items() if not name.startswith("tb/") and name != "train.log"}
    files = {name: text.replace(str(run).encode(), b"OUT") if name.endswith(".yaml") else text for name, text in files.items()}
    files["metrics.jsonl"] = b"\n".join(str(known(json.loads(line))).encode() for line in files["metrics.jsonl"].splitlines())
    files["eval.json"] = str({**json.loads(files["eval.json"]), "seconds": None}).encode()
    return files


def test_every_step_and_evaluation_is_recorded_once(folder: Path) -> None:
    killed = [json.loads(line) for line in (folder / "killed" / "metrics.jsonl").open()]
    assert [record["step"] for record in killed if record["kind"] == "train"] == list(range(1, 57))
    assert [record["epoch"] for record in killed if record["kind"] == "eval"] == list(range(2, 15, 2))


def known(record: dict[str, object]) -> dict[str, object]:
    """Leave out what was measured by the clock."""
    return {name: value for name, value in record.items() if name in ("kind", "step", "epoch", "loss", "lr", "miou", "skipped_updates")}


def test_nothing_half_written_is_left(folder: Path) -> None:
    assert not list((folder / "killed").rglob(".*"))
