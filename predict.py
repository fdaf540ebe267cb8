#!/usr/bin/env python3
"""Segment pictures and videos with trained weights.

    python predict.py street.jpg --checkpoint_path OUT/best.ckpt
    python predict.py photos drive.mp4 'more/**/*.png' --checkpoint_path OUT/best.ckpt --output_path results --save index,comparison
    python predict.py DATA/leftImg8bit/test --checkpoint_path OUT/best.ckpt --save labelIds --scales 0.75,1,1.25 --flip
    python predict.py aerial.tif --checkpoint_path OUT/best.ckpt --tile 1024 1024
    python predict.py photos --checkpoint_path model.mindir

INPUT is a picture, a video, a folder (with the folders below it) or a quoted glob. Writes OUT/KIND/NAME.png for each kind of --save, of the
picture's size (probabilities: .npy; of a video: NAME.mp4 for people, NAME/000000.png and so on for programs), and OUT/predictions.json:
which part of each picture each class has. What cannot be read is reported and left out; the exit status is 1 then. Pictures are turned as
their EXIF orientation says, which eval.py, export and the C++ program do not. The configuration is the one beside the weight file, unless
--config names another; that of a MindIR is in its manifest.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.checkpoint.run_folder import check_output, config_for_checkpoint
from src.config import UserError, load_config
from src.config.facts import report_facts
from src.config.networks import smallest_side
from src.data.basedataset import DatasetInfo
from src.data.registry import dataset_info
from src.deploy.manifest import Manifest
from src.deploy.mindir_source import check_protocol, config_of_mindir, info_of_mindir, open_mindir
from src.engine.progress import show_progress
from src.inference.inputs import Input, find_inputs, num_pictures, refuse_unless_any_can_be_read
from src.inference.outputs import KINDS, PROBABILITIES, SUMMARY_FILE, ResultFolder, parse_kinds
from src.runtime.entry import WorkError, build_parser, parse_boolean, run, split_arguments
from src.runtime.environment import prepare_environment

if TYPE_CHECKING:  # it loads MindSpore
    from src.inference.segmenter import Segmenter

FLAGS = {
    "paths": ("checkpoint_path", "output_path"),
    "device": ("device_target", "device_id", "mode", "amp_level", "workers"),
}
OVERRIDE = re.compile(r"[A-Za-z_][\w.]*=")


MAX_TILE = 8192  # pixels each way: beyond that no device has the memory


@dataclass(frozen=True)
class Source:
    """What predicts.

    Attributes:
        path: the weights or the model file.
        config: complete.
        config_source: where it comes from, for people.
        info: names and colours of the classes.
        manifest: of a MindIR file; None: a checkpoint.
    """

    path: Path
    config: Any
    config_source: str
    info: DatasetInfo
    manifest: Manifest | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, find the pictures, predict; return the exit status."""
    arguments = _build_parser().parse_args(argv)
    flags, _ = split_arguments(arguments)
    texts, words = _split_words(arguments.words)
    if not texts or "checkpoint_path" not in flags:
        raise UserError("INPUT and --checkpoint_path are needed: pictures, videos, folders or globs, and the weights (.ckpt or .mindir)")
    source = _open_source(Path(flags["checkpoint_path"]), arguments.config, flags, _protocol_words(arguments) + words)
    results = ResultFolder(Path(source.config.output_path), parse_kinds(arguments.save, source.info), source.info)
    _check_protocol(source, results)
    inputs = find_inputs(texts, results.kind_folders)
    refuse_unless_any_can_be_read(inputs)
    results.refuse_overwriting(inputs)
    check_output(results.folder, new_run=False)
    prepare_environment(source.config.device_target)
    return predict(source, inputs, results)


def predict(source: Source, inputs: Sequence[Input], results: ResultFolder) -> int:
    """Build, predict, report; return the exit status.

    Raises:
        WorkError: if some of the inputs could not be read.
    """
    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    from src.inference.predicting import InputPredictor
    from src.runtime.device import setup_runtime
    from src.runtime.logging import setup_logging

    logger, config = setup_logging(), source.config
    runtime = setup_runtime(config)
    logger.info("configuration: %s; %s", source.config_source, runtime)
    report_facts(config, logger)
    segmenter = _load_segmenter(source, runtime.amp_level)
    with show_progress(num_pictures(inputs), "predicting", "img") as bar:
        settings = {"batch_size": config.eval.batch_size, "workers": config.workers, "progress": bar.update, "on_failure": logger.warning}
        report = InputPredictor(segmenter, results, **settings)(inputs)
    results.write_summary({"checkpoint": str(source.path), "protocol": segmenter.predictor.protocol, **report.as_json()})
    logger.info("%s; %s in %s", report.speed, ", ".join(results.kinds), results.folder)
    if report.failures:
        raise WorkError(f"{len(report.failures)} of {len(inputs)} inputs could not be read; {results.folder / SUMMARY_FILE} names them")
    return 0


def _open_source(path: Path, given: str | None, flags: dict[str, Any], words: Sequence[str]) -> Source:
    # How it was trained tells neither where results go nor on how many devices to predict.
    flags = {"output_path": "predictions", "run_distribute": False, **flags}
    if path.suffix != ".mindir":
        origin = config_for_checkpoint(path, given)
        config = load_config(origin, flags, words)
        return Source(path, config, origin, dataset_info(config))
    manifest = open_mindir(path)
    config = config_of_mindir(path, manifest, given, flags, words)
    return Source(path, config, f"the manifest of {path}", info_of_mindir(manifest, config), manifest)


def _check_protocol(source: Source, results: ResultFolder) -> None:
    evaluation, smallest = source.config.eval, smallest_side(source.config.model)
    if evaluation.slide and not all(smallest <= side <= MAX_TILE for side in evaluation.window):
        raise UserError(f"--tile {evaluation.window[0]} {evaluation.window[1]}: expected {smallest}..{MAX_TILE} pixels each way")
    if source.manifest:
        check_protocol(source.path, source.manifest, source.config, PROBABILITIES in results.kinds)


def _load_segmenter(source: Source, amp_level: str) -> "Segmenter":
    from src.inference.segmenter import Segmenter

    if source.manifest is None:
        return Segmenter.from_config(source.config, source.path, amp_level)
    from src.deploy.mindir_predictor import load_mindir_predictor

    return Segmenter(load_mindir_predictor(source.path, source.manifest, source.config, source.info), source.info)


def _build_parser() -> argparse.ArgumentParser:
    parser = build_parser("Segment pictures and videos with trained weights.", FLAGS, "the one beside the weight file")
    parser.usage = "%(prog)s INPUT ... --checkpoint_path FILE [--flag VALUE ...] [key.sub=value ...]"
    parser.epilog = (
        "INPUT: a picture, a video, a folder with all below it, or a quoted glob. Without --output_path, results are in predictions/. "
        "Pictures are turned as their EXIF orientation says; eval.py and exported models do not turn them."
    )
    group = parser.add_argument_group("results and protocol")
    kinds = ", ".join(KINDS)
    group.add_argument(
        "--save", "--save_format", default="palette,overlay", metavar="KIND,...", help=f"of {kinds} (default: palette,overlay)"
    )
    group.add_argument("--scales", type=_parse_scales, metavar="S,...", help="of the picture, such as 0.75,1,1.25, joined by eval.fusion")
    group.add_argument("--flip", type=parse_boolean, nargs="?", const=True, metavar="True|False", help="average with the mirrored picture")
    group.add_argument(
        "--tile",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="for large pictures: overlapping windows of H x W pixels, at full size",
    )
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
