"""The graph of a MindIR file as nodes with Python values, and back."""

from dataclasses import dataclass, field, replace
from typing import Any

from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, NodeProto, PrimitiveProto, TensorProto, ValueInfoProto

from src.deploy.mindir import CONSTANT, REFERENCE, attributes_of, value_of

_PRIMITIVE = 1  # prim_type: attributes lie in the primitive

# What keeps the order of side effects and names parameters: nothing that computes.
_FIRST_INPUT = ("Load", "Depend")
_ORDER_ONLY = "UpdateState"


@dataclass(frozen=True)
class Node:
    """One computation.

    Attributes:
        op: name of the operator.
        inputs: names of nodes, parameters, constants or the graph's inputs.
        output: the name of what it computes.
        attributes: name -> Python value (src.deploy.mindir.value_of), those of the primitive.
        domain: where in the network it stands, for messages.
        shape: shape and type of the output, as the file has them; Lite looks for them.
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""
    shape: tuple[AttributeProto, ...] = ()


@dataclass
class Graph:
    """A graph with one output.

    Attributes:
        name: of the graph.
        inputs: description of each input.
        output: description of the output.
        result: name of the node that is the output.
        nodes: output's name -> node; each after those that it needs.
        parameters: name -> tensor.
        constants: name -> Python value, or TensorProto.
    """

    name: str
    inputs: list[ValueInfoProto]
    output: ValueInfoProto
    result: str
    nodes: dict[str, Node]
    parameters: dict[str, TensorProto]
    constants: dict[str, Any]

    def users(self) -> dict[str, list[Node]]:
        """Return name -> the nodes that take it as an input."""
        users: dict[str, list[Node]] = {}
        for node in self.nodes.values():
            for name in node.inputs:
                users.setdefault(name, []).append(node)
        return users

    def needed(self) -> set[str]:
        """Return the names of all that the output is computed from, itself included."""
        names, open_names = set(), [self.result]
        while open_names:
            name = open_names.pop()
            if name not in names:
                names.add(name)
                open_names += self.nodes[name].inputs if name in self.nodes else ()
        return names


def read_graph(model: ModelProto) -> Graph:
    """Return the graph of a MindIR without what computes nothing: order of side effects, loading of parameters.

    Raises:
        ValueError: if the file is of no network with one output, or a constant is of an unknown kind.
    """
    proto = model.graph
    if len(proto.output) != 1 or model.functions:
        raise ValueError(f"{len(proto.output)} outputs and {len(model.functions)} inner functions; expected one and none")
    primitives = {primitive.name: primitive for primitive in model.primitives}
    constants = {node.output[0]: value_of(node.attribute[0]) for node in proto.node if node.op_type == CONSTANT}
    names: dict[str, str] = {}  # of what computes nothing -> of what it passes on
    nodes: dict[str, Node] = {}
    for node in (node for node in proto.node if node.op_type != CONSTANT):
        read = _read_node(node, primitives, names)
        if read.op in _FIRST_INPUT:
            names[read.output] = read.inputs[0]
        elif read.op != _ORDER_ONLY:
            nodes[read.output] = read
    output = proto.output[0]
    result = names.get(output.name, output.name)
    if result in nodes and nodes[result].op == "MakeTuple":
        raise ValueError(f"{len(nodes[result].inputs)} outputs; expected one")
    parameters = {parameter.name: parameter for parameter in proto.parameter}
    return Graph(proto.name, list(proto.input), output, result, nodes, parameters, constants)


def _read_node(node: NodeProto, primitives: dict[str, PrimitiveProto], names: dict[str, str]) -> Node:
    primitive = primitives.get(node.op_type.removeprefix(REFERENCE))
    if primitive is None:
        raise ValueError(f"{node.op_type} is no primitive of the file")
    attributes = {attribute.name: value_of(attribute) for attribute in primitive.attribute}
    inputs = tuple(names.get(name, name) for name in node.input)
    return Node(primitive.op_type, inputs, node.output[0], attributes, node.domain, tuple(node.attribute))


def write_graph(graph: Graph, model: ModelProto) -> ModelProto:
    """Return a MindIR of version 1 with a graph; header fields are those of `model`.

    What the output does not need is left out.
    """
    written = ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        model_version=model.model_version,
        little_endian=model.little_endian,
        mind_ir_version=1,
    )
    needed = graph.needed()
    proto = written.graph
    proto.name = graph.name
    proto.parameter.extend(tensor for name, tensor in graph.parameters.items() if name in needed)
    proto.input.extend(graph.inputs)
    output = proto.output.add()
    output.CopyFrom(graph.output)
    output.name = graph.result
    for name, value in graph.constants.items():
        if name in needed:
            proto.node.append(_constant_node(name, value))
    primitives: dict[bytes, PrimitiveProto] = {}
    for node in graph.nodes.values():
        if node.output in needed:
            proto.node.append(_written_node(node, primitives))
    written.primitives.extend(primitives.values())
    return written


def _constant_node(name: str, value: Any) -> NodeProto:
    node = NodeProto(op_type=CONSTANT, output=[name])
    if isinstance(value, TensorProto):
        attribute = node.attribute.add(name="value", type="TENSORS")
        attribute.tensors.append(value)
    else:
        node.attribute.extend(attributes_of({"value": value}))
    return node


def _written_node(node: Node, primitives: dict[bytes, PrimitiveProto]) -> NodeProto:
    """Return a node, whose primitive is added to those that are there unless an equal one is."""
    primitive = PrimitiveProto(op_type=node.op, attribute=attributes_of(node.attributes), prim_type=_PRIMITIVE)
    key = primitive.SerializeToString(deterministic=True)
    if key not in primitives:
        primitive.name = f"{node.op}:{len(primitives)}"
        primitives[key] = primitive
    reference = REFERENCE + primitives[key].name
    return NodeProto(op_type=reference, input=node.inputs, output=[node.output], name=node.output, domain=node.domain, attribute=node.shape)


def renamed(node: Node, names: dict[str, str]) -> Node:
    """Return a node whose inputs have other names."""
    return replace(node, inputs=tuple(names.get(name, name) for name in node.inputs))
