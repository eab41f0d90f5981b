r"""Merge layers that give a value another shape with each other and with what they follow.

- Of two reshapes in a row (Flatten is one) the second is enough: both keep the logical order.
- Two permutations are one: axis :math:`i` of the second is axis :math:`p_1(p_2(i))` of the first's
  input.
- A global pooling or reduction that is reshaped to keep its axes at size 1, or to lose them, keeps
  or loses them itself. Layers that act on the last axis between the two act on either shape, so the
  reshape goes before them where that lets it meet the pooling (squeeze and excitation).
- Dense after Flatten after a permutation :math:`P` of the axes: :math:`W (P x) = (W P) x`, so the
  kernel's rows are permuted and the data is not.
- A vector repeated once is a reshape.

Guards: what lies between has no other user and is no output; sizes that are not known come out as
the same expressions; a kernel whose rows are permuted is no other layer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from graphcnn.errors import GraphCNNError
from graphcnn.graph import Graph, Node
from graphcnn.ops import (
    Activation,
    ActivationFunction,
    AffineOp,
    Dense,
    Flatten,
    Op,
    Permute,
    Placement,
    RepeatVector,
    Reshape,
)
from graphcnn.ops.activations import AxisFunction
from graphcnn.ops.pooling import GlobalPooling
from graphcnn.ops.reduction import Reduction
from graphcnn.ops.reshaping import Rearrange
from graphcnn.types import LAST, Dim, Layout, TensorType, spatial_layout

from .base import Explain, Pass
from .rewriting import introduced, kept_by, merged

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

_CHANNELWISE = (Dense, Activation, ActivationFunction, AffineOp)
"""Layers that act on the last axis, or on each element."""

_MOST_BETWEEN = 8
"""Layers between a pooling and a reshape of what they make of it: a gate has two to six."""


@dataclass(frozen=True, slots=True)
class RowsBefore:
    """A kernel whose rows are in the order that a value had before it was permuted and flattened.

    Attributes:
        dims: The permutation, counted from 1.
        sizes: The sizes after it.
    """

    dims: tuple[int, ...]
    sizes: tuple[int, ...]

    def __call__(self, kernel: Array) -> Array:
        """The kernel."""
        rows = kernel.reshape(*self.sizes, -1)
        order = sorted(range(len(self.dims)), key=self.dims.__getitem__)
        return rows.transpose(*order, len(order)).reshape(kernel.shape)


@dataclass(frozen=True, kw_only=True)
class MergeReshapes(Pass):
    """Merge reshapes, permutations and the axes that poolings keep."""

    name: ClassVar[str] = "merge-reshapes"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once; a chain merges one by one."""
        changed, sharing = False, graph.weight_users
        kinds = (Rearrange, Permute, RepeatVector)
        for name in [node.name for node in graph if isinstance(node.op, kinds)]:
            node = graph.node(name)
            if isinstance(node.op, RepeatVector):
                changed |= _repeat(graph, node, explain)
            elif not isinstance(node.op, Rearrange):
                changed |= _merge(graph, node, explain)
            else:
                changed |= (
                    _raise(graph, node, explain)
                    or _merge(graph, node, explain)
                    or _permute_rows(graph, node, sharing, explain)
                )
        return changed


def _fits(op: Op, x: TensorType, wanted: TensorType) -> bool:
    """Whether the operator makes this type of the other."""
    try:
        return op.infer(x) == wanted
    except GraphCNNError:
        return False


def _repeat(graph: Graph, node: Node, explain: Explain) -> bool:
    if node.op != RepeatVector(n=1):
        return False
    op = Reshape(target_shape=graph.type(node.name).sizes)
    graph.replace(node.name, op=op, **merged(MergeReshapes.name, node))
    explain(node.name, "turned into a reshape: it repeats once")
    return True


def _merge(graph: Graph, node: Node, explain: Explain) -> bool:
    """Merge a reshape or a permutation with the layer before."""
    before = graph.node(node.inputs[0])
    op = _together(before.op, node.op)
    if op is None:
        return False
    if not _fits(op, graph.type(before.inputs[0]), graph.type(node.name)):
        if isinstance(before.op, Rearrange):
            explain(node.name, f"not merged with {before.subject}: a size is not known")
        return False
    reason = kept_by(graph, before, node)
    if not reason and isinstance(op, Permute) and not _pays(graph, before, node, op):
        reason = "one of the two moves no data in memory"
    if reason:
        explain(node.name, f"not merged with {before.subject}: {reason}")
        return False
    changes = merged(MergeReshapes.name, node, before)
    graph.replace(node.name, op=op, inputs=before.inputs, **changes)
    graph.erase(before.name)
    explain(node.name, f"merged with {before.subject}")
    return True


def _together(first: Op, second: Op) -> Op | None:
    """What two layers in a row would be as one, if the sizes allow it."""
    if isinstance(first, Permute) and isinstance(second, Permute):
        return Permute(dims=tuple(first.dims[dim - 1] for dim in second.dims))
    if not isinstance(second, Rearrange):
        return None
    if isinstance(first, GlobalPooling | Reduction):
        return replace(first, keepdims=not first.keepdims)
    return second if isinstance(first, Rearrange) else None


def _pays(graph: Graph, before: Node, node: Node, together: Permute) -> bool:
    """Whether one permutation costs no more than two, whatever layout its input will have.

    A result that would lie in another layout may have to be changed to the one it had.
    """
    x = graph.type(before.inputs[0])
    for layout in {LAST, spatial_layout(x)}:
        first, between = _moves(before.op, x, layout)
        second, apart = _moves(node.op, graph.type(before.name), between)
        cost, result = _moves(together, x, layout)
        if cost + (result != apart) > first + second:
            return False
    return True


def _moves(op: Op, x: TensorType, layout: Layout) -> tuple[bool, Layout]:
    """Whether a permutation moves data in memory, and the layout of its result."""
    assert isinstance(op, Permute)
    output = op.infer(x)
    _, result = op.place(Placement((x,), (layout,), output, absorbed=False))
    return op.order(x, layout, output, result) != list(range(x.rank)), result


def _raise(graph: Graph, node: Node, explain: Explain) -> bool:
    """Put a reshape to axes of size 1 before the layers that lie between it and a pooling."""
    x, sizes = graph.type(node.inputs[0]), graph.type(node.name).sizes
    if x.rank != 2 or len(sizes) < 2 or sizes[-1] != x.channels:
        return False
    between: list[Node] = []
    top = graph.node(node.inputs[0])
    while isinstance(top.op, _CHANNELWISE) and len(between) < _MOST_BETWEEN:
        between.append(top)
        top = graph.node(top.inputs[0])
    if not between or not isinstance(top.op, GlobalPooling | Reduction):
        return False
    kept = graph.type(top.name).with_sizes((*sizes[:-1], graph.type(top.name).channels))
    if not _fits(replace(top.op, keepdims=True), graph.type(top.inputs[0]), kept):
        return False
    path = [node, *between, top]
    reasons = (kept_by(graph, below, above) for above, below in pairwise(path))
    bound = (_bound(graph, layer, sizes) for layer in between)
    reason = next(filter(None, chain(reasons, bound)), None)
    if reason:
        explain(node.name, f"not put before {between[-1].subject}: {reason}")
        return False
    explain(node.name, f"put before {between[-1].subject}, where {top.subject} keeps its axes")
    for layer in between:
        node = _swap(graph, layer, node)
    return _merge(graph, node, explain)


def _bound(graph: Graph, layer: Node, sizes: tuple[Dim, ...]) -> str | None:
    """Why a layer on vectors is another on values with more axes, or None."""
    (x,) = graph.input_types(layer)
    wide = x.with_sizes((*sizes[:-1], x.channels))
    function = getattr(layer.op, "activation", layer.op)
    if isinstance(function, AxisFunction) and function.axis != -1:
        return f"{layer.subject} acts along axis {function.axis}"
    try:
        if layer.op.infer(wide) and layer.op.weights(wide) == layer.op.weights(x):
            return None
    except GraphCNNError:
        pass
    return f"{layer.subject} depends on the shape of its input"


def _swap(graph: Graph, layer: Node, node: Node) -> Node:
    """Turn a layer and the reshape after it into a reshape and the layer."""
    source = graph.node(layer.inputs[0])
    sizes = (*graph.type(node.name).spatial, graph.type(source.name).channels)
    op, name = Reshape(target_shape=sizes), graph.unused(f"{source.name}/keepdims")
    graph.add(
        op,
        source.name,
        name=name,
        location=source.location,
        after=source.name,
        **introduced(MergeReshapes.name, name, op, source),
    )
    changes = merged(MergeReshapes.name, node, layer)
    graph.replace(node.name, op=layer.op, inputs=(name,), weights=layer.weights, **changes)
    graph.erase(layer.name)
    return graph.node(name)


def _permute_rows(
    graph: Graph, node: Node, sharing: Mapping[str, list[Node]], explain: Explain
) -> bool:
    """Permute the rows of the kernels after a flattened permutation instead of the data."""
    before = graph.node(node.inputs[0])
    if not isinstance(before.op, Permute) or graph.type(node.name).rank != 2:
        return False
    users = graph.users(node.name)
    reason = kept_by(graph, before, node) or _unabsorbed(graph, node, users, sharing)
    if reason:
        explain(node.name, f"not merged with {before.subject}: {reason}")
        return False
    rows = RowsBefore(before.op.dims, graph.type(before.name).sizes)
    name = graph.unused(f"{node.name}/unpermuted")
    graph.add(
        Flatten(),
        before.inputs,
        name=name,
        location=node.location,
        after=node.name,
        **introduced(MergeReshapes.name, name, Flatten(), node, before),
    )
    for user in users:
        source = user.weights["kernel"]
        kernel = graph.derive(f"{user.name}/kernel", (source,), rows, graph.weight(source))
        weights = {**user.weights, "kernel": kernel}
        changes = merged(MergeReshapes.name, user, before)
        graph.replace(user.name, inputs=(name,), weights=weights, **changes)
    graph.erase(node.name)
    graph.erase(before.name)
    names = ", ".join(user.subject for user in users)
    explain(node.name, f"merged with {before.subject}: kernel rows of {names} permuted")
    return True


def _unabsorbed(
    graph: Graph, node: Node, users: list[Node], sharing: Mapping[str, list[Node]]
) -> str | None:
    """Why the users of a flattened value cannot permute their kernels, or None."""
    if graph.outputs.of(node.name):
        return f"{node.name} is an output"
    for user in users:
        if not isinstance(user.op, Dense):
            return f"{user.subject} is no dense layer"
        others = sharing.get(user.weights["kernel"], ())
        if other := next((n for n in others if n.inputs != (node.name,)), None):
            return f"{user.name} shares {user.weights['kernel']} with {other.name}"
    return None
