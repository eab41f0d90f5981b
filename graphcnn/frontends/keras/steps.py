"""Making the nodes of one layer's call, with the channels where the graph has them.

A value that Keras has channels first is held channels last, and marked so: convolutions and what
works element by element take it as it is, axes are renumbered, and whatever depends on the order of
the axes gets it permuted into Keras's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphcnn.errors import ModelFileError
from graphcnn.graph import Graph
from graphcnn.ops import OPS, Op
from graphcnn.options import build, shorten
from graphcnn.types import Dim, TensorType, is_symbolic


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of Keras's in the graph.

    Attributes:
        name: The node that holds it.
        first: Whether Keras has its channels first, and the node has them last.
    """

    name: str
    first: bool = False


@dataclass(slots=True)
class Step:
    """One call of one layer.

    Attributes:
        graph: What nodes are added to.
        name: The name that the last of them gets.
        inputs: What the layer is called on.
        weights: The weights of an earlier call of the same layer, by role.
        permuted: The values that were put in another order before, by that order too.
        made: The node that has the layer's weights, once it is there.
    """

    graph: Graph
    name: str
    inputs: tuple[Value, ...]
    weights: Mapping[str, str]
    permuted: dict[tuple[str, tuple[int, ...]], str] = field(default_factory=dict)
    made: str | None = None

    def type(self, value: Value) -> TensorType:
        """The type of a value, channels last."""
        return self.graph.type(value.name)

    def sizes(self, value: Value) -> tuple[Dim, ...]:
        """The sizes of a sample in Keras's order."""
        sizes = self.type(value).sizes
        return (sizes[-1], *sizes[:-1]) if value.first else sizes

    def finish(self, kind: str, fields: Mapping[str, Any], *values: Value, first: bool) -> Value:
        """Add the layer's last node; `first` says whether Keras has its result channels first."""
        op = operator(kind, fields)
        name = self.graph.add(op, [v.name for v in values], name=self.name, weights=self.weights)
        self.made = name
        return Value(name, first and self.graph.type(name).rank > 2)

    def add(self, part: str, kind: str, fields: Mapping[str, Any], *values: Value) -> Value:
        """Add a node before the last, which keeps the order of its first input."""
        name = self.graph.unused(f"{self.name}/{part}")
        self.graph.add(operator(kind, fields), [v.name for v in values], name=name)
        return Value(name, values[0].first)

    def last(self, value: Value) -> Value:
        """The value in Keras's own order."""
        if not value.first:
            return value
        axes = len(self.type(value).sizes)
        return self._permuted(value, (axes, *range(1, axes)), False)

    def channels_last(self, value: Value) -> Value:
        """A value that Keras has channels first, with its channels last."""
        axes = len(self.type(value).sizes)
        if value.first or axes < 2:
            return value
        return self._permuted(value, (*range(2, axes + 1), 1), True)

    def alike(self, values: Sequence[Value]) -> tuple[Value, ...]:
        """The values in one order: with the channels last if any of them is held so."""
        if not any(value.first for value in values):
            return tuple(values)
        return tuple(map(self.channels_last, values))

    def _permuted(self, value: Value, dims: tuple[int, ...], first: bool) -> Value:
        """The axes in another order: a Reshape where that moves no element."""
        key = value.name, dims
        if key not in self.permuted:
            word = "channels_last" if first else "channels_first"
            name = self.graph.unused(f"{value.name}/{word}")
            sizes = self.type(value).sizes
            moves_none = [size == 1 for size in sizes].count(False) < 2
            fields = {"target_shape": [sizes[dim - 1] for dim in dims]}
            op = (
                operator("Reshape", fields)
                if moves_none and not self.type(value).symbolic
                else operator("Permute", {"dims": dims})
            )
            self.permuted[key] = self.graph.add(op, value.name, name=name)
        return Value(self.permuted[key], first)

    def axis(self, value: Value, axis: Any) -> int:
        """An axis of Keras's, the batch counted as 0, as the graph numbers it; the last is -1.

        Raises:
            ModelFileError: It is the batch, or does not exist.
        """
        rank = self.type(value).rank
        if isinstance(axis, list) and len(axis) == 1:
            (axis,) = axis
        if not isinstance(axis, int) or not -rank <= axis < rank or axis % rank == 0:
            raise ModelFileError(
                f"axis {axis} is not one of 1 to {rank - 1}",
                hint="the batch, axis 0, belongs to no layer",
            )
        index = axis % rank
        if value.first:
            index = rank - 1 if index == 1 else index - 1
        return -1 if index == rank - 1 else index

    def with_channels(self, value: Value, axis: Any) -> Value:
        """The value with this axis of Keras's as its last one, where that can be."""
        if self.axis(value, axis) == -1:
            return value
        return self.last(value) if value.first else self.channels_last(value)

    def known_sizes(self, value: Value) -> list[int]:
        """The sizes of a sample in Keras's order for a Reshape, with -1 for one that is open.

        Raises:
            ModelFileError: Several are open.
        """
        sizes = [-1 if is_symbolic(size) else size for size in self.sizes(value)]
        if sizes.count(-1) > 1:
            raise ModelFileError(
                f"needs to know the sizes of its input, found {list(self.sizes(value))}",
                hint="fix the input's: --input-shape 224,224,3",
            )
        return sizes


def operator(kind: str, fields: Mapping[str, Any]) -> Op:
    """An operator by its name.

    Raises:
        GraphCNNError: There is none, or its fields are wrong.
    """
    if kind not in OPS:
        raise ModelFileError(f"needs the operator {kind}, which graphcnn does not have")
    return build(OPS[kind], fields)


Given = dict[str, Any]
"""An operation's options and arguments by name; tensors are `Value`s."""

Results = Value | list[Value]
Rule = Callable[[Step, Given], Results]
"""Adds the nodes of an operation."""


def tensor(given: Given, name: str = "x") -> Value:
    """An argument that has to be a tensor.

    Raises:
        ModelFileError: It is none.
    """
    value = given.get(name)
    if not isinstance(value, Value):
        raise ModelFileError(f"expected a tensor, found {shorten(value)}")
    return value
