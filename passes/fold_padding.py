r"""Fold zero padding and cropping into the convolutions and maximum poolings beside them.

- A convolution sees zeros around its input whoever puts them there: pads :math:`p` of a ZeroPadding
  layer and :math:`q` of the window are pads :math:`p + q`. So are those of two ZeroPadding layers.
- A maximum over zeros is a maximum over nothing where no element is negative, since each window
  holds at least one.
- Zeros that are put on a side and cropped off again are :math:`p - c` zeros, if :math:`p \ge c` on
  every side. Of windows with stride :math:`s` the first :math:`c` are left out by :math:`c s` pads
  less before, if there are as many, and the last by as many less after.

An average that counts its pads is written as padding and an average, since runtimes get it wrong
otherwise: nothing would be won there.

Guards: a layer with several users is folded into those that take it, and stays for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from graphcnn.errors import ShapeError
from graphcnn.graph import Graph, Node
from graphcnn.ops.activations import AxisFunction, PReLU
from graphcnn.ops.conv import Convolution, ConvTranspose
from graphcnn.ops.pooling import AveragePooling, MaxPooling
from graphcnn.ops.reshaping import Cropping, ZeroPadding
from graphcnn.ops.window import Window
from graphcnn.types import Dim

from .base import Explain, Pass
from .rewriting import activation_of, erase_unused, kept_by, merged, non_negative_values

Pads = tuple[tuple[int, int], ...]

_PADDED = (Convolution, MaxPooling, ZeroPadding)


@dataclass(frozen=True, kw_only=True)
class FoldPadding(Pass):
    """Fold zero padding and cropping into convolution, maximum pooling and zero padding."""

    name: ClassVar[str] = "fold-padding"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once."""
        changed, positive = False, non_negative_values(graph)
        for node in list(graph):
            if isinstance(node.op, Cropping):
                changed |= _crop(graph, node, explain)
        for name in [node.name for node in graph if isinstance(node.op, ZeroPadding)]:
            node = graph.node(name)
            for user in graph.users(name):
                found = _padded(graph, node, user, positive)
                if isinstance(found, str):
                    explain(node.name, f"not folded into {user.subject}: {found}")
                    continue
                changes = merged(self.name, user, node)
                graph.replace(user.name, op=found, inputs=node.inputs, **changes)
                explain(node.name, f"folded into the pads of {user.subject}")
                changed = True
            erase_unused(graph, [node])
        return changed


def _padded(graph: Graph, node: Node, user: Node, positive: set[str]) -> Any:
    """The user's operator with the padding among its own pads, or why it cannot be."""
    op, x = user.op, graph.type(node.name)
    if isinstance(op, AveragePooling):
        return "an average that counts pads is written with padding before it"
    if isinstance(op, ConvTranspose) or not isinstance(op, _PADDED):
        return "it is no convolution, maximum or padding"
    try:
        own = op.pads if isinstance(op, ZeroPadding) else op.window.pads(x.spatial)
    except ShapeError:
        return "its own pads depend on a size that is not known"
    assert isinstance(node.op, ZeroPadding)
    rows = zip(node.op.pads, own, strict=True)
    pads = tuple((b + b2, a + a2) for (b, a), (b2, a2) in rows)
    if isinstance(op, MaxPooling):
        if any(max(p) >= k for p, k in zip(pads, op.window.kernel, strict=True)):
            return "a window would lie in the padding only"
        if node.inputs[0] not in positive:
            return f"{node.inputs[0]} may be negative, and then a zero is the largest"
    return replace(op, padding=pads)


def _crop(graph: Graph, node: Node, explain: Explain) -> bool:
    """Crop what a layer before makes of zeros by putting fewer there, if it makes it of zeros."""
    before = graph.node(node.inputs[0])
    found = _cropped(graph, before, node)
    if isinstance(found, str):
        explain(node.name, f"not folded into {before.subject}: {found}")
        return False
    changes = merged(FoldPadding.name, node, before)
    op, weights = replace(before.op, padding=found), before.weights  # type: ignore[type-var]
    graph.replace(node.name, op=op, inputs=before.inputs, weights=weights, **changes)
    graph.erase(before.name)
    explain(node.name, f"folded into {before.subject}")
    return True


def _cropped(graph: Graph, before: Node, node: Node) -> Pads | str:
    """The pads of the layer before that leave only what is not cropped, or why there are none."""
    op, x = before.op, before.inputs and graph.input_types(before)[0]
    assert isinstance(node.op, Cropping)
    if isinstance(op, ConvTranspose) or not isinstance(op, _PADDED) or not x:
        return "what comes before it is no zero padding, convolution or maximum"
    if reason := kept_by(graph, before, node):
        return reason
    if isinstance(op, ZeroPadding):
        rows = zip(op.pads, node.op.crops, strict=True)
        left: Pads = tuple((b - c, a - d) for (b, a), (c, d) in rows)
    elif isinstance(activation_of(op), AxisFunction | PReLU):
        return "its activation depends on the position"
    elif max(op.window.strides) > 1 and x.symbolic:
        return "its own pads depend on a size that is not known"
    else:
        left = _windows_left(op.window, x.spatial, node.op.crops)
    if any(pad < 0 for pads in left for pad in pads):
        return "it crops more than zeros"
    return left


def _windows_left(window: Window, sizes: tuple[Dim, ...], crops: Pads) -> Pads:
    """The pads under which the first and the last windows of each axis are left out.

    A stride leaves some positions after the last window unread, so that a pad there may be larger.
    """
    left = []
    rows = zip(sizes, window.pads(sizes), crops, window.spans, window.strides, strict=True)
    for size, (before, after), (first, last), span, stride in rows:
        unread = (size + before + after - span) % stride if stride > 1 else 0
        least = after - unread - last * stride
        most = least + stride - 1
        left.append((before - first * stride, max(least, 0) if most >= 0 else most))
    return tuple(left)
