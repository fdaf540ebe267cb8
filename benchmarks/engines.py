"""Every engine that runs our networks on a CPU, in one run on the same weights, pictures and cores: seconds, memory, loading.

    python benchmarks/engines.py [--configs hrnetv2_w18 hrnetv2_w48_official] [--sizes 512x1024 1024x2048] [--rounds 2] [--repeat 3]

MindSpore, ONNX Runtime, OpenVINO and PyTorch in Python, the C++ runner with MindSpore Lite and with OpenVINO, and OpenVINO's own
benchmark_app. Each side is a process that loads and runs alone, round by round, so that what else the machine does falls on all. Random
weights; int8 is quantised on synthetic pictures. Needs requirements-deploy.txt and requirements-torch.txt, and a runner with both back ends
(MS_LITE_HOME=... OPENVINO_HOME=... bash ascend310_infer/src/build.sh).
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mindspore import Tensor

from benchmarks.forward import torch_side_has, write_torch_inputs
from src.checkpoint.weights import save_weights
from src.config import load_config
from src.data.pictures import read_image
from src.data.synthetic import write_street_scenes
from src.deploy.manifest import read_manifest
from src.deploy.openvino_model import HINTS, precision_beside_int8, supported_precisions
from src.models.builder import build_network

ROOT = Path(__file__).resolve().parents[1]
RUNNER = ROOT / "ascend310_infer" / "out" / "main"
SIDE = Path(__file__).with_name("engine_side.py")
THREADS = len(os.sched_getaffinity(0))  # of every engine
PRECISIONS = ("fp32", "bf16", "int8")
# The authors' conventions, which the network in PyTorch has; random weights of a size that keeps numbers in range.
OFFICIAL = ("train.param_initializer=HeNormal", "model.align_corners=True", "model.head_bias=True", "model.fuse_resize=bilinear")
QUANTIZE = ("--samples", "8", "--sensitivity_samples", "1", "--max_drop", "0.99", "--report_samples", "1")


@dataclass(frozen=True)
class Figures:
    """What one process of a side told, seconds and MiB.

    Attributes:
        inference: per picture.
        load: from the file to what can answer.
        peak: largest memory of the process.
        whole: per picture from PNG to mask, of the runner.
    """

    inference: float
    load: float
    peak: float
    whole: float | None = None


class Sides:
    """The sides on one network at one size.

    Args:
        folder: what `prepare` wrote.
        size_hw: pixels.
        threads: of every engine.
        repeat: inferences in a process, behind the first one.
    """

    def __init__(self, folder: Path, size_hw: tuple[int, int], threads: int, repeat: int) -> None:
        self.folder, self.size_hw, self.threads, self.repeat = folder, size_hw, threads, repeat
        self.models = {"fp32": folder / "m.onnx", "bf16": folder / "m.onnx", "int8": folder / "m_int8.xml"}

    def commands(self) -> list[tuple[str, str]]:
        """Return (side, precision) in the order in which they run; precisions that the processor lacks are left out."""
        openvino = [precision for precision in PRECISIONS if precision in (*supported_precisions(), "int8")]
        return [
            ("MindSpore", "fp32"),
            ("runner, Lite", "fp32"),
            ("ONNX Runtime", "fp32"),
            *((side, precision) for precision in openvino for side in ("OpenVINO", "benchmark_app", "runner, OpenVINO")),
            # Without bf16 in the processor PyTorch turns every operand into float32 and back: minutes for a picture.
            *(("PyTorch", precision) for precision in supported_precisions()),
        ]

    def run(self, side: str, precision: str) -> Figures:
        """Run a side once."""
        if side == "benchmark_app":
            return self._benchmark_app(precision)
        if side.startswith("runner"):
            return self._runner(side, precision)
        model = {
            "MindSpore": self.folder / "native.mindir",
            "ONNX Runtime": self.folder / "m.onnx",
            "OpenVINO": self.models[precision],
            "PyTorch": self.folder,
        }[side]
        engine = side.lower().replace(" ", "")
        engine = {"pytorch": "torch"}.get(engine, engine)
        output = self.folder / f"{engine}_{precision}.npy"
        words = [engine, precision, model, self.folder / "image.npy", self.threads, self.repeat, output]
        answer = json.loads(_output([sys.executable, SIDE, *words]).splitlines()[-1])
        return Figures(statistics.median(answer["seconds"]), answer["load"], answer["peak_mib"])

    def _runner(self, side: str, precision: str, *more: str) -> Figures:
        is_lite = side == "runner, Lite"
        model = self.folder / "native_lite2.mindir" if is_lite else self.models[precision]
        paths = ["--mindir_path", model, "--dataset_path", self.folder / "pictures", "--result_path", self.folder / "masks"]
        how = ["--backend", "lite" if is_lite else "openvino", "--precision", precision, "--threads", self.threads]
        log = _output([RUNNER, *paths, *how, *more])
        return Figures(
            inference=_figure(r"time per picture, inference: mean [\d.]+ ms, median ([\d.]+) ms", log) / 1000,
            load=_figure(r"loading the model: ([\d.]+) s", log),
            peak=_figure(r"peak memory: ([\d.]+) MiB", log),
            whole=1 / _figure(r"throughput: ([\d.]+) pictures/s", log),
        )

    def _benchmark_app(self, precision: str, *how: str) -> Figures:
        computes_in = precision_beside_int8() if precision == "int8" else precision
        log = self.benchmark_log(precision, computes_in, "-hint", "latency", "-api", "sync", "-niter", str(self.repeat))
        load = sum(_figure(rf"{what} took ([\d.]+) ms", log) for what in ("Read model", "Compile model"))
        return Figures(_figure(r"Median: +([\d.]+) ms", log) / 1000, load / 1000, float("nan"))

    def benchmark_log(self, precision: str, computes_in: str, *how: str) -> str:
        """Return what OpenVINO's own tool prints."""
        shape = f"[1,3,{self.size_hw[0]},{self.size_hw[1]}]"
        words = ["-m", self.models[precision], "-d", "CPU", "-shape", shape, "-infer_precision", HINTS[computes_in]]
        return _output([Path(sys.executable).with_name("benchmark_app"), *words, *how])

    def throughput(self, precision: str) -> tuple[float, float]:
        """Return pictures per second of the runner and of OpenVINO's own tool, both in throughput mode."""
        ours = self._runner("runner, OpenVINO", precision, "--mode", "throughput")
        computes_in = precision_beside_int8() if precision == "int8" else precision
        log = self.benchmark_log(precision, computes_in, "-hint", "throughput", "-niter", str(4 * self.repeat))
        assert ours.whole is not None
        return 1 / ours.whole, _figure(r"Throughput: +([\d.]+) FPS", log)


def _output(command: Sequence[Any]) -> str:
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with status {result.returncode}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout


def _figure(pattern: str, log: str) -> float:
    found = re.search(pattern, log)
    if not found:
        sys.exit(f"the log lacks '{pattern}':\n{log}")
    return float(found.group(1))


def prepare_weights(config_name: str, folder: Path) -> None:
    """Write random weights of a preset, and the same for PyTorch with a picture of 512x1024."""
    config: Any = load_config(config_name, words=list(OFFICIAL))
    if not torch_side_has(config.model, (512, 1024)):
        sys.exit(f"--configs {config_name}: the PyTorch network is seg_hrnet_ocr with the authors' structure")
    network = build_network(config).set_train(False)
    for parameter in network.get_parameters():
        # He's initialisation with norms that change nothing makes logits of 1e8, whose softmax hangs on the last bit of single pixels.
        if parameter.name.endswith("gamma"):
            parameter.set_data(Tensor(np.full(parameter.shape, 0.5, np.float32)))
    save_weights(network, folder / "w.ckpt", config)
    write_torch_inputs(config, network, np.zeros((1, 3, 512, 1024), np.float32), folder / "config.json", folder / "weights.npz")


def prepare_models(folder: Path) -> None:
    """Write the network as ONNX for any size, and quantise that."""
    write_street_scenes(folder / "scenes", 16, 1, (512, 1024))
    _output(
        [
            *_export(folder),
            "--file_name",
            folder / "any",
            "--file_format",
            "ONNX",
            "--image_size",
            512,
            1024,
            "--dynamic",
            "height",
            "width",
        ]
    )
    _output([sys.executable, "-m", "src.deploy.quantize", folder / "any.onnx", "--data_path", folder / "scenes", *QUANTIZE])


def prepare_size(weights: Path, folder: Path, size_hw: tuple[int, int], pictures: int) -> None:
    """Write the model files of one size, pictures, and an input made of the first one."""
    _output([*_export(weights), "--file_name", folder / "native", "--image_size", *size_hw])
    made = read_manifest(folder / "native.json")
    for name, suffixes in (("", (".onnx",)), ("_int8", (".xml", ".bin"))):
        for suffix in suffixes:
            (folder / f"m{name}{suffix}").symlink_to(weights / f"any{name}{suffix}")
        model, manifest = folder / f"m{name}{suffixes[0]}", read_manifest(weights / f"any{name}.json")
        here = {"input": replace(manifest.input, shape=made.input.shape), "output": replace(manifest.output, shape=made.output.shape)}
        files = {"weights": {**manifest.weights, "file": "m_int8.bin"}} if name else {}
        replace(manifest, model_file=model.name, **here, **files).write(model)
    write_street_scenes(folder / "scenes", 1, pictures, size_hw)
    (folder / "pictures").mkdir()
    for path in sorted((folder / "scenes" / "leftImg8bit" / "val").rglob("*.png")):
        path.rename(folder / "pictures" / path.name)
    first = sorted((folder / "pictures").iterdir())[0]
    np.save(folder / "image.npy", made.input.prepare(read_image(first))[None])
    for file in ("config.json", "weights.npz"):
        (folder / file).symlink_to(weights / file)


def _export(weights: Path) -> list[Any]:
    return [sys.executable, ROOT / "export.py", "--checkpoint_file", weights / "w.ckpt", "--device_target", "CPU"]


def report(title: str, figures: dict[tuple[str, str], list[Figures]]) -> None:
    """Print a table of medians over the rounds, and the ratios that are asked for."""
    print(f"\n{title}\n{'side':<18} {'precision':<9} {'s/picture':>9} {'best':>8} {'PNG to mask':>11} {'load s':>7} {'peak MiB':>9}")
    for (side, precision), rounds in figures.items():
        middle = statistics.median(each.inference for each in rounds)
        wholes = [each.whole for each in rounds if each.whole is not None]
        whole = f"{statistics.median(wholes):.3f}" if wholes else ""
        load, peak = (statistics.median(getattr(each, name) for each in rounds) for name in ("load", "peak"))
        best = min(each.inference for each in rounds)
        print(f"{side:<18} {precision:<9} {middle:>9.3f} {best:>8.3f} {whole:>11} {load:>7.1f} {peak:>9.0f}")
    for precision in PRECISIONS:
        ours, tool = figures.get(("runner, OpenVINO", precision)), figures.get(("benchmark_app", precision))
        if ours and tool:
            pairs = list(zip(ours, tool, strict=True))
            inference = statistics.median(a.inference / b.inference for a, b in pairs)
            whole = statistics.median(a.whole / b.inference for a, b in pairs if a.whole)
            print(f"{precision}: runner / benchmark_app: inference {inference:.3f}, PNG to mask {whole:.3f}")
        else:
            print(f"{precision}: this processor lacks it")
    sys.stdout.flush()


def compare_logits(folder: Path) -> None:
    """Print how far each engine's logits are from MindSpore's."""
    expected = np.load(folder / "mindspore_fp32.npy")
    for path in sorted(folder.glob("*_*.npy")):
        given = np.load(path)
        difference = np.abs(given - expected).max() / np.abs(expected).max()
        labels = float((given.argmax(1) == expected.argmax(1)).mean())
        print(f"{path.stem}: largest difference {difference:.1e} of the largest logit, {100 * labels:.3f} % of the labels equal")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--configs", nargs="+", default=["hrnetv2_w18", "hrnetv2_w48_official"], help="presets or YAML files")
    parser.add_argument("--sizes", nargs="+", default=["512x1024", "1024x2048"], help="height x width, pixels")
    parser.add_argument("--pictures", type=int, default=6, help="of each run of the C++ runner")
    parser.add_argument("--rounds", type=int, default=2, help="rounds")
    parser.add_argument("--repeat", type=int, default=3, help="inferences of each process")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare, let the sides take turns, print."""
    args = parse(argv)
    if not RUNNER.is_file():
        sys.exit(f"{RUNNER}: not built; see --help")
    for config in args.configs:
        with tempfile.TemporaryDirectory() as name:
            weights = Path(name)
            prepare_weights(config, weights)
            prepare_models(weights)
            for size in args.sizes:
                size_hw = tuple(int(side) for side in size.split("x"))
                folder = weights / size
                folder.mkdir()
                prepare_size(weights, folder, size_hw, args.pictures)
                sides = Sides(folder, size_hw, THREADS, args.repeat)
                figures: dict[tuple[str, str], list[Figures]] = {side: [] for side in sides.commands()}
                for _ in range(args.rounds):
                    for side in figures:
                        figures[side].append(sides.run(*side))
                        print(*side, figures[side][-1], file=sys.stderr, flush=True)
                load = os.getloadavg()[0]
                report(f"{config} 1x3x{size}, {THREADS} threads, {args.rounds} rounds of {args.repeat}, load {load:.1f}", figures)
                compare_logits(folder)
                for precision in sorted({precision for side, precision in figures if side == "runner, OpenVINO"}):
                    ours, theirs = sides.throughput(precision)
                    print(f"{precision}, throughput mode: runner {ours:.2f} pictures/s from PNG to mask, benchmark_app {theirs:.2f}")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
