"""What quickstart.sh calls, in which order, with a stub in place of Python; and what it refuses."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
STUB = """#!/usr/bin/env bash
[ "$*" != "-m pip --version" ] || exit 0
echo "$*" >>"$CALLS"
case "$*" in
  "train.py --config"*)
    out="${@: -1}"; mkdir -p "$out/checkpoints"; touch "$out/last.state" "$out/checkpoints/epoch_0007.ckpt"
    while [ "$1" != --data_path ]; do shift; done
    printf 'total_epoch: 7\ndata_path: %s\n' "$2" >"$out/config.yaml" ;;
esac
"""


@pytest.fixture
def stub(tmp_path: Path) -> dict[str, str]:
    """A virtual environment whose python writes down how it was called."""
    venv = tmp_path / "a venv"
    (venv / "bin").mkdir(parents=True)
    python = venv / "bin" / "python"
    python.write_text(STUB)
    python.chmod(python.stat().st_mode | stat.S_IEXEC)
    requirements = b"".join(path.read_bytes() for path in sorted(PROJECT.glob("requirements*.txt")))
    (venv / ".installed-requirements.txt").write_bytes(requirements)
    return {**os.environ, "OCRNET_VENV": str(venv), "CALLS": str(tmp_path / "calls")}


def quickstart(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(PROJECT / "scripts/quickstart.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=environment["CALLS"][: -len("calls")])


def calls(environment: dict[str, str]) -> list[str]:
    return Path(environment["CALLS"]).read_text().splitlines()


def test_from_nothing_then_again(stub: dict[str, str], tmp_path: Path) -> None:
    output = str(tmp_path / "my results")
    result = quickstart(stub, "--output_path", output)
    assert result.returncode == 0, result.stderr
    first = calls(stub)
    assert first[0].startswith("-m src.data.synthetic --data_path")
    assert first[1].startswith("train.py --config demo --data_path") and first[1].endswith(output)
    assert first[2].startswith(f"eval.py --checkpoint_path {output}/best.ckpt")
    assert len(first) == 3
    assert f"{output}/eval/" in result.stdout

    assert quickstart(stub, "--output_path", output).returncode == 0
    again = calls(stub)[3:]
    assert [call.split()[0] for call in again] == ["-m", "eval.py"]  # no training


def test_interrupted_training_goes_on(stub: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "last.state").touch()
    (output / "config.yaml").write_text(f"total_epoch: 9\ndata_path: {PROJECT}/data/synthetic\n")
    assert quickstart(stub, "--output_path", str(output)).returncode == 0
    assert f"train.py --resume {output}" in calls(stub)


def test_results_of_other_data_are_not_reused(stub: dict[str, str], tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "trainannot").mkdir(parents=True)
    assert quickstart(stub, "--data_path", "a", "--output_path", "out").returncode == 0
    result = quickstart(stub, "--data_path", "b", "--output_path", "out")
    assert result.returncode == 2
    assert "holds a training on other data" in result.stderr


@pytest.mark.parametrize(("folder", "config"), [("leftImg8bit", "--config demo"), ("trainannot", "--config camvid_w18_small")])
def test_real_data_relative_to_the_callers_folder(folder: str, config: str, stub: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data" / folder).mkdir(parents=True)
    assert quickstart(stub, "--data_path", "data", "--output_path", "out").returncode == 0
    train = next(call for call in calls(stub) if call.startswith("train.py"))
    assert config in train
    assert f"--data_path {tmp_path}/data" in train
    assert train.endswith(f"{tmp_path}/out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data_path", "/nowhere"], "/nowhere is neither a Cityscapes folder"),
        (["--dataset", "x"], "unknown argument '--dataset'"),
        (["--data_path"], "--data_path needs a folder"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, stub: dict[str, str]) -> None:
    result = quickstart(stub, *arguments)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert message in result.stderr
    assert not Path(stub["CALLS"]).exists()


@pytest.mark.parametrize("script", sorted(path.name for path in (PROJECT / "scripts").glob("*.sh")))
def test_help(script: str) -> None:
    result = subprocess.run(["bash", str(PROJECT / "scripts" / script), "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0
    for word in ("Summary:", "Usage:", "Environment:"):
        assert word in result.stdout
    assert "set -euo" not in result.stdout
