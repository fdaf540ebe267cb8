"""ONNX Runtime and OpenVINO as the other sides of `cpp_inference.py`, which starts this script.

    python benchmarks/onnx_engines.py export CONFIG.json WEIGHTS.npz MODEL.onnx
    python benchmarks/onnx_engines.py onnxruntime|openvino MODEL.onnx WEIGHTS.npz THREADS LOGITS.npy

`export` writes the network of `torch_forward.py`; the others answer one forward, fp32, per line on stdin. PYTHONPATH names the folder of
the engines.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measure import peak_mib

OPSET = 17


def export(config_path: str, weights_path: str, model_path: str) -> int:
    """Write the PyTorch network as ONNX."""
    import torch

    from benchmarks.torch_forward import load

    network, image = load(config_path, weights_path)
    torch.onnx.export(network, image, model_path, dynamo=False, opset_version=OPSET, input_names=["image"], output_names=["logits"])
    return 0


def onnxruntime_forward(model_path: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a forward in ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


def openvino_forward(model_path: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return a forward in OpenVINO on the CPU, fp32, in its latency mode."""
    import openvino

    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(model_path, "CPU", options).create_infer_request()
    return lambda image: next(iter(request.infer({0: image}).values()))


FORWARDS = {"onnxruntime": onnxruntime_forward, "openvino": openvino_forward}


def answer(engine: str, model_path: str, weights_path: str, threads: str, output_path: str) -> int:
    """Load the model, then answer one forward per line."""
    with np.load(weights_path) as arrays:
        image = arrays["image"]
    forward = FORWARDS[engine](model_path, int(threads))
    logits = np.zeros(0)
    for _ in sys.stdin:
        start = time.perf_counter()
        logits = forward(image)
        print(json.dumps({"seconds": time.perf_counter() - start, "peak_mib": peak_mib()}), flush=True)
    np.save(output_path, logits)
    return 0


if __name__ == "__main__":
    sys.exit(export(*sys.argv[2:]) if sys.argv[1] == "export" else answer(*sys.argv[1:]))
