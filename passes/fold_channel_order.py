r"""Fold a reversal of the channels, which turns BGR into RGB, into the layers after.

With :math:`R` the reversal, :math:`W (R x) = (W R) x`: the input channels of a kernel are reversed,
and the pixels are not. What lies between moves before it: a layer that does the same to each
channel, :math:`f(R x) = R f(x)`, and a product and sum by channel,
:math:`a (R x) + b = R ((R a) x + R b)`.

Guards: a convolution has one group, since each filter of a group sees some channels only. Where a
value has several users the reversal is folded into those that take it, and stays for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import AffineOp, CenterCrop, Dense, Op, Resizing, ScaleShift
from graphcnn.ops.affine import Vector
from graphcnn.ops.conv import Conv
from graphcnn.ops.embedding import Backward, BackwardInputs, ReverseChannels
from graphcnn.ops.pooling import Pooling
from graphcnn.ops.reshaping import Cropping, ZeroPadding
from graphcnn.ops.resizing import UpSampling

from .base import Explain, Pass
from .rewriting import affine_parts, erase_unused, introduced, merged, vector

_BY_CHANNEL = (CenterCrop, Cropping, Pooling, Resizing, UpSampling, ZeroPadding)
"""Layers that do the same to each channel."""


@dataclass(frozen=True, kw_only=True)
class FoldChannelOrder(Pass):
    """Fold a reversal of the channels into the convolutions and dense layers after."""

    name: ClassVar[str] = "fold-channel-order"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once."""
        changed = False
        for node in [node for node in graph if isinstance(node.op, ReverseChannels)]:
            for user in graph.users(node.name):
                if isinstance(user.op, Dense) or (
                    isinstance(user.op, Conv) and user.op.groups == 1
                ):
                    _fold(graph, node, user)
                    explain(node.name, f"folded into the weights of {user.subject}")
                elif isinstance(user.op, (AffineOp, *_BY_CHANNEL)):
                    _swap(graph, node, user)
                    explain(node.name, f"put after {user.subject}")
                else:
                    explain(node.name, f"not folded into {user.subject}: {_reason(user.op)}")
                    continue
                changed = True
            erase_unused(graph, [node])
        return changed


def _reason(op: Op) -> str:
    if isinstance(op, Conv):
        return f"each filter sees one of {op.groups} groups of channels"
    return "it is no convolution over all channels"


def _fold(graph: Graph, node: Node, user: Node) -> None:
    """Reverse the input channels of a kernel."""
    source = user.weights["kernel"]
    kernel = graph.derive(f"{user.name}/kernel", (source,), BackwardInputs(), graph.weight(source))
    changes = merged(FoldChannelOrder.name, user, node)
    weights = {**user.weights, "kernel": kernel}
    graph.replace(user.name, inputs=node.inputs, weights=weights, **changes)


def _swap(graph: Graph, node: Node, user: Node) -> None:
    """Turn a reversal and a layer into the layer and a reversal."""
    op, weights = _reversed(graph, user)
    name = graph.unused(f"{user.name}/reversed")
    graph.add(
        op,
        node.inputs,
        name=name,
        weights=weights,
        location=user.location,
        after=user.name,
        **introduced(FoldChannelOrder.name, name, op, user),
    )
    changes = merged(FoldChannelOrder.name, user, node)
    graph.replace(user.name, op=node.op, inputs=(name,), weights={}, **changes)


def _reversed(graph: Graph, node: Node) -> tuple[Op, dict[str, str]]:
    """What a layer is of channels in the other order."""
    if not isinstance(node.op, AffineOp):
        return node.op, {}
    parts, sources = affine_parts(graph, node), tuple(node.weights.values())
    op = ScaleShift(scales=node.op.scales, shifts=node.op.shifts, divides=node.op.divides)
    roles = [("scale", False)] * op.scales + [("shift", True)] * op.shifts
    return op, {
        role: graph.derive(
            f"{node.name}/{role}",
            sources,
            Backward(Vector(parts, shifts, 0, parts.channels)),
            vector(graph, node),
        )
        for role, shifts in roles
    }
