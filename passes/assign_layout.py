r"""Assign each value its layout in memory, and change it only where the network must.

The graph's logical order is channels last; ONNX's spatial operators want channels first. Walking
the graph in order, each operator is shown the layouts its inputs have and says which it wants
(`Op.place`): spatial operators want channels first, element-wise ones follow, and axes are
renumbered at lowering. Where the two differ a `ChangeLayout` node is put between, one for each
value and layout.

A flattened value need not be put back into channels-last order when all its users, through layers
that only follow, are Dense: with :math:`P` the permutation that channels-first flattening makes,
:math:`W x = (W P^T)(P x)`, so `Dense` permutes its kernel's rows instead. Which values may stay
permuted is decided beforehand, walking backwards.

Before: all layouts are channels last. After: every node's layout is set, and each node's inputs
have the layouts that it wants.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from graphcnn.graph import Graph, Node
from graphcnn.ops import ChangeLayout, Input, Placement
from graphcnn.types import FIRST, LAST, Layout, TensorType, spatial_layout

from .base import Explain, Pass


@dataclass(frozen=True, kw_only=True)
class AssignLayout(Pass):
    """Give every value a layout, with as few changes between them as the network allows.

    Attributes:
        input_layout: ``nchw``: inputs and outputs with spatial axes are channels first;
            ``nhwc``: they are channels last.
    """

    name: ClassVar[str] = "assign-layout"
    input_layout: Literal["nchw", "nhwc"] = "nchw"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once backwards and once forwards."""
        absorbed = _absorbed(graph)
        changed: dict[tuple[str, Layout], str] = {}
        for node in list(graph):
            if isinstance(node.op, Input):
                graph.replace(node.name, layout=self._boundary(graph.type(node.name)))
            else:
                self._place(graph, node, absorbed[node.name], changed, explain)
        for output, source in list(graph.outputs.items()):
            wanted = self._boundary(graph.type(source))
            given = _in_layout(graph, source, wanted, changed, explain, f"output {output}")
            graph.outputs[output] = given
        return True

    def _boundary(self, value: TensorType) -> Layout:
        return spatial_layout(value) if self.input_layout == "nchw" else LAST

    def _place(
        self,
        graph: Graph,
        node: Node,
        absorbed: bool,
        changed: dict[tuple[str, Layout], str],
        explain: Explain,
    ) -> None:
        types = graph.input_types(node)
        given = tuple(graph.node(source).layout for source in node.inputs)
        wanted, result = node.op.place(Placement(types, given, graph.type(node.name), absorbed))
        inputs = tuple(
            _in_layout(graph, source, layout, changed, explain, node.subject)
            for source, layout in zip(node.inputs, wanted, strict=True)
        )
        if inputs != node.inputs:
            graph.replace(node.name, inputs=inputs)
        reordered = node.op.reordering == "absorbs" and any(layout.segments for layout in given)
        if reordered:
            explain(node.name, "kernel rows permuted, so that the data need not be")
        passes = (*node.passes, self.name) if reordered else node.passes
        graph.replace(node.name, layout=result, passes=passes)


def _absorbed(graph: Graph) -> dict[str, bool]:
    """By node: whether all users of its value can take it in flattened channels-first order."""
    results = set(graph.outputs.values())
    absorbed: dict[str, bool] = {}
    for node in reversed(list(graph)):
        users = graph.users(node.name)
        absorbed[node.name] = node.name not in results and all(
            user.op.reordering == "absorbs"
            or (user.op.reordering == "passes" and absorbed[user.name])
            for user in users
        )
    return absorbed


def _in_layout(
    graph: Graph,
    source: str,
    wanted: Layout,
    changed: dict[tuple[str, Layout], str],
    explain: Explain,
    user: str,
) -> str:
    """The name of a value that holds `source` in the wanted layout, added if there is none."""
    node = graph.node(source)
    if node.layout == wanted or graph.type(source).rank <= 2:
        return source
    if isinstance(node.op, ChangeLayout) and graph.node(node.inputs[0]).layout == wanted:
        return node.inputs[0]
    if (source, wanted) not in changed:
        explain(source, f"changed from {node.layout} to {wanted} for {user}")
        changed[source, wanted] = graph.add(
            ChangeLayout(channels_first=wanted == FIRST),
            source,
            name=graph.unused(
                f"{source}/{'channels_first' if wanted == FIRST else 'channels_last'}"
            ),
            location=node.location,
            layout=wanted,
            passes=(AssignLayout.name,),
            after=source,
        )
    return changed[source, wanted]
