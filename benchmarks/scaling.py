"""Training of one process against two on this machine's CPU: pictures per second, with data, loss, update and reduction over ranks.

    python benchmarks/scaling.py [--config demo] [--steps N] [--rounds N] [key=value ...]

Every side is train.py on the same synthetic pictures. Sides take turns: each round runs all of them. Two processes are measured with half
the batch each (the same work as one process does) and with the whole batch each (twice the work), with MindSpore's usual threads, of which
each process has as many as there are cores, and with the cores shared out by OMP_NUM_THREADS. Compiling and the first step are not counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.config import load_config
from src.launch.starting import free_port

ROOT = Path(__file__).resolve().parents[1]
SIZE_HW = (256, 512)  # of the synthetic pictures, as in scripts/quickstart.sh


@dataclass(frozen=True)
class Side:
    """One way to train: processes, pictures per process and step, OpenMP threads of each process (None: as many as there are cores)."""

    processes: int
    batch: int
    threads: int | None

    def __str__(self) -> str:
        return f"{self.processes} x batch {self.batch}, {self.threads or 'all'} threads each"


def sides(batch: int, cores: int) -> list[Side]:
    """Return one process and two, the latter with equal and with double work, each with all threads and with a share of them."""
    shared = max(1, cores // 2)
    return [Side(1, batch, None)] + [Side(2, each, threads) for each in (batch // 2, batch) for threads in (None, shared)]


def train(side: Side, args: argparse.Namespace, data: Path, folder: Path) -> tuple[float, float]:
    """Train for some steps; return milliseconds per step and pictures per second over all processes."""
    samples = (args.steps + 1) * side.batch * side.processes
    flags = {"config": args.config, "data_path": data, "output_path": folder, "batchsize": side.batch, "run_distribute": side.processes > 1}
    flags |= {"total_epoch": 1, "eval_callback": False, "log_interval": args.steps + 1, "device_target": "CPU"}
    command = [str(ROOT / "train.py"), *(str(word) for name, value in flags.items() for word in (f"--{name}", value))]
    command += [f"train.num_samples={samples}", *args.words]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if side.threads:
        environment["OMP_NUM_THREADS"] = str(side.threads)
    log_dir = f"--log_dir={folder.with_suffix('.logs')}"
    count = [f"--worker_num={side.processes}", f"--local_worker_num={side.processes}", f"--master_port={free_port()}"]
    launch = ["msrun", *count, "--join=True", log_dir] if side.processes > 1 else [sys.executable]
    done = subprocess.run([*launch, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side}: train.py ended with status {done.returncode}\n{done.stdout[-3000:]}")
    last = json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return last["step_ms"], last["images_per_second"]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="demo", help="preset or YAML file on Cityscapes' classes")
    parser.add_argument("--steps", type=int, default=20, help="counted steps of a run, after one that compiles")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side")
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    args = parser.parse_intermixed_args(argv)
    batch, cores = load_config(args.config, ask_weights=False).batchsize, len(os.sched_getaffinity(0))
    print(f"{args.config}, {cores} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    results: dict[Side, list[tuple[float, float]]] = {side: [] for side in sides(batch, cores)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make = [sys.executable, "-m", "src.data.synthetic", "--data_path", folder / "data", "--size", *SIZE_HW, "--num_val", 1]
        num_train = (args.steps + 1) * batch * 2
        subprocess.run([*map(str, make), "--num_train", str(num_train)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        for number in range(args.rounds):
            for index, (side, measured) in enumerate(results.items()):
                measured.append(train(side, args, folder / "data", folder / f"run_{number}_{index}"))
                print(f"  round {number + 1}: {side}: {measured[-1][1]:.2f} img/s", flush=True)
    one = statistics.median(speed for _, speed in next(iter(results.values())))
    for side, measured in results.items():
        step, speed = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{str(side):36} {step:8.0f} ms a step  {speed:7.2f} img/s  {speed / one:5.2f} of one process", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
