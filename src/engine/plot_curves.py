"""Draw the curves of one or several runs into one picture.

    python -m src.engine.plot_curves OUT_1 OUT_2 zoo.log --output curves.png

Loss, validation mIoU, learning rate and speed over the steps, of output folders of train.py, their metrics.jsonl or train.log, and of text
logs in the manner of MindSpore's model zoo.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.statistics import counted
from src.engine.curves import draw_runs
from src.engine.run_records import read_run, run_names
from src.runtime.entry import OneLineParser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Read, draw, write; return the exit status."""
    parser = OneLineParser(prog="python -m src.engine.plot_curves", description="Draw the curves of runs into one picture.")
    parser.add_argument("runs", metavar="LOG_OR_DIR", type=Path, nargs="+", help="output folder of train.py, metrics.jsonl, or a text log")
    parser.add_argument("--output", metavar="FILE.png", type=Path, default=Path("curves.png"), help="the picture (default: curves.png)")
    arguments = parser.parse_args(argv)
    output = arguments.output
    _check_output(output)
    runs = dict(zip(run_names(arguments.runs), map(read_run, arguments.runs), strict=True))
    with atomic_path(output) as path:
        draw_runs(runs, path)
    print(f"{output}: {', '.join(f'{name} ({_content(records)})' for name, records in runs.items())}")
    return 0


def _check_output(output: Path) -> None:
    if output.suffix.lower() != ".png":
        raise UserError(f"--output {output}: the picture is a PNG; give a name that ends with .png")
    if output.is_dir() or not output.parent.is_dir():
        what = "this is a folder" if output.is_dir() else f"there is no folder {output.parent}"
        raise UserError(f"--output {output}: {what}; name a file in a folder that is there")


def _content(records: Sequence[dict]) -> str:
    kinds = [record["kind"] for record in records]
    return f"to step {records[-1]['step']}, {counted(kinds.count('train'), 'record')}, {counted(kinds.count('eval'), 'evaluation')}"


if __name__ == "__main__":
    sys.exit(run(main))
