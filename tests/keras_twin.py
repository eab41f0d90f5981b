"""A graph's twin in Keras, and the comparison of the two with the compiled file.

The twin is built node by node from the operators' own fields, which are Keras's arguments. What
Keras lacks is written out: explicit pads are a padding layer before the convolution, and local
response normalization is TensorFlow's function.

Importing this module imports TensorFlow, which takes seconds: tests import it where they use it.
"""

from __future__ import annotations

import functools
import math
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.graph import Graph, Node
from graphcnn.ops import Activation, ActivationFunction, Input, Op, PReLU, UpSampling1D
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.ops.conv import Convolution
from graphcnn.ops.op import per_axis
from graphcnn.ops.reshaping import Cropping, ZeroPadding
from graphcnn.types import is_symbolic

from .onnx_checks import check_file

# TensorFlow's oneDNN kernels are wrong for a convolution of one channel whose stride is larger than
# what is left of the row (2.21: kernel (1, 2), stride (1, 2) on 2x3 reads outside of the image).
os.environ.update(
    CUDA_VISIBLE_DEVICES="-1",
    KERAS_BACKEND="tensorflow",
    TF_CPP_MIN_LOG_LEVEL="3",
    TF_ENABLE_ONEDNN_OPTS="0",
    TF_NUM_INTEROP_THREADS="1",
    TF_NUM_INTRAOP_THREADS="1",
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, Array]

BATCH = 7
"""Samples in a batch. It differs from the sizes of most samples, since Keras's Add (3.15, over
TensorFlow) takes a value of (batch, 1) for one of (1, channels) where the two numbers are equal."""

ALL_OPSETS = (13, 17, 18, 22)


def keras_model(graph: Graph) -> keras.Model:
    """The functional model of a graph: its inputs and outputs in order, its names made legal."""
    return Twin(graph).model


def set_weights(model: keras.Model, graph: Graph, arrays: Arrays) -> None:
    """Give a model made by `keras_model` the weights of the graph, by name."""
    layers = {layer.name: layer for layer in model.layers}
    for node in graph:
        own = [layers[name] for name in _layer_names(node) if name in layers]
        load_weights(own, [arrays[name] for name in node.weights.values()])


@dataclass
class Twin:
    """A graph's functional model, with what belongs to each node.

    Attributes:
        graph: The graph.
        tensors: Keras's symbolic result of each node.
        layers: Keras's layers of each node; nodes that share all weights share the layers.
        model: The functional model.
    """

    graph: Graph
    tensors: dict[str, Any] = field(default_factory=dict)
    layers: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shared: dict[Any, list[Any]] = {}
        for node in self.graph:
            if isinstance(node.op, Input):
                shape = [None if is_symbolic(size) else size for size in node.op.shape]
                self.tensors[node.name] = keras.Input(shape, name=legal(node.name))
                continue
            weights = tuple(node.weights.values())
            key = (node.op, weights) if weights else node.name
            layers = shared.setdefault(key, keras_layers(node.op, legal(node.name)))
            self.layers[node.name] = layers
            self.tensors[node.name] = apply_layers(layers, [self.tensors[n] for n in node.inputs])
        self.model = keras.Model(
            [self.tensors[node.name] for node in self.graph.inputs],
            [self.tensors[source] for source in self.graph.outputs.values()],
            name=legal(self.graph.name),
        )

    def check_shapes(self) -> None:
        """Every shape and the parameters are the graph's own."""
        for node in self.graph:
            given = tuple(
                None if is_symbolic(size) else size
                for size in self.graph.type(node.name).shape(None)
            )
            assert tuple(self.tensors[node.name].shape) == given, node.name
            ours = [self.graph.weight(name).shape for name in node.weights.values()]
            theirs = [
                tuple(w.shape) for layer in self.layers.get(node.name, ()) for w in layer.weights
            ]
            assert ours == theirs, node.name
        total = sum(spec.elements for spec in self.graph.weights.values())
        assert total == self.model.count_params()

    def load(self, arrays: Arrays) -> None:
        """Set every weight."""
        for name, layers in self.layers.items():
            load_weights(layers, [arrays[key] for key in self.graph.node(name).weights.values()])

    def run(self, feeds: Arrays) -> dict[str, Array]:
        """The graph's outputs by name, for inputs by name."""
        given = [tf.constant(feeds[node.name]) for node in self.graph.inputs]
        whole = any(needs_compiler(layer) for layers in self.layers.values() for layer in layers)
        model = tf.function(self.model, jit_compile=True) if whole else self.model
        results = model(given if len(given) > 1 else given[0], training=False)
        results = results if isinstance(results, list) else [results]
        return dict(zip(self.graph.outputs, map(np.asarray, results), strict=True))


def evaluate(graph: Graph, arrays: Arrays, feeds: Arrays) -> dict[str, Array]:
    """Every node's value, by calling Keras's layers one after another on numbers."""
    values: dict[str, Any] = {name: tf.constant(feed) for name, feed in feeds.items()}
    for node in graph:
        if isinstance(node.op, Input):
            continue
        layers = keras_layers(node.op, legal(node.name))
        inputs = [values[name] for name in node.inputs]
        if node.weights:
            apply_layers(layers, inputs)
            load_weights(layers, [arrays[name] for name in node.weights.values()])
        values[node.name] = apply_layers(layers, inputs)
    return {name: np.asarray(value) for name, value in values.items()}


def legal(name: str) -> str:
    """The name without the slash, which Keras refuses."""
    return name.replace("/", "__")


def _layer_names(node: Node) -> list[str]:
    name = legal(node.name)
    return [name, f"{name}__activation"]


def keras_layers(op: Op, name: str) -> list[Any]:
    """Keras's layers for an operator, to be applied one after another."""
    if isinstance(op, Activation) and isinstance(op.activation, PReLU):
        return keras_layers(op.activation, name)
    if op.title == "LocalResponseNormalization":
        return [keras.layers.Lambda(_normalize_locally(op), name=name)]
    options = _arguments(op)
    before: list[Any] = []
    if isinstance(op, Convolution) and not isinstance(op.padding, str):
        kind = getattr(keras.layers, f"ZeroPadding{op.spatial_axes}D")
        margins = _margins(op.window.pads((1,) * op.spatial_axes))
        before = [kind(margins, name=f"{name}__pads")]
        options["padding"] = "valid"
    after: list[Any] = []
    if isinstance(getattr(op, "activation", None), PReLU):
        after = keras_layers(options.pop("activation"), f"{name}__activation")
    return [*before, getattr(keras.layers, op.title)(**options, name=name), *after]


def apply_layers(layers: Sequence[Any], inputs: Sequence[Any]) -> Any:
    """The layers' result on symbolic tensors or on numbers."""
    value = inputs[0] if len(inputs) == 1 else list(inputs)
    for layer in layers:
        if needs_compiler(layer) and tf.is_tensor(value):
            if not layer.built:
                layer.build(value.shape)
            value = tf.function(layer, jit_compile=True)(value)
        else:
            value = layer(value)
    return value


def needs_compiler(layer: Any) -> bool:
    """Whether TensorFlow can run a layer on CPU only when it is compiled by XLA."""
    transposed = type(layer).__name__.endswith("DTranspose")
    return transposed and max(layer.dilation_rate) > 1


def load_weights(layers: Iterable[Any], arrays: Sequence[Array]) -> None:
    """Set the weights of layers in their own order."""
    left = list(arrays)
    for layer in layers:
        count = len(layer.weights)
        layer.set_weights(left[:count])
        del left[:count]
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    assert not left


def _arguments(op: Op) -> dict[str, Any]:
    """An operator's fields as Keras's arguments."""
    given = {f.name: getattr(op, f.name) for f in fields(op)}  # type: ignore[arg-type]
    given = {name: value for name, value in given.items() if not name.endswith("_initializer")}
    if isinstance(op, ZeroPadding):
        given["padding"] = _margins(op.pads)
    if isinstance(op, UpSampling1D):
        (given["size"],) = per_axis(op.size, 1)
    if isinstance(op, Cropping):
        given["cropping"] = _margins(op.crops)
    for name, value in given.items():
        if isinstance(value, ActivationFunction) and not isinstance(value, PReLU):
            given[name] = keras_activation(value)
    return given


def _margins(pads: tuple[tuple[int, int], ...]) -> Any:
    return pads[0] if len(pads) == 1 else pads


def keras_activation(function: ActivationFunction) -> Any:
    """The name that Keras has for a function, or Keras's function with its options."""
    options = {f.name: getattr(function, f.name) for f in fields(function)}  # type: ignore[arg-type]
    presets = {n: preset for n, (kind, preset) in FUNCTIONS.items() if kind is type(function)}
    for name in presets:
        if ActivationFunction.decode(name) == function:
            return name
    plainest = min(presets, key=lambda name: len(presets[name]))
    return functools.partial(keras.activations.get(plainest), **options)


def _normalize_locally(op: Op) -> Any:
    options = {f.name: getattr(op, f.name) for f in fields(op)}  # type: ignore[arg-type]
    return functools.partial(tf.nn.local_response_normalization, **options)


def random_arrays(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Weights that are not trivial, with kernels scaled so that values stay near one."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Array] = {}
    for node in graph:
        for role, name in node.weights.items():
            if name not in arrays:
                spec = graph.weight(name)
                drawn = _draw(role, node.op, spec.shape, rng)
                arrays[name] = np.asarray(drawn).astype(spec.dtype.numpy)
    return arrays


def _draw(role: str, op: Op, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    normal = rng.standard_normal(shape)
    if role.endswith("kernel"):
        alone = role == "depthwise_kernel" or op.title.startswith("Depthwise")
        return normal / math.sqrt(math.prod(shape[:-2] if alone else shape[:-1]))
    if role in ("gamma", "alpha"):
        return {"gamma": 1.0, "alpha": 0.2}[role] + 0.3 * normal
    if role in ("variance", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    if role == "count":
        return 7
    assert role in ("bias", "beta", "mean", "moving_mean"), role
    return 0.5 * normal


def random_feeds(graph: Graph, batch: int = BATCH, seed: int = 1) -> dict[str, Array]:
    """Input for a graph, channels last."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for node in graph.inputs:
        sizes = [9 if is_symbolic(size) else size for size in graph.type(node.name).sizes]
        feeds[node.name] = (1.5 * rng.standard_normal((batch, *sizes))).astype(np.float32)
    return feeds


def compare(
    graph: Graph,
    folder: Path,
    *,
    transposes: int = 0,
    identities: int = 0,
    opsets: Sequence[int] = (17,),
    arrays: Arrays | None = None,
) -> None:
    """Build a graph in Keras and as .onnx files, and check that all agree.

    Args:
        graph: The graph.
        folder: Where the files are written.
        transposes: The Transpose nodes that the channels-first file has.
        identities: The Identity nodes that it has.
        opsets: The opsets to write; the first is also written channels last, and run with
            onnxruntime's optimiser on and off.
        arrays: The weights; random ones if None.
    """
    twin = Twin(graph)
    twin.check_shapes()
    arrays = random_arrays(graph) if arrays is None else arrays
    twin.load(arrays)
    feeds = random_feeds(graph)
    expected = twin.run(feeds)
    for opset in opsets:
        check_file(
            graph,
            folder,
            arrays,
            feeds,
            expected,
            opset=opset,
            transposes=transposes,
            identities=identities,
            optimizers=(True, False) if opset == opsets[0] else (True,),
        )
    check_file(
        graph,
        folder,
        arrays,
        feeds,
        expected,
        opset=opsets[0],
        layout="nhwc",
        transposes=transposes,
        identities=None,
    )
