"""Time from a start to the first step: without a cache of compiled graphs, with an empty one, and with the one that this left.

    python benchmarks/first_step.py [--config demo ...] [--graph train eval] [key=value ...]

Each start is a process of its own that builds the network and takes three training steps, or predicts one picture three times; the cache
is a new folder. What all starts compute must have the same bits.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.config import load_config
from src.runtime.environment import prepare_environment

STARTS = {"no cache": "never", "empty cache": "always", "second start": "always"}
STEPS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", nargs="+", default=["demo"], help="presets or YAML files")
    parser.add_argument("--graph", nargs="+", choices=("train", "eval"), default=["train", "eval"], help="what is compiled")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", metavar="key=value", help="overrides of the configuration")
    args = parser.parse_intermixed_args(argv)
    if args.child:
        print(json.dumps(start(args.graph[0], args.config[0], [f"compile_cache={args.child}", *args.words])))
        return 0
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}; seconds", flush=True)
    for config in args.config:
        for graph in args.graph:
            compare(config, graph, args.words)
    return 0


def compare(config: str, graph: str, words: Sequence[str]) -> None:
    """Print a line for each start, and end where they differ in what they compute."""
    results = []
    with tempfile.TemporaryDirectory() as cache:
        for name, setting in STARTS.items():
            command = [sys.executable, __file__, "--config", config, "--graph", graph, "--child", setting, *words]
            environment = {**os.environ, "OCRNET_CACHE": cache}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            results.append(json.loads(done.stdout.splitlines()[-1]))
            first, later = results[-1]["seconds"][0], min(results[-1]["seconds"][1:])
            print(f"{config} {graph:5}  {name:12}  build {results[-1]['build']:5.1f}  first {first:6.1f}  later {later:6.2f}", flush=True)
        size = sum(path.stat().st_size for path in Path(cache).rglob("*") if path.is_file())
    same = len({result["digest"] for result in results}) == 1
    print(f"{config} {graph:5}  the same bits: {same}; {size / 2**20:.1f} MiB kept", flush=True)
    if not same:
        sys.exit(1)


def start(graph: str, name: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the seconds of building and of each step, and a digest of what came out."""
    prepare_environment("CPU")
    import mindspore as ms

    from src.engine.assembly import build_train_step
    from src.inference.predictor import Predictor
    from src.models.builder import build_network
    from src.runtime.compile_cache import CompileCache
    from src.runtime.device import setup_runtime

    config = load_config(name, {"device_target": "CPU", "run_distribute": False}, ["train.param_initializer=HeNormal", *words])
    runtime = setup_runtime(config)
    rng = np.random.default_rng(0)
    began = time.perf_counter()
    network = build_network(config, dropout_seed=config.seed)
    num_classes, (height, width) = config.dataset.num_classes, config.train.image_size
    step = build_train_step(config, network, np.full(STEPS, 1e-3, np.float32), [1.0] * num_classes, 1)
    predictor = Predictor.from_config(network, config)
    image = ms.Tensor(rng.normal(size=(config.batchsize, 3, height, width)).astype(np.float32))
    label = ms.Tensor(rng.integers(0, num_classes, (config.batchsize, height, width)).astype(np.int32))
    picture = rng.integers(0, 256, (1, height, width, 3), np.uint8)
    build, seconds, digest = time.perf_counter() - began, [], hashlib.sha256()
    step.set_train(graph == "train")
    with CompileCache(config, runtime).compiling(graph, step if graph == "train" else network, constants=[1.0] * num_classes):
        for _ in range(STEPS):
            began = time.perf_counter()
            digest.update(step(image, label).asnumpy().tobytes() if graph == "train" else predictor.scores(picture).tobytes())
            seconds.append(time.perf_counter() - began)
    for parameter in step.get_parameters():
        digest.update(parameter.asnumpy().tobytes())
    return {"build": build, "seconds": seconds, "digest": digest.hexdigest()}


if __name__ == "__main__":
    sys.exit(main())
