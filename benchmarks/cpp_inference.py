"""The C++ runner from pictures to masks, beside bare inference in ONNX Runtime and OpenVINO (fp32), on the same network, weights and cores.

    pip install --no-deps --target ENGINES -r benchmarks/requirements-engines.txt
    python benchmarks/cpp_inference.py --engines ENGINES [--config hrnetv2_w48_official] [--size 512 1024] [--pictures 8] [--rounds 3]

The sides take turns, round by round, so that what else the machine does falls on all. MindSpore Lite has to be at hand
(scripts/fetch_mindspore_lite.sh, or MS_LITE_HOME); the export builds the runner.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.forward import torch_side_has, write_torch_inputs
from benchmarks.measure import OtherSide, report
from src.checkpoint.weights import save_weights
from src.config import load_config
from src.data.synthetic import write_street_scenes
from src.deploy.lite_runner import find_lite_home, run_in_cpp
from src.deploy.manifest import manifest_path, read_manifest
from src.models.builder import build_network

ROOT = Path(__file__).resolve().parents[1]
RUNNER = ROOT / "ascend310_infer" / "out" / "main"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", required=True, help="folder that holds ONNX Runtime, OpenVINO and onnx")
    parser.add_argument("--config", default="hrnetv2_w48_official", help="preset or YAML file with the authors' structure")
    parser.add_argument("--size", type=int, nargs=2, default=[512, 1024], metavar=("H", "W"), help="pixels")
    parser.add_argument("--pictures", type=int, default=8, help="pictures per round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of every engine (default: all cores)")
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace, folder: Path) -> None:
    """Write weights, MindIR, ONNX and pictures."""
    config: Any = load_config(args.config, words=["train.param_initializer=HeNormal"])
    if not torch_side_has(config.model, args.size):
        sys.exit("--config: the PyTorch network is seg_hrnet_ocr with the authors' structure, such as hrnetv2_w48_official")
    network = build_network(config).set_train(False)
    for parameter in network.get_parameters():
        # He's initialisation with norms that change nothing makes logits of 1e8, whose softmax hangs on the last bit of single pixels.
        if parameter.name.endswith("gamma"):
            parameter.set_data(Tensor(np.full(parameter.shape, 0.5, np.float32)))
    save_weights(network, folder / "w.ckpt", config)
    size = [str(side) for side in args.size]
    names = ["--checkpoint_file", str(folder / "w.ckpt"), "--file_name", str(folder / "w"), "--image_size", *size]
    subprocess.run([sys.executable, ROOT / "export.py", *names, "--device_target", "CPU"], check=True, stdout=subprocess.DEVNULL)
    image = np.random.default_rng(0).normal(size=(1, 3, *args.size)).astype(np.float32)
    write_torch_inputs(config, network, image, folder / "config.json", folder / "weights.npz")
    subprocess.run(
        engine_command("export", folder / "config.json", folder / "weights.npz", folder / "w.onnx"), env=engines(args), check=True
    )
    write_street_scenes(folder / "scenes", 1, args.pictures, tuple(args.size))
    (folder / "pictures").mkdir()
    for path in (folder / "scenes" / "leftImg8bit" / "val").rglob("*.png"):
        path.rename(folder / "pictures" / path.name)


def engines(args: argparse.Namespace) -> dict[str, str]:
    """Return the environment in which the engines are found."""
    return {**os.environ, "PYTHONPATH": str(Path(args.engines).resolve())}


def engine_command(*words: object) -> list[str]:
    """Return the command of an engine's side."""
    return [sys.executable, str(Path(__file__).with_name("onnx_engines.py")), *map(str, words)]


def run_runner(args: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Return the runner's figures over all pictures."""
    paths = ["--mindir_path", str(folder / "w_lite2.mindir"), "--dataset_path", str(folder / "pictures")]
    command = [str(RUNNER), *paths, "--result_path", str(folder / "masks"), "--threads", str(args.threads)]
    log = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return read_log(log)


def read_log(log: str) -> dict[str, float]:
    """Return the figures that the runner's log tells, in seconds and MiB."""

    def figure(pattern: str) -> float:
        found = re.search(pattern, log)
        if not found:
            sys.exit(f"the runner's log lacks '{pattern}':\n{log}")
        return float(found.group(1))

    stages = {name: figure(rf"time per picture, {name}: mean ([\d.]+) ms") / 1000 for name in ("inference", "reading", "writing")}
    return {**stages, "whole": 1 / figure(r"throughput: ([\d.]+) pictures/s"), "peak_mib": figure(r"peak memory: ([\d.]+) MiB")}


def measure(args: argparse.Namespace, folder: Path) -> None:
    """Let the sides take turns, and print their figures and the ratios."""
    files = [folder / "w.onnx", folder / "weights.npz", args.threads]
    names = ("onnxruntime", "openvino")
    others = {name: OtherSide(engine_command(name, *files, folder / f"{name}.npy"), engines(args)) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in (*names, "inference", "reading", "writing", "whole")}
    peaks = {}
    for _ in range(args.rounds):
        for name, other in others.items():
            other.forward()  # not timed: caches hold what the side before it used
            answers = [other.forward() for _ in range(args.pictures)]
            seconds[name].append(statistics.mean(answer["seconds"] for answer in answers))
            peaks[name] = answers[-1]["peak_mib"]
        figures = run_runner(args, folder)
        peaks["whole"] = figures.pop("peak_mib")
        for name, value in figures.items():
            seconds[name].append(value)
    for other in others.values():
        other.close()
    print(
        f"{args.config} 1x3x{args.size[0]}x{args.size[1]}, {args.threads} threads, mean of {args.pictures} pictures, {args.rounds} rounds"
    )
    medians = {name: report(name, values, 1, peaks.get(name, peaks["whole"])) for name, values in seconds.items()}
    compare_logits(folder, names)
    ratios = [whole / min(pair) for whole, *pair in zip(seconds["whole"], *(seconds[name] for name in names), strict=True)]
    by_round = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"pictures to masks / the faster engine's bare inference: {statistics.median(ratios):.2f} (by round {by_round})")
    print(f"reading + writing / inference: {(medians['reading'] + medians['writing']) / medians['inference']:.3f}")


def compare_logits(folder: Path, names: Sequence[str]) -> None:
    """Print how far the engines are from the runner, on the picture that they were timed with."""
    home = find_lite_home()
    assert home is not None, "export.py has just used it"
    model = folder / "w_lite2.mindir"
    with np.load(folder / "weights.npz") as arrays:
        ours = run_in_cpp(home, model, read_manifest(manifest_path(model)), arrays["image"])
    assert ours is not None
    for name in names:
        difference = np.abs(np.load(folder / f"{name}.npy") - ours).max() / np.abs(ours).max()
        print(f"{name}'s logits and the runner's: largest difference {difference:.1e} of the largest logit")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = parse(argv)
    if find_lite_home() is None:
        sys.exit("no MindSpore Lite here: bash scripts/fetch_mindspore_lite.sh")
    with tempfile.TemporaryDirectory() as name:
        prepare(args, Path(name))
        measure(args, Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
