"""What all entry scripts share: flags made from the schema, and exit codes."""

import argparse
import logging
import os
import select
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from src.config.checking import nearest
from src.config.errors import UserError
from src.config.loading import preset_names
from src.config.schema import SCHEMA, Key
from src.runtime.stopping import Stopped, StopSignals

EXIT_FAILED = 1
EXIT_USER = 2
EXIT_PIPE = 128 + signal.SIGPIPE


class WorkError(RuntimeError):
    """The work itself failed (training diverged, a rank died): one line, exit status 1."""


class OneLineParser(argparse.ArgumentParser):
    """Errors in one line, with exit status 2; words may stand before, between and behind the flags."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; words and flags may mix."""
        return self.parse_intermixed_args(args, namespace)

    def error(self, message: str) -> Any:
        """Print the message, with the nearest flag for an unknown one, and leave with status 2."""
        start = "unrecognized arguments: "
        unknown = next((word for word in message.split() if word.startswith("--")), "") if message.startswith(start) else ""
        if unknown:
            # argparse would name the words behind it too, which may be right.
            message = f"unknown flag {unknown}{nearest(unknown.split('=')[0], list(self._option_string_actions))}"
        print(f"{self.prog}: {message} (see --help)", file=sys.stderr)
        raise SystemExit(EXIT_USER)


def parse_boolean(text: str) -> bool:
    """Read True/False as ModelArts passes them, in any case, or 1/0."""
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"expected True or False, got '{text}'")
    return values[text.lower()]


def with_bare_flag(argv: Sequence[str] | None, flag: str) -> list[str]:
    """Return the arguments with True behind a boolean flag that no value follows: argparse would take the word behind it for one.

    What follows and is no value: nothing, another flag, a `key.sub=value` word, a file, a folder or a glob.

    Args:
        argv: arguments; None: those of the program.
        flag: with its dashes.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for place in reversed([number for number, word in enumerate(words) if word == flag]):
        following = words[place + 1] if place + 1 < len(words) else "-"
        if following.startswith("-") or any(mark in following for mark in "=./*?[") or os.path.exists(following):
            words.insert(place + 1, "True")
    return words


def build_parser(description: str, groups: Mapping[str, Sequence[str]], default: str) -> argparse.ArgumentParser:
    """Return a parser with `--config`, a flag for each named top-level key, and `key.sub=value` words.

    Args:
        description: first paragraph of --help.
        groups: title -> top-level keys of the schema, in the order of --help.
        default: what is used where `--config` is not given, for --help.
    """
    usage = "%(prog)s [--flag VALUE ...] [key.sub=value ...]"
    parser = OneLineParser(usage=usage, description=description, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    parser.add_argument(
        "words", nargs="*", metavar="key.sub=value", default=[], help="any other key, as in train.wd=0.0005 (docs/CONFIGURATION.md)"
    )
    parser.add_argument(
        "--config",
        default=None,
        metavar="NAME|FILE",
        help=f"a preset ({', '.join(preset_names())}) or a YAML file; default: {default}",
    )
    add_flags(parser, groups)
    return parser


def add_flags(parser: argparse.ArgumentParser, groups: Mapping[str, Sequence[str]]) -> None:
    """Add a flag for each named top-level key of the schema; groups: title -> keys, in the order of --help."""
    for title, names in groups.items():
        group = parser.add_argument_group(title)
        for name in names:
            _add_flag(group, name, SCHEMA[name])


def _add_flag(group: Any, name: str, key: Key) -> None:
    kind = parse_boolean if key.kind is bool else key.kind
    metavar = "True|False" if key.kind is bool else "|".join(key.choices) if key.choices else key.kind.__name__.upper()
    group.add_argument(f"--{name}", type=kind, metavar=metavar, help=key.doc.replace("%", "%%"))


def split_arguments(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Return the schema's flags that were really given, and the words."""
    given = {name: value for name, value in vars(arguments).items() if name in SCHEMA}
    return given, arguments.words


def show_log() -> None:
    """Print on stdout what the project's logger is told, for modules that are commands; programs have src.runtime.logging."""
    logger = logging.getLogger("ocrnet")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stdout))


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call an entry script's main; turn what a user can mend into one line on stderr and status 2, failed work into status 1.

    SIGTERM and SIGINT end it with one line too, and with status 143 and 130. Where nobody reads its output any more, as behind `| head`, it
    ends without a word, with the status 141 that SIGPIPE gives.
    """
    try:
        with StopSignals():
            status = main(argv)
            sys.stdout.flush()  # or else a reader that has gone is noticed as the process ends, in a message of Python
            return status
    except BrokenPipeError as error:
        return EXIT_PIPE if _is_reader_gone() else _complain(error, EXIT_USER)
    except (UserError, OSError) as error:  # OSError: a disk that is full or read-only, a file that vanished
        return _complain(error, EXIT_USER)
    except WorkError as error:
        return _complain(error, EXIT_FAILED)
    except KeyboardInterrupt as interruption:
        stop = interruption if isinstance(interruption, Stopped) else Stopped(signal.SIGINT)
        print(stop, file=sys.stderr)
        return stop.status


def _is_reader_gone() -> bool:
    """Whether nobody reads standard output; what it still holds is thrown away then."""
    try:
        out = sys.stdout.fileno()
    except (OSError, ValueError):  # no file
        return False
    poll = select.poll()
    poll.register(out, 0)
    if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), out)
    return True


def _complain(error: BaseException, status: int) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return status
