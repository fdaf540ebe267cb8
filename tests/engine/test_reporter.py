"""What a run says of its time: step time and data time, and a hint where the device waits for data."""

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import mindspore as ms
import pytest

from src.engine.feed import Outcome, host_steps
from src.engine.reporter import Reporter, data_hint
from src.engine.run_records import parse_log
from tests.tiny import tiny_config


class SlowLoader:
    """Batches that take some seconds each to come."""

    def __init__(self, size: int, seconds: float) -> None:
        self.size, self.seconds = size, seconds

    def create_tuple_iterator(self, num_epochs: int) -> Iterator[tuple[ms.Tensor]]:
        for number in range(self.size):
            time.sleep(self.seconds)
            yield (ms.Tensor(number, ms.float32),)


def slow_step(x: ms.Tensor) -> ms.Tensor:
    time.sleep(0.02)
    return x


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("ocrnet"), "propagate", True)  # whatever other tests have made of it
    caplog.set_level(logging.INFO, "ocrnet")
    return caplog


def train(folder: Path, outcomes: Iterator[Outcome], epoch_steps: int, epochs: int) -> list[dict]:
    """Report outcomes as the trainer does; return the records."""
    sizes = {"epoch_steps": epoch_steps, "end_epoch": epochs, "pictures_per_step": 4, "log_interval": epoch_steps}
    reporter = Reporter(folder, 0, **sizes, data_hint="give more --workers")
    step = 0
    for outcome in outcomes:
        step += outcome.steps
        reporter.steps(step, outcome, lr=0.01, skipped=0)
        if step % epoch_steps == 0:
            reporter.epoch(step // epoch_steps, skipped=0, loss_scale=1.0)
            reporter.start_epoch()
    reporter.close()
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_slow_source_is_seen_and_hinted_at_once(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    records = train(tmp_path, host_steps(slow_step, SlowLoader(33, 0.01)), epoch_steps=11, epochs=3)
    assert len(records) == 3
    for record in records:  # sleeping never takes less than it was told to
        assert record["data_ms"] >= 10 and record["step_ms"] >= 30
        assert 0.25 < record["data_ms"] / record["step_ms"] < 0.6
    hints = [line for line in log.messages if line.startswith("hint: the device waited for data for ")]
    assert len(hints) == 1 and hints[0].endswith("% of the last 10 steps; give more --workers")
    assert sum("of a step spent waiting for data" in line for line in log.messages) == 3
    told = parse_log("\n".join(log.messages))
    assert [record["lr"] for record in told] == [0.01] * 3
    assert [record["images_per_second"] for record in told] == pytest.approx([record["images_per_second"] for record in records], abs=0.01)


def test_a_fast_source_is_not(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    records = train(tmp_path, host_steps(slow_step, SlowLoader(12, 0.0)), epoch_steps=12, epochs=1)
    assert records[0]["data_ms"] / records[0]["step_ms"] < 0.1
    assert not any("hint" in line for line in log.messages)


def test_a_few_steps_tell_nothing(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    train(tmp_path, host_steps(slow_step, SlowLoader(8, 0.02)), epoch_steps=8, epochs=1)
    assert not any("hint" in line for line in log.messages)


def test_of_a_device_queue_it_is_said_that_nothing_is_measured(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    outcomes = iter([Outcome((1.0, 2.0), None), Outcome((3.0, 4.0), None)])
    records = train(tmp_path, outcomes, epoch_steps=4, epochs=1)
    assert "data_ms" not in records[0] and records[0]["loss"] == 4
    assert any("waiting for data is not measured with the device's queue (--sink_mode off measures it)" in line for line in log.messages)
    assert not any("(waiting for data:" in line for line in log.messages)


def test_short_epochs_are_judged_together(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    outcomes = (Outcome((1.0,), 0.02) for _ in range(24) if time.sleep(0.02) is None)
    train(tmp_path, outcomes, epoch_steps=4, epochs=6)
    # The first step compiles and is not measured: 3, then 4 more, then 4 more.
    hints = [line for line in log.messages if "hint" in line]
    assert len(hints) == 1 and "of the last 11 steps; give more --workers" in hints[0]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("workers=3",), "give more --workers than 3, up to the number of CPU cores, or pack the data once"),
        (("workers=4",), "pack the data once (python -m src.data.pack) and train with --data_format mindrecord"),
        (("workers=8",), "pack the data once (python -m src.data.pack) and train with --data_format mindrecord"),
        (("workers=3", "data_format=mindrecord"), "give more --workers than 3, up to the number of CPU cores"),
        (("workers=4", "data_format=mindrecord"), "every CPU core reads packed data already"),
    ],
)
def test_hint_names_what_is_left_to_do(monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], hint: str) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    given = data_hint(tiny_config(None, *words))
    assert given.startswith(hint) and ("--workers" in given) == ("--workers" in hint) and ("src.data.pack" in given) == ("pack the" in hint)
