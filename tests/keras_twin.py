"""A graph's twin in Keras compared with the compiled file, both on random weights and inputs.

Importing this module imports TensorFlow, which takes seconds: tests import it where they use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn import WeightStore
from graphcnn.engine import tf
from graphcnn.graph import Graph
from graphcnn.ops import Input
from graphcnn.training.build import KerasTwin, build_twin, needs_xla
from graphcnn.types import is_symbolic

from .onnx_checks import check_file
from .random_values import random_arrays as random_arrays
from .random_values import random_feeds as random_feeds

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = Mapping[str, Array]

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


def compare(
    graph: Graph,
    folder: Path,
    *,
    transposes: int = 0,
    identities: int = 0,
    opsets: Sequence[int] = (17,),
    arrays: Arrays | None = None,
    positive: bool = False,
    target: str | None = None,
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
        positive: Feed no number that is not well above zero.
        target: The runtimes that the files are for; all that were measured, or onnxruntime where
            not all take it, if None. The channels-last one is for onnxruntime, in whose forms each
            operator is checked thus too.
    """
    arrays = random_arrays(graph) if arrays is None else arrays
    feeds = random_feeds(graph)
    if positive:
        feeds = {name: np.abs(feed) + np.float32(0.1) for name, feed in feeds.items()}
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
            target=target,
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
        target="onnxruntime",
    )
