"""Every command of the documents has a rule in commands.yaml, and its program would take it."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import PROJECT, READMES, Line, commands, python_blocks, strip_comment
from tests.docs.parsing import check_command, check_flags
from tests.docs.rules import Table
from tests.docs.run_commands import all_commands
from tests.docs.stub import ENVIRONMENT, check_started, stub_environment

TABLE = Table.read()


def test_each_command_has_a_rule_and_each_rule_a_command() -> None:
    used = {TABLE.rule(command).start for command in all_commands()}
    assert {rule.start for rule in TABLE.rules} - used == set()
    assert {name for rule in TABLE.rules for name in rule.run or ()} == set(TABLE.shorter)
    assert len(used) > 50


def test_their_programs_take_the_commands() -> None:
    problems = []
    for command in all_commands():
        rule, text = TABLE.rule(command), TABLE.filled(command.text)
        try:
            if text.startswith("python - "):
                compile(text.split("\n", 1)[1].removesuffix("EOF"), str(command), "exec")
            elif not rule.stub:
                check_command(TABLE.shortened(text, rule))
        except (ValueError, SyntaxError, ImportError, OSError) as error:
            problems.append(f"{command}\n    {error}")
    assert not problems, "\n".join(problems)


def test_launching_scripts_start_what_train_and_eval_take(tmp_path: Path) -> None:
    for number, command in enumerate(line for line in all_commands() if TABLE.rule(line).stub):
        place = tmp_path / str(number)
        (place / "DATA").mkdir(parents=True)
        (place / "OUT").mkdir()
        for name in ("rank_table.json", "all.json", "CKPT", "BACKBONE.ckpt", "OUT/best.ckpt"):
            (place / name).touch()
        (place / "scripts").symlink_to(PROJECT / "scripts")
        kept = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
        result = subprocess.run(
            ["bash", "-c", TABLE.filled(command.text)],
            cwd=place,
            env={**kept, **stub_environment(place)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert result.returncode == 0, f"{command}\n{result.stderr}"
        check_started(place)


def test_both_readmes_have_the_same_commands() -> None:
    english, chinese = ([line.text for line in commands(page)] for page in READMES)
    assert english == chinese
    assert [line.text for line in python_blocks(READMES[0])] == [line.text for line in python_blocks(READMES[1])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.py", "--config", "demo", "--learning_rate", "1"], "its parser says no"),
        (["train.py", "--config", "demo", "train.weight_decay=1"], "no configuration key train.weight_decay"),
        (["-m", "src.data.split", "--vall", "0.2"], "its parser says no"),
        (["-m", "src.data.no_such_module"], "its parser says no"),
    ],
)
def test_what_a_program_does_not_take_is_noticed(words: list[str], message: str) -> None:
    with pytest.raises((ValueError, ImportError), match=f"{message}|no_such_module"):
        check_flags(words)


def test_a_command_without_a_rule_is_noticed() -> None:
    with pytest.raises(LookupError, match="no rule of tests/docs/commands.yaml"):
        TABLE.rule(Line("docs/X.md", 3, "python paint.py"))


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("python a.py --x 1    # why", "python a.py --x 1"),
        ("# only this", ""),
        ("python a.py 'a # b' \"c#d\" e#f", "python a.py 'a # b' \"c#d\" e#f"),
        ("a 'b c' b # b", "a 'b c' b"),
    ],
)
def test_comments_are_no_part_of_a_command(line: str, command: str) -> None:
    assert strip_comment(line) == command


def test_placeholders_and_optional_parts_are_filled() -> None:
    filled = TABLE.filled('bash x.sh DEVICE_ID DATA CHECKPOINT|none [BEGIN_EPOCH] "eval.window=[1,2]" [-- --flag True ...]')
    assert filled == 'bash x.sh 0 DATA none 0 "eval.window=[1,2]" -- --flag True'
    assert TABLE.filled("CONFIG=demo bash x.sh CONFIG MY_DEVICE_ID") == "CONFIG=demo bash x.sh demo MY_DEVICE_ID"
