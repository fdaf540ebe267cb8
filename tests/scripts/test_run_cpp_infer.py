"""run_cpp_infer.sh and ascend310_inference.sh with stubs in place of Python and the C++ program; test_cpp_infer.py runs them for real.

What they call, in which order; what they refuse, what they replace, and where they stop.
"""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
# Both write down how they were called; FAIL names the call that fails, with status 7.
CALLED = """#!/usr/bin/env bash
call="$(basename "$0") $*"
[[ "$call" == *"--version" || "$call" == *" -c "* ]] || echo "$call" >>"$CALLS"
if [ -n "${FAIL:-}" ] && [[ "$call" == *"$FAIL"* ]]; then
  printf 'first line\\nlast words\\n'
  exit 7
fi
"""
PYTHON = f"""{CALLED}
case "$*" in
  *find_spec*onnx*) [ -z "${{NO_ONNX:-}}" ] ;;
  *find_spec*) [ -z "${{NO_PACKAGES:-}}" ] ;;
  "-c "*) exec python3 "$@" ;;
  "-m src.deploy.lower"*) [ "${{PYTHONPATH%%:*}}" = "$PROJECT" ] && touch "$4" "${{4%.mindir}}.json" ;;
  "-m src.deploy.to_onnx"*) touch "$4" "${{4%.onnx}}.json" ;;
  *postprocess.py*) echo "miou: 0.5" ;;
esac
"""
MAIN = f"""{CALLED}
if [ "$1" = --version ]; then echo "main 1 (MindSpore Lite ${{LITE:-2.0.0}})"; exit; fi
if [ -n "${{SLOW:-}}" ]; then echo $$ >"$CALLS.main"; exec sleep 60; fi
echo "throughput 1"
"""
BUILD = 'echo "build.sh ${MS_LITE_HOME:-} ${OPENVINO_HOME:-}" >>"$CALLS"\ncp "$PROJECT/main" "$PROJECT/ascend310_infer/out/main"\n'
SETTINGS = ("OUTPUT_PATH", "BACKEND", "PRECISION", "MODE", "STREAMS", "BATCH", "THREADS", "PYTHONPATH")
MODEL, LOWERED, DATA = "../models/net.mindir", "../models/net_lite2.mindir", "../a data set"
ONNX, INT8, AIR = "../models/vino.onnx", "../models/int8.xml", "../models/ascend.air"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the scripts with stubs around them, and a model and data, in folders with spaces."""
    project = tmp_path / "a project"
    shutil.copytree(SCRIPTS, project / "scripts")
    for folder in ("ascend310_infer/src", "ascend310_infer/out", "models", "a data set", "here"):
        (project / folder).mkdir(parents=True)
    (project / "ascend310_infer/src/build.sh").write_text(BUILD)
    for path, text in ((project / "main", MAIN), (project / "venv/bin/python", PYTHON)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    models = ((MODEL, "native", "fp32"), (LOWERED, "lite2", None), (ONNX, "onnx", "fp32"), (INT8, "openvino", "int8"), (AIR, "air", "fp32"))
    for name, kind, precision in models:
        (project / "here" / name).touch()
        manifest: dict[str, object] = {"kind": kind, "sha256": hashlib.sha256(b"").hexdigest()}
        manifest |= {} if precision is None else {"precision": precision}
        taken: dict[str, object] = {"shape": [1, 3, 64, 96]} if precision is None else {"shape": [1, 3, 64, 96], "dynamic": []}
        taken |= {"dynamic": ["batch"]} if kind == "openvino" else {}
        (project / "here" / name).with_suffix(".json").write_text(json.dumps({"model": manifest, "input": taken}))
    return project


def start(place: Path, *arguments: str, script: str = "run_cpp_infer.sh", **environment: str) -> subprocess.Popen[str]:
    variables = {
        **{name: value for name, value in os.environ.items() if name not in SETTINGS},
        "OCRNET_VENV": str(place / "venv"),
        "MS_LITE_HOME": str(place / "lite"),
        "OPENVINO_HOME": str(place / "vino"),
        "CALLS": str(place / "calls"),
        "PROJECT": str(place),
        **environment,
    }
    command = ["bash", str(place / "scripts" / script), *arguments]
    return subprocess.Popen(
        command,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=place / "here",
        # Under nohup SIGHUP is ignored, and bash cannot trap what was ignored when it began.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )


def call(place: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    process = start(place, *arguments, **environment)
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def calls(place: Path) -> list[str]:
    return (place / "calls").read_text().splitlines()


def test_each_step_in_order_with_its_arguments(place: Path) -> None:
    result = call(place, LOWERED, DATA, "cpu", "3", THREADS="2")
    assert result.returncode == 0, result.stderr
    here, model = place / "here", place / "models" / "net_lite2"
    assert calls(place) == [
        f"build.sh {place}/lite {place}/vino",
        f"python {place}/preprocess.py --data_path {place}/a data set --train_path {here}/preprocess_Result --manifest {model}.json",
        f"main --mindir_path {model}.mindir --dataset_path {here}/preprocess_Result --device_type CPU --device_id 3 "
        f"--result_path {here}/result_Files --threads 2",
        f"python {place}/postprocess.py --result_path {here}/result_Files --label_path {here}/preprocess_Result",
    ]
    assert (here / "infer.log").read_text() == "throughput 1\n"
    assert (here / "acc.log").read_text() == "miou: 0.5\n"
    assert "throughput 1" in result.stdout and result.stdout.endswith("miou: 0.5\n")


@pytest.mark.parametrize(("version", "lowers"), [("2.0.0", True), ("2.0.1", True), ("2.3.1", False), ("12.0.0", False)])
def test_a_native_model_is_lowered_for_lite_2_0_alone(version: str, lowers: bool, place: Path) -> None:
    before = sorted((place / "models").iterdir())
    assert call(place, MODEL, DATA, "CPU", LITE=version, OUTPUT_PATH="../my out").returncode == 0
    lower = f"python -m src.deploy.lower {place}/models/net.mindir {place}/my out/lowered/net.mindir"
    assert (lower in calls(place)) == lowers
    used = f"{place}/my out/lowered/net" if lowers else f"{place}/models/net"
    assert any(f"--manifest {used}.json" in line for line in calls(place))
    assert any(f"main --mindir_path {used}.mindir" in line for line in calls(place))
    assert sorted((place / "models").iterdir()) == before and list((place / "here").iterdir()) == []


@pytest.mark.parametrize(("model", "device"), [(ONNX, ()), (INT8, ("cpu",)), (INT8, ("GPU", "1"))])
def test_onnx_and_openvino_models_go_to_openvino(model: str, device: tuple[str, ...], place: Path) -> None:
    batch, precision = ("4", "int8") if model == INT8 else ("1", "fp32")
    settings = {"MODE": "throughput", "STREAMS": "3", "BATCH": batch, "PRECISION": precision}
    result = call(place, model, DATA, *device, **settings, MS_LITE_HOME="")
    assert result.returncode == 0, result.stderr
    here, path = place / "here", (place / "here" / model).resolve()
    assert calls(place) == [
        f"build.sh  {place}/vino",
        f"python {place}/preprocess.py --data_path {place}/a data set --train_path {here}/preprocess_Result "
        f"--manifest {path.with_suffix('.json')}",
        f"main --mindir_path {path} --dataset_path {here}/preprocess_Result --device_type {'GPU' if len(device) == 2 else 'CPU'} "
        f"--device_id {device[1] if len(device) == 2 else 0} --result_path {here}/result_Files --precision {settings['PRECISION']} "
        f"--mode throughput --streams 3 --batch {batch}",
        f"python {place}/postprocess.py --result_path {here}/result_Files --label_path {here}/preprocess_Result",
    ]


def test_a_native_model_is_converted_for_openvino(place: Path) -> None:
    result = call(place, MODEL, DATA, BACKEND="openvino", OUTPUT_PATH="../my out", MS_LITE_HOME="")
    assert result.returncode == 0, result.stderr
    converted = f"{place}/my out/converted/net"
    assert calls(place)[1] == f"python -m src.deploy.to_onnx {place}/models/net.mindir {converted}.onnx"
    assert f"--manifest {converted}.json" in calls(place)[2]
    assert calls(place)[3].startswith(f"main --mindir_path {converted}.onnx ") and calls(place)[3].endswith(" --backend openvino")


@pytest.mark.parametrize(("backend", "library"), [("lite", "mindspore_lite"), ("openvino", "openvino")])
def test_only_the_library_that_is_needed_is_fetched(backend: str, library: str, place: Path) -> None:
    for name in ("mindspore_lite", "openvino"):
        (place / "scripts" / f"fetch_{name}.sh").write_text(f"echo '{place}/{name}'; echo fetch {name} >>\"$CALLS\"\n")
    result = call(place, LOWERED if backend == "lite" else ONNX, DATA, "CPU", MS_LITE_HOME="", OPENVINO_HOME="")
    assert result.returncode == 0, result.stderr
    homes = f"{place}/{library} " if backend == "lite" else f" {place}/{library}"
    assert calls(place)[:2] == [f"fetch {library}", f"build.sh {homes}"]


@pytest.mark.parametrize(
    ("model", "device", "settings", "message"),
    [
        (ONNX, "", {"BACKEND": "vino"}, "BACKEND 'vino': expected lite or openvino"),
        (ONNX, "", {"PRECISION": "fp16"}, "PRECISION 'fp16': expected fp32, bf16 or int8"),
        (ONNX, "", {"MODE": "fast"}, "MODE 'fast': expected latency or throughput"),
        (ONNX, "", {"STREAMS": "0"}, "STREAMS '0': expected a number from 1"),
        (ONNX, "", {"BATCH": "two"}, "BATCH 'two': expected a number from 1"),
        (ONNX, "", {"BACKEND": "lite"}, "is of kind onnx, and MindSpore Lite takes MindIR here"),
        (ONNX, "Ascend", {}, "DEVICE_TYPE Ascend: OpenVINO knows CPU and GPU alone"),
        (ONNX, "", {"STREAMS": "2"}, "STREAMS 2: with MODE latency one inference runs at a time; set MODE=throughput"),
        (ONNX, "", {"PRECISION": "int8"}, "is not quantised; quantise it: python -m src.deploy.quantize MODEL --data_path DATA"),
        (INT8, "", {"PRECISION": "bf16"}, "is quantised to int8; take int8, or the model that it was made from"),
        (LOWERED, "CPU", {"BACKEND": "openvino"}, "is lowered for MindSpore Lite; give the native file"),
        (LOWERED, "CPU", {"PRECISION": "bf16"}, "PRECISION bf16: MindSpore Lite computes in fp32 here"),
        (LOWERED, "CPU", {"MODE": "throughput"}, "MODE throughput: MindSpore Lite runs one inference at a time"),
        (MODEL, "CPU", {"BACKEND": "openvino", "NO_ONNX": "1"}, "pip install -r requirements-deploy.txt"),
        (AIR, "CPU", {}, "a model of kind air, which the C++ program does not run"),
        (ONNX, "", {"BATCH": "2"}, "BATCH 2: ../models/vino.onnx was exported with --batch 1"),
    ],
)
def test_what_does_not_fit_together(model: str, device: str, settings: dict[str, str], message: str, place: Path) -> None:
    result = call(place, model, DATA, device, **settings)
    assert result.returncode == 2
    assert message in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr
    assert not (place / "calls").exists() and list((place / "here").iterdir()) == []


def test_a_model_that_its_manifest_does_not_describe(place: Path) -> None:
    (place / "models" / "vino.onnx").write_text("another one")
    result = call(place, ONNX, DATA)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert "not the file that vino.json describes (SHA-256 differs)" in result.stderr
    assert not (place / "calls").exists() and list((place / "here").iterdir()) == []


@pytest.mark.parametrize("answer", ["fp32\\n  no bf16, for which it has neither", "fp32\\n  bf16, with AMX"])
def test_a_precision_that_the_processor_lacks_is_refused_before_preprocessing(answer: str, place: Path) -> None:
    result = call(place, ONNX, DATA, PRECISION="bf16", LITE=answer.replace("\\n", "\n"))
    if "no bf16" in answer:
        assert result.returncode == 2 and "PRECISION bf16: this processor has neither AMX nor AVX-512" in result.stderr
        assert not any("preprocess.py" in line for line in calls(place))
    else:
        assert result.returncode == 0 and any("--precision bf16" in line for line in calls(place))


def test_ascend310_inference(place: Path) -> None:
    assert call(place, LOWERED, DATA, "5", script="ascend310_inference.sh").returncode == 0
    assert any("--device_type Ascend --device_id 5" in line for line in calls(place))


@pytest.mark.parametrize(("step", "num_steps"), [("preprocess.py", 2), ("--mindir_path", 3), ("postprocess.py", 4)])
def test_it_stops_where_a_step_fails_with_its_status(step: str, num_steps: int, place: Path) -> None:
    result = call(place, LOWERED, DATA, "CPU", FAIL=step)
    assert result.returncode == 7
    steps = ["build.sh", "preprocess.py", "main --mindir_path", "postprocess.py"][:num_steps]
    assert [step in line for step, line in zip(steps, calls(place), strict=True)] == [True] * num_steps
    if step != "preprocess.py":
        log = "infer.log" if step == "--mindir_path" else "acc.log"
        assert f"failed with status 7; the end of {place}/here/{log}:" in result.stderr
        assert result.stderr.endswith("last words\n")


def test_results_are_the_programs_affair_and_other_files_are_left_alone(place: Path) -> None:
    results = place / "here" / "result_Files"
    results.mkdir()
    for name in ("holiday.png", "thesis.json", "a.bin"):
        (results / name).write_text("mine")
    assert call(place, LOWERED, DATA, "CPU").returncode == 0
    assert call(place, LOWERED, DATA, "CPU").returncode == 0
    assert {path.name: path.read_text() for path in results.iterdir()} == dict.fromkeys(("holiday.png", "thesis.json", "a.bin"), "mine")


@pytest.mark.parametrize("log", ["infer.log", "acc.log", "build.log"])
def test_other_peoples_logs_are_left_alone(log: str, place: Path) -> None:
    (place / "here" / log).write_text("mine")
    result = call(place, LOWERED, DATA, "CPU")
    assert result.returncode == 2
    assert f"{place}/here/{log} is not from an earlier call" in result.stderr and len(result.stderr.splitlines()) == 1
    assert [path.name for path in (place / "here").iterdir()] == [log] and (place / "here" / log).read_text() == "mine"
    assert not (place / "calls").exists()


def test_a_call_that_cannot_work_leaves_the_last_results(place: Path) -> None:
    assert call(place, LOWERED, DATA, "CPU").returncode == 0
    for arguments, environment in (((), {"MS_LITE_HOME": ""}), (("CPU",), {"NO_PACKAGES": "1"})):
        result = call(place, LOWERED, DATA, *arguments, **environment)
        assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
    assert "lacks packages of requirements.txt; set OCRNET_VENV" in result.stderr
    assert (place / "here" / "acc.log").read_text() == "miou: 0.5\n"


def test_a_folder_in_which_another_call_works_is_left_alone(place: Path) -> None:
    assert call(place, LOWERED, DATA, "CPU").returncode == 0
    with open(place / "here" / ".run_cpp_infer", "w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        result = call(place, LOWERED, DATA, "CPU")
    assert (result.returncode, "another call works in" in result.stderr) == (2, True)
    assert (place / "here" / "acc.log").read_text() == "miou: 0.5\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_the_step_too(number: signal.Signals, status: int, place: Path) -> None:
    process = start(place, LOWERED, DATA, "CPU", SLOW="1")
    started = place / "calls.main"
    deadline = time.monotonic() + 30
    while not (started.exists() and started.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == status
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_logs_of_an_interrupted_call_are_replaced(place: Path) -> None:
    assert call(place, LOWERED, DATA, "CPU", FAIL="--mindir_path").returncode == 7
    (place / "here" / "acc.log").write_text("miou: 0.1")
    assert call(place, LOWERED, DATA, "CPU", FAIL="preprocess.py").returncode == 7
    assert not (place / "here" / "infer.log").exists() and not (place / "here" / "acc.log").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([LOWERED], "expected MODEL_PATH DATA_PATH [DEVICE_TYPE] [DEVICE_ID], got 1 arguments"),
        ([LOWERED, DATA, "CPU", "0", "x"], "got 5 arguments"),
        (["none.mindir", DATA, "CPU"], "MODEL_PATH none.mindir: no such file"),
        (["../main", DATA, "CPU"], "no manifest main.json beside it"),
        ([LOWERED, "nowhere", "CPU"], "DATA_PATH nowhere: no such folder"),
        ([LOWERED, DATA, "TPU"], "DEVICE_TYPE 'TPU': expected CPU, GPU or Ascend"),
        ([LOWERED, DATA, "CPU", "one"], "DEVICE_ID 'one': expected a number"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, place: Path) -> None:
    result = call(place, *arguments)
    assert result.returncode == 2
    assert message in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (place / "calls").exists() and list((place / "here").iterdir()) == []


def test_a_device_needs_its_own_library_and_a_manifest_must_be_one(place: Path) -> None:
    result = call(place, LOWERED, DATA, "ASCEND", MS_LITE_HOME="")
    assert (result.returncode, "DEVICE_TYPE Ascend needs a MindSpore Lite for it: set MS_LITE_HOME" in result.stderr) == (2, True)
    result = call(place, LOWERED, DATA, "CPU", THREADS="many")
    assert (result.returncode, "THREADS 'many'" in result.stderr) == (2, True)
    (place / "models" / "net_lite2.json").write_text("{}")
    result = call(place, LOWERED, DATA, "CPU")
    assert (result.returncode, "net_lite2.json: no manifest of export.py" in result.stderr) == (2, True)
