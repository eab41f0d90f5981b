"""Everything that is known about a network before a weight exists, layer by layer and in total."""

from __future__ import annotations

from dataclasses import dataclass

from graphcnn.errors import SourceLocation
from graphcnn.graph import Graph, Node
from graphcnn.ops import WeightSpec
from graphcnn.types import Dim, TensorType

from .memory import MemoryPeak, peak_memory
from .receptive_field import ReceptiveField, receptive_fields


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """One layer; figures are of one sample.

    Attributes:
        name: The layer's name.
        op: Its operator.
        inputs: The names of its inputs.
        output: The type of its value.
        params: Its parameters; a weight shared with an earlier layer counts there.
        trainable_params: Those that training changes.
        weight_bytes: The bytes of its parameters, counted likewise.
        macs: Multiply-accumulates of convolutions and matrix products.
        flops: Two for each multiply-accumulate, one for every other operation.
        activation_bytes: The bytes of its value, 0 for a view of its input.
        receptive_field: What one position of it sees of the input; None without spatial axes.
        source: Where it was written.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    output: TensorType
    params: int
    trainable_params: int
    weight_bytes: int
    macs: Dim
    flops: Dim
    activation_bytes: Dim
    receptive_field: ReceptiveField | None
    source: SourceLocation | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A network; figures are of one sample.

    Attributes:
        name: The network's name.
        batch: The number of samples in a batch; None is any number.
        layers: The layers in execution order, inputs included.
        model_bytes: The bytes of all parameters.
        peak: The most activation memory that is live at once.
    """

    name: str
    batch: int | None
    layers: tuple[LayerSummary, ...]
    model_bytes: int
    peak: MemoryPeak

    @property
    def total_params(self) -> int:
        """All parameters."""
        return sum(layer.params for layer in self.layers)

    @property
    def trainable_params(self) -> int:
        """The parameters that training changes."""
        return sum(layer.trainable_params for layer in self.layers)

    @property
    def non_trainable_params(self) -> int:
        """The parameters that training leaves alone, such as stored statistics."""
        return self.total_params - self.trainable_params

    @property
    def macs(self) -> Dim:
        """Multiply-accumulates."""
        return sum(layer.macs for layer in self.layers)

    @property
    def flops(self) -> Dim:
        """Floating-point operations."""
        return sum(layer.flops for layer in self.layers)


def summarize(graph: Graph) -> Summary:
    """Measure a network: shapes, parameters, arithmetic, memory and receptive fields.

    Args:
        graph: The network; it stays as it is.

    Returns:
        The figures of every layer and of the whole, for one sample.
    """
    fields = receptive_fields(graph)
    counted: set[str] = set()
    layers = [_layer(graph, node, fields[node.name], counted) for node in graph]
    return Summary(
        name=graph.name,
        batch=graph.batch,
        layers=tuple(layers),
        model_bytes=sum(spec.bytes for spec in graph.weights.values()),
        peak=peak_memory(graph),
    )


def _layer(
    graph: Graph, node: Node, field: ReceptiveField | None, counted: set[str]
) -> LayerSummary:
    own = [weight for weight in dict.fromkeys(node.weights.values()) if weight not in counted]
    counted.update(own)
    specs: list[WeightSpec] = [graph.weight(weight) for weight in own]
    output = graph.type(node.name)
    cost = node.op.cost(graph.input_types(node), output)
    return LayerSummary(
        name=node.name,
        op=node.op.title,
        inputs=node.inputs,
        output=output,
        params=sum(spec.elements for spec in specs),
        trainable_params=sum(spec.elements for spec in specs if spec.trainable),
        weight_bytes=sum(spec.bytes for spec in specs),
        macs=cost.macs,
        flops=cost.flops,
        activation_bytes=0 if node.op.is_view else output.bytes,
        receptive_field=field,
        source=node.location,
    )
