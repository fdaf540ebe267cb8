"""Batch norms become part of the convolutions in front of them: half the nodes, and less to work out while a file is loaded."""

from dataclasses import replace

import numpy as np

from src.deploy.graph import Graph, Node, renamed
from src.deploy.mindir import array_of, tensor_of

_NCHW = 0  # the setting `format` of BiasAdd


def fold_batch_norms(graph: Graph) -> None:
    """Replace each convolution with a batch norm behind it by a convolution with a bias, in place.

    A batch norm behind anything else stays what it is.

    Raises:
        ValueError: if a batch norm is in training mode.
    """
    users = graph.users()
    folded: dict[str, Node] = {}  # the batch norm's name -> the bias that stands for it
    names: dict[str, str] = {}  # of what takes the batch norm's first output -> that bias
    for norm in [node for node in graph.nodes.values() if node.op == "BatchNorm"]:
        convolution, bias = _convolution_of(norm, graph, users)
        takers = users.get(norm.output, [])
        if convolution is not None and all(taker.op == "TupleGetItem" for taker in takers):
            folded[norm.output] = _fold(graph, convolution, bias, norm)
            names |= {taker.output: norm.output for taker in takers}
    nodes = {name: renamed(folded.get(name, node), names) for name, node in graph.nodes.items()}
    graph.nodes = {name: node for name, node in nodes.items() if name not in names}
    graph.result = names.get(graph.result, graph.result)


def _convolution_of(norm: Node, graph: Graph, users: dict[str, list[Node]]) -> tuple[Node | None, str | None]:
    """Return the convolution in front of a batch norm that nothing else takes, or None, and the name of its bias, if it has one."""
    node = graph.nodes.get(norm.inputs[0])
    if node is not None and node.op == "BiasAdd" and len(users[node.output]) == 1:
        return _only_taken_by(node, graph, users), node.inputs[1]
    return _only_taken_by(norm, graph, users), None


def _only_taken_by(taker: Node, graph: Graph, users: dict[str, list[Node]]) -> Node | None:
    node = graph.nodes.get(taker.inputs[0])
    return node if node is not None and node.op == "Conv2D" and len(users[node.output]) == 1 else None


def _fold(graph: Graph, convolution: Node, bias: str | None, norm: Node) -> Node:
    """Give the convolution other weights and return the node that adds the new bias.

    In float64: the float32 results then differ by less than what the order of a convolution's sums does to them.
    """
    gamma, beta, mean, variance = (array_of(graph.parameters[name]).astype(np.float64) for name in norm.inputs[1:5])
    is_training, epsilon = (graph.constants[name] for name in norm.inputs[5:7])
    if is_training:
        raise ValueError(f"the batch norm {norm.domain} is in training mode")
    factor = gamma / np.sqrt(variance + epsilon)  # (C,)
    weight = array_of(graph.parameters[convolution.inputs[1]])  # (C, in, height, width)
    before = array_of(graph.parameters[bias]) if bias is not None else 0.0
    new_weight, new_bias, layout = (f"{norm.output}.{part}" for part in ("weight", "bias", "format"))
    graph.parameters[new_weight] = tensor_of(new_weight, weight * factor.reshape(-1, 1, 1, 1))
    graph.parameters[new_bias] = tensor_of(new_bias, (before - mean) * factor + beta)
    graph.constants[layout] = _NCHW
    graph.nodes[convolution.output] = replace(convolution, inputs=(convolution.inputs[0], new_weight))
    return Node("BiasAdd", (convolution.output, new_bias, layout), norm.output, {}, norm.domain, convolution.shape)
