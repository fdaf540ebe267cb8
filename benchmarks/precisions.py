"""What each precision does to the mIoU, on all validation pictures: fp32, bf16, int8, all by OpenVINO, and bf16 by rounding.

    python benchmarks/precisions.py MODEL.onnx --data_path DATA [--int8 MODEL_int8.xml] [--pictures N]

A processor without bf16 cannot run it, and OpenVINO computes in float32 there without a word. "bf16, rounded" tells what to expect all the
same: ONNX Runtime computes the graph in float32, with batch norms folded, and the weights and each node's result are rounded to bf16, which
is what AMX and AVX-512 BF16 do but for the order of their float32 sums.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from src.data.loader import build_dataset  # noqa: E402
from src.deploy.int8.report import Scorer  # noqa: E402
from src.deploy.int8.samples import Samples, evenly  # noqa: E402
from src.deploy.manifest import manifest_path, read_manifest  # noqa: E402
from src.deploy.mindir_predictor import Run  # noqa: E402
from src.deploy.mindir_source import config_of_model, info_of_model  # noqa: E402
from src.deploy.openvino_model import OpenVinoModel, precision_beside_int8, read_openvino, supported_precisions  # noqa: E402

_KEPT = ("Shape", "Gather", "Cast", "ArgMax")  # of whose results none is rounded


def round_to_bf16(model: Path) -> Run:
    """Return what runs a graph with every weight and result rounded to bf16."""
    with tempfile.TemporaryDirectory() as name:
        folded = Path(name) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        graph = onnx.shape_inference.infer_shapes(onnx.load(folded))
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.graph.value_info, *graph.graph.output)}
    weights = {tensor.name for tensor in graph.graph.initializer if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1}
    nodes, results = [], {output.name for output in graph.graph.output}
    for weight in sorted(weights):
        nodes += _rounding(weight, f"{weight}/bf16")
    rounded = {weight: f"{weight}/bf16" for weight in weights}
    for node in graph.graph.node:
        for position, source in enumerate(node.input):
            node.input[position] = rounded.get(source, source)
        nodes.append(node)
        for result in node.output:
            if node.op_type not in _KEPT and types.get(result) == TensorProto.FLOAT and result not in results:
                rounded[result] = f"{result}/bf16"
                nodes += _rounding(result, rounded[result])
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # which would leave the rounding out
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda image: session.run(None, {name: image})[0]


def _rounding(source: str, target: str) -> list[onnx.NodeProto]:
    """Return the nodes that round a tensor to bf16, the nearest, and back."""
    return [
        helper.make_node("Cast", [source], [f"{target}/small"], to=TensorProto.BFLOAT16),
        helper.make_node("Cast", [f"{target}/small"], [target], to=TensorProto.FLOAT),
    ]


class Counting:
    """Runs a graph, and counts how many of its labels, at the graph's stride, are those of another one.

    Args:
        run: the graph.
        expected: what the other one gave, picture by picture; None: this is the other one, and keeps what it gives.
    """

    def __init__(self, run: Run, expected: list[np.ndarray] | None = None) -> None:
        self._run, self._expected = run, expected
        self.labels: list[np.ndarray] = []
        self.equal = self.pixels = 0

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the graph's output."""
        output = self._run(image)
        labels = output.argmax(1).astype(np.uint8) if output.dtype != np.uint8 else output
        if self._expected is None:
            self.labels.append(labels)
        else:
            self.equal += int((labels == self._expected[len(self.labels)]).sum())
            self.labels.append(labels[:0])
        self.pixels += labels.size
        return output


def main(argv: Sequence[str] | None = None) -> int:
    """Score every precision on the same pictures, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the .onnx of export.py")
    parser.add_argument("--data_path", required=True, help="folder of the data set")
    parser.add_argument("--int8", type=Path, help="the .xml of python -m src.deploy.quantize")
    parser.add_argument("--pictures", type=int, default=0, help="of validation; 0: all")
    args = parser.parse_args(argv)
    manifest = read_manifest(manifest_path(args.model))
    config = config_of_model(args.model, manifest, None, {"data_path": args.data_path}, [])
    dataset = build_dataset(config, "val")
    pictures = Samples(dataset, evenly(len(dataset), args.pictures or len(dataset)))
    scorer = Scorer(manifest, config.eval, info_of_model(manifest, config))
    shape, precisions = manifest.input.shape, supported_precisions()
    graph = read_openvino(args.model)
    reference = Counting(OpenVinoModel(graph, shape))
    miou = scorer.miou(reference, pictures)
    print(f"{len(pictures)} pictures of {dataset.info.name}, {args.model.name}\nfp32           mIoU {miou:.5f}", flush=True)
    sides: dict[str, Run] = {"bf16, rounded": round_to_bf16(args.model)}
    if "bf16" in precisions:
        sides["bf16"] = OpenVinoModel(graph, shape, "bf16")
    else:
        print("bf16           this processor lacks it")
    if args.int8:
        sides["int8"] = OpenVinoModel(read_openvino(args.int8), shape, precision_beside_int8())
    for name, run in sides.items():
        side = Counting(run, reference.labels)
        other = scorer.miou(side, pictures)
        equal = 100 * side.equal / side.pixels
        print(f"{name:<14} mIoU {other:.5f} ({other - miou:+.5f}), {equal:.3f} % of the labels equal", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
