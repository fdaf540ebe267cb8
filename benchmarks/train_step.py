"""Training step of a preset at one size: time, pictures per second, peak memory.

    python benchmarks/train_step.py --config camvid_w18_small [--size H W] [--batch B] [--repeat N] [key=value ...]

Forward, loss, backward and SGD on random pictures and labels; the input pipeline is measured by benchmarks/input_pipeline.py.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import peak_mib, report
from src.config import load_config
from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402

from src.engine.optimizer import build_optimizer  # noqa: E402
from src.engine.train_step import NetworkWithLoss, StepOptions, TrainStep  # noqa: E402
from src.losses.segmentation import build_loss  # noqa: E402
from src.models.builder import build_network  # noqa: E402


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="camvid_w18_small", help="preset or YAML file")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="pixels; default: train.image_size")
    parser.add_argument("--batch", type=int, help="pictures at once; default: batchsize")
    parser.add_argument("--repeat", type=int, default=10, help="timed steps, after one that is not timed")
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    args = parser.parse_intermixed_args(argv)
    config = load_config(args.config, {"device_target": "CPU"}, ["train.param_initializer=HeNormal", *args.words])
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    ms.set_seed(1)

    network = build_network(config)
    num_classes = config.dataset.num_classes
    optimizer = build_optimizer(network, np.full(args.repeat + 1, 1e-3, np.float32), config.train)
    loss = build_loss(config, [1.0] * num_classes)
    step = TrainStep(NetworkWithLoss(network, loss), optimizer, StepOptions.from_config(config)).set_train()
    rng = np.random.default_rng(0)
    batch, (height, width) = args.batch or config.batchsize, args.size or config.train.image_size
    image = ms.Tensor(rng.normal(size=(batch, 3, height, width)).astype(np.float32))
    label = ms.Tensor(rng.integers(0, num_classes, (batch, height, width)).astype(np.int32))
    print(f"{args.config} {batch}x3x{height}x{width}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    seconds = []
    for _ in range(args.repeat + 1):
        start = time.perf_counter()
        step(image, label).asnumpy()
        seconds.append(time.perf_counter() - start)
    print(f"compile and first step {seconds[0]:.1f} s")
    report("step", seconds[1:], batch, peak_mib())
    return 0


if __name__ == "__main__":
    sys.exit(main())
