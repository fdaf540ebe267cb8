"""One engine on one model file: the other side of `engines.py`, which starts this script for each.

    python benchmarks/engine_side.py ENGINE PRECISION MODEL INPUT.npy THREADS REPEAT LOGITS.npy

ENGINE is mindspore (MODEL: a native .mindir), onnxruntime (.onnx), openvino (.onnx or .xml) or torch (the folder with config.json and
weights.npz that `forward.write_torch_inputs` wrote). Prints {"load": seconds, "seconds": [of each inference], "peak_mib": ...}: load is the
time from the file to the first answer, less one inference, with the packages imported already.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import peak_mib

PATIENCE = 60  # seconds: beyond that an inference is not repeated

Forward = Callable[[np.ndarray], np.ndarray]
# From precision, model, shape of the input and number of threads to what loads the model.
Loader = Callable[[str, Path, tuple[int, ...], int], Callable[[], Forward]]


def mindspore(precision: str, model: Path, shape: tuple[int, ...], threads: int) -> Callable[[], Forward]:
    """Return what loads a native MindIR into MindSpore, float32."""
    from src.runtime.environment import prepare_environment

    prepare_environment("CPU")
    import mindspore as ms

    from src.deploy.native_model import NativeModel

    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    return lambda: NativeModel(model)


def onnxruntime(precision: str, model: Path, shape: tuple[int, ...], threads: int) -> Callable[[], Forward]:
    """Return what loads an ONNX file into ONNX Runtime, float32."""
    import onnxruntime

    def load() -> Forward:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        return lambda image: session.run(None, {"image": image})[0]

    return load


def openvino(precision: str, model: Path, shape: tuple[int, ...], threads: int) -> Callable[[], Forward]:
    """Return what loads an ONNX or OpenVINO file into OpenVINO, as `--mode latency` of the runner does."""
    from src.deploy.openvino_model import OpenVinoModel, precision_beside_int8, read_openvino

    computes_in = precision_beside_int8() if precision == "int8" else precision
    return lambda: OpenVinoModel(read_openvino(model), shape, computes_in, model.name, threads)


def torch(precision: str, model: Path, shape: tuple[int, ...], threads: int) -> Callable[[], Forward]:
    """Return what loads the weights into PyTorch; bf16 by autocast, as PyTorch's documents have it for inference."""
    import torch

    from benchmarks.torch_forward import load as load_network

    torch.set_num_threads(threads)

    def load() -> Forward:
        network, _ = load_network(str(model / "config.json"), str(model / "weights.npz"))

        def forward(image: np.ndarray) -> np.ndarray:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                return network(torch.from_numpy(image)).float().numpy()

        return forward

    return load


ENGINES: dict[str, Loader] = {"mindspore": mindspore, "onnxruntime": onnxruntime, "openvino": openvino, "torch": torch}


def main(engine: str, precision: str, model: str, image_path: str, threads: str, repeat: str, output: str) -> int:
    """Load the model, run it, print the figures."""
    image = np.load(image_path)
    load = ENGINES[engine](precision, Path(model), image.shape, int(threads))
    start = time.perf_counter()
    forward = load()
    logits = forward(image)
    first = time.perf_counter() - start
    seconds = [first] if first > PATIENCE else []
    while len(seconds) < int(repeat) and max(seconds, default=0) < PATIENCE:
        start = time.perf_counter()
        logits = forward(image)
        seconds.append(time.perf_counter() - start)
    np.save(output, logits)
    print(json.dumps({"load": max(0.0, first - statistics.median(seconds)), "seconds": seconds, "peak_mib": peak_mib()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
