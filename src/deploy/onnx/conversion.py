"""From MindSpore's MindIR to ONNX, operator by operator."""

import json
from collections.abc import Mapping, Sequence

import onnx
from mindspore.train.mind_ir_pb2 import ModelProto, TensorProto
from onnx import helper

from src.config.errors import UserError
from src.deploy.graph import Graph, Node, read_graph
from src.deploy.lowering import LITE_VERSION
from src.deploy.manifest import SIDES, Manifest
from src.deploy.onnx.operators import OPERATORS, Call
from src.deploy.onnx.writer import Array, GraphWriter, Value, scope_of

PRODUCER = "OCRNet for MindSpore"
INPUT_NAME = "image"  # the output is called as its kind
_TYPES = {"float32": onnx.TensorProto.FLOAT, "uint8": onnx.TensorProto.UINT8}


def convert_model(model: ModelProto, manifest: Manifest, opset: int) -> onnx.ModelProto:
    """Return a network's MindIR as ONNX.

    Weights are initialisers under the names of the network's parameters, nodes are named for their place in it; the input is called
    "image", the output "logits" or "labels", and sides of any size "batch", "height", "width".

    Args:
        model: as `ms.export` of MindSpore 2.7 or later writes it.
        manifest: what the network takes and gives; the model file that it names is not looked at.
        opset: of ONNX.

    Raises:
        UserError: if it has been lowered, is of no network with one output, or has an operator that is not in the table.
    """
    if model.mind_ir_version <= LITE_VERSION:
        raise UserError(
            f"MindIR version {model.mind_ir_version}, lowered for MindSpore Lite 2.0.0; give the native .mindir file that export.py wrote"
        )
    try:
        graph = _convert_graph(read_graph(model), manifest)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(f"a MindIR that cannot be converted to ONNX: {error}") from error
    opsets = [helper.make_opsetid("", opset)]
    written = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets), producer_name=PRODUCER)
    written.producer_version = f"MindSpore {manifest.versions.get('mindspore', model.producer_version)}"
    written.doc_string = f"{_network_name(manifest)}, weights of {manifest.checkpoint.get('file')}"
    helper.set_model_props(written, _properties(manifest))
    return written


def _convert_graph(graph: Graph, manifest: Manifest) -> onnx.GraphProto:
    spec, output = manifest.input, manifest.output
    parameters = {name: _plain(name) for name in graph.parameters}
    writer = GraphWriter((INPUT_NAME, output.kind, *parameters.values()))
    (source,) = graph.inputs
    values: dict[str, Value] = {source.name: Array(INPUT_NAME, tuple(source.tensor[0].dims))}
    values |= {name: writer.initializer(parameters[name], tensor) for name, tensor in graph.parameters.items()}
    users, needed = graph.users(), graph.needed()
    for node in graph.nodes.values():
        if node.output in needed:
            values[node.output] = _convert(node, graph, values, writer, users)
    nodes, initializers = writer.finish(values[graph.result].name, output.kind)
    image = helper.make_tensor_value_info(INPUT_NAME, _TYPES[spec.dtype], _sides(spec.shape, spec.dynamic))
    result = helper.make_tensor_value_info(output.kind, _TYPES[output.dtype], _sides(output.shape, spec.dynamic, output.kind))
    return helper.make_graph(nodes, _network_name(manifest), [image], [result], initializers)


def _sides(shape: Sequence[int], dynamic: Sequence[str], kind: str = "labels") -> list[int | str]:
    """Return the sides of the input, or of an output of a kind; those of any size by name, which for logits are not the image's."""
    names = ("batch", "height", "width") if len(shape) == len(SIDES) else ("batch", "channels", "height", "width")
    called = {side: f"{kind}_{side}" if kind == "logits" and side != "batch" else side for side in dynamic}
    return [called.get(name, size) for name, size in zip(names, shape, strict=True)]


def _convert(node: Node, graph: Graph, values: Mapping[str, Value], writer: GraphWriter, users: Mapping[str, list[Node]]) -> Value:
    where = f" in {node.domain}" if node.domain else ""
    operator = OPERATORS.get(node.op)
    if operator is None:
        raise ValueError(f"operator {node.op}{where}: not in the table, which has {', '.join(OPERATORS)}")
    writer.scope = scope_of(node.domain)
    args = tuple(values[name] if name in values else _constant(graph.constants[name], writer) for name in node.inputs)
    takes_all = bool(node.inputs) and len(users[node.inputs[0]]) == 1
    try:
        return operator.translate(writer, Call(args, node.attributes, _shape_of(node), takes_all))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"operator {node.op}{where}: {error}") from error


def _constant(value: Value, writer: GraphWriter) -> Value:
    return writer.constant(value) if isinstance(value, TensorProto) else value


def _shape_of(node: Node) -> tuple[int, ...]:
    """Return the shape of a node's output; () where it is no tensor."""
    tensors = node.shape[0].tensors if node.shape else ()
    return tuple(tensors[0].dims) if tensors else ()


def _plain(name: str) -> str:
    """Return a parameter's name in the network, in front of which MindIR writes that of the graph."""
    return name.split(":", 1)[-1]


def _network_name(manifest: Manifest) -> str:
    return str(manifest.config.get("model", {}).get("name", "network"))


def _properties(manifest: Manifest) -> dict[str, str]:
    """Return what people may look for in the file itself; programs read the manifest."""
    spec = manifest.input
    return {
        "classes": json.dumps(manifest.class_names),
        "color_order": spec.color_order,
        "mean": json.dumps(spec.mean),
        "std": json.dumps(spec.std),
        **{f"version.{name}": version for name, version in manifest.versions.items()},
    }
