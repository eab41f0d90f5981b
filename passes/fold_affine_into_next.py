r"""Fold scaling, normalization and batch normalization into the layers after.

A product and sum by channel :math:`a x + b` followed by a convolution, depthwise convolution or
dense layer :math:`W z + c` is the one layer :math:`(a W) x + (W b + c)`, where :math:`W b` is
summed over the window. With zero padding the sum differs at the borders, where padding stands for
:math:`z = 0` and not for :math:`x = 0`, so only a product (:math:`b = 0`) folds there. Where
:math:`a` is never 0, :math:`a x + b = a (x + b / a)`: the sum is put first and stays, and the
product folds.

A layer or group normalization that ends in a product and sum by channel is taken apart for that.

Guards: every user is such a layer with weights of its own, and the value is no output.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import AffineOp, LinearOp, Op, ScaleShift
from graphcnn.ops.affine import BiasAfter, ScaledInputs, ShiftFirst, Vector
from graphcnn.ops.normalization import SampleNormalization
from graphcnn.types import DType

from .base import Explain, Pass
from .rewriting import affine_parts, introduced, merged, vector


@dataclass(frozen=True, kw_only=True)
class FoldAffineIntoNext(Pass):
    """Fold a product and a sum by channel into the convolutions and dense layers after."""

    name: ClassVar[str] = "fold-affine-into-next"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once."""
        sharing = graph.weight_users
        folded = False
        for node in [
            node for node in graph if isinstance(node.op, AffineOp) or _ends_affine(graph, node)
        ]:
            users = graph.users(node.name)
            reason = _obstacle(graph, node, users, sharing)
            if reason:
                explain(node.name, f"not folded into what follows: {reason}")
                continue
            padded = next((user for user in users if not _uniform(graph, user)), None)
            if padded and _shifts(node.op):
                why = f"zero padding of {padded.subject} forbids the shift"
                if not _can_shift_first(graph, node):
                    explain(node.name, f"not folded into what follows: {why}")
                    continue
                _shift_first(graph, node)
                explain(node.name, f"its shift is added first and stays: {why}")
            elif isinstance(node.op, SampleNormalization):
                _split(graph, node)
            for user in users:
                _fold(graph, graph.node(node.name), user)
            graph.erase(node.name)
            names = ", ".join(user.subject for user in users)
            explain(node.name, f"folded into the weights of {names}")
            folded = True
        return folded


def _ends_affine(graph: Graph, node: Node) -> bool:
    """Whether a normalization of each sample ends in a product or sum by channel worth folding.

    Of a vector it is one ONNX operator either way.
    """
    if not isinstance(node.op, SampleNormalization) or graph.type(node.name).rank == 2:
        return False
    shape = node.op.parameter_shape(graph.type(node.name))
    return bool(node.weights) and shape == (graph.type(node.name).channels,)


def _shifts(op: Op) -> bool:
    return op.shifts if isinstance(op, AffineOp) else getattr(op, "center", False)


def _can_shift_first(graph: Graph, node: Node) -> bool:
    """Whether ``b / a`` exists; in float16 it may be too large to write."""
    if not isinstance(node.op, AffineOp) or graph.type(node.name).dtype != DType.float32:
        return False
    return node.op.scales and node.op.divides


def _split(graph: Graph, node: Node) -> None:
    """Put the product and sum that a normalization ends in into a node of their own."""
    assert isinstance(node.op, SampleNormalization)
    record = merged(FoldAffineIntoNext.name, node)
    name, inner = (
        graph.unused(f"{node.name}/normalized"),
        replace(node.op, scale=False, center=False),
    )
    normalized = graph.add(
        inner,
        node.inputs,
        name=name,
        location=node.location,
        after=node.inputs[0],
        **introduced(FoldAffineIntoNext.name, name, inner, node),
    )
    op = ScaleShift(scales=node.op.scale, shifts=node.op.center)
    weights = {{"gamma": "scale", "beta": "shift"}[role]: w for role, w in node.weights.items()}
    graph.replace(node.name, op=op, inputs=(normalized,), weights=weights, **record)


def _obstacle(
    graph: Graph, node: Node, users: list[Node], sharing: Mapping[str, list[Node]]
) -> str | None:
    """Why the users cannot take the layer in, or None."""
    if outputs := graph.outputs.of(node.name):
        return f"it is the output {outputs[0]}"
    for user in users:
        if not isinstance(user.op, LinearOp):
            return f"{user.subject} is no convolution or dense layer"
        for weight in user.weights.values():
            other = next((n for n in sharing.get(weight, ()) if node.name not in n.inputs), None)
            if other:
                return f"{user.name} shares {weight} with {other.name}"
    return None


def _uniform(graph: Graph, user: Node) -> bool:
    assert isinstance(user.op, LinearOp)
    return user.op.uniform(graph.input_types(user)[0])


def _shift_first(graph: Graph, node: Node) -> None:
    """Turn ``a x + b`` into a sum of its own, and the product of that."""
    sources, parts = tuple(node.weights.values()), affine_parts(graph, node)
    record, like = merged(FoldAffineIntoNext.name, node), vector(graph, node)
    name, inner = graph.unused(f"{node.name}/shift"), ScaleShift(scales=False)
    shifted = graph.add(
        inner,
        node.inputs,
        name=name,
        weights={"shift": graph.derive(name, sources, ShiftFirst(parts), like)},
        location=node.location,
        after=node.inputs[0],
        **introduced(FoldAffineIntoNext.name, name, inner, node),
    )
    scale = graph.derive(
        f"{node.name}/scale", sources, Vector(parts, False, 0, parts.channels), like
    )
    product = ScaleShift(shifts=False)
    graph.replace(node.name, op=product, inputs=(shifted,), weights={"scale": scale}, **record)


def _fold(graph: Graph, node: Node, user: Node) -> None:
    op, affine = user.op, node.op
    assert isinstance(op, LinearOp)
    assert isinstance(affine, AffineOp)
    parts, vectors = affine_parts(graph, node), tuple(node.weights.values())
    weights, kernels = dict(user.weights), tuple(r for r in user.weights if r.endswith("kernel"))
    if affine.shifts:
        sources = [user.weights[role] for role in (*kernels, *(["bias"] if op.use_bias else []))]
        made = BiasAfter(op, kernels, parts)
        name, like = f"{user.name}/bias", vector(graph, user)
        weights["bias"] = graph.derive(name, (*sources, *vectors), made, like)
    if affine.scales:
        role = op.inputs_role
        source, made_kernel = user.weights[role], ScaledInputs(op, parts)
        name, spec = f"{user.name}/{role}", graph.weight(source)
        weights[role] = graph.derive(name, (source, *vectors), made_kernel, spec)
    if affine.shifts:
        op = replace(op, use_bias=True)  # type: ignore[type-var]  # every operator is a dataclass
    changes = merged(FoldAffineIntoNext.name, user, node)
    graph.replace(user.name, op=op, inputs=node.inputs, weights=weights, **changes)
