r"""Merge scalings, normalizations and batch normalizations in a row into one.

:math:`a_2 (a_1 x + b_1) + b_2 = (a_2 a_1) x + (a_2 b_1 + b_2)`, by channel: two products and two
sums become one of each, and one layer for the passes that fold it into weights.

Guards: the first has no other user and is no output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphcnn.graph import Graph, Node
from graphcnn.ops import AffineOp, ScaleShift
from graphcnn.ops.affine import Chained

from .base import Explain, Pass
from .rewriting import affine_parts, kept_by, merged, vector


@dataclass(frozen=True, kw_only=True)
class MergeAffine(Pass):
    """Merge products and sums by channel that follow each other."""

    name: ClassVar[str] = "merge-affine"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once; a chain merges one by one."""
        changed = False
        for name in [node.name for node in graph if isinstance(node.op, AffineOp)]:
            node = graph.node(name)
            before = graph.node(node.inputs[0])
            if not isinstance(before.op, AffineOp):
                continue
            if reason := kept_by(graph, before, node):
                explain(name, f"not merged with {before.subject}: {reason}")
                continue
            _merge(graph, before, node)
            explain(name, f"merged with {before.subject}")
            changed = True
        return changed


def _merge(graph: Graph, before: Node, node: Node) -> None:
    first, second = before.op, node.op
    assert isinstance(first, AffineOp)
    assert isinstance(second, AffineOp)
    parts = affine_parts(graph, before), affine_parts(graph, node)
    sources, like = (*before.weights.values(), *node.weights.values()), vector(graph, node)
    op = ScaleShift(
        scales=first.scales or second.scales,
        shifts=first.shifts or second.shifts,
        divides=first.divides and second.divides,
    )
    weights = {
        role: graph.derive(f"{node.name}/{role}", sources, Chained(*parts, role == "shift"), like)
        for role, there in (("scale", op.scales), ("shift", op.shifts))
        if there
    }
    changes = merged(MergeAffine.name, node, before)
    graph.replace(node.name, op=op, inputs=before.inputs, weights=weights, **changes)
    graph.erase(before.name)
