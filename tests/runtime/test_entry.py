"""Exit codes, booleans as ModelArts passes them, flags that are not given, and the environment."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import train
from src.config import UserError
from src.runtime import environment
from src.runtime.entry import WorkError, build_parser, parse_boolean, run, split_arguments, with_bare_flag

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("text", "value"), [("True", True), ("true", True), ("1", True), ("False", False), ("FALSE", False), ("0", False)])
def test_booleans(text: str, value: bool) -> None:
    assert parse_boolean(text) is value


def test_wrong_boolean() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="True or False"):
        parse_boolean("yes")


def test_only_flags_that_were_given() -> None:
    parser = build_parser("x", train.FLAGS, "demo")
    flags, words = split_arguments(parser.parse_args(["train.wd=1", "--lr", "0.1", "--run_distribute", "True", "eval.flip=True"]))
    assert flags == {"lr": 0.1, "run_distribute": True}
    assert words == ["train.wd=1", "eval.flip=True"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UserError("two\nlines"), 2),
        (FileNotFoundError(2, "No such file", "x"), 2),
        (WorkError("diverged"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_status(error: BaseException, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: Sequence[str] | None) -> int:
        raise error

    assert run(main) == status
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_defects_keep_their_traceback() -> None:
    def main(_: Sequence[str] | None) -> int:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        run(main)


@pytest.mark.parametrize(
    ("version", "target", "expected"),
    [("2.8.0", "CPU", None), ("2.9.0", "CPU", "AVX2"), ("2.10.0", "CPU", "AVX2"), ("2.10.0", "Ascend", None)],
)
def test_slow_mindspore_versions_get_avx2(version: str, target: str, expected: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, str] = {}
    monkeypatch.setattr(environment.os, "environ", values)
    monkeypatch.setattr(environment.importlib.metadata, "version", lambda _: version)
    environment.prepare_environment(target)
    assert values.get("ONEDNN_MAX_CPU_ISA") == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--report"], ["--report", "True"]),
        (["--report", "eval.flip=True"], ["--report", "True", "eval.flip=True"]),
        (["a=1", "--report", "--config", "demo"], ["a=1", "--report", "True", "--config", "demo"]),
        (["--report", "False", "a=1"], ["--report", "False", "a=1"]),
        (["--report", "a.png"], ["--report", "True", "a.png"]),
        (["--report", "src", "--report", "*"], ["--report", "True", "src", "--report", "True", "*"]),
        (["--report", "maybe"], ["--report", "maybe"]),  # refused by the parser, by its name
        (["--report=False"], ["--report=False"]),
        ([], []),
    ],
)
def test_a_flag_may_stand_alone(given: list[str], expected: list[str]) -> None:
    assert with_bare_flag(given, "--report") == expected


def test_similar_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser("x", train.FLAGS, "demo").parse_args(["--batch_size", "3"])
    assert caught.value.code == 2
    assert "did you mean --batchsize?" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--explain", "maybe"], ["--explain"]])
def test_a_flag_that_was_typed_rightly_is_not_proposed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = build_parser("x", {}, "demo")
    parser.add_argument("--explain", type=parse_boolean)
    with pytest.raises(SystemExit):
        parser.parse_args(words)
    error = capsys.readouterr().err
    assert "argument --explain: expected" in error and "did you mean" not in error


def test_help_is_short_and_neither_that_nor_a_wrong_data_folder_needs_mindspore() -> None:
    import subprocess
    import sys
    from pathlib import Path

    code = """import sys, train
try:
    train.main(['--help'])
except SystemExit:
    assert train.run(train.main, ['--data_path', 'nowhere', '--output_path', 'nowhere']) == 2
    assert 'mindspore' not in sys.modules"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(train.__file__).parent, check=True)
    assert "--resume" in result.stdout and result.stderr.startswith("error: nowhere: no such data folder")
    assert len(result.stdout.splitlines()) < 80


@pytest.mark.parametrize("lines", [1, 2000])  # what fits into the buffer, which is written at the end, and what does not
def test_output_that_nobody_reads_any_more_ends_without_a_word(lines: int) -> None:
    code = f"import sys; from src.runtime.entry import run; sys.stdin.read(); sys.exit(run(lambda _: print('x' * 100 * {lines}) or 0))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b"" and process.wait() == 141


def test_another_broken_pipe_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    def main(_: Sequence[str] | None) -> int:
        raise BrokenPipeError(32, "Broken pipe", "fifo")

    assert run(main) == 2
    assert "fifo" in capsys.readouterr().err
