"""Sides of tensors and what is computed from them: as Python numbers where they are known, in the graph where they are not."""

from collections.abc import Callable

from src.deploy.onnx.calls import Call, Operator
from src.deploy.onnx.writer import Array, GraphWriter, Number, Size


def sides(writer: GraphWriter, x: Array) -> tuple[Number, ...]:
    """Return the sides of a tensor, those that are known as numbers."""
    return tuple(side if side >= 0 else _at_run_time(writer, x, axis) for axis, side in enumerate(x.shape))


def _at_run_time(writer: GraphWriter, x: Array, axis: int) -> Size:
    shape = writer.node("Shape", [x.name])
    return Size(writer.node("Gather", [shape, writer.integers((axis,))], axis=0))


def arithmetic(op: str, compute: Callable[[int, int], int], neutral: int) -> Operator:
    """Return an operator of whole numbers, such as sides of tensors.

    Args:
        op: of ONNX; its division cuts off towards zero, which for what is never negative is that of Python.
        compute: the same in Python.
        neutral: changes nothing on the right, and on the left of what commutes.
    """

    def translate(writer: GraphWriter, call: Call) -> Number:
        x, y = call.args
        if isinstance(x, int) and isinstance(y, int):
            return compute(x, y)
        if op == "Mul" and 0 in (x, y):
            return 0
        if y == neutral or (x == neutral and op in ("Add", "Mul")):
            return x if y == neutral else y
        return Size(writer.node(op, [writer.vector([x]), writer.vector([y])]))

    return Operator((op,), translate)
