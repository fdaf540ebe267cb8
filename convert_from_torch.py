#!/usr/bin/env python3
"""Convert weights trained elsewhere.

    python convert_from_torch.py --torch_path hrnet_w48.pth --mindspore_path w48.ckpt
    python convert_from_torch.py --reverse --mindspore_path OUT/best.ckpt --torch_path best.pth

Writes the .ckpt file and, beside it, a small .yaml file that says what the weights mean beyond their values (network, resizing, padding,
colours). Programs find it there: nothing else needs to be told to train or evaluate.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from src.checkpoint.sources import source_names
from src.config import UserError, preset_names
from src.runtime.entry import OneLineParser, run
from src.runtime.environment import prepare_environment

MAX_CLASSES = 255  # of a label that is one byte, whose last value is ignored


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = OneLineParser(
        usage="%(prog)s --torch_path FILE --mindspore_path FILE [--flag VALUE ...]",
        description="Convert weights from PyTorch, PaddlePaddle or the MindSpore model zoo.",
        allow_abbrev=False,
    )
    files = parser.add_argument_group("files")
    kinds = ".pth .pt .pth.tar .bin .safetensors .pdparams, or a model zoo .ckpt"
    files.add_argument("--torch_path", required=True, metavar="FILE", help=f"weights to read ({kinds})")
    files.add_argument("--mindspore_path", required=True, metavar="FILE", help="weights to write (.ckpt; a .yaml comes beside it)")
    names = ("auto", *source_names())
    parser.add_argument("--source", default="auto", choices=names, metavar="|".join(names), help="whose names; auto recognises them")
    network = parser.add_argument_group("network")
    help_text = f"a preset ({', '.join(preset_names())}) to fit; default: the network that the file tells of"
    network.add_argument("--config", metavar="NAME|FILE", help=help_text)
    network.add_argument("--num_classes", type=int, metavar="K", help="classes; where the file has others, classifiers are made anew")
    way_back = parser.add_argument_group("way back")
    help_text = "read an HRNet in --mindspore_path and write --torch_path (.pth, .pt, .safetensors) with --source official or mmseg"
    way_back.add_argument("--reverse", action="store_true", help=help_text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, convert, report; return the exit status."""
    arguments = build_parser().parse_args(argv)
    if arguments.num_classes is not None and not 2 <= arguments.num_classes <= MAX_CLASSES:
        raise UserError(f"--num_classes {arguments.num_classes}: expected 2 to {MAX_CLASSES}")
    torch_path, mindspore_path = Path(arguments.torch_path), Path(arguments.mindspore_path)
    prepare_environment("CPU")
    return _reverse(arguments, mindspore_path, torch_path) if arguments.reverse else _convert(arguments, torch_path, mindspore_path)


def _convert(arguments: argparse.Namespace, source: Path, target: Path) -> int:
    # Imported late: MindSpore takes seconds; --help and a wrong flag need none of it.
    from src.checkpoint.conversion.convert import check_target, convert

    check_target("--mindspore_path", target, (".ckpt",))
    conversion = convert(source, target, arguments.source, arguments.config, arguments.num_classes)
    how = "recognised by its names" if arguments.source == "auto" else "as --source says"
    print(f"{source.name}: {conversion.source} ({how}), {conversion.network}")
    print(conversion.report.table())
    for note in conversion.notes:
        print(note)
    for key, value in conversion.side.items():
        print(f"    {key}: {value}")
    print(f"wrote {target} and {target.with_suffix('.yaml')}")
    return 0


def _reverse(arguments: argparse.Namespace, source: Path, target: Path) -> int:
    from src.checkpoint.conversion.convert import check_target
    from src.checkpoint.conversion.reverse import REVERSE_SOURCES, reverse

    for flag in ("config", "num_classes"):
        if getattr(arguments, flag) is not None:
            raise UserError(f"--{flag} cannot be combined with --reverse, which writes the weights as they are")
    wanted = "official" if arguments.source == "auto" else arguments.source
    if wanted not in REVERSE_SOURCES:
        raise UserError(f"--reverse writes names for --source {' or '.join(REVERSE_SOURCES)}, not {wanted}")
    check_target("--torch_path", target, (".pth", ".pt", ".safetensors"))
    for line in reverse(source, target, wanted):
        print(line)
    print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
