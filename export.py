#!/usr/bin/env python3
"""Write weights as a model file that other programs run: MindIR for MindSpore and MindSpore Lite, ONNX, or AIR on an Ascend.

    python export.py --checkpoint_file OUT/best.ckpt --file_name OUT/model --file_format MINDIR --device_target CPU
    python export.py --checkpoint_file OUT/best.ckpt --file_name OUT/model --image_size 1024 2048 --outputs labels --input uint8
    python export.py --checkpoint_file OUT/best.ckpt --file_name OUT/model --file_format ONNX --dynamic batch height width

The configuration is the one beside the weight file, unless --config names another; what the weights mean is taken from there even then.
Writes OUT/model.mindir for MindSpore, OUT/model_lite2.mindir for MindSpore Lite 2.0.0, and a manifest (.json) beside each. Both are run and
compared with the weights' network first: they appear when they agree with it. ONNX: OUT/model.onnx, run in ONNX Runtime, and its
manifest; it needs requirements-deploy.txt.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.checkpoint.run_folder import check_weight_file, config_for_checkpoint
from src.config import UserError, load_config
from src.config.facts import report_facts
from src.deploy.manifest import SIDES
from src.deploy.options import OLDEST_OPSET, OPSET, ExportOptions, model_path
from src.runtime.entry import build_parser, run, split_arguments
from src.runtime.environment import prepare_environment
from src.runtime.stopping import restore_signals

FLAGS = {"paths": ("data_path",), "device": ("device_target", "device_id")}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, build, export, report; return the exit status."""
    arguments = _parse(argv)
    flags, words = split_arguments(arguments)
    if arguments.checkpoint_file is None or arguments.file_name is None:
        raise UserError("--checkpoint_file WEIGHTS.ckpt and --file_name MODEL are needed: the weights to export, and the file to write")
    checkpoint = Path(arguments.checkpoint_file)
    check_weight_file(checkpoint, "--checkpoint_file")
    source = config_for_checkpoint(checkpoint, arguments.config)
    # How it was trained does not tell how to export: one device, all in float32.
    flags |= {"checkpoint_path": str(checkpoint), "run_distribute": False, "amp_level": "O0", "mode": "GRAPH"}
    config = load_config(source, flags, words)
    prepare_environment(config.device_target)

    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    from src.deploy.exporting import export_weights
    from src.runtime.device import setup_runtime
    from src.runtime.logging import setup_logging

    target = model_path(arguments.file_name, arguments.file_format)
    size_hw = tuple(arguments.image_size) if arguments.image_size else None
    given = (arguments.batch, arguments.outputs, arguments.input, tuple(arguments.dynamic), arguments.opset)
    options = ExportOptions(target, arguments.file_format, size_hw, *given)
    logger = setup_logging()
    restore_signals()
    logger.info("configuration: %s; %s", source, setup_runtime(config))
    report_facts(config, logger)
    _warn_of_other_protocol(config, logger)
    for path in export_weights(config, checkpoint, options):
        logger.info("wrote %s (%.1f MiB)", path, path.stat().st_size / 2**20)
    return 0


def _warn_of_other_protocol(config: Any, logger: logging.Logger) -> None:
    """Say so where eval.py shows the network a picture more than once, which no model file does."""
    keys = [f"eval.{name}" for name in ("multi_scale", "flip", "slide") if config.eval[name]]
    if keys:
        logger.warning("warning: the model file is one pass over the whole picture; with %s, eval.py's mIoU is another", ", ".join(keys))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = build_parser("Write weights as a model file, checked against their network.", FLAGS, "the one beside the weight file")
    group = parser.add_argument_group("model file")
    group.add_argument("--checkpoint_file", default=None, metavar="FILE", help="weights to export (.ckpt)")
    group.add_argument("--file_name", default=None, metavar="FILE", help="model file to write, with or without its ending")
    formats = "ONNX needs requirements-deploy.txt, AIR an Ascend (default: MINDIR)"
    group.add_argument("--file_format", choices=("MINDIR", "ONNX", "AIR"), default="MINDIR", help=formats)
    size_help = "pixels; default: eval.image_size, else what the pictures have, else Cityscapes 1024 2048, CamVid 360 480"
    group.add_argument("--image_size", type=int, nargs=2, default=None, metavar=("H", "W"), help=size_help)
    group.add_argument("--batch", type=int, default=1, metavar="N", help="pictures at once (default: 1)")
    group.add_argument(
        "--outputs", choices=("logits", "labels"), default="logits", help="logits as the network gives them, or labels at H x W"
    )
    input_help = "normalised by the caller, or bytes that the graph normalises (default: float32)"
    group.add_argument("--input", choices=("float32", "uint8"), default="float32", help=input_help)
    dynamic_help = "of an ONNX file: sides that it takes in any size; --batch and --image_size are then an example"
    group.add_argument("--dynamic", nargs="+", choices=SIDES, default=(), metavar="SIDE", help=f"{', '.join(SIDES)}: {dynamic_help}")
    opset_help = f"of an ONNX file, for older readers: {OLDEST_OPSET}..{OPSET} (default: {OPSET})"
    group.add_argument("--opset", type=int, default=None, metavar="N", help=opset_help)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(run(main))
