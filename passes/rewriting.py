"""What rewrites share: the record that a rewrite leaves on a node, and common guards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphcnn.graph import Graph, Node, Origin
from graphcnn.initializers import Zeros
from graphcnn.ops import Add, AffineOp, Concatenate, Multiply, Op, WeightSpec
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.ops.affine import Parts
from graphcnn.ops.pooling import GlobalPooling, Pooling
from graphcnn.ops.reduction import Reduction
from graphcnn.ops.reshaping import Cropping, Permute, Rearrange, Slice, ZeroPadding

_KEEPS_SIGN = (
    Add, Concatenate, Cropping, GlobalPooling, Multiply, Permute, Pooling, Rearrange, Reduction,
    Slice, ZeroPadding,
)  # fmt: skip
"""Layers that make nothing negative of what is not."""


_LINEAR = FUNCTIONS["linear"][0]


def merged(name: str, node: Node, *layers: Node) -> dict[str, Any]:
    """The changes of a node that does the work of other layers too.

    Args:
        name: The pass.
        node: The node; the value it has stays its own.
        layers: The nodes that go into it.
    """
    origins = dict.fromkeys(origin for one in (node, *layers) for origin in one.layers)
    passes = dict.fromkeys(p for one in (node, *layers) for p in one.passes)
    return {"origins": tuple(origins), "passes": tuple({**passes, name: None})}


def introduced(name: str, new: str, op: Op, *layers: Node) -> dict[str, Any]:
    """The record of a node whose value no layer had, so that it is not taken for a layer's.

    Args:
        name: The pass.
        new: The node's name.
        op: Its operator.
        layers: The nodes that it is made of.
    """
    record = merged(name, *layers)
    origin = Origin(new, op.title, layers[0].location)
    return {**record, "origins": (origin, *record["origins"])}


def kept_by(graph: Graph, node: Node, user: Node) -> str | None:
    """Why a node's value is needed by more than one user, or None."""
    if outputs := graph.outputs.of(node.name):
        return f"{node.name} is the output {outputs[0]}"
    others = [other.name for other in graph.users(node.name) if other.name != user.name]
    return f"{node.name} is used by {others[0]} too" if others else None


def erase_unused(graph: Graph, nodes: Iterable[Node]) -> None:
    """Erase those of the nodes that no user and no output is left of."""
    for name in dict.fromkeys(node.name for node in nodes):
        if not graph.users(name) and not graph.outputs.of(name):
            graph.erase(name)


def affine_parts(graph: Graph, node: Node) -> Parts:
    """An affine layer as a function of its weights' arrays."""
    assert isinstance(node.op, AffineOp)
    return Parts(node.op, graph.type(node.name).channels, tuple(node.weights))


def vector(graph: Graph, node: Node) -> WeightSpec:
    """A weight of one number for each channel of a node's value."""
    value = graph.type(node.name)
    return WeightSpec((value.channels,), Zeros()).in_type(value.dtype)


def activation_of(op: Op) -> Op | None:
    """The activation that a layer ends in, if it does something."""
    activation = getattr(op, "activation", None)
    return None if isinstance(activation, _LINEAR) else activation


def non_negative_values(graph: Graph) -> set[str]:
    """The values of which no element can be negative, as far as their layers say."""
    found: set[str] = set()
    for node in graph:
        activation = getattr(node.op, "activation", node.op)
        keeps = isinstance(node.op, _KEEPS_SIGN) and node.inputs and found.issuperset(node.inputs)
        if keeps or getattr(activation, "non_negative", False):
            found.add(node.name)
    return found
