"""What quickstart.sh calls, in which order, with stubs in place of Python and of the C++ inference; and what it refuses."""

import json
import os
import shutil
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
  "eval.py"*) cp "$CALLS.eval.json" "$(dirname "$3")/eval.json"; touch -d "1 hour ago" "$3" ;;
  "export.py"*) mkdir -p "$(dirname "$5")"; touch "$5" ;;
esac
"""
CPP_STUB = """#!/usr/bin/env bash
echo "run_cpp_infer.sh $*" >>"$CALLS"
[ -z "${FAIL_CPP:-}" ] || exit 7
printf '=== 310 Inference Result ===\nmiou: 0.76891\niou array: [0.5]\n' >"$OUTPUT_PATH/acc.log"
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the scripts in which those around C++ only write down how they were called."""
    project = tmp_path / "a project"
    shutil.copytree(PROJECT / "scripts", project / "scripts")
    (project / "scripts/run_cpp_infer.sh").write_text(CPP_STUB)
    (project / "scripts/fetch_mindspore_lite.sh").write_text('echo fetch >>"$CALLS"; echo /home/of/lite\n')
    for path in PROJECT.glob("requirements*.txt"):
        shutil.copy(path, project)
    return project


@pytest.fixture
def stub(tmp_path: Path, root: Path) -> dict[str, str]:
    """A virtual environment whose python writes down how it was called."""
    venv = tmp_path / "a venv"
    executable(venv / "bin" / "python", STUB)
    requirements = b"".join(path.read_bytes() for path in sorted(PROJECT.glob("requirements*.txt")))
    (venv / ".installed-requirements.txt").write_bytes(requirements)
    (tmp_path / "calls.eval.json").write_text(json.dumps({"miou": 0.76893, "iou": {"road": 0.5}}, indent=2))
    return {**os.environ, "OCRNET_VENV": str(venv), "CALLS": str(tmp_path / "calls"), "ROOT": str(root)}


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def quickstart(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", f"{environment['ROOT']}/scripts/quickstart.sh", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=environment["CALLS"][: -len("calls")])


def calls(environment: dict[str, str]) -> list[str]:
    return Path(environment["CALLS"]).read_text().splitlines()


def test_from_nothing_then_again(stub: dict[str, str], root: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "my results")
    result = quickstart(stub, "--output_path", output)
    assert result.returncode == 0, result.stderr
    first = calls(stub)
    assert first[0].startswith("-m src.data.synthetic --data_path")
    assert first[1].startswith("train.py --config demo --data_path") and first[1].endswith(output)
    model = f"{output}/deploy/model.mindir"
    assert first[2:] == [
        f"eval.py --checkpoint_path {output}/best.ckpt --data_path {root}/data/synthetic",
        "fetch",  # before the export, which checks its result in C++ where it can
        f"export.py --checkpoint_file {output}/best.ckpt --file_name {model} --file_format MINDIR --device_target CPU",
        f"run_cpp_infer.sh {model} {root}/data/synthetic CPU",
    ]
    assert "mIoU: in Python 0.76893, in C++ 0.76891\n" in result.stdout
    assert f"{output}/eval/" in result.stdout

    assert quickstart(stub, "--output_path", output).returncode == 0
    again = calls(stub)[6:]
    assert [call.split()[0] for call in again] == ["-m", "eval.py", "fetch", "run_cpp_infer.sh"]  # neither training nor export


def test_weights_newer_than_the_model_are_exported_anew(stub: dict[str, str], tmp_path: Path) -> None:
    assert quickstart(stub, "--output_path", "out").returncode == 0
    os.utime(tmp_path / "out" / "deploy" / "model.mindir", (0, 0))
    assert quickstart(stub, "--output_path", "out").returncode == 0
    assert sum(call.startswith("export.py") for call in calls(stub)) == 2


def test_a_failed_inference_in_cpp_is_a_failure(stub: dict[str, str]) -> None:
    result = quickstart({**stub, "FAIL_CPP": "1"}, "--output_path", "out")
    assert result.returncode == 7
    assert "mIoU: in Python" not in result.stdout


def test_without_cmake_the_rest_is_done(stub: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("basename", "bash", "cat", "cmp", "cp", "dirname", "env", "grep", "mkdir", "realpath", "sed", "touch", "uname"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    result = quickstart({**stub, "PATH": str(tmp_path / "bin")}, "--output_path", "out")
    assert result.returncode == 0, result.stderr
    assert "not run in C++: this needs cmake; then: OUTPUT_PATH=" in result.stdout
    assert [call.split()[0] for call in calls(stub)] == ["-m", "train.py", "eval.py", "export.py"]


@pytest.mark.parametrize("home", ["", "/somewhere"])
def test_a_machine_without_a_wheel_needs_ms_lite_home(home: str, stub: dict[str, str], tmp_path: Path) -> None:
    executable(tmp_path / "bin" / "uname", "#!/usr/bin/env bash\necho Linux aarch64\n")
    environment = {**stub, "PATH": f"{tmp_path}/bin:{stub['PATH']}", "MS_LITE_HOME": home}
    result = quickstart(environment, "--output_path", "out")
    assert result.returncode == 0, result.stderr
    assert ("this needs MS_LITE_HOME, the MindSpore Lite for Linux aarch64" in result.stdout) == (home == "")
    assert calls(stub)[-1].startswith("run_cpp_infer.sh" if home else "export.py")
    assert "fetch" not in calls(stub)


def test_interrupted_training_goes_on(stub: dict[str, str], root: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    (output / "last.state").touch()
    (output / "config.yaml").write_text(f"total_epoch: 9\ndata_path: {root}/data/synthetic\n")
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
