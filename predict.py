#!/usr/bin/env python3
"""Segment pictures with trained weights.

    python predict.py street.jpg --checkpoint_path OUT/best.ckpt
    python predict.py photos 'more/**/*.png' --checkpoint_path OUT/best.ckpt --output_path results --save index,overlay
    python predict.py DATA/leftImg8bit/test --checkpoint_path OUT/best.ckpt --save labelIds --scales 0.75,1,1.25 --flip True

INPUT is a picture, a folder (with the folders below it) or a quoted glob. Writes OUT/KIND/NAME.png for each kind of --save, of the
picture's size, and OUT/predictions.json: which part of each picture each class has. A picture that cannot be read is reported and left out;
the exit status is 1 then. Pictures are turned as their EXIF orientation says, which eval.py, export and the C++ program do not. The
configuration is the one beside the weight file, unless --config names another.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.checkpoint.run_folder import check_output, config_for_checkpoint
from src.config import UserError, load_config
from src.config.facts import report_facts
from src.data.registry import dataset_info
from src.engine.progress import show_progress
from src.inference.inputs import InputPicture, find_pictures, refuse_unless_any_is_picture
from src.inference.outputs import SUMMARY_FILE, WRITERS, ResultFolder, parse_kinds
from src.runtime.entry import WorkError, build_parser, parse_boolean, run, split_arguments
from src.runtime.environment import prepare_environment

FLAGS = {
    "paths": ("checkpoint_path", "output_path"),
    "device": ("device_target", "device_id", "mode", "amp_level", "workers"),
}
OVERRIDE = re.compile(r"[A-Za-z_][\w.]*=")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, find the pictures, predict; return the exit status."""
    arguments = _build_parser().parse_args(argv)
    flags, _ = split_arguments(arguments)
    inputs, words = _split_words(arguments.words)
    if not inputs or "checkpoint_path" not in flags:
        raise UserError("INPUT and --checkpoint_path are needed: pictures, folders or globs, and the weights (a .ckpt file)")
    source = config_for_checkpoint(Path(flags["checkpoint_path"]), arguments.config)
    # How it was trained tells neither where results go nor on how many devices to predict.
    flags = {"output_path": "predictions", "run_distribute": False, **flags}
    config = load_config(source, flags, _protocol_words(arguments) + words)
    results = ResultFolder(Path(config.output_path), parse_kinds(arguments.save, dataset_info(config)))
    pictures = find_pictures(inputs, results.picture_folders)
    refuse_unless_any_is_picture(pictures)
    results.refuse_overwriting(pictures)
    check_output(results.folder, new_run=False)
    prepare_environment(config.device_target)
    return predict(config, source, pictures, results)


def predict(config: Any, source: str, pictures: Sequence[InputPicture], results: ResultFolder) -> int:
    """Build, predict, report; return the exit status.

    Raises:
        WorkError: if some of the pictures could not be read.
    """
    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    from src.inference.predicting import predict_pictures
    from src.inference.segmenter import Segmenter
    from src.runtime.device import setup_runtime
    from src.runtime.logging import setup_logging

    logger = setup_logging()
    runtime = setup_runtime(config)
    logger.info("configuration: %s; %s", source, runtime)
    report_facts(config, logger)
    segmenter = Segmenter.from_config(config, Path(config.checkpoint_path), runtime.amp_level)
    settings = {"batch_size": config.eval.batch_size, "workers": config.workers}
    with show_progress(len(pictures), "predicting", "img") as bar:
        report = predict_pictures(segmenter, pictures, results, **settings, progress=bar.update, on_failure=logger.warning)
    results.write_summary({"checkpoint": config.checkpoint_path, "protocol": segmenter.predictor.protocol, **report.as_json()})
    logger.info("%s; %s in %s", report.speed, ", ".join(results.kinds), results.folder)
    if report.failures:
        raise WorkError(f"{len(report.failures)} of {len(pictures)} pictures could not be read; {results.folder / SUMMARY_FILE} names them")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = build_parser("Segment pictures with trained weights.", FLAGS, "the one beside the weight file")
    parser.usage = "%(prog)s INPUT ... --checkpoint_path FILE [--flag VALUE ...] [key.sub=value ...]"
    parser.epilog = (
        "INPUT: a picture, a folder with all below it, or a quoted glob. Without --output_path, results are in predictions/. "
        "Pictures are turned as their EXIF orientation says; eval.py and exported models do not turn them."
    )
    group = parser.add_argument_group("results and protocol")
    kinds = ", ".join(WRITERS)
    group.add_argument(
        "--save", "--save_format", default="palette,overlay", metavar="KIND,...", help=f"of {kinds} (default: palette,overlay)"
    )
    group.add_argument("--scales", type=_parse_scales, metavar="S,...", help="of the picture, such as 0.75,1,1.25, joined by eval.fusion")
    group.add_argument("--flip", type=parse_boolean, metavar="True|False", help="average with the mirrored picture")
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
    words = [f"eval.flip={arguments.flip}"] if "flip" in arguments else []
    return words + (["eval.multi_scale=True", f"eval.scale_list={arguments.scales}"] if "scales" in arguments else [])


if __name__ == "__main__":
    sys.exit(run(main))
