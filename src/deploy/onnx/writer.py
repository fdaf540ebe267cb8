"""The nodes and initialisers of an ONNX graph while it is written: names, constants, and what is computed once only."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from mindspore.train.mind_ir_pb2 import TensorProto as MindirTensor
from onnx import helper, numpy_helper

from src.deploy.mindir import array_of


@dataclass(frozen=True)
class Array:
    """A tensor of the graph.

    Attributes:
        name: in the ONNX graph.
        shape: its sides; -1: known at run time alone.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Size:
    """A whole number that is known at run time alone, never negative.

    Attributes:
        name: of an int64 tensor of shape (1,).
    """

    name: str


Number = int | Size
# What a name of the MindIR graph stands for: Array, Size, a Python constant, or a tuple of such.
Value = Any


class GraphWriter:
    """Collect nodes and initialisers.

    Args:
        taken: names that no node gets: those of inputs, outputs and parameters.

    Attributes:
        scope: where in the network the next nodes stand, in front of their names.
    """

    def __init__(self, taken: Iterable[str]) -> None:
        self.scope = ""
        self._taken = set(taken)
        self._nodes: dict[str, onnx.NodeProto] = {}  # by the output's name, in the order of computation
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._known: dict[Any, str] = {}  # what is there already -> its output's name

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Return the name of an operator's output; an equal node that is there is taken."""
        key = (op, tuple(inputs), tuple(sorted(attributes.items())))
        if key not in self._known:
            name = self._unique(f"{self.scope}/{op}" if self.scope else op)
            self._nodes[name] = helper.make_node(op, inputs, [name], name=name, **attributes)
            self._known[key] = name
        return self._known[key]

    def initializer(self, name: str, tensor: MindirTensor) -> Array:
        """Return a float32 tensor of the MindIR as an initialiser of a name that no other one has.

        Raises:
            ValueError: if it is of another type.
        """
        array = array_of(tensor)
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(array, name)
        return Array(name, array.shape)

    def constant(self, tensor: MindirTensor) -> Array:
        """Return a float32 constant of the MindIR; equal ones are one initialiser.

        Raises:
            ValueError: if it is of another type.
        """
        array = array_of(tensor)
        key = ("float32", array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self._unique(f"{self.scope}/constant")
        return self.initializer(self._known[key], tensor)

    def integers(self, values: Sequence[int]) -> str:
        """Return the name of an int64 initialiser of shape (N,)."""
        name = "int64_" + "_".join(map(str, values))
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name

    def vector(self, numbers: Sequence[Number]) -> str:
        """Return the name of an int64 tensor of shape (N,) of numbers, some of which may be known at run time alone."""
        parts: list[str] = []
        constants: list[int] = []
        for number in [*numbers, None]:
            if isinstance(number, int):
                constants.append(number)
                continue
            if constants:
                parts.append(self.integers(constants))
                constants = []
            if number is not None:
                parts.append(number.name)
        return parts[0] if len(parts) == 1 else self.node("Concat", parts, axis=0)

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that computes a tensor; None: an input or initialiser."""
        return self._nodes.get(name)

    def finish(self, result: str, name: str) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
        """Return the nodes, in the order of computation, and initialisers from which a tensor is computed.

        Args:
            result: what a node computes.
            name: what it is called from now on.
        """
        names, waiting = set(), [result]
        while waiting:
            needed = waiting.pop()
            if needed not in names:
                names.add(needed)
                waiting += self._nodes[needed].input if needed in self._nodes else ()
        self._nodes[result].output[0] = name
        nodes = [node for output, node in self._nodes.items() if output in names]
        return nodes, [tensor for each, tensor in self._initializers.items() if each in names]

    def _unique(self, name: str) -> str:
        number, unique = 0, name
        while unique in self._taken:
            number += 1
            unique = f"{name}_{number}"
        self._taken.add(unique)
        return unique


def scope_of(domain: str) -> str:
    """Return where in the network a node of MindIR stands.

    "Default/network-SegmentationNetwork/backbone-HRNetV2/layer1-SequentialCell/0-Bottleneck/Add-op0" is "backbone/layer1/0".
    """
    parts = [re.sub(r"-[^-]*$", "", part) for part in domain.split("/")[:-1]]
    return "/".join(parts[2:] if parts[:2] == ["Default", "network"] else parts[1:])
