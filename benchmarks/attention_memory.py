"""Peak memory and time of attention over a map: all positions at once against blocks, forward and with gradients.

    python benchmarks/attention_memory.py [--side 97] [--channels 256] [--blocks 0 1024] [--kinds forward]
    python benchmarks/attention_memory.py --config resnet101_base_oc --crop 513 [--blocks 0 1024]

The first measures the attention alone, the second a training step of a whole network on random crops. Each figure comes from a process of
its own, one after the other: peak is the growth of the largest resident memory over what it was before the first call.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import peak_mib
from src.config import load_config
from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402
import numpy as np  # noqa: E402
from mindspore import Tensor, nn, ops  # noqa: E402

from src.engine.assembly import build_train_step  # noqa: E402
from src.models.attention import MapAttention  # noqa: E402
from src.models.builder import build_network  # noqa: E402


class Softmaxed(nn.Cell):
    """The same attention, its gradient left to MindSpore."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = channels**-0.5
        self.compare, self.weigh = ops.BatchMatMul(transpose_a=True), ops.BatchMatMul(transpose_b=True)

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the context (B, C, H, W)."""
        flat = [x.reshape((x.shape[0], x.shape[1], -1)) for x in (query, key, value)]
        weights = ops.softmax(self.compare(flat[0] * self.scale, flat[1]), -1)
        return self.weigh(flat[2], weights).reshape(value.shape)


class Loss(nn.Cell):
    """A number to take gradients of."""

    def __init__(self, attention: nn.Cell) -> None:
        super().__init__()
        self.attention = attention

    def construct(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return the mean square of the context."""
        return ops.square(self.attention(query, key, value)).mean()


def attention_call(args: argparse.Namespace, block: int, gradients: bool) -> Callable[[], Any]:
    """Return a call of the attention alone; block -1: with MindSpore's own gradient."""
    rng = np.random.default_rng(0)
    maps = [Tensor(rng.normal(size=(args.batch, args.channels, args.side, args.side)).astype(np.float32)) for _ in range(3)]
    # In training, where block 0 is all positions at once.
    attention = (Softmaxed(args.channels) if block < 0 else MapAttention(args.channels, block)).set_train()
    if not gradients:
        return lambda: attention(*maps).asnumpy()
    function = ms.value_and_grad(Loss(attention), (0, 1, 2))
    return lambda: function(*maps)[0].asnumpy()


def training_call(args: argparse.Namespace, block: int) -> Callable[[], Any]:
    """Return a training step of the network on random crops."""
    words = [f"train.image_size=[{args.crop},{args.crop}]", f"batchsize={args.batch}", f"model.oc.block={block}"]
    config = load_config(args.config, {"device_target": "CPU"}, words)
    network = build_network(config)
    step = build_train_step(config, network, np.full(9, 1e-3, np.float32), [1.0] * config.dataset.num_classes, world=1)
    rng = np.random.default_rng(0)
    images = Tensor(rng.normal(size=(args.batch, 3, args.crop, args.crop)).astype(np.float32))
    labels = Tensor(rng.integers(0, config.dataset.num_classes, (args.batch, args.crop, args.crop)).astype(np.int32))
    return lambda: step(images, labels)


def measure(call: Callable[[], Any], repeat: int) -> dict[str, float]:
    """Return what the calls take: peak_mib, and seconds of the fastest after the first."""
    before = peak_mib()
    call()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"peak_mib": peak_mib() - before, "seconds": min(seconds)}


def in_a_process(argv: Sequence[str], block: int, kind: str) -> dict[str, float]:
    """Return what this program measures of one case in a process of its own."""
    command = [sys.executable, __file__, *argv, "--one", str(block), kind]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=97, help="rows and columns of the map")
    parser.add_argument("--channels", type=int, default=256, help="of query, key and value")
    parser.add_argument("--batch", type=int, default=1, help="maps or crops")
    parser.add_argument("--blocks", type=int, nargs="+", default=[-1, 0, 1024], help="values of model.oc.block; -1: MindSpore's gradient")
    parser.add_argument("--repeat", type=int, default=2, help="timed calls")
    parser.add_argument("--kinds", nargs="+", default=["forward", "gradients"], choices=("forward", "gradients"), help="without --config")
    parser.add_argument("--config", help="preset: training steps of the whole network")
    parser.add_argument("--crop", type=int, default=513, help="with --config: height and width, pixels")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one:
        ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
        block = int(args.one[0])
        call = training_call(args, block) if args.config else attention_call(args, block, args.one[1] == "gradients")
        print(json.dumps(measure(call, args.repeat)))
        return 0
    for block in args.blocks:
        for kind in ("step",) if args.config else args.kinds:
            given = in_a_process(sys.argv[1:] if argv is None else argv, block, kind)
            print(f"block {block:5} {kind:9} peak {given['peak_mib']:7.0f} MiB  {given['seconds']:7.2f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
