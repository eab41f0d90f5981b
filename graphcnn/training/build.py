"""A graph as a Keras functional model, layer by layer, with the same names.

The operators' fields are Keras's arguments, so most layers are made by passing them on. What Keras
lacks is written out: explicit pads are a padding layer before the convolution, an activation with
weights is a layer after it, and an operator that is a function there is a layer that calls it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from graphcnn.engine import as_array, keras
from graphcnn.errors import GraphCNNError, TrainingError
from graphcnn.graph import Graph, Node
from graphcnn.naming import keras_name
from graphcnn.ops import (
    Activation,
    ActivationFunction,
    Clip,
    Input,
    LayerScale,
    Op,
    Power,
    PReLU,
    StochasticDepth,
    UpSampling1D,
)
from graphcnn.ops.activations import FUNCTIONS, Sigmoid, Softmax
from graphcnn.ops.conv import Convolution
from graphcnn.ops.op import per_axis
from graphcnn.ops.preprocessing import Normalization, Rescaling
from graphcnn.ops.reshaping import Cropping, ZeroPadding
from graphcnn.options import field_values
from graphcnn.regularizers import Regularizer
from graphcnn.types import Array, is_symbolic
from graphcnn.weights import WeightStore

from .operations import ActivationWithOptions, ChannelScale, Operation, SampleDropout, is_operation

_LAYERS_ONLY = (PReLU, Power, Clip)
"""Activations that are no function of Keras's."""


@dataclass(slots=True)
class KerasTwin:
    """A graph's functional model, with what belongs to each node.

    Attributes:
        graph: The graph.
        model: The functional model: the graph's inputs and outputs in order.
        tensors: Keras's symbolic result of each node.
        layers: Keras's layers of each node; nodes that share all their weights share the layers.
    """

    graph: Graph
    model: Any = None
    tensors: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def needs_xla(self) -> bool:
        """Whether one of its layers does."""
        return any(needs_xla(layer) for layer in self.model.layers)

    def variables(self) -> Iterator[tuple[str, Any]]:
        """Every weight of the graph, once, and Keras's variable for it."""
        seen: set[str] = set()
        for name, layers in self.layers.items():
            variables = [variable for layer in layers for variable in layer.weights]
            names = self.graph.node(name).weights.values()
            for weight, variable in zip(names, variables, strict=True):
                if weight not in seen:
                    seen.add(weight)
                    yield weight, variable

    def load(self, weights: WeightStore) -> None:
        """Set every weight.

        Raises:
            ErrorGroup: Every weight that is missing, extra, or of another shape or dtype.
        """
        weights.check(self.graph.weights)
        for name, variable in self.variables():
            variable.assign(weights[name].load())
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()

    def arrays(self) -> dict[str, Array]:
        """Every weight as it is now."""
        return {
            name: as_array(variable).astype(self.graph.weight(name).dtype.numpy, copy=False)
            for name, variable in self.variables()
        }


def to_keras(graph: Graph, weights: WeightStore | None = None) -> Any:
    """The graph as a Keras functional model.

    Args:
        graph: The graph.
        weights: The model's weights; drawn by the graph's own initializers, with seed 0, if None.

    Returns:
        A `keras.Model` whose layers have the nodes' names, with ``__`` for the slash, which Keras
        refuses. Dropout, augmentation and regularizers are in it: it can be trained.

    Raises:
        ErrorGroup: The weights do not fit the graph.
    """
    twin = build_twin(graph)
    twin.load(weights or WeightStore.random(graph.weights, seed=0))
    return twin.model


def build_twin(graph: Graph, *, logits: bool = False, dtype: str = "float32") -> KerasTwin:
    """Build a graph's functional model, with Keras's own first weights.

    Args:
        graph: The graph.
        logits: Leave out the softmax or sigmoid that an output ends with.
        dtype: What layers compute in: float32, or mixed_bfloat16. Preprocessing and outputs are
            float32 always.
    """
    _check_onednn(graph)
    twin = KerasTwin(graph)
    exact = _exact(graph, logits)
    shared: dict[Any, list[Any]] = {}
    for node in graph:
        if isinstance(node.op, Input):
            shape = [None if is_symbolic(size) else size for size in node.op.shape]
            twin.tensors[node.name] = keras.Input(shape, name=keras_name(node.name))
            continue
        last = node.name in graph.outputs.values()
        op = without_final_activation(node.op) if logits and last else node.op
        kind = "float32" if node.name in exact else dtype
        weights = tuple(node.weights.values())
        key = (node.op, weights) if weights else node.name
        if key not in shared:
            shared[key] = keras_layers(op, keras_name(node.name), kind) if op else []
        twin.layers[node.name] = shared[key]
        twin.tensors[node.name] = _applied(node, shared[key], twin.tensors)
    inputs = [twin.tensors[node.name] for node in graph.inputs]
    twin.model = keras.Model(
        inputs if len(inputs) > 1 else inputs[0],  # Keras warns of an array where it knows a list.
        [twin.tensors[source] for source in graph.outputs.values()],
        name=keras_name(graph.name),
    )
    return twin


def _exact(graph: Graph, logits: bool) -> set[str]:
    """The nodes that compute in float32 always: preprocessing, and what becomes an output."""
    found = {node.name for node in graph if isinstance(node.op, Rescaling | Normalization)}
    for name in graph.outputs.values():
        found.add(name)
        if logits and without_final_activation(graph.node(name).op) is None:
            found.update(graph.node(name).inputs)
    return found


def _check_onednn(graph: Graph) -> None:
    """Refuse what TensorFlow would compute wrongly.

    On x86-64 its oneDNN kernels (2.21) read outside of an image of one channel where strides are
    uneven: the result changes from run to run.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return
    for node in graph:
        if not isinstance(node.op, Convolution) or len(set(node.op.window.strides)) == 1:
            continue
        if graph.input_types(node)[0].channels == 1:
            raise TrainingError(
                "TensorFlow's oneDNN kernels are wrong for one channel and uneven strides",
                location=node.location,
                subject=node.subject,
                hint="set TF_ENABLE_ONEDNN_OPTS=0 in the environment; its other kernels are right",
            )


def final_activation(op: Op, rank: int) -> ActivationFunction | None:
    """The sigmoid, or softmax over the last axis of a result of this rank, that an op ends with."""
    found = op if isinstance(op, ActivationFunction) else getattr(op, "activation", None)
    if isinstance(found, Softmax) and found.axis in (-1, rank - 1):
        return found
    return found if isinstance(found, Sigmoid) else None


def without_final_activation(op: Op) -> Op | None:
    """The operator without the activation that it ends with; None if it is just that."""
    if isinstance(op, ActivationFunction | Activation):
        return None
    return _with(op, activation=None)


def keras_layers(op: Op, name: str, dtype: str = "float32") -> list[Any]:
    """Keras's layers for an operator, to be applied one after another."""
    if isinstance(op, Activation) and isinstance(op.activation, _LAYERS_ONLY):
        return keras_layers(op.activation, name, dtype)
    if is_operation(op):
        return [Operation(op.title, field_values(op), name=name, dtype=dtype)]
    if isinstance(op, LayerScale):
        return [ChannelScale(name=name, dtype=dtype)]
    if isinstance(op, StochasticDepth):
        return [SampleDropout(op.drop_path_rate, name=name, dtype=dtype)]
    arguments = _arguments(op)
    before: list[Any] = []
    if isinstance(op, Convolution) and not isinstance(op.padding, str):
        padding = getattr(keras.layers, f"ZeroPadding{op.spatial_axes}D")
        margins = _margins(op.window.pads((1,) * op.spatial_axes))
        before = [padding(margins, name=f"{name}__pads", dtype=dtype)]
        arguments["padding"] = "valid"
    after: list[Any] = []
    if isinstance(getattr(op, "activation", None), _LAYERS_ONLY):
        after = keras_layers(arguments.pop("activation"), f"{name}__activation", dtype)
    return [*before, getattr(keras.layers, op.title)(**arguments, name=name, dtype=dtype), *after]


def needs_xla(layer: Any) -> bool:
    """Whether TensorFlow can run a layer on CPU only when it is compiled by XLA."""
    transposed = type(layer).__name__.endswith("DTranspose")
    return transposed and max(layer.dilation_rate) > 1


def keras_activation(function: ActivationFunction) -> Any:
    """The name that Keras has for a function, or Keras's function with its options."""
    presets = {n: preset for n, (kind, preset) in FUNCTIONS.items() if kind is type(function)}
    for name in presets:
        if ActivationFunction.decode(name) == function and hasattr(keras.activations, name):
            return name
    plainest = min(presets, key=lambda name: len(presets[name]))
    return ActivationWithOptions(plainest, field_values(function))


def _applied(node: Node, layers: Sequence[Any], tensors: Mapping[str, Any]) -> Any:
    """Keras's symbolic result of a node."""
    inputs = [tensors[name] for name in node.inputs]
    value = inputs[0] if len(inputs) == 1 else inputs
    try:
        for layer in layers:
            value = layer(value)
    except Exception as error:
        raise GraphCNNError(
            f"Keras cannot build it: {error}", location=node.location, subject=node.subject
        ) from error
    return value


def _with(op: Any, **changes: Any) -> Op:
    """The operator with other fields; which ones there are, its own class knows."""
    changed: Op = replace(op, **changes)
    return changed


def _arguments(op: Op) -> dict[str, Any]:
    """An operator's fields as Keras's arguments."""
    given = {k: v for k, v in field_values(op).items() if not k.endswith("_initializer")}
    if isinstance(op, ZeroPadding):
        given["padding"] = _margins(op.pads)
    if isinstance(op, UpSampling1D):
        (given["size"],) = per_axis(op.size, 1)
    given.pop("count_include_pad", None)
    if isinstance(op, Cropping):
        given["cropping"] = _margins(op.crops)
    for name, value in given.items():
        if isinstance(value, ActivationFunction) and not isinstance(value, _LAYERS_ONLY):
            given[name] = keras_activation(value)
        if isinstance(value, Regularizer):
            given[name] = getattr(keras.regularizers, type(value).__name__)(**field_values(value))
    return given


def _margins(pads: tuple[tuple[int, int], ...]) -> Any:
    return pads[0] if len(pads) == 1 else pads
