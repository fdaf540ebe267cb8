"""The sections of the report on how the numbers came about: settings and time."""

import platform
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import mindspore
import numpy

from src.engine.evaluator import EvalResult
from src.report.markup import Cell, table
from src.report.stopwatch import PREDICTING, READING, REPORTING, Stopwatch

# By their own word: which package OpenCV was installed from differs from machine to machine.
VERSIONS = {"MindSpore": mindspore.__version__, "NumPy": numpy.__version__, "OpenCV": cv2.__version__}
PHASES = {
    READING: "waiting for pictures, which are read ahead",
    PREDICTING: "prediction",
    REPORTING: "scores and pictures of this report",
}


def describe_settings(config: Any, checkpoint: Path, runtime: str, result: EvalResult) -> list[tuple[str, str]]:
    """Return names and values of what decided the numbers.

    Args:
        config: the complete configuration.
        checkpoint: the weight file.
        runtime: device and precision, in words.
        result: has the protocol.
    """
    changed = datetime.fromtimestamp(checkpoint.stat().st_mtime).astimezone()
    return [
        ("date", datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")),
        ("weights", f"{checkpoint.resolve()} ({checkpoint.stat().st_size:,d} bytes, of {changed:%Y-%m-%d %H:%M})"),
        ("configuration", str(config.preset)),
        ("data set", f"{config.dataset.name}, {config.eval.eval_list} in {Path(config.data_path).resolve()}"),
        ("pictures", f"{result.images:,d}"),
        ("protocol", ", ".join(f"{name} {value}" for name, value in result.protocol.items() if value not in (None, False))),
        ("runtime", runtime),
        ("versions", ", ".join([f"Python {platform.python_version()}", *(f"{name} {version}" for name, version in VERSIONS.items())])),
        ("system", platform.platform()),
    ]


def time_section(result: EvalResult, stopwatch: Stopwatch) -> str:
    """Return pictures per second, and the seconds of each phase."""
    total = result.seconds + stopwatch.seconds[REPORTING]
    seconds = {PHASES[phase]: spent for phase, spent in stopwatch.seconds.items()}
    seconds["counting, pictures in eval/ and the rest"] = max(0.0, total - sum(seconds.values()))
    rows = [_time_row(name, spent, total, max(1, stopwatch.pictures)) for name, spent in seconds.items()]
    return f"<p>{_speed(result, stopwatch)}</p>" + table(["part", "seconds", "ms per picture", "share"], rows, identifier="times")


def _time_row(name: str, spent: float, total: float, pictures: int) -> list[Cell]:
    per_picture, share = 1000 * spent / pictures, spent / total
    return [Cell(name), Cell(f"{spent:.2f}", spent), Cell(f"{per_picture:.1f}", per_picture), Cell(f"{100 * share:.1f} %", share, share)]


def _speed(result: EvalResult, stopwatch: Stopwatch) -> str:
    """Return the pictures per second, with and without the first batch and the report."""
    with_report = result.seconds + stopwatch.seconds[REPORTING]
    text = (
        f"{result.images:,d} pictures in {result.seconds:.1f} s: {result.images / result.seconds:.2f} pictures/s, "
        f"{result.images / with_report:.2f} with the report's own time."
    )
    if stopwatch.pictures < result.images:
        text += f" Times below are those of one process, which had {stopwatch.pictures:,d} of them."
    later = stopwatch.pictures - stopwatch.first_pictures
    if later <= 0:
        return text
    spent = stopwatch.seconds[PREDICTING] - stopwatch.first_seconds
    return (
        f"{text} The first batch, in which the network is compiled, took {stopwatch.first_seconds:.2f} s; "
        f"after it prediction took {1000 * spent / later:.1f} ms per picture."
    )
