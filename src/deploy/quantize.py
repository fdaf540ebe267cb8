"""Make an int8 model for OpenVINO out of an ONNX file, calibrated on the training pictures.

    python -m src.deploy.quantize OUT/model.onnx --data_path DATA --samples 300

Writes OUT/model_int8.xml, model_int8.bin and the manifest model_int8.json, which says how it was made; run it by
`PRECISION=int8 bash scripts/run_cpp_infer.sh OUT/model_int8.xml DATA CPU`. At the end stands a table: mIoU on the validation pictures,
time and size, before and after.
"""

import argparse
import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from src.config.errors import UserError
from src.runtime.entry import OneLineParser, add_flags, run, show_log, split_arguments
from src.runtime.environment import prepare_environment

FLAGS = {"data": ("data_path",)}
PACKAGES = ("nncf", "openvino", "onnx")
OLDEST_OPENVINO = (2024, 6)  # as of the C++ program
SUFFIX = "_int8"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, quantise, report; return the exit status."""
    arguments = _parse(argv)
    _check_packages()
    prepare_environment("CPU")

    # Imported late: OpenVINO, NNCF and MindSpore take seconds; --help and a wrong flag need none of them.
    from src.deploy.int8.job import QuantizeOptions, quantize_file

    show_log()
    model = Path(arguments.source)
    target = Path(arguments.file_name) if arguments.file_name else model.with_name(model.stem + SUFFIX)
    options = QuantizeOptions(
        model,
        target if target.suffix == ".xml" else target.with_name(target.name + ".xml"),
        *(arguments.samples, arguments.sensitivity_samples, arguments.max_drop, arguments.report_samples),
    )
    for path in quantize_file(options, *split_arguments(arguments)):
        print(f"wrote {path} ({path.stat().st_size / 2**20:.1f} MiB)")
    return 0


def _check_packages() -> None:
    """Refuse to begin without what is needed, before any of it is imported."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"quantising needs {' and '.join(missing)}: pip install -r requirements-deploy.txt")
    found = importlib.metadata.version("openvino")
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST_OPENVINO:
        oldest = ".".join(map(str, OLDEST_OPENVINO))
        raise UserError(f"OpenVINO {found} is too old: expected {oldest} or later; pip install -r requirements-deploy.txt")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="src.deploy.quantize",
        usage="%(prog)s MODEL --data_path DATA [--flag VALUE ...] [key.sub=value ...]",
        description="Make an int8 model for OpenVINO out of an ONNX file.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument("source", metavar="MODEL", help="the .onnx of export.py, its manifest beside it")
    parser.add_argument("words", nargs="*", metavar="key.sub=value", default=[], help="keys of the data, as in eval.eval_list=val.txt")
    add_flags(parser, FLAGS)
    group = parser.add_argument_group("quantisation")
    group.add_argument("--file_name", default=None, metavar="FILE", help="model to write (default: MODEL with _int8)")
    group.add_argument("--samples", type=int, default=300, metavar="N", help="training pictures to calibrate on (default: 300)")
    sensitivity = "other training pictures, on which the mIoU must hold (default: 50)"
    group.add_argument("--sensitivity_samples", type=int, default=50, metavar="N", help=sensitivity)
    drop = "mIoU (0..1) that int8 may lose on those; layers stay in higher precision until it holds (default: 0.003)"
    group.add_argument("--max_drop", type=float, default=0.003, metavar="X", help=drop)
    group.add_argument("--report_samples", type=int, default=100, metavar="N", help="validation pictures of the table (default: 100)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run(main))
