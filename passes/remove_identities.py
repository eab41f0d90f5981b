r"""Remove layers that pass their input on unchanged.

- A layer that only gives elements other places is :math:`f(x) = x` where each keeps its own: of
  those that cannot reorder (padding, cropping, reshaping, resizing, repeating), one whose result
  has its input's shape; of the others (permuting, slicing), one that moves nothing.
- A reduction over axes of size 1 that keeps them is the identity: the mean, the sum and the largest
  of one number are that number.
- So are a pooling over one element, ``1 x + 0``, ``x ** 1``, the linear activation, and
  :math:`\max(x, 0)` of what is never negative.

Outputs keep their names; the values of the layers are the values before them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import Activation, AffineOp, Permute, ReLU
from graphcnn.ops.arithmetic import Power
from graphcnn.ops.pooling import GlobalPooling, Pooling
from graphcnn.ops.reduction import Reduction
from graphcnn.ops.reshaping import Cropping, Rearrange, Slice, ZeroPadding
from graphcnn.ops.resizing import CenterCrop, Resizing, UpSampling
from graphcnn.types import TensorType

from .base import Explain, Pass
from .rewriting import activation_of, non_negative_values

_SHAPE_TELLS = (
    Rearrange, ZeroPadding, Cropping, CenterCrop, Resizing, UpSampling, GlobalPooling, Reduction,
)  # fmt: skip
"""Layers that change nothing where they leave the shape."""


def _still(op: Permute, x: TensorType) -> bool:
    """Whether the axes of more than one element stay in their order."""
    moving = [dim for dim in op.dims if x.sizes[dim - 1] != 1]
    return moving == sorted(moving)


_RULES: tuple[tuple[Any, Callable[[Any, TensorType], bool]], ...] = (
    (_SHAPE_TELLS, lambda op, x: True),
    (Permute, _still),
    (Slice, lambda op, x: op.step > 0),
)
"""When a layer that leaves the shape leaves the elements too."""


@dataclass(frozen=True, kw_only=True)
class RemoveIdentities(Pass):
    """Remove layers that pass their input on unchanged."""

    name: ClassVar[str] = "remove-identities"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once."""
        positive = non_negative_values(graph)
        changed = False
        for name in [node.name for node in graph if len(node.inputs) == 1]:
            node = graph.node(name)
            moves = _moves(graph, node)
            if moves:
                explain(name, "not removed: it leaves the shape, and not the elements")
                continue
            still = "it leaves every element where it is" if moves is False else None
            if reason := still or _computes_nothing(node, positive):
                graph.redirect(name, node.inputs[0])
                graph.erase(name)
                explain(name, f"removed: {reason}")
                changed = True
        return changed


def _moves(graph: Graph, node: Node) -> bool | None:
    """Whether a layer that leaves the shape moves elements; None for all other layers."""
    (x,) = graph.input_types(node)
    if graph.type(node.name) != x:
        return None
    rule = next((rule for kinds, rule in _RULES if isinstance(node.op, kinds)), None)
    return rule and not rule(node.op, x)


def _computes_nothing(node: Node, positive: set[str]) -> str | None:
    """Why an element-wise layer is the identity, or None."""
    op = node.op
    if isinstance(op, Pooling) and max(op.window.kernel + op.window.strides) == 1:
        return "its window is one element"
    if isinstance(op, AffineOp) and not (op.scales or op.shifts):
        return "it multiplies by 1 and adds 0"
    if isinstance(op, Power) and op.exponent == 1:
        return "it raises to the power of 1"
    function = op
    if isinstance(op, Activation):
        if activation_of(op) is None:
            return "its activation is linear"
        function = op.activation
    plain = isinstance(function, ReLU) and function.max_value is None and not function.threshold
    if plain and node.inputs[0] in positive:
        return f"{node.inputs[0]} is never negative"
    return None
