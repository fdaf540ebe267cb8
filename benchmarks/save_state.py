"""What saving a training costs: looking for numbers that are not finite, last.ckpt and last.state of a preset.

    python benchmarks/save_state.py [--config hrnetv2_w48] [--folder DIR] [--repeat N] [key=value ...]

Written into DIR (a temporary folder without it), flushed to its disk as in training, and removed.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.config import load_config
from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402

from src.checkpoint.state import Progress, first_not_finite, save_state  # noqa: E402
from src.checkpoint.weights import save_weights  # noqa: E402
from src.engine.assembly import build_train_step  # noqa: E402
from src.models.builder import build_network  # noqa: E402


def measure(name: str, work: Callable[[], object], repeat: int, path: Path | None = None) -> None:
    """Time some calls and print the median, with the size of what they wrote."""
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    size = f", {path.stat().st_size / 1e6:.1f} MB" if path else ""
    print(f"{name}: median {statistics.median(seconds) * 1e3:.0f} ms, best {min(seconds) * 1e3:.0f} ms{size}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="hrnetv2_w48", help="preset or YAML file")
    parser.add_argument("--folder", type=Path, help="where to write")
    parser.add_argument("--repeat", type=int, default=5, help="timed calls")
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    args = parser.parse_intermixed_args(argv)
    config = load_config(args.config, {"device_target": "CPU"}, args.words)
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    network = build_network(config)
    step = build_train_step(config, network, np.ones(1, np.float32), [1.0] * config.dataset.num_classes, world=1)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        weights, state = Path(name, "last.ckpt"), Path(name, "last.state")
        measure("finite", lambda: first_not_finite(step.state()), args.repeat)
        measure("last.ckpt", lambda: save_weights(network, weights, config), args.repeat, weights)
        measure("last.state", lambda: save_state(step.state(), Progress(), state), args.repeat, state)
    return 0


if __name__ == "__main__":
    sys.exit(main())
