"""Training runs of a tiny network: what they leave, resuming bit for bit, wrong inputs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import train
from src.checkpoint.weights import read_checkpoint
from src.engine import assembly
from src.engine.reporter import Reporter
from src.engine.trainer import Trainer
from src.runtime.entry import run
from tests.engine.kill_training import WORDS as ONE_LAYER_WORDS
from tests.engine.kill_training import OneLayer
from tests.tiny import TINY_WORDS, write_camvid

FINAL_LINE = "training finished"

# For what is the loop's affair and not the compiled step's: compiling takes longer than these runs.
UNCOMPILED = ("mode=PYNATIVE", "eval_callback=False")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("camvid"))


def arguments(data: Path, output: Path, *more: str) -> list[str]:
    return ["--config", "camvid_w18_small", "--data_path", str(data), "--output_path", str(output), *TINY_WORDS, *more]


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 epochs with evaluation every 2."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    assert run(train.main, arguments(data, output)) == 0
    return output


@pytest.fixture
def one_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "build_network", lambda config, **_: OneLayer())


def test_run_leaves_what_the_readme_lists(finished: Path) -> None:
    for name in (
        "config.yaml",
        "train.log",
        "metrics.jsonl",
        "curves.png",
        "best.ckpt",
        "best.yaml",
        "last.ckpt",
        "last.state",
        "eval.json",
    ):
        assert (finished / name).stat().st_size > 0, name
    assert list((finished / "tb").glob("events.out.tfevents.*"))
    assert list((finished / "eval").glob("*.png"))
    assert sorted(path.name for path in (finished / "checkpoints").glob("*.ckpt")) == ["epoch_0003.ckpt", "epoch_0004.ckpt"]  # keeps 2
    assert not [path for path in finished.rglob(".*")], "temporary files are left"


def test_log_keeps_the_lines_that_people_search_for(finished: Path) -> None:
    log = (finished / "train.log").read_text()
    assert "epoch: 2 step: 1, loss is " in log
    assert "epoch time: " in log and " ms, per step time: " in log
    for line in ("=========== Validation Result ===========", "===> mIoU: ", "===> IoU array:"):
        assert line in log
    assert FINAL_LINE in log


def test_metrics_have_every_step_and_evaluation(finished: Path) -> None:
    records = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    trained = [record for record in records if record["kind"] == "train"]
    assert [record["step"] for record in trained] == list(range(1, 9))  # 5 pictures, batches of 2: 2 steps per epoch
    assert all(np.isfinite(record["loss"]) for record in trained)
    assert [record["step"] for record in records if record["kind"] == "eval"] == [4, 8]


def assert_same_state(first: Path, second: Path) -> None:
    whole, resumed = np.load(first / "last.state"), np.load(second / "last.state")
    assert set(whole.files) == set(resumed.files)
    for name in whole.files:
        assert (whole[name] == resumed[name]).all(), name


@pytest.mark.usefixtures("small_backbone")
def test_resuming_equals_never_having_stopped(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished, output = tmp_path / "whole", tmp_path / "killed"
    after_epoch = Trainer._after_epoch

    def copy_after_the_second(self: Trainer, epoch: int, is_saved: bool, reporter: Reporter | None) -> None:
        after_epoch(self, epoch, is_saved, reporter)
        if epoch == 2:
            shutil.copytree(finished, output)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_after_epoch", copy_after_the_second)
        assert run(train.main, arguments(data, finished)) == 0
    assert int(np.load(output / "last.state")["ocr_distri_head.conv_bn_dropout.2.dropout_calls"]) == 4
    # As if killed in the third epoch: records that the state does not know of, one of them cut off.
    with open(output / "metrics.jsonl", "a") as stream:
        stream.write('{"kind": "train", "step": 5, "loss": 1.0}\n{"kind": "tra')
    assert run(train.main, ["--resume", str(output)]) == 0
    assert_same_state(finished, output)
    assert int(np.load(output / "last.state")["ocr_distri_head.conv_bn_dropout.2.dropout_calls"]) == 8
    weights, expected = read_checkpoint(output / "last.ckpt"), read_checkpoint(finished / "last.ckpt")
    assert set(weights) == set(expected)
    assert all((weights[name] == expected[name]).all() for name in expected)
    assert records(output, "train") == records(finished, "train")


def records(output: Path, kind: str) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if line["kind"] == kind]


@pytest.mark.usefixtures("one_layer")
def test_resuming_amid_an_accumulation_with_workers(data: Path, tmp_path: Path, pynative: None) -> None:
    # tests/engine/test_train_step.py has the compiled accumulation.
    words = [*ONE_LAYER_WORDS, "eval_callback=False", "train.accumulate_steps=3", "loss.dynamic_loss_scale=True", "loss.loss_scale=64"]
    assert run(train.main, arguments(data, tmp_path / "whole", *words, "total_epoch=2")) == 0
    assert run(train.main, arguments(data, tmp_path / "parts", *words, "total_epoch=2", "end_epoch=1", "workers=2")) == 0
    assert int(np.load(tmp_path / "parts" / "last.state")["num_accumulated"]) == 2
    assert run(train.main, ["--resume", str(tmp_path / "parts"), "--end_epoch", "2"]) == 0
    assert_same_state(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["batchsize=1"], "the run had batchsize 2, now it is 1"),
        (["train.num_samples=4"], "the run had training pictures 5, now it is 4"),
        (["--config", "demo"], "--config cannot be combined with --resume"),
        (["--output_path", "elsewhere"], "--output_path cannot be combined with --resume"),
    ],
)
def test_resuming_otherwise_is_refused(more: list[str], message: str, finished: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(train.main, ["--resume", str(finished), *more]) == 2
    assert_one_line(capfd.readouterr().err, message)


def test_one_bad_label_among_many_is_found_before_training(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    cv2.imwrite(str(copy / "valannot" / "2.png"), np.full((40, 56), 77, np.uint8))
    assert run(train.main, arguments(copy, tmp_path / "out")) == 2
    assert_one_line(capfd.readouterr().err, "label values 77")
    assert not (tmp_path / "out").exists()


def test_a_truncated_picture_is_found_before_training(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    picture = copy / "train" / "3.png"
    picture.write_bytes(picture.read_bytes()[:-100])
    assert run(train.main, arguments(copy, tmp_path / "out")) == 2
    assert_one_line(capfd.readouterr().err, "3.png: the picture cannot be read: the file is truncated")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_the_step_and_leaves_a_state_to_resume(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    words = ("total_epoch=10000", "workers=2", "eval_callback=False")  # compiled: that is when MindSpore makes SIGTERM of SIGINT
    command = [sys.executable, "-m", "tests.launch.train_one_layer", *arguments(data, output, *ONE_LAYER_WORDS, "mode=GRAPH", *words)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=Path(train.__file__).parent, start_new_session=True
    )
    deadline = time.monotonic() + 120
    while not (output / "last.state").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the data workers get it too
    _, stderr = process.communicate(timeout=60)
    name = {130: "SIGINT", 143: "SIGTERM"}.get(process.returncode, "neither")
    found = re.fullmatch(rf"stopped by {name} at epoch (\d+) step (\d+); continue with --resume {output}", stderr.strip())
    assert found, stderr
    assert not list(output.rglob(".*")), "half-written files are left"
    with np.load(output / "last.state") as state:  # 5 pictures, batches of 2: 2 steps per epoch
        assert json.loads(state["__progress__"].tobytes())["step"] == (int(found[1]) - 1) * 2 + int(found[2])


def test_a_run_is_not_overwritten(data: Path, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (finished / "last.state").read_bytes()
    assert run(train.main, arguments(data, finished)) == 2
    assert "--resume" in capsys.readouterr().err
    assert run(train.main, ["--resume", str(finished)]) == 2
    assert "already reached epoch 4; it is complete" in capsys.readouterr().err
    assert (finished / "last.state").read_bytes() == before


def test_begin_epoch_starts_the_schedule_there(data: Path, finished: Path, tmp_path: Path, pynative: None) -> None:
    output = tmp_path / "later"
    weights = str(finished / "last.ckpt")
    assert run(train.main, arguments(data, output, "begin_epoch=3", f"checkpoint_path={weights}", *UNCOMPILED)) == 0
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    whole = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    rates = {record["step"]: record["lr"] for record in whole if record["kind"] == "train"}
    assert [(record["step"], record["lr"]) for record in records] == [(7, rates[7]), (8, rates[8])]


def test_state_of_another_network_is_refused(data: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "copy"
    output.mkdir()
    for name in ("last.state", "config.yaml"):
        (output / name).write_bytes((finished / name).read_bytes())
    assert run(train.main, ["--resume", str(output), "--end_epoch", "5", "total_epoch=5", "model.ocr.mid_channels=16"]) == 2
    assert "does not fit this configuration" in capsys.readouterr().err
    (output / "last.state").write_bytes((finished / "last.state").read_bytes()[:5000])
    assert run(train.main, ["--resume", str(output)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.usefixtures("small_backbone")
def test_divergence_stops_with_status_1(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], pynative: None) -> None:
    output = tmp_path / "diverged"
    assert run(train.main, arguments(data, output, "lr=1e30", "train.warmup_steps=0", *UNCOMPILED)) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "the loss is" in error and "at epoch" in error and "--lr" in error


WRONG = {
    "missing data folder": (["--data_path", "/nowhere/at/all"], "/nowhere/at/all"),
    "no data folder": (["data_path=null"], "--data_path"),
    "missing checkpoint": (["--checkpoint_path", "nowhere.ckpt"], "nowhere.ckpt"),
    "unknown key": (["train.wdd=1"], "did you mean train.wd"),
    "too large a batch": (["batchsize=100"], "100"),
    "other number of classes": (["dataset.num_classes=19", "loss.class_weights=null"], "CamVid has 11 classes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_status_2(case: str, data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more, message = WRONG[case]
    assert run(train.main, arguments(data, tmp_path / "out", *more)) == 2
    assert_one_line(capfd.readouterr().err, message)
    assert not (tmp_path / "out").exists()


def assert_one_line(stderr: str, message: str) -> None:
    lines = stderr.strip().splitlines()
    assert len(lines) == 1, stderr
    assert message in lines[0]


WRONG_DEVICE = {
    "no GPU": (["--device_target", "GPU"], "requirements-gpu.txt"),
    "no Ascend": (["--device_target", "Ascend"], "CANN"),
    "no process group": (["--run_distribute", "True"], "msrun"),
    "unknown flag": (["--lrr", "1"], "--lrr"),
}
# One after the other, each with a file for its stderr; argparse exits by itself.
TRY_EACH = """
import json, os, sys
import train
from src.runtime.entry import run
for arguments, error in json.loads(sys.argv[1]):
    os.dup2(os.open(error, os.O_WRONLY | os.O_CREAT), 2)
    try:
        print(run(train.main, arguments), flush=True)
    except SystemExit as end:
        print(end.code, flush=True)
"""


def test_wrong_device_is_one_line_and_status_2(data: Path, tmp_path: Path) -> None:
    # In a process of its own: what these change in MindSpore's context lasts.
    tries = [([*arguments(data, tmp_path / "out"), *more], str(tmp_path / case)) for case, (more, _) in WRONG_DEVICE.items()]
    command = [sys.executable, "-c", TRY_EACH, json.dumps(tries)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=Path(train.__file__).parent, timeout=120)
    assert result.stdout.split() == ["2"] * len(WRONG_DEVICE), result.stdout + result.stderr
    for case, (_, message) in WRONG_DEVICE.items():
        assert_one_line((tmp_path / case).read_text(), message)
    assert not (tmp_path / "out").exists()


def test_unwritable_output(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(train.main, arguments(data, tmp_path / "file" / "out")) == 2
    assert "can be written" in capsys.readouterr().err


def test_resume_without_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(train.main, ["--resume", str(tmp_path)]) == 2
    assert "nothing to resume" in capsys.readouterr().err
