"""A graph's twin in Keras compared with the compiled file, both on random weights and inputs.

Importing this module imports TensorFlow, which takes seconds: tests import it where they use it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn import WeightStore
from graphcnn.engine import tf
from graphcnn.graph import Graph
from graphcnn.ops import Input, Op
from graphcnn.training.build import KerasTwin, build_twin, needs_xla
from graphcnn.types import is_symbolic

from .onnx_checks import check_file

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, Array]

BATCH = 7
"""Samples in a batch. It differs from the sizes of most samples, since Keras's Add (3.15, over
TensorFlow) takes a value of (batch, 1) for one of (1, channels) where the two numbers are equal."""

ALL_OPSETS = (13, 17, 18, 22)


def loaded_twin(graph: Graph, arrays: Arrays) -> KerasTwin:
    """The graph's twin with its weights; its shapes and parameters are checked."""
    twin = build_twin(graph)
    for node in graph:
        given = tuple(
            None if is_symbolic(size) else size for size in graph.type(node.name).shape(None)
        )
        assert tuple(twin.tensors[node.name].shape) == given, node.name
        ours = [graph.weight(name).shape for name in node.weights.values()]
        theirs = [tuple(w.shape) for layer in twin.layers.get(node.name, ()) for w in layer.weights]
        assert ours == theirs, node.name
    assert sum(spec.elements for spec in graph.weights.values()) == twin.model.count_params()
    twin.load(WeightStore.from_arrays(arrays))
    return twin


def run_twin(twin: KerasTwin, feeds: Arrays) -> dict[str, Array]:
    """The graph's outputs by name, for inputs by name."""
    given = [tf.constant(feeds[node.name]) for node in twin.graph.inputs]
    whole = twin.needs_xla
    model = tf.function(twin.model, jit_compile=True) if whole else twin.model
    results = model(given if len(given) > 1 else given[0], training=False)
    results = results if isinstance(results, list) else [results]
    return dict(zip(twin.graph.outputs, map(np.asarray, results), strict=True))


def evaluate(graph: Graph, arrays: Arrays, feeds: Arrays) -> dict[str, Array]:
    """Every node's value, by calling Keras's layers one after another on numbers."""
    twin = build_twin(graph)
    twin.load(WeightStore.from_arrays(arrays))
    values: dict[str, Any] = {name: tf.constant(feed) for name, feed in feeds.items()}
    for node in graph:
        if isinstance(node.op, Input):
            continue
        value: Any = [values[name] for name in node.inputs]
        value = value[0] if len(value) == 1 else value
        for layer in twin.layers[node.name]:
            call = tf.function(layer, jit_compile=True) if needs_xla(layer) else layer
            value = call(value)
        values[node.name] = value
    return {name: np.asarray(value) for name, value in values.items()}


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
    arrays = random_arrays(graph) if arrays is None else arrays
    feeds = random_feeds(graph)
    expected = run_twin(loaded_twin(graph, arrays), feeds)
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
