"""Train several heads on one backbone with one recipe and one budget, and print what came of it.

    python benchmarks/compare_heads.py --data_path CAMVID --output_path OUT [--heads ocr,isa] [--seeds 1,2] [--epochs N] [key=value ...]

Every head trains the same steps on the same samples. A training that is complete is not repeated and one that was interrupted goes on, so
that heads and seeds can be added later; `--epochs 0` prints the table alone. Parameters are the trainable ones; ms/step is the median of
the records of metrics.jsonl; memory is the largest resident memory of the training process, without its reading processes (of the last
one alone where a training was interrupted).
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

from mindspore.nn.utils import no_init_parameters  # noqa: E402

from src.checkpoint.run_folder import CONFIG_FILE, STATE_FILE  # noqa: E402
from src.config import load_config  # noqa: E402
from src.config.loading import to_yaml  # noqa: E402
from src.config.networks import BACKBONES, HEADS, network_name  # noqa: E402
from src.engine.history import METRICS_FILE, read_metrics  # noqa: E402
from src.models.builder import assemble_network  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
MEMORY_FILE = "memory_mib.json"


def settings(args: argparse.Namespace, head: str, seed: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the flags and words of a training."""
    flags = {"data_path": args.data_path, "output_path": str(folder), "total_epoch": args.epochs, "seed": seed, "device_target": "CPU"}
    flags |= {"eval_interval": args.epochs, "save_checkpoint_epochs": args.epochs}
    return flags, [f"model.name={network_name(args.backbone, head)}", *args.words]


def train(args: argparse.Namespace, head: str, seed: int, folder: Path) -> None:
    """Train one network, or go on with it, and keep the memory that it took."""
    flags, words = settings(args, head, seed, folder)
    command = [sys.executable, str(ROOT / "train.py")]
    if (folder / STATE_FILE).is_file():
        if (folder / CONFIG_FILE).read_text(encoding="utf-8") != to_yaml(load_config(args.config, flags, words)):
            sys.exit(f"{folder}: a training with other settings; give another --output_path")
        if _evaluation(folder):
            return
        command += ["--resume", str(folder)]
    else:
        command += ["--config", args.config, *(str(word) for name, value in flags.items() for word in (f"--{name}", value)), *words]
    print(" ".join(command), flush=True)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{folder}: the training ended with status {os.waitstatus_to_exitcode(status)}")
    (folder / MEMORY_FILE).write_text(json.dumps(usage.ru_maxrss / 1024), encoding="utf-8")


def _evaluation(folder: Path) -> dict[str, Any] | None:
    return next((record for record in reversed(read_metrics(folder / METRICS_FILE)) if record["kind"] == "eval"), None)


def num_parameters(args: argparse.Namespace, head: str) -> int:
    """Return the number of trainable parameters."""
    with no_init_parameters():
        network = assemble_network(load_config(args.config, words=[f"model.name={network_name(args.backbone, head)}", *args.words]))
    return sum(parameter.size for parameter in network.trainable_params())


def row(args: argparse.Namespace, head: str, folders: Sequence[Path]) -> str:
    """Return the line of a head: mIoU of each seed with mean and sample standard deviation, parameters, time and memory."""
    mious = [evaluation["miou"] for folder in folders if (evaluation := _evaluation(folder))]
    steps = [record["step_ms"] for folder in folders for record in read_metrics(folder / METRICS_FILE) if record["kind"] == "train"]
    memory = [json.loads((folder / MEMORY_FILE).read_text()) for folder in folders if (folder / MEMORY_FILE).is_file()]
    spread = f" +- {statistics.stdev(mious):.3f}" if len(mious) > 1 else ""
    each = ", ".join(f"{miou:.3f}" for miou in mious)
    numbers = f"{num_parameters(args, head):,} | {statistics.median(steps):.0f} | {max(memory, default=math.nan):.0f}"
    return f"| {head} | {statistics.mean(mious):.3f}{spread} | {each} | {numbers} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="camvid_w18_small", help="preset or YAML file")
    parser.add_argument("--backbone", default="hrnet", choices=BACKBONES)
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--output_path", required=True, type=Path)
    parser.add_argument("--heads", default="ocr,base_oc,asp_oc,isa,plain", help=f"of {', '.join(HEADS)}")
    parser.add_argument("--seeds", default="1", help="one training each")
    parser.add_argument("--epochs", type=int, default=10, help="of each training; 0 trains nothing")
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    args = parser.parse_intermixed_args(argv)
    heads, seeds = args.heads.split(","), [int(seed) for seed in args.seeds.split(",")]
    folders = {(head, seed): args.output_path / f"{head}_{seed}" for seed in seeds for head in heads}
    if args.epochs:
        args.output_path.mkdir(parents=True, exist_ok=True)
        for (head, seed), folder in folders.items():
            train(args, head, seed, folder)
    print("| head | mIoU | of each seed | parameters | ms/step | memory MiB |\n| --- | --- | --- | --- | --- | --- |")
    for head in heads:
        trained = [folder for (name, _), folder in folders.items() if name == head and _evaluation(folder)]
        if trained:
            print(row(args, head, trained), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
