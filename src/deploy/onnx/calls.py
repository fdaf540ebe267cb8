"""An operator of the MindIR graph as the table of operators is given it, and what the table says of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from src.deploy.onnx.writer import GraphWriter, Value


@dataclass(frozen=True)
class Call:
    """An operator of the MindIR graph with what it is given.

    Attributes:
        args: its inputs.
        attributes: those of its primitive.
        shape: of its output, -1 where it is known at run time alone; () where it is no tensor.
        takes_all: whether nothing else takes its first input.
    """

    args: tuple[Value, ...]
    attributes: Mapping[str, Any]
    shape: tuple[int, ...]
    takes_all: bool


Translate = Callable[[GraphWriter, Call], Value]


@dataclass(frozen=True)
class Operator:
    """What an operator of MindSpore is in ONNX.

    Attributes:
        nodes: the operators that it may become, for people; none: it is not computed in the graph.
        translate: writes them and returns what stands for the output.
    """

    nodes: tuple[str, ...]
    translate: Translate


def expect(what: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Refuse by a ValueError what is not written in ONNX."""
    if value not in allowed:
        raise ValueError(f"{what} is {value!r}")
