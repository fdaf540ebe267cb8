"""The log on a disk that is full, and what it says of a run that failed."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.config import UserError
from src.runtime.entry import WorkError
from src.runtime.logging import close_logging, failures_logged, log_to_file, setup_logging


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    yield setup_logging()
    close_logging()


def test_a_log_on_a_full_disk_is_one_line(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_file(Path("/dev/full"))
    for number in range(3):
        logger.info("step %d", number)
    close_logging()
    told = capsys.readouterr()
    assert told.err == "warning: /dev/full: lines are missing (No space left on device); free room\n"
    assert [line.split(" ", 2)[2] for line in told.out.splitlines()] == ["step 0", "step 1", "step 2"]


def test_the_end_of_a_process_with_such_a_log_is_quiet() -> None:
    code = """
from pathlib import Path
from src.runtime.logging import log_to_file, setup_logging
logger = setup_logging()
log_to_file(Path("/dev/full"))
logger.info("x")
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert (result.returncode, len(result.stderr.splitlines())) == (0, 1)


def test_a_mistake_in_a_message_keeps_its_traceback(logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_file(tmp_path / "train.log")
    logger.handlers[-1].emit(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    assert "TypeError" in capsys.readouterr().err


@pytest.mark.parametrize("error", [WorkError("the loss\nis nan"), UserError("no such file"), OSError("gone"), RuntimeError("a defect")])
def test_why_a_run_failed_stands_in_its_log(error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_file(tmp_path / "train.log")
    with pytest.raises(type(error)), failures_logged():
        raise error
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert lines[0].split(" ", 2)[2] == f"error: {' '.join(str(error).split())}"
    assert (lines[-1] == "RuntimeError: a defect") == ("defect" in str(error)) == (len(lines) > 1)
    told = capsys.readouterr()
    assert told.out == told.err == "", "whoever ends the process says it"
