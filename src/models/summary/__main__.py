"""Show what a network costs: layers, parameters, operations and activations of each of its parts.

    python -m src.models.summary --config hrnetv2_w48 --image_size 1024 2048 [--depth N] [--batch B] [key.sub=value ...]

Nothing is trained, loaded or computed: MindSpore compiles the network for the size, and the operators of the graph are counted.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from src.config import UserError, load_config
from src.config.loading import DEFAULT_PRESET, preset_names
from src.config.networks import smallest_side
from src.runtime.entry import OneLineParser, WorkError, run
from src.runtime.environment import prepare_environment

MAX_PIXELS = 2**28  # of a batch, 16384x16384: an operator's numbers of a larger one may not fit MindSpore's integers
NOTES = """\
layers: convolutions and matrix products. parameters: what training changes, without batch norms' statistics.
GMACs: 10^9 multiplications with an addition each, of convolutions and matrix products; GFLOPs: twice that. Papers call either "FLOPs".
activations: outputs of all operators in float32, which training keeps in large part for the gradient; inference needs few at a time."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, compile, count, print; return the exit status."""
    arguments = _build_parser().parse_args(argv)
    config = load_config(arguments.config, {"device_target": "CPU"}, arguments.words)
    height, width = arguments.image_size or config.train.image_size
    _check(arguments, height, width, config)
    prepare_environment("CPU")
    table = summarise(config, (arguments.batch, 3, height, width), arguments.depth)
    print(f"{config.model.name} of {arguments.config}, {config.dataset.num_classes} classes, {arguments.batch}x3x{height}x{width}\n")
    print(table)
    print(f"\n{NOTES}")
    return 0


def summarise(config: Any, shape: tuple[int, int, int, int], depth: int) -> str:
    """Return the table of a configuration's network.

    Args:
        config: the complete configuration.
        shape: of the image, (B, 3, H, W).
        depth: of the modules that are told apart.

    Raises:
        WorkError: if MindSpore cannot compile the network.
    """
    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    import mindspore as ms

    from src.models.builder import assemble_network
    from src.models.summary.operators import compiled_operators, parameters_by_module
    from src.models.summary.table import costs_by_module, format_table

    ms.set_context(device_target="CPU")
    network = assemble_network(config)
    try:
        operators = compiled_operators(network, shape)
    except (RuntimeError, ValueError, TypeError) as error:
        raise WorkError(f"MindSpore {ms.__version__} cannot compile this network for {shape}: {error}") from error
    return format_table(costs_by_module(operators, parameters_by_module(network), depth))


def _build_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="python -m src.models.summary", description="Show what a network costs.", allow_abbrev=False)
    parser.add_argument("words", nargs="*", metavar="key.sub=value", help="overrides of the configuration, as in dataset.num_classes=11")
    parser.add_argument(
        "--config", default=DEFAULT_PRESET, metavar="NAME|FILE", help=f"a preset ({', '.join(preset_names())}) or a YAML file"
    )
    parser.add_argument("--image_size", type=int, nargs=2, metavar=("H", "W"), help="pixels (default: train.image_size)")
    parser.add_argument("--batch", type=int, default=1, metavar="B", help="pictures at once (default: 1)")
    parser.add_argument("--depth", type=int, default=2, metavar="N", help="names in a module's path that are told apart (default: 2)")
    return parser


def _check(arguments: argparse.Namespace, height: int, width: int, config: Any) -> None:
    side = smallest_side(config.model)
    if min(height, width) < side:
        raise UserError(f"--image_size {height} {width}: this network needs at least {side} pixels each way")
    for name in ("depth", "batch"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name} {getattr(arguments, name)}: expected 1 or more")
    if arguments.batch * height * width > MAX_PIXELS:
        size = f"--image_size {height} {width}" + (f" --batch {arguments.batch}" if arguments.batch > 1 else "")
        raise UserError(f"{size}: more than {MAX_PIXELS:,d} pixels in a batch; give a smaller size")


if __name__ == "__main__":
    sys.exit(run(main))
