"""What a sample is: an operator, its input sizes, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphcnn.graph import Graph
from graphcnn.ops import Op

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Sample:
    """A valid operator on valid inputs.

    Attributes:
        op: The operator.
        inputs: The sizes of a sample of each input.
        output: The sizes of its result, worked out by hand.
        transposes: The Transpose nodes that its channels-first file needs.
        identity: Nothing is left of the operator in the file but a name.
        positive: It is only asked about positive numbers.
    """

    op: Op
    inputs: tuple[Sizes, ...]
    output: Sizes
    transposes: int = 0
    identity: bool = False
    positive: bool = False

    @property
    def graph(self) -> Graph:
        """The operator as a graph."""
        return single(self.op, *self.inputs)


@dataclass(frozen=True)
class Refusal:
    """An operator that must be refused.

    Attributes:
        kind: The operator.
        options: Its fields.
        inputs: The sizes of a sample of each input.
        says: A part of the message.
    """

    kind: type[Op]
    options: Mapping[str, Any]
    inputs: tuple[Sizes, ...]
    says: str


def single(op: Op, *inputs: Sizes) -> Graph:
    """A graph of one operator, whose result is called ``y``."""
    graph = Graph("sample")
    names = [graph.input(f"x{index}", sizes) for index, sizes in enumerate(inputs)]
    graph.outputs["y"] = graph.add(op, names, name="y")
    return graph


def ok(op: Op, *inputs: Sizes, gives: Sizes, **expected: Any) -> Sample:
    """A valid sample, with what else is expected of it."""
    return Sample(op, inputs, gives, **expected)


def no(kind: type[Op], *inputs: Sizes, says: str, **options: Any) -> Refusal:
    """A sample that must be refused."""
    return Refusal(kind, options, inputs, says)
