"""Evaluation forward of a preset at one size: time, pictures per second, peak memory, and PyTorch's on the same cores.

    python benchmarks/forward.py --config hrnetv2_w48 --size 512 1024 --dynamic [--torch_python /path/to/python-with-torch]

Both sides hold the same weights and take turns, forward by forward, so that what else the machine does falls on both.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import OtherSide, peak_mib, report
from src.config import load_config
from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

from src.models.builder import build_network  # noqa: E402
from src.models.conventions import Conventions  # noqa: E402
from src.models.dropout import is_training_state  # noqa: E402


class TorchSide(OtherSide):
    """`torch_forward.py` under another Python, asked for one forward at a time.

    Args:
        python: path of a Python that has torch.
        config: the complete configuration.
        network: gives the weights.
        image: (B, 3, H, W) float32.
        folder: for the files between the two processes.
    """

    def __init__(self, python: str, config: Any, network: ms.nn.Cell, image: np.ndarray, folder: Path) -> None:
        files = [folder / name for name in ("config.json", "weights.npz", "logits.npy")]
        write_torch_inputs(config, network, image, *files[:2])
        self.output = files[2]
        super().__init__([python, str(Path(__file__).with_name("torch_forward.py")), *map(str, files)])

    def logits(self) -> np.ndarray:
        """End the process and return its last logits."""
        self.close()
        return np.load(self.output)


def write_torch_inputs(config: Any, network: ms.nn.Cell, image: np.ndarray, config_path: Path, weights_path: Path) -> None:
    """Write the configuration, and the weights with a picture, as `torch_forward.py` reads them."""
    config_path.write_text(json.dumps(OmegaConf.to_container(config)), encoding="utf-8")
    weights = {p.name: p.asnumpy() for p in network.get_parameters() if not is_training_state(p.name)}
    np.savez(weights_path, image=image, **weights)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="hrnetv2_w48", help="preset or YAML file")
    parser.add_argument("--size", type=int, nargs=2, default=[512, 1024], metavar=("H", "W"), help="pixels")
    parser.add_argument("--batch", type=int, default=1, help="pictures at once")
    parser.add_argument("--repeat", type=int, default=5, help="timed forwards, after one that is not timed")
    parser.add_argument("--dynamic", action="store_true", help="compile once for all batches and sizes, as evaluation does")
    parser.add_argument("--torch_python", help="a Python that has torch, to compare with (seg_hrnet_ocr only)")
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    return parser.parse_args(argv)


def torch_side_has(model: Any, size_hw: Sequence[int]) -> bool:
    """Tell whether `torch_forward.py` holds a configuration's network."""
    ours = Conventions.of(model)
    if ours.fuse_resize == "stepwise" and not ours.align_corners and all(side % 32 == 0 for side in size_hw):
        ours = replace(ours, fuse_resize="bilinear")  # at such sizes both are one
    official = Conventions(align_corners=ours.align_corners, head_bias=ours.head_bias)
    return model.name == "seg_hrnet_ocr" and ours == official and (model.ocr.scale, model.ocr.aux_kernel) == (1, 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = parse(argv)
    # He's initialisation: N(0, 0.001) would let activations fade into denormal numbers, which are slow on a CPU.
    config = load_config(args.config, words=["train.param_initializer=HeNormal", *args.words])
    if args.torch_python and not torch_side_has(config.model, args.size):
        sys.exit("--torch_python: the PyTorch side is seg_hrnet_ocr with the authors' structure; give --config hrnetv2_w48_official")
    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    ms.set_seed(1)
    network = build_network(config).set_train(False)
    image = np.random.default_rng(0).normal(size=(args.batch, 3, *args.size)).astype(np.float32)
    if args.dynamic:
        network.set_inputs(ms.Tensor(shape=[None, 3, None, None], dtype=ms.float32))
    print(
        f"{args.config} {args.batch}x3x{args.size[0]}x{args.size[1]}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        other = TorchSide(args.torch_python, config, network, image, Path(folder)) if args.torch_python else None
        measure(network, image, other, args.repeat)
    return 0


def measure(network: ms.nn.Cell, image: np.ndarray, other: TorchSide | None, repeat: int) -> None:
    """Time the forwards of both sides in turns and print the comparison."""
    x, batch = ms.Tensor(image), len(image)
    start = time.perf_counter()
    logits = network(x)[-1].asnumpy()
    print(f"compile and first forward {time.perf_counter() - start:.1f} s", flush=True)
    if other:
        other.forward()
    ours, theirs, their_peak = [], [], 0.0
    for _ in range(repeat):
        start = time.perf_counter()
        logits = network(x)[-1].asnumpy()
        ours.append(time.perf_counter() - start)
        if other:
            answer = other.forward()
            theirs.append(answer["seconds"])
            their_peak = answer["peak_mib"]
    our_median = report("MindSpore", ours, batch, peak_mib())
    if other:
        their_median = report("PyTorch", theirs, batch, their_peak)
        reference = other.logits()
        difference = np.abs(logits - reference).max() / np.abs(reference).max()
        print(f"MindSpore / PyTorch time {our_median / their_median:.2f}; largest difference {difference:.1e} of the largest logit")


if __name__ == "__main__":
    sys.exit(main())
