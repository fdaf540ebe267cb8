"""Write a MindIR of export.py as ONNX.

    python -m src.deploy.to_onnx IN.mindir OUT.onnx

The network and its weights need not be at hand. IN is a native file, with its manifest beside it; OUT takes pictures of its size, has a
manifest too, and appears when ONNX Runtime computes what MindSpore does.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from src.deploy.options import OLDEST_OPSET, OPSET, check_opset
from src.runtime.entry import OneLineParser, run, show_log
from src.runtime.environment import prepare_environment


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, convert, report; return the exit status."""
    parser = OneLineParser(prog="src.deploy.to_onnx", description="Write a MindIR of export.py as ONNX.")
    parser.add_argument("source", metavar="IN", type=Path, help="a native .mindir file of export.py, its manifest beside it")
    parser.add_argument("target", metavar="OUT", type=Path, help="the .onnx file to write; its manifest goes beside it")
    opset_help = f"of ONNX, for older readers: {OLDEST_OPSET}..{OPSET} (default: {OPSET})"
    parser.add_argument("--opset", type=int, default=OPSET, metavar="N", help=opset_help)
    arguments = parser.parse_args(argv)
    check_opset(arguments.opset)
    prepare_environment("CPU")

    # Imported late: MindSpore takes seconds and reads the environment while it loads.
    from src.deploy.mindir_to_onnx import convert_file

    show_log()
    convert_file(arguments.source, arguments.target, arguments.opset)
    print(f"{arguments.target}: {arguments.target.stat().st_size / 2**20:.1f} MiB, ONNX of opset {arguments.opset}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
