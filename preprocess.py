#!/usr/bin/env python3
"""Write the validation pictures and labels as raw binaries, for programs that run the exported model without Python.

    python preprocess.py --data_path DATA --train_path preprocess_Result --manifest w48_lite2.json

Writes OUT/inputs/NAME.bin, OUT/labels/NAME.bin and, last, OUT/index.json with names, sizes and what the inputs are. The manifest that
export.py wrote beside the model sets size, type and normalisation; without it the configuration does, as in eval.py.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.config import UserError, load_config
from src.data.basedataset import BaseDataset
from src.data.loader import build_dataset, iterate_eval
from src.deploy.manifest import InputSpec, Manifest, read_manifest
from src.deploy.sample_folder import open_folder, write_samples
from src.engine.progress import show_progress
from src.runtime.entry import build_parser, run, split_arguments
from src.runtime.logging import setup_logging

FLAGS = {"paths": ("data_path",), "work": ("workers",)}


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, read, write; return the exit status."""
    arguments = _build_parser().parse_args(argv)
    flags, words = split_arguments(arguments)
    if arguments.train_path is None:
        raise UserError("--train_path is needed: the folder to write into (--output_path is the same)")
    logger = setup_logging()
    manifest = read_manifest(arguments.manifest) if arguments.manifest else None
    source = (f"{arguments.manifest}", dict(manifest.config)) if manifest and arguments.config is None else arguments.config
    config = load_config(source, flags, words, ask_weights=False)
    dataset = build_dataset(config, "val")
    if manifest:
        manifest.check_classes(arguments.manifest, dataset.info, "give its own data, or export with the right dataset.name")
    spec = _input_spec(arguments, manifest, config, dataset)
    _warn_of_another_size(spec, config, dataset, logger)
    folder = Path(arguments.train_path)
    open_folder(folder)
    with show_progress(len(dataset), "preprocessing", "img") as bar:
        count = write_samples(
            folder, iterate_eval(dataset, config), spec, dataset.info.class_names, config.dataset.ignore_label, bar.update
        )
    height, width = spec.size_hw
    size = f"{width}x{height}, {spec.color_order} {spec.dtype}"
    logger.info("%d samples of %s (preset %s), %s in %s", count, size, config.preset, config.data_path, folder)
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = build_parser("Write pictures and labels as raw binaries.", FLAGS, "the manifest's, or else hrnetv2_w48")
    parser.add_argument(
        "--train_path", "--output_path", default=None, metavar="FOLDER", help="folder to write into, new or a former result"
    )
    model = parser.add_argument_group("what the model takes")
    model.add_argument("--manifest", type=Path, default=None, metavar="FILE", help="the .json beside the model; decides all of the below")
    model.add_argument("--input", default=None, choices=("float32", "uint8"), help="float32: normalised here; uint8: in the graph")
    model.add_argument(
        "--image_size", type=int, nargs=2, default=None, metavar=("H", "W"), help="pixels; default: eval.image_size, or the pictures' own"
    )
    return parser


def _input_spec(arguments: argparse.Namespace, manifest: Manifest | None, config: Any, dataset: BaseDataset) -> InputSpec:
    """Return what the model takes, by its manifest or by flags and configuration.

    Raises:
        UserError: if flags and manifest disagree, or pictures of several sizes come without one for the model.
    """
    if manifest is None:
        size_hw = _image_size(arguments.image_size or config.eval.image_size, dataset)
        values = config.dataset
        return InputSpec((1, 3, *size_hw), arguments.input or "float32", values.color_order, tuple(values.mean), tuple(values.std))
    given = manifest.input
    if arguments.image_size and tuple(arguments.image_size) != given.size_hw:
        raise UserError(
            f"--image_size {arguments.image_size}: {arguments.manifest} says that the model takes {list(given.size_hw)}; leave it out"
        )
    if arguments.input and arguments.input != given.dtype:
        raise UserError(f"--input {arguments.input}: {arguments.manifest} says that the model takes {given.dtype}; leave it out")
    return given


def _warn_of_another_size(spec: InputSpec, config: Any, dataset: BaseDataset, logger: logging.Logger) -> None:
    """Say so where eval.py shows the network another size than the model takes; the first picture speaks for all."""
    shown = tuple(config.eval.image_size) if config.eval.image_size else dataset.size_hw(0)
    if shown != spec.size_hw:
        why = "eval.image_size" if config.eval.image_size else "the first picture's own size, as eval.image_size is null"
        logger.warning(
            "warning: eval.py shows the network %dx%d pixels (%s), and this model takes %dx%d: its mIoU will differ; "
            "export with --image_size %d %d",
            *(*shown[::-1], why, *spec.size_hw[::-1], *shown),
        )


def _image_size(given: Sequence[int] | None, dataset: BaseDataset) -> tuple[int, int]:
    if given:
        height, width = given
        if min(height, width) < 1:
            raise UserError(f"--image_size {height} {width}: both must be at least 1")
        return height, width
    size_hw = dataset.size_hw(0)
    for index in range(1, len(dataset)):
        if dataset.size_hw(index) != size_hw:
            raise UserError(
                f"{dataset.image_path(index)} has {list(dataset.size_hw(index))} pixels, {dataset.image_path(0)} has {list(size_hw)}; "
                "a model takes one size: give it by --manifest or --image_size H W"
            )
    return size_hw


if __name__ == "__main__":
    sys.exit(run(main))
