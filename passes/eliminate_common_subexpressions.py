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

from graphcnn.graph import Graph, Node
from graphcnn.ops import Input

from .base import Explain, Pass
from .rewriting import merged


@dataclass(frozen=True, kw_only=True)
class EliminateCommonSubexpressions(Pass):
    """Compute a value once where two layers compute the same one."""

    name: ClassVar[str] = "eliminate-common-subexpressions"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once; each user takes all of its new inputs at once."""
        first: dict[Any, str] = {}
        same: dict[str, str] = {}
        for name in [node.name for node in graph if not isinstance(node.op, Input)]:
            node = graph.node(name)
            inputs = tuple(same.get(source, source) for source in node.inputs)
            kept = first.setdefault((node.op, inputs, tuple(node.weights.values())), name)
            if kept != name:
                same[name] = kept
                explain(name, f"removed: {kept} is the same")
            elif inputs != node.inputs:
                graph.replace(name, inputs=inputs)
        self._record(graph, same)
        for name, kept in reversed(same.items()):
            for output in graph.outputs.of(name):
                graph.outputs[output] = kept
            graph.erase(name)
        return bool(same)

    def _record(self, graph: Graph, same: dict[str, str]) -> None:
        """Say on each node that stays which it stands for."""
        groups: dict[str, list[Node]] = {}
        for name, kept in same.items():
            groups.setdefault(kept, []).append(graph.node(name))
        for kept, nodes in groups.items():
            graph.replace(kept, **merged(self.name, graph.node(kept), *nodes))
