"""The operators that a network's compiled graph runs for a picture of one size, with their shapes; nothing is computed."""

import logging
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn
from mindspore.train.mind_ir_pb2 import GraphProto, ModelProto, NodeProto

_CONVOLUTION, _MATRIX_PRODUCT = "Conv2D", "BatchMatMul"
# What moves or names values and makes none.
_NO_RESULTS = (
    "Load",
    "Depend",
    "UpdateState",
    "MakeTuple",
    "TupleGetItem",
    "Reshape",
    "ExpandDims",
    "Squeeze",
    "Return",
    "Constant",
    "Cast",
)
# Additions and concatenations are one operator each for MindSpore, which calls all of them by the place of the first.
_SHARED = ("Add", "Concat")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        kind: such as Conv2D.
        module: the Cell that calls it, as a path of attribute names: ("backbone", "conv1").
        shape: of its first output.
        macs: multiplications, each with an addition; of convolutions and matrix products alone, 0 otherwise.
    """

    kind: str
    module: tuple[str, ...]
    shape: Shape
    macs: int

    @property
    def output_bytes(self) -> int:
        """Memory of the output in float32."""
        return 4 * math.prod(self.shape)


def compiled_operators(network: nn.Cell, shape: Shape) -> list[Operator]:
    """Return the operators of a network in the order in which they run, those that make no values left out.

    MindSpore compiles the network, in evaluation, and infers all shapes; that takes as long as compiling does, whatever the size.

    Args:
        network: from image to logits.
        shape: of the image, (B, 3, H, W).

    Raises:
        RuntimeError: if MindSpore cannot compile it for this size.
    """
    graph = _compiled_graph(network.set_train(False), shape)
    shapes: dict[str, Shape] = {parameter.name: tuple(parameter.dims) for parameter in graph.parameter}
    shapes |= {value.name: tuple(value.tensor[0].dims) for value in graph.input if value.tensor}
    operators: list[Operator] = []
    made_by: dict[str, int] = {}  # node -> the operator whose result it is or hands on
    for node in graph.node:
        kind = node.op_type.removeprefix("REF::").split(":")[0]
        output = _output_shape(node)
        if output is None and node.input:
            output = shapes.get(node.input[0])  # Load and Depend hand on what they get
        if output is None:
            continue
        shapes[node.output[0]] = output
        sources = [made_by[name] for name in node.input if name in made_by]
        if kind not in _NO_RESULTS:
            macs = _macs(kind, [shapes[name] for name in node.input if name in shapes], output)
            module = operators[max(sources)].module[:-1] if kind in _SHARED and sources else _module(node.domain)
            sources = [len(operators)]
            operators.append(Operator(kind, module, output, macs))
        if sources:
            made_by[node.output[0]] = max(sources)
    return operators


def _compiled_graph(network: nn.Cell, shape: Shape) -> GraphProto:
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE)
    logging.disable(logging.CRITICAL)  # what goes wrong is raised; MindSpore says it in paragraphs besides
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.mindir"
            ms.export(network, Tensor(shape=shape, dtype=ms.float32), file_name=str(path), file_format="MINDIR")
            model = ModelProto()
            model.ParseFromString(path.read_bytes())
    finally:
        logging.disable(logging.NOTSET)
        ms.set_context(mode=mode)
    assert not model.functions, "a graph for one size has no loops or branches left"
    return model.graph


def _output_shape(node: NodeProto) -> Shape | None:
    for attribute in node.attribute:
        tensors = attribute.tensors or (attribute.values[0].tensors if attribute.values else ())
        if attribute.name == "shape" and tensors:
            return tuple(tensors[0].dims)
    return None


def _macs(kind: str, inputs: Sequence[Shape], output: Shape) -> int:
    if kind == _CONVOLUTION:
        weight = inputs[1]  # (C_out, C_in / groups, height, width)
        return math.prod(output) * math.prod(weight[1:])
    if kind == _MATRIX_PRODUCT:
        # Of (b, m, k) and (b, k, n), transposed or not, to (b, m, n): the product of the sizes is that of the output times b k^2.
        first, second = inputs[:2]
        inner = math.isqrt(math.prod(first) * math.prod(second) // (math.prod(output) * math.prod(output[:-2])))
        return math.prod(output) * inner
    return 0


def _module(domain: str) -> tuple[str, ...]:
    """Return the path in a domain such as Default/backbone-HRNetV2/conv1-Conv2d/Conv2D-op0, without the operator at its end."""
    return tuple(part.rsplit("-", 1)[0] for part in domain.split("/")[1:-1])


def parameters_by_module(network: nn.Cell) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the module and each parameter that training changes."""
    for name, cell in network.cells_and_names():
        for _, parameter in cell.parameters_and_names(expand=False):
            if parameter.requires_grad:
                yield tuple(name.split(".")) if name else (), parameter
