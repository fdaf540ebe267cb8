"""The costs of a network's parts as a table."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from src.models.summary.operators import Operator

_MIB = 2**20


@dataclass
class Cost:
    """What a part of a network costs for one batch.

    Attributes:
        layers: convolutions and matrix products.
        parameters: numbers that training changes.
        macs: multiplications with an addition each, of convolutions and matrix products.
        activation_bytes: outputs of all operators in float32.
        shape: of the last output.
    """

    layers: int = 0
    parameters: int = 0
    macs: int = 0
    activation_bytes: int = 0
    shape: tuple[int, ...] = ()

    def add_operator(self, operator: Operator) -> None:
        """Count an operator, which runs after those before."""
        self.layers += operator.macs > 0
        self.macs += operator.macs
        self.activation_bytes += operator.output_bytes
        self.shape = operator.shape


def costs_by_module(operators: Iterable[Operator], parameters: Iterable[tuple[tuple[str, ...], Any]], depth: int) -> dict[str, Cost]:
    """Return the costs of the modules at a depth and of those above it that have operators of their own, in the order in which they run.

    Args:
        operators: of the network.
        parameters: module and parameter of each.
        depth: attribute names of a module's path that are told apart, 1 or more.
    """
    costs: dict[str, Cost] = {}
    for operator in operators:
        costs.setdefault(_name(operator.module, depth), Cost()).add_operator(operator)
    for module, parameter in parameters:
        costs.setdefault(_name(module, depth), Cost()).parameters += math.prod(parameter.shape)
    return costs


def _name(module: Sequence[str], depth: int) -> str:
    return ".".join(module[:depth]) or "(network)"


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs."""
    summed = Cost()
    for cost in costs:
        summed.layers += cost.layers
        summed.parameters += cost.parameters
        summed.macs += cost.macs
        summed.activation_bytes += cost.activation_bytes
        summed.shape = cost.shape
    return summed


def format_table(costs: dict[str, Cost]) -> str:
    """Return a line for each module and one for the total."""
    rows: list[tuple[str, ...]] = [("module", "last output", "layers", "parameters", "GMACs", "GFLOPs", "activations")]
    rows += [_row(name, cost) for name, cost in costs.items()]
    rows.append(_row("total", total(costs.values())))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(_padded(text, column, widths) for column, text in enumerate(row)).rstrip() for row in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _padded(text: str, column: int, widths: Sequence[int]) -> str:
    return text.ljust(widths[column]) if column < 2 else text.rjust(widths[column])


def _row(name: str, cost: Cost) -> tuple[str, ...]:
    gmacs = cost.macs / 1e9
    numbers = (f"{cost.layers}", f"{cost.parameters:,}", f"{gmacs:.3f}", f"{2 * gmacs:.3f}", f"{cost.activation_bytes / _MIB:,.1f} MiB")
    return (name, "x".join(map(str, cost.shape)), *numbers)
