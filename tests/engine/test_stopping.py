"""Runs that are stopped, go wrong or find no room: what they say, what they leave, and that they can be continued from it."""

import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import train
from src.checkpoint import atomic
from src.engine import assembly, evaluator, history, trainer
from src.engine.feed import Outcome, host_steps
from src.engine.reporter import Reporter
from src.inference.predictor import Predictor
from src.runtime.distributed import Group
from src.runtime.entry import run
from src.runtime.modelarts.job import Job
from tests.engine.kill_training import WORDS, OneLayer
from tests.tiny import write_camvid

EPOCH_STEPS = 4  # 9 pictures, batches of 2


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("camvid"), num_train=9, num_val=2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, pynative: None) -> None:
    """A network and pictures of results that cost nothing."""
    patch_small(monkeypatch)


def patch_small(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(assembly, "build_network", lambda config, **_: OneLayer())
    patch.setattr(history, "draw_curves", lambda records, path: path.touch())
    patch.setattr(evaluator, "confusion_picture", lambda path, matrix, names: path.touch())


def arguments(data: Path, output: Path, *more: str) -> list[str]:
    return ["--config", "camvid_w18_small", "--data_path", str(data), "--output_path", str(output), *WORDS, "total_epoch=4", *more]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 epochs that nobody stopped."""
    import mindspore as ms

    output, before = tmp_path_factory.mktemp("runs") / "whole", ms.get_context("mode")
    with pytest.MonkeyPatch.context() as patch:
        patch_small(patch)
        assert run(train.main, arguments(data, output)) == 0
    ms.set_context(mode=before)
    return output


def assert_equal_runs(first: Path, second: Path) -> None:
    for name in ("last.state", "last.ckpt", "best.ckpt"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    assert records(first) == records(second)


def records(output: Path) -> list[tuple[Any, ...]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(line["kind"], line["step"], line.get("loss"), line.get("miou")) for line in lines]


def state_step(output: Path) -> int:
    with np.load(output / "last.state") as state:
        return int(json.loads(state["__progress__"].tobytes())["step"])


def after_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], object]) -> None:
    """Do something when a step has been recorded, once."""
    record = Reporter.steps

    def record_and_act(self: Reporter, done: int, *more: Any) -> None:
        record(self, done, *more)
        if done == step:
            action()

    monkeypatch.setattr(Reporter, "steps", record_and_act)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_step_and_resuming_continues_amid_the_epoch(
    number: signal.Signals,
    status: int,
    data: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, saved = tmp_path / "out", []
    monkeypatch.setattr(Job, "send", lambda job: saved.append(state_step(output) if (output / "last.state").exists() else 0))
    after_step(monkeypatch, 5, lambda: os.kill(os.getpid(), number))
    assert run(train.main, arguments(data, output)) == status
    expected = f"stopped by {number.name} at epoch 2 step 2; continue with --resume {output}"
    assert capsys.readouterr().err.strip() == expected  # the step that began when the signal came
    assert expected in (output / "train.log").read_text()
    assert state_step(output) == 6 and saved == [0, 3, 4, 6]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "the handlers are given back"
    assert run(train.main, ["--resume", str(output)]) == 0
    assert_equal_runs(output, whole)


def test_a_signal_before_the_first_step_ends_it_at_once(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trainer, "host_steps", lambda *_: iter([os.kill(os.getpid(), signal.SIGTERM)]))
    assert run(train.main, arguments(data, tmp_path / "out")) == 143
    assert capsys.readouterr().err.strip() == "interrupted by SIGTERM"
    assert not (tmp_path / "out" / "last.state").exists()


@pytest.mark.parametrize("epoch", [2, 4])
def test_an_evaluation_that_a_signal_ended_is_made_up(
    epoch: int, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    predict, pictures = Predictor.predict, []

    def predict_and_stop(self: Predictor, images: Any) -> np.ndarray:
        pictures.append(len(images))
        if len(pictures) == epoch - 1:  # two pictures in each of the evaluations after epochs 2 and 4
            os.kill(os.getpid(), signal.SIGTERM)
        return predict(self, images)

    monkeypatch.setattr(Predictor, "predict", predict_and_stop)
    assert run(train.main, arguments(data, output)) == 143
    error = capsys.readouterr().err.strip()
    assert error == f"stopped by SIGTERM in the evaluation after epoch {epoch}; continue with --resume {output}"
    assert sum(pictures) == epoch - 1, "the second picture is not waited for"
    assert state_step(output) == epoch * EPOCH_STEPS
    assert run(train.main, ["--resume", str(output)]) == 0
    assert_equal_runs(output, whole)
    assert run(train.main, ["--resume", str(output)]) == 2
    assert "already reached epoch 4; it is complete" in capsys.readouterr().err


def test_a_stop_at_an_epochs_end_leaves_its_evaluation_to_the_next_run(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    after_step(monkeypatch, 15, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with monkeypatch.context() as patch:
        patch.setattr(Predictor, "predict", None)  # not called, here after epoch 4, the last
        assert run(train.main, arguments(data, output, "eval_interval=4")) == 143
    assert capsys.readouterr().err.strip() == f"stopped by SIGTERM at epoch 4 step 4; continue with --resume {output}"
    assert run(train.main, ["--resume", str(output)]) == 0
    assert (output / "last.ckpt").read_bytes() == (whole / "last.ckpt").read_bytes()
    assert records(output)[-1] == records(whole)[-1], "the evaluation"


def test_a_state_that_ends_an_epoch_is_written_after_its_curves(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, drawn = tmp_path / "out", {}

    def look(_: Job) -> None:  # called after every saving
        if (output / "last.state").exists() and (output / "curves.png").exists():
            drawn[state_step(output)] = int((output / "curves.png").read_text()) == len(records(output))

    monkeypatch.setattr(history, "draw_curves", lambda records, path: path.write_text(str(len(records))))
    monkeypatch.setattr(Job, "send", look)
    assert run(train.main, arguments(data, output, "total_epoch=2", "save_state_steps=0")) == 0
    assert drawn == {4: True, 8: True}, "without an evaluation, and with one"


def test_a_complete_run_is_an_error_by_name_alone(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, sent = tmp_path / "out", []
    shutil.copytree(whole, output)
    leftover = output / ".99999999.curves.png"  # no process has this number
    leftover.touch()
    monkeypatch.setattr(Job, "send", lambda job: sent.append(leftover.exists()))
    assert run(train.main, ["--resume", str(output)]) == 2
    assert "training already reached epoch 4; it is complete" in capsys.readouterr().err
    assert run(train.main, ["--resume", "auto", *arguments(data, output)]) == 0
    assert sent == [False], "what an earlier run could not send any more"
    assert "nothing is left to do" in (output / "train.log").read_text()
    assert_equal_runs(output, whole)


def test_ranks_that_would_start_at_different_steps_are_refused(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Group, "sum_int64", lambda group, array: array + 3)
    assert run(train.main, arguments(data, tmp_path / "out")) == 2
    assert "ranks would start at different steps (this one at 0)" in capsys.readouterr().err
    two = SimpleNamespace(size=2, sum_int64=lambda array: array + 8)
    start: Any = SimpleNamespace(runtime=SimpleNamespace(group=two), progress=SimpleNamespace(step=8), folder=tmp_path)
    trainer.Trainer._check_same_start(start)


@pytest.mark.parametrize(("method", "step"), [("save", 4), ("save_evaluated", 8)])
def test_a_failure_of_another_rank_ends_this_one_after_it_has_saved(
    method: str, step: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save, has_saved = getattr(trainer.CheckpointKeeper, method), []
    monkeypatch.setattr(trainer.CheckpointKeeper, method, lambda *args: has_saved.append(save(*args)))
    monkeypatch.setattr(Group, "sum_int64", lambda group, array: array + [0, 0, 0, bool(has_saved)] if array.size == 4 else array)
    assert run(train.main, arguments(data, tmp_path / "out", "total_epoch=2", "save_state_steps=0")) == 1
    assert capsys.readouterr().err.strip() == "error: another rank failed; its last line says why"
    assert len(has_saved) == 1 and state_step(tmp_path / "out") == step


def test_an_evaluation_that_failed_after_its_record_was_written_is_recorded_once(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"

    def fail(*_: Any) -> None:
        raise OSError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(trainer.CheckpointKeeper, "save_evaluated", fail)
        assert run(train.main, arguments(data, output)) == 2
    assert records(output)[-1][0] == "eval"
    assert run(train.main, ["--resume", str(output)]) == 0
    assert_equal_runs(output, whole)


def lose(monkeypatch: pytest.MonkeyPatch, *bad_steps: int) -> None:
    """Make the losses of these steps nan, as they are told; the weights stay as they are."""

    def steps(train_step: Any, loader: Any) -> Iterator[Outcome]:
        for number, outcome in enumerate(host_steps(train_step, loader), start=1):
            yield outcome._replace(losses=(float("nan"),)) if number in bad_steps else outcome

    monkeypatch.setattr(trainer, "host_steps", steps)


def test_some_losses_that_are_not_finite_are_survived(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, steps = tmp_path / "out", []
    lose(monkeypatch, 6, 7, 9)
    for step in (6, 7, 8):
        after_step(monkeypatch, step + 1, lambda: steps.append(state_step(output)))
    assert run(train.main, arguments(data, output, "train.max_nonfinite_losses=3")) == 0
    warnings = [line.split(" ", 2)[2] for line in capsys.readouterr().out.splitlines() if "warning: the loss" in line]
    assert [line.split(";")[0].split(" (")[0] for line in warnings] == [
        "warning: the loss is nan at epoch 2 step 2",
        "warning: the loss is nan at epoch 2 step 3",
        "warning: the loss is nan at epoch 3 step 1",
    ]
    assert "no update was skipped; 2 in a row, training stops at 3" in warnings[1]
    assert steps == [4, 4, 8], "step 6 is one at which the state is saved otherwise"
    assert (output / "last.state").read_bytes() == (whole / "last.state").read_bytes()
    assert [loss for kind, step, loss, _ in records(output) if kind == "train" and step in (6, 7, 9)] == [None] * 3


@pytest.mark.parametrize(("bad", "place"), [((6, 7), "epoch 2 step 3"), ((16,), "epoch 4 step 4")])
def test_too_many_losses_that_are_not_finite_end_the_run(
    bad: tuple[int, ...], place: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    lose(monkeypatch, *bad)
    assert run(train.main, arguments(data, output, "train.max_nonfinite_losses=2")) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"error: the loss is nan at {place} (lr 0.0") and len(error.splitlines()) == 1
    assert error.endswith(f"last good state and weights: {output / 'last.state'}, {output / 'last.ckpt'}")
    assert state_step(output) == (4 if len(bad) == 2 else 15)


def test_a_loss_amid_a_bundle_is_seen(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def bundles(train_step: Any, loader: Any) -> Iterator[Outcome]:
        losses = [outcome.loss for outcome in itertools.islice(host_steps(train_step, loader), 8)]
        yield from (Outcome(tuple(losses[:4]), 0.0), Outcome((losses[4], float("inf"), *losses[6:]), 0.0))

    monkeypatch.setattr(trainer, "host_steps", bundles)
    assert run(train.main, arguments(data, tmp_path / "out")) == 1
    assert capsys.readouterr().err.startswith("error: the loss is inf at epoch 2 step 2 (lr 0.0")
    assert state_step(tmp_path / "out") == 4


def test_a_state_with_nan_never_replaces_a_good_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    average = trainer.Trainer._save

    def spoil(self: trainer.Trainer, *more: Any) -> None:
        if self.progress.step == 6:
            self.network.norm.moving_variance[3] = float("inf")
        average(self, *more)

    monkeypatch.setattr(trainer.Trainer, "_save", spoil)
    assert run(train.main, arguments(data, output)) == 1
    error = capsys.readouterr().err
    assert "error: norm.moving_variance holds numbers that are not finite after step 6; nothing was written" in error
    assert str(output / "last.state") in error
    assert state_step(output) == 4


@pytest.mark.parametrize(("free", "name", "needed"), [(1000, "last.ckpt", "5 kB"), (7000, "last.state", "21 kB")])
def test_a_full_disk_leaves_the_earlier_files_and_says_how_to_go_on(
    free: int,
    name: str,
    needed: str,
    data: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output, weights, votes = tmp_path / "out", [], []
    usage = shutil._ntuple_diskusage(10**9, 10**9, free)

    def fill() -> None:
        weights.append((output / "last.ckpt").read_bytes())
        patch.setattr(atomic.shutil, "disk_usage", lambda path: usage)

    with monkeypatch.context() as patch:
        patch.setattr(Group, "sum_int64", lambda group, array: (votes.append(array.tolist()), array)[1])
        after_step(patch, 5, fill)
        assert run(train.main, arguments(data, output)) == 2
    error = capsys.readouterr().err.strip()
    expected = f"{needed} are needed and {free // 1000} kB are free; the earlier file is intact; free room, then --resume {output}"
    assert error == f"error: {output / name}: {expected}"
    assert votes[-1] == [0, 0, 0, 1], "the other ranks are told"
    assert state_step(output) == 4 and not list(output.rglob(".*"))
    assert (output / "last.ckpt").read_bytes() == weights[0], "weights and state are of one step"
    assert run(train.main, ["--resume", str(output)]) == 0
    assert_equal_runs(output, whole)


def test_the_log_begins_with_what_decides_a_run(whole: Path) -> None:
    log = (whole / "train.log").read_text()
    assert "batch: 2 per device x 1 ranks x 1 accumulated = 2 pictures per update" in log
    assert "lr: 0.05, at the first step 0.005" in log  # warm-up begins at a tenth
    assert "last.state and last.ckpt: every 3 steps and after every epoch" in log


def test_times_are_told_of_what_was_measured_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("src.engine.reporter.logger.info", lambda text, *values, **_: lines.append(text % values))
    told = Reporter(tmp_path, 0, epoch_steps=1, end_epoch=2, pictures_per_step=1, log_interval=1)
    for epoch in (1, 2):
        told.steps(epoch, Outcome((1.0,), 0.0), 0.1, 0)
        told.epoch(epoch, 0, 1.0)
        told.start_epoch()
    told.close()
    assert [line.split(",")[0] for line in lines if "step: " in line] == ["epoch: 1 step: 1", "epoch: 2 step: 1"]
    assert sum("epoch time" in line for line in lines) == 1, "the first step compiles"
