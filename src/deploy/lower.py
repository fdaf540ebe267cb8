"""Write a MindIR in the form that MindSpore Lite 2.0.0 reads.

    python -m src.deploy.lower IN.mindir OUT.mindir

Where IN has a manifest (IN.json), OUT gets one too. MindSpore itself runs IN only.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from src.deploy.lowering import lower_file
from src.runtime.entry import OneLineParser, run


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, lower, report; return the exit status."""
    parser = OneLineParser(prog="src.deploy.lower", description="Write a MindIR in the form that MindSpore Lite 2.0.0 reads.")
    parser.add_argument("source", metavar="IN", type=Path, help="a .mindir file of export.py or ms.export")
    parser.add_argument("target", metavar="OUT", type=Path, help="the file to write; its manifest goes beside it when IN has one")
    arguments = parser.parse_args(argv)
    lower_file(arguments.source, arguments.target)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 2**20:.1f} MiB, for MindSpore Lite 2.0.0")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
