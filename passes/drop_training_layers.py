"""Remove the layers that act in training only.

At inference dropout, noise and random augmentation are the identity, :math:`f(x) = x`, so every
user of such a layer may take the layer's input instead. Inverted dropout scales in training, so
nothing is left to scale here. Outputs keep their names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphcnn.graph import Graph

from .base import Explain, Pass


@dataclass(frozen=True, kw_only=True)
class DropTrainingLayers(Pass):
    """Remove dropout, noise and random augmentation."""

    name: ClassVar[str] = "drop-training-layers"

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Redirect the users of every training-only layer to its input, and erase it."""
        found = [node for node in graph if node.op.training_only]
        for node in found:
            (source,) = graph.node(node.name).inputs
            graph.redirect(node.name, source)
            graph.erase(node.name)
            explain(node.name, f"removed: {node.op.title} passes its input on at inference")
        return bool(found)
