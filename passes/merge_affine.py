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
        """Walk the graph once backwards; what follows each other merges at once."""
        changed = False
        for name in [node.name for node in graph if isinstance(node.op, AffineOp)][::-1]:
            if name not in graph:
                continue
            row = _row(graph, graph.node(name), explain)
            if len(row) == 1:
                continue
            _merge(graph, row)
            explain(name, f"merged with {', '.join(node.subject for node in row[:-1])}")
            changed = True
        return changed


def _row(graph: Graph, last: Node, explain: Explain) -> list[Node]:
    """The affine layers that lead to one and to nothing else, the first first."""
    row = [last]
    while isinstance((before := graph.node(row[-1].inputs[0])).op, AffineOp):
        if reason := kept_by(graph, before, row[-1]):
            explain(row[-1].name, f"not merged with {before.subject}: {reason}")
            break
        row.append(before)
    return row[::-1]


def _merge(graph: Graph, row: list[Node]) -> None:
    ops = [node.op for node in row if isinstance(node.op, AffineOp)]
    last, parts = row[-1], tuple(affine_parts(graph, node) for node in row)
    sources = [weight for node in row for weight in node.weights.values()]
    op = ScaleShift(
        scales=any(op.scales for op in ops),
        shifts=any(op.shifts for op in ops),
        divides=all(op.divides for op in ops),
    )
    like = vector(graph, last)
    weights = {
        role: graph.derive(f"{last.name}/{role}", sources, Chained(parts, role == "shift"), like)
        for role, there in (("scale", op.scales), ("shift", op.shifts))
        if there
    }
    changes = merged(MergeAffine.name, last, *row[-2::-1])
    graph.replace(last.name, op=op, inputs=row[0].inputs, weights=weights, **changes)
    for node in row[-2::-1]:
        graph.erase(node.name)
