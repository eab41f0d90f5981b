"""Compute a value once where two layers compute the same one.

Two layers with the same operator, the same inputs in the same order and the same weights have the
same value: the users of the second take the first's. Going through the graph in order, whole
branches that are alike meet one layer after the other.

Guards: none are needed. Layers that random numbers went into are gone by then, inputs are never
alike, and outputs keep their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from graphcnn.graph import Graph
from graphcnn.ops import Input

from .base import Explain, Pass
from .rewriting import merged


@dataclass(frozen=True, kw_only=True)
class EliminateCommonSubexpressions(Pass):
    """Compute a value once where two layers compute the same one."""

    name: ClassVar[str] = "eliminate-common-subexpressions"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once."""
        first: dict[Any, str] = {}
        changed = False
        for name in [node.name for node in graph if not isinstance(node.op, Input)]:
            node = graph.node(name)
            same = first.setdefault((node.op, node.inputs, tuple(node.weights.values())), name)
            if same == name:
                continue
            graph.redirect(name, same)
            graph.erase(name)
            graph.replace(same, **merged(self.name, graph.node(same), node))
            explain(name, f"removed: {same} is the same")
            changed = True
        return changed
