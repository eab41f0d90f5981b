"""A network in half precision: float16 between float32 inputs and float32 outputs.

Element types follow from those of the inputs, so the network is built once more behind a Cast of
each. Weights are rounded as they are written, those that passes have made among them: these are
made of the float32 weights, and rounded at the end.
"""

from __future__ import annotations

from graphcnn.graph import Graph, Node
from graphcnn.ops import Cast, Input
from graphcnn.types import DType


def in_half(graph: Graph) -> Graph:
    """The same network, computing in float16 what it computes in float32.

    Args:
        graph: A network whose layouts are assigned; it stays as it is.

    Returns:
        A network of the same inputs and outputs; inputs that are not float32 keep their values'
        types throughout.
    """
    half = Graph(graph.name, graph.batch)
    values: dict[str, str] = {}
    for node in graph:
        widens = isinstance(node.op, Cast) and node.op.dtype == DType.float32
        values[node.name] = half.add(
            Cast(dtype=DType.float16) if widens else node.op,
            [values[source] for source in node.inputs],
            name=node.name,
            weights=node.weights,
            location=node.location,
            layout=node.layout,
            passes=node.passes,
            origins=node.origins,
        )
        if isinstance(node.op, Input) and graph.type(node.name).dtype == DType.float32:
            values[node.name] = _cast(graph, half, node, DType.float16)
    widened: dict[str, str] = {}
    for output, source in graph.outputs.items():
        if half.type(source) == graph.type(source):
            half.outputs[output] = source
            continue
        if source not in widened:
            widened[source] = _cast(graph, half, graph.node(source), DType.float32)
        half.outputs[output] = widened[source]
    return half


def _cast(graph: Graph, half: Graph, node: Node, dtype: DType) -> str:
    """A node's value in another type, with its origins, layout and name."""
    return half.add(
        Cast(dtype=dtype),
        node.name,
        name=graph.unused(f"{node.name}/cast"),
        location=node.location,
        layout=node.layout,
        origins=node.layers,
    )
