"""Remove layers whose values nothing needs.

A value is needed if it is an output, or a layer that is needed takes it: going backwards from the
outputs finds them all. A model that is written with a layer too many is refused before any pass
runs, so what is found here is what other passes have left behind.

Guards: inputs stay, needed or not, since the caller provides them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphcnn.graph import Graph
from graphcnn.ops import Input

from .base import Explain, Pass


@dataclass(frozen=True, kw_only=True)
class EliminateDeadCode(Pass):
    """Remove layers whose values nothing needs."""

    name: ClassVar[str] = "eliminate-dead-code"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Walk the graph once, backwards."""
        changed = False
        for node in graph.dangling():
            if isinstance(node.op, Input):
                explain(node.name, "not removed: it leads to no output, and callers provide it")
                continue
            graph.erase(node.name)
            explain(node.name, "removed: it leads to no output")
            changed = True
        return changed
