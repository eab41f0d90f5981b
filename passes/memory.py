"""The peak of live activation memory over the execution order.

A value lives from the node that makes it to the last node that takes it, or to the end when it is
an output; inputs live from the start. A view (Flatten, Reshape, Dropout) lives in its input's
memory and keeps that alive. While a node runs, its inputs and its result are all live.
"""

from __future__ import annotations

from dataclasses import dataclass

from graphcnn.graph import Graph
from graphcnn.ops import Input
from graphcnn.types import is_symbolic


@dataclass(frozen=True, slots=True)
class MemoryPeak:
    """The most activation memory that is live at once, on one sample.

    Attributes:
        bytes: How much; None where a size is not known.
        node: The node that runs then.
        timeline: The live bytes while each node runs, by name, in execution order.
    """

    bytes: int | None
    node: str | None
    timeline: dict[str, int]


def peak_memory(graph: Graph) -> MemoryPeak:
    """Find the peak by walking the execution order once."""
    if any(is_symbolic(graph.type(node.name).bytes) for node in graph):
        return MemoryPeak(None, None, {})
    owner = _owners(graph)
    last_use = _last_uses(graph, owner)
    live = sum(graph.type(node.name).bytes for node in graph.inputs)
    timeline: dict[str, int] = {}
    for step, node in enumerate(graph):
        made = owner[node.name] == node.name and not isinstance(node.op, Input)
        if made:
            live += graph.type(node.name).bytes
        timeline[node.name] = live
        freed = {owner[name] for name in (*node.inputs, node.name)}
        live -= sum(graph.type(name).bytes for name in freed if last_use[name] == step)
    peak = max(timeline, key=timeline.__getitem__, default=None)
    return MemoryPeak(timeline[peak] if peak else 0, peak, timeline)


def _owners(graph: Graph) -> dict[str, str]:
    """The value whose memory each value lives in."""
    owner: dict[str, str] = {}
    for node in graph:
        owner[node.name] = owner[node.inputs[0]] if node.op.is_view else node.name
    return owner


def _last_uses(graph: Graph, owner: dict[str, str]) -> dict[str, int]:
    """The step after which each owned value is dead."""
    last: dict[str, int] = {}
    for step, node in enumerate(graph):
        for name in (node.name, *node.inputs):
            last[owner[name]] = step
    for name in graph.outputs.values():
        last[owner[name]] = len(graph)
    return last
