"""Run every command of the documents on tiny data; scripts/check_docs.sh starts this.

Commands for which tests/docs/commands.yaml has a reason not to run them are parsed: flags by the program's own parser, files looked for.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.docs.markdown import Line, commands, pages, python_blocks
from tests.docs.parsing import check_command
from tests.docs.rules import Rule, Table
from tests.docs.sandbox import Sandbox
from tests.docs.stub import check_started

SHOWN_LINES = 25  # of what a command said, where it fails


def all_commands() -> list[Line]:
    """Return each command of the documents once, where it stands first; a block of Python is one too."""
    found: dict[str, Line] = {}
    for page in pages():
        blocks = [Line(page, line.number, f"python - <<'EOF'\n{line.text}\nEOF") for line in python_blocks(page)]
        for line in [*commands(page), *blocks]:
            found.setdefault(line.text, line)
    return list(found.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the commands that hold one of the texts, or all; return 1 if one fails."""
    parser = argparse.ArgumentParser(prog="check_docs.sh", description="Run the commands of the documents.")
    parser.add_argument("text", nargs="*", help="run only commands that hold one of these")
    arguments = parser.parse_args(argv)
    table = Table.read()
    chosen = [line for line in all_commands() if any(text in str(line) for text in arguments.text or [""])]
    if not chosen:
        print(f"check_docs.sh: no command of the documents holds {' or '.join(arguments.text)}", file=sys.stderr)
        return 2
    rules = [table.rule(line) for line in chosen]  # before anything runs: a command without a rule
    with tempfile.TemporaryDirectory(prefix="check_docs_", ignore_cleanup_errors=True) as folder:
        sandbox = Sandbox(Path(folder), table)
        print(f"==> preparing data, weights and results for {len(chosen)} commands", flush=True)
        begun = time.monotonic()
        sandbox.prepare()
        print(f"==> prepared in {time.monotonic() - begun:.0f} s", flush=True)
        failures = [line for line, rule in zip(chosen, rules, strict=True) if not check(line, rule, sandbox)]
        print(f"==> {len(chosen) - len(failures)} of {len(chosen)} commands are right, in {time.monotonic() - begun:.0f} s")
    for line in failures:
        print(f"failed: {line}")
    return 1 if failures else 0


def check(line: Line, rule: Rule, sandbox: Sandbox) -> bool:
    """Run or parse a command and say how it went."""
    text = sandbox.table.filled(line.text)
    begun = time.monotonic()
    problem, how = "", "stub" if rule.stub else "run" if rule.run is not None else "parsed"
    if rule.parse is None:
        status, output = sandbox.run(text, rule)
        if status != rule.status:
            problem = "\n".join([*output.splitlines()[-SHOWN_LINES:], f"status {status}, expected {rule.status}"])
    try:
        if rule.stub and not problem:
            check_started(sandbox.folder)
        elif rule.parse is not None:
            check_command(text)
    except ValueError as error:
        problem = str(error)
    word = "FAILED" if problem else "ok"
    print(f"{word:6} {how:6} {time.monotonic() - begun:5.1f} s  {line}", *problem.splitlines(), sep="\n    ", flush=True)
    return not problem


if __name__ == "__main__":
    sys.exit(main())
