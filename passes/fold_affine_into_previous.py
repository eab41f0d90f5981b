r"""Fold batch normalization, and any other product and sum by channel, into the layer before.

A convolution, transposed convolution, depthwise convolution or dense layer :math:`W x + c` followed
by :math:`a y + b` is the one layer :math:`(a W) x + (a c + b)`. For batch normalization
:math:`a = \gamma / \sqrt{\sigma^2 + \epsilon}` and :math:`b = \beta - a \mu` (Jacob et al. 2018).

Concatenation along the channels, average pooling, upsampling and cropping may lie between: they
treat each channel alone and average with weights of sum one, so :math:`a y + b` of their result is
their result of :math:`a y + b`, and the layer is put before them.

Guards: nothing else lies between the two, the first has no other user, is no output and has no
activation, and its weights are not shared with a layer that would keep the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import AffineOp, Concatenate, LinearOp, ScaleShift
from graphcnn.ops.affine import BiasBefore, ScaledOutputs, Vector
from graphcnn.ops.pooling import AveragePooling, GlobalAveragePooling
from graphcnn.ops.reshaping import Cropping
from graphcnn.ops.resizing import UpSampling
from graphcnn.types import sample_axis

from .base import Explain, Pass
from .rewriting import activation_of, affine_parts, introduced, kept_by, merged, vector


@dataclass(frozen=True, kw_only=True)
class FoldAffineIntoPrevious(Pass):
    """Fold a product and a sum by channel into the convolution or dense layer before."""

    name: ClassVar[str] = "fold-affine-into-previous"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once; a chain of affine layers folds one by one."""
        sharing = graph.weight_users
        folded = False
        for name in [node.name for node in graph if isinstance(node.op, AffineOp)]:
            node = graph.node(name)
            before = graph.node(node.inputs[0])
            if _commutes(graph, before) and _all_fold(graph, before, node, sharing):
                for inner in _put_before(graph, before, node):
                    _fold(graph, graph.node(inner.inputs[0]), inner)
                explain(name, f"folded into what leads to {before.subject}")
                folded = True
                continue
            reason = _obstacle(graph, before, node, sharing)
            if reason:
                explain(name, f"not folded into {before.subject}: {reason}")
                continue
            _fold(graph, before, node)
            explain(name, f"folded into the weights of {before.subject}")
            folded = True
        return folded


def _obstacle(
    graph: Graph, before: Node, node: Node, sharing: Mapping[str, list[Node]]
) -> str | None:
    """Why the two cannot become one layer, or None."""
    if not isinstance(before.op, LinearOp):
        return "it is no convolution or dense layer"
    if activation := activation_of(before.op):
        return f"its activation {type(activation).__name__} lies between"
    if kept := kept_by(graph, before, node):
        return kept
    for weight in before.weights.values():
        for other in sharing.get(weight, ()):
            if other.name in graph and not _alike(graph, other, node):
                return f"it shares {weight} with {other.name}, which is not followed by the same"
    return None


def _commutes(graph: Graph, node: Node) -> bool:
    """Whether a layer does the same to every channel, and keeps what is alike everywhere."""
    op = node.op
    if isinstance(op, Concatenate):
        value = graph.type(node.name)
        return sample_axis(op.axis, value.rank) == len(value.sizes) - 1
    if isinstance(op, AveragePooling):
        return not op.count_include_pad
    return isinstance(op, GlobalAveragePooling | UpSampling | Cropping)


def _all_fold(graph: Graph, between: Node, node: Node, sharing: Mapping[str, list[Node]]) -> bool:
    """Whether every input of the layer between takes the affine layer in."""
    if kept_by(graph, between, node) or len({*between.inputs}) < len(between.inputs):
        return False
    befores = [graph.node(source) for source in between.inputs]
    shared = (
        w for before in befores for w in before.weights.values() if len(sharing.get(w, ())) > 1
    )
    return not any(_obstacle(graph, before, between, {}) for before in befores) and not any(shared)


def _put_before(graph: Graph, between: Node, node: Node) -> list[Node]:
    """Put an affine layer before the layer before it, a part of it on each input."""
    parts, sources = affine_parts(graph, node), tuple(node.weights.values())
    assert isinstance(node.op, AffineOp)
    roles = [("scale", False)] * node.op.scales + [("shift", True)] * node.op.shifts
    op = ScaleShift(scales=node.op.scales, shifts=node.op.shifts)
    inner, start = [], 0
    for source in between.inputs:
        stop = start + graph.type(source).channels
        name, like = graph.unused(f"{node.name}/{source}"), vector(graph, graph.node(source))
        weights = {
            role: graph.derive(f"{name}/{role}", sources, Vector(parts, shift, start, stop), like)
            for role, shift in roles
        }
        record = introduced(FoldAffineIntoPrevious.name, name, op, node)
        graph.add(op, source, name=name, weights=weights, after=source, **record)
        inner.append(graph.node(name))
        start = stop
    changes = merged(FoldAffineIntoPrevious.name, node, between)
    inputs = tuple(one.name for one in inner)
    graph.replace(node.name, op=between.op, inputs=inputs, weights={}, **changes)
    graph.erase(between.name)
    return inner


def _alike(graph: Graph, other: Node, node: Node) -> bool:
    """Whether a layer that shares weights is followed by the same affine layer, and only that."""
    users = graph.users(other.name)
    if len(users) != 1 or kept_by(graph, other, users[0]):
        return False
    (user,) = users
    return user.op == node.op and [*user.weights.values()] == [*node.weights.values()]


def _fold(graph: Graph, before: Node, node: Node) -> None:
    op, affine = before.op, node.op
    assert isinstance(op, LinearOp)
    assert isinstance(affine, AffineOp)
    parts, vectors = affine_parts(graph, node), tuple(node.weights.values())
    weights, role = dict(before.weights), op.outputs_role
    if affine.scales:
        source, name = weights[role], f"{node.name}/{role}"
        made = ScaledOutputs(op, parts)
        weights[role] = graph.derive(name, (source, *vectors), made, graph.weight(source))
    if op.use_bias or affine.shifts:
        sources = (weights["bias"], *vectors) if op.use_bias else vectors
        made_bias, like = BiasBefore(parts, op.use_bias), vector(graph, node)
        weights["bias"] = graph.derive(f"{node.name}/bias", sources, made_bias, like)
        op = replace(op, use_bias=True)  # type: ignore[type-var]  # every operator is a dataclass
    changes = merged(FoldAffineIntoPrevious.name, node, before)
    graph.replace(node.name, op=op, inputs=before.inputs, weights=weights, **changes)
    graph.erase(before.name)
