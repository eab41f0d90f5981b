"""Store weights once that have the same numbers.

Two weights are the same if they have one shape, one element type and the same bytes: biases that
are all zero, statistics of layers that were copied, kernels of twins. The layers of the second take
the first.

Only weights that share their shape and type with another are read, one at a time, and added up as
integers, which takes a tenth of the time of a cryptographic digest. Those whose sums are equal are
read again and compared. Run after the passes that change weights, which would otherwise see layers
share what is theirs alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

from graphcnn.graph import Graph
from graphcnn.weight_files import Weight
from graphcnn.weights import WeightStore

from .base import Explain, Pass


@dataclass(frozen=True, kw_only=True)
class DeduplicateWeights(Pass):
    """Store weights once that have the same numbers.

    Attributes:
        weights: The weights that the graph was given, from which passes have derived others.
        smallest: Bytes below which a weight keeps a name of its own, which says more than it saves.
    """

    name: ClassVar[str] = "deduplicate-weights"
    weights: WeightStore
    smallest: int = 1024

    def run(self, graph: Graph, explain: Explain) -> bool:
        """Read what may be the same, and rename what is."""
        store = self.weights.deriving(graph.derived)
        large = {n: spec for n, spec in graph.weights.items() if spec.bytes >= self.smallest}
        specs = {name: (spec.shape, spec.dtype) for name, spec in large.items()}
        counts = Counter(specs.values())
        alike: dict[Any, list[str]] = {}
        same: dict[str, str] = {}
        for name, kind in specs.items():
            if counts[kind] == 1:
                continue
            bits = _bits(store[name])
            others = alike.setdefault((kind, int(bits.sum(dtype="u8"))), [])
            equal = next((n for n in others if (bits == _bits(store[n])).all()), None)
            if equal:
                same[name] = equal
            else:
                others.append(name)
        for node in [node for node in graph if same.keys() & node.weights.values()]:
            weights = {role: same.get(name, name) for role, name in node.weights.items()}
            passes = dict.fromkeys((*node.passes, self.name))
            graph.replace(node.name, weights=weights, passes=tuple(passes))
            for role, name in node.weights.items():
                if name in same:
                    explain(node.name, f"its {role} is stored once, as {same[name]}: equal numbers")
        return bool(same)


def _bits(weight: Weight) -> Any:
    """A weight's elements in order, as unsigned integers: zeros of both signs differ."""
    array = weight.load()
    return array.reshape(-1).view(f"u{array.itemsize}")
