#!/usr/bin/env python3
"""Segment pictures and videos with trained weights.

    python predict.py street.jpg --checkpoint_path OUT/best.ckpt
    python predict.py photos drive.mp4 'more/**/*.png' --checkpoint_path OUT/best.ckpt --output_path results --save index,comparison
    python predict.py DATA/leftImg8bit/test --checkpoint_path OUT/best.ckpt --save labelIds --scales 0.75,1,1.25 --flip
    python predict.py aerial.tif --checkpoint_path OUT/best.ckpt --tile 1024 1024
    python predict.py photos --checkpoint_path model.mindir
    python predict.py street.jpg --checkpoint_path OUT/best.ckpt --explain

INPUT is a picture, a video, a folder (with the folders below it) or a quoted glob. Writes OUT/KIND/NAME.png for each kind of --save, of the
picture's size (probabilities: .npy; of a video: NAME.mp4 for people, NAME/000000.png and so on for programs), and OUT/predictions.json:
which part of each picture each class has. --explain adds OUT/explain/NAME.png of pictures. What cannot be predicted is reported and left
out, and the exit status is 1. Pictures are turned as their EXIF orientation says, which eval.py, export and the C++ program do not. The
configuration is the one beside the weight file, unless --config names another; that of a MindIR is in its manifest.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from src.checkpoint.run_folder import check_output
from src.config import UserError
from src.config.facts import report_facts
from src.deploy.prediction_source import PredictionSource
from src.engine.progress import show_progress
from src.inference.inputs import Input, allow_large_pictures, find_inputs, num_pictures, refuse_unless_any_can_be_read
from src.inference.outputs import EXPLAIN, KINDS, PROBABILITIES, SUMMARY_FILE, ResultFolder, parse_kinds
from src.runtime.entry import WorkError, build_parser, parse_boolean, run, split_arguments, with_bare_flag
from src.runtime.environment import prepare_environment

FLAGS = {
    "paths": ("checkpoint_path", "output_path"),
    "device": ("device_target", "device_id", "mode", "amp_level", "workers"),
}
OVERRIDE = re.compile(r"[A-Za-z_][\w.]*=")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, find the pictures, predict; return the exit status."""
    arguments = _build_parser().parse_args(with_bare_flag(with_bare_flag(argv, "--flip"), "--explain"))
    flags, _ = split_arguments(arguments)
    texts, words = _split_words(arguments.words)
    if not texts or "checkpoint_path" not in flags:
        raise UserError("INPUT and --checkpoint_path are needed: pictures, videos, folders or globs, and the weights (.ckpt or .mindir)")
    # How it was trained tells neither where results go nor on how many devices to predict.
    flags = {"output_path": "predictions", "run_distribute": False, **flags}
    source = PredictionSource.open(Path(flags["checkpoint_path"]), arguments.config, flags, _protocol_words(arguments) + words)
    results = ResultFolder(Path(source.config.output_path), parse_kinds(arguments.save, source.info), source.info)
    source.check_protocol(PROBABILITIES in results.kinds)
    if source.config.eval.slide:
        allow_large_pictures()
    inputs = find_inputs(texts, results.kind_folders)
    refuse_unless_any_can_be_read(inputs)
    explain = _explain_options(arguments, source, inputs)
    results.refuse_overwriting(inputs, explains=explain is not None)
    check_output(results.folder, new_run=False)
    prepare_environment(source.config.device_target)
    return predict(source, inputs, results, explain)


def predict(source: PredictionSource, inputs: Sequence[Input], results: ResultFolder, explain: dict[str, Any] | None = None) -> int:
    """Build, predict, report; return the exit status.

    Args:
        source: what predicts.
        inputs: of what.
        results: where results go.
        explain: arguments of `explanation_writer`; None: nothing is explained.

    Raises:
        WorkError: if some of the inputs could not be predicted.
    """
    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    from src.inference.explaining import explanation_writer
    from src.inference.predicting import InputPredictor
    from src.inference.predictor import Predictor
    from src.runtime.compile_cache import CompileCache
    from src.runtime.device import setup_runtime
    from src.runtime.logging import setup_logging

    logger, config = setup_logging(), source.config
    runtime = setup_runtime(config)
    logger.info("configuration: %s; %s", source.config_source, runtime)
    if source.manifest is None:
        report_facts(config, logger)
    segmenter = source.segmenter(runtime.amp_level)
    settings: dict[str, Any] = {"batch_size": source.batch_size, "workers": config.workers, "on_failure": logger.warning}
    if explain is not None:
        settings["on_picture"] = explanation_writer(segmenter.predictor, results, **explain)
    network = segmenter.predictor.network if isinstance(segmenter.predictor, Predictor) else None  # a MindIR file is a compiled graph
    cached = CompileCache(config, runtime).compiling("eval", network) if network is not None else nullcontext()
    with cached, show_progress(num_pictures(inputs), "predicting", "img") as bar:
        report = InputPredictor(segmenter, results, progress=bar.update, **settings)(inputs)
    results.write_summary({"checkpoint": str(source.path), "protocol": segmenter.predictor.protocol, **report.as_json()})
    written = [*results.kinds, *([EXPLAIN] if explain is not None else [])]
    logger.info("%s; %s in %s", report.speed, ", ".join(written), results.folder)
    if report.failures:
        raise WorkError(
            f"{len(report.failures)} of {len(inputs)} inputs could not be predicted to the end; {results.folder / SUMMARY_FILE} names them"
        )
    return 0


def _explain_options(arguments: argparse.Namespace, source: PredictionSource, inputs: Sequence[Input]) -> dict[str, Any] | None:
    if not getattr(arguments, "explain", "explain_at" in arguments):
        return None
    if source.manifest:
        raise UserError("--explain looks into the network, which a MindIR file hides; give the checkpoint (.ckpt)")
    if inputs and all(item.is_video for item in inputs):
        raise UserError(f"--explain: {inputs[0].path} is a video; explanations are of pictures: give single frames")
    return {"point": tuple(arguments.explain_at)} if "explain_at" in arguments else {}


def _build_parser() -> argparse.ArgumentParser:
    parser = build_parser("Segment pictures and videos with trained weights.", FLAGS, "the one beside the weight file")
    parser.usage = "%(prog)s INPUT ... --checkpoint_path FILE [--flag VALUE ...] [key.sub=value ...]"
    parser.epilog = (
        "INPUT: a picture, a video, a folder with all below it, or a quoted glob. Without --output_path, results are in predictions/. "
        "Pictures are turned as their EXIF orientation says; eval.py and the C++ program do not turn them."
    )
    group = parser.add_argument_group("results and protocol")
    kinds = ", ".join(KINDS)
    group.add_argument(
        "--save", "--save_format", default="palette,overlay", metavar="KIND,...", help=f"of {kinds} (default: palette,overlay)"
    )
    group.add_argument("--scales", type=_parse_scales, metavar="S,...", help="of the picture, such as 0.75,1,1.25, joined by eval.fusion")
    group.add_argument("--flip", type=parse_boolean, metavar="[True|False]", help="average with the mirrored picture")
    group.add_argument(
        "--tile",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="for large pictures: overlapping windows of H x W pixels, at full size",
    )
    group.add_argument(
        "--explain",
        type=parse_boolean,
        metavar="[True|False]",
        help="draw OCR's regions, and where context comes from",
    )
    group.add_argument("--explain_at", type=int, nargs=2, metavar=("X", "Y"), help="likewise, of the pixel in this column and row")
    return parser


def _parse_scales(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as 0.75,1,1.25, got '{text}'") from None


def _split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what names pictures, and the `key.sub=value` words; a file that is there wins."""
    overrides = [word for word in words if OVERRIDE.match(word) and not os.path.exists(word)]
    return [word for word in words if word not in overrides], overrides


def _protocol_words(arguments: argparse.Namespace) -> list[str]:
    words = []
    if "flip" in arguments:
        words.append(f"eval.flip={arguments.flip}")
    if "scales" in arguments:
        words += ["eval.multi_scale=True", f"eval.scale_list={arguments.scales}"]
    if "tile" in arguments:
        if min(arguments.tile) < 1:
            raise UserError(f"--tile {arguments.tile[0]} {arguments.tile[1]}: height and width in pixels, such as 512 1024")
        stride = [max(1, round(2 * side / 3)) for side in arguments.tile]
        words += ["eval.slide=True", f"eval.window={arguments.tile}", f"eval.stride={stride}", "eval.image_size=null"]
    return words


if __name__ == "__main__":
    sys.exit(run(main))
