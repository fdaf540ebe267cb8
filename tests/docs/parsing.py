"""Let the program of a command read its arguments, and do nothing else."""

import argparse
import runpy
import shlex
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from src.config.schema import flatten
from tests.docs.markdown import PROJECT

SEPARATORS = ("&&", ";", "|")
STRUCTURES = ("model.extra.",)  # keys below which the schema holds stages, whose words need not be leaves


class Accepted(BaseException):
    """A program's parser has accepted its arguments."""


def check_command(text: str) -> None:
    """Check each program of a filled command: that it is there, and that its own parser takes the flags.

    Raises:
        ValueError: if not.
    """
    words: list[str] = []
    for word in [*shlex.split(text), "&&"]:
        if word not in SEPARATORS:
            words.append(word)
            continue
        _check_program([word for number, word in enumerate(words) if not _is_assignment(words[: number + 1])], text)
        words = []


def _is_assignment(words: list[str]) -> bool:
    """Whether the last of a command's first words sets a variable for it, as in CONFIG=demo bash ..."""
    return all("=" in word and word.split("=")[0].isupper() for word in words)


def _check_program(words: list[str], text: str) -> None:
    if words[0] == "python" and words[1] != "-c":
        check_flags(words[1:])
    # The scripts make .venv, or use the environment that OCRNET_VENV names.
    elif words[0] in ("bash", "source") and not words[1].startswith(".venv/") and not (PROJECT / words[1]).is_file():
        raise ValueError(f"{text}: no {words[1]}")
    elif words[0] == "pip":
        for flag, value in zip(words, words[1:], strict=False):
            if flag == "-r" and not (PROJECT / value).is_file():
                raise ValueError(f"{text}: no {value}")


def check_flags(words: list[str]) -> None:
    """Let the parser of `python FILE ...` or `python -m MODULE ...` read the arguments; check the keys of key=value words.

    Raises:
        ValueError: if the parser refuses them, or a key is not the schema's.
    """
    try:
        _start(words)
    except Accepted as accepted:
        arguments = vars(accepted.args[0])
    except SystemExit as stop:
        raise ValueError(f"python {shlex.join(words)}: its parser says no (status {stop.code})") from None
    else:
        raise ValueError(f"python {shlex.join(words)}: it ended before it had read its arguments")
    for word in arguments.get("words") or ():
        key = word.split("=")[0]
        if "=" in word and key not in flatten() and not f"{key}.".startswith(STRUCTURES):
            raise ValueError(f"python {shlex.join(words)}: no configuration key {key}")


def _start(words: list[str]) -> None:
    def accept(parse: Callable[..., Any]) -> Callable[..., Any]:
        def parsed(self: Any, args: Any = None, namespace: Any = None) -> Any:
            raise Accepted(parse(self, args, namespace))

        return parsed

    parser = argparse.ArgumentParser
    names = ("parse_args", "parse_intermixed_args")  # what programs call; argparse itself calls parse_known_args below them
    with mock.patch.multiple(parser, **{name: accept(getattr(parser, name)) for name in names}):
        module = words[0] == "-m"
        arguments = words[2:] if module else words[1:]
        with mock.patch.object(sys, "argv", [words[0], *arguments]):
            if module:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # of a module that is imported already
                    runpy.run_module(words[1], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(Path(PROJECT, words[0])), run_name="__main__")
