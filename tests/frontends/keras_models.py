"""Keras models and what comes of them: imported, compiled, run, and compared with Keras itself.

Importing this module imports TensorFlow, which takes seconds: tests import it where they use it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import graphcnn
from graphcnn import Graph, WeightStore
from graphcnn.engine import keras, tf
from graphcnn.frontends.write_yaml import write_model
from graphcnn.text import print_graph
from tests.onnx_checks import write_anywhere

Array = np.ndarray[Any, np.dtype[Any]]


def drawn(model: Any, seed: int = 0) -> Any:
    """The model with weights that are not trivial, the statistics of normalization among them."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        draw = rng.uniform(0.5, 1.5, variable.shape)
        if variable.name in ("kernel", "depthwise_kernel", "pointwise_kernel", "bias", "beta"):
            draw = rng.standard_normal(variable.shape) / np.sqrt(max(draw.size, 1)) * 2
        variable.assign(draw.astype(variable.dtype))
    return model


def feeds(model: Any, batch: int = 3, open_size: int = 12) -> list[Array]:
    """Random input for each input of a model, in its own layout."""
    rng = np.random.default_rng(1)
    shapes = [[batch, *(size or open_size for size in x.shape[1:])] for x in model.inputs]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def run(path: Path, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of an .onnx file, whose inputs are in the layout of the arrays."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    found: list[Array] = session.run(None, dict(zip(names, inputs, strict=True)))
    return found


def results(model: Any, inputs: Sequence[Array], whole: bool = False) -> list[Array]:
    """What Keras computes, its outputs in order.

    Args:
        model: The model.
        inputs: Its inputs.
        whole: Compile it as a whole: on a CPU, TensorFlow convolves channels first only so.
    """
    call = tf.function(model, jit_compile=True) if whole else model
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = call([tf.constant(x) for x in inputs], training=False)
    return [np.asarray(value) for value in keras.tree.flatten(found)]


def first(array: Array) -> Array:
    """An array with spatial axes, channels last, with its channels first."""
    return np.moveaxis(array, -1, 1) if array.ndim > 2 else array


def check(model: Any, folder: Path, *, channels_first: bool = False) -> Graph:
    """Import a model every way, and compare its outputs with Keras's.

    Args:
        model: The model.
        folder: Where to put files.
        channels_first: The model is: the compiled file takes and gives just what it does.
    """
    turned = (lambda array: array) if channels_first else first
    inputs = feeds(model)
    expected = results(model, inputs, whole=channels_first)
    model.save(folder / "m.keras")
    graph, store = graphcnn.load_model(folder / "m.keras")
    assert store is not None
    found = compiled(graph, store, folder, [turned(x) for x in inputs])
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == turned(theirs).shape
        scale = max(float(abs(theirs).max()), 1e-6)
        assert abs(ours - turned(theirs)).max() / scale < 2e-5
    assert sum(spec.elements for spec in graph.weights.values()) == model.count_params()
    check_model_file(graph, folder)
    live, held = graphcnn.from_keras(model)
    same(live, held, graph, store)
    model.save(folder / "m.h5")
    same(*graphcnn.from_keras(folder / "m.h5"), graph, store)
    return graph


def compiled(
    graph: Graph, store: WeightStore, folder: Path, inputs: Sequence[Array]
) -> list[Array]:
    write_anywhere(partial(graphcnn.compile, graph, folder / "m.onnx", weights=store, force=True))
    return run(folder / "m.onnx", inputs)


def check_model_file(graph: Graph, folder: Path) -> None:
    """Written as a model file and read again, the graph is the same."""
    (folder / "m.yaml").write_text(write_model(graph))
    again = graphcnn.load(folder / "m.yaml")
    assert print_graph(again, origins=False) == print_graph(graph, origins=False)


def same(graph: Graph, store: WeightStore, other: Graph, others: WeightStore) -> None:
    assert print_graph(graph) == print_graph(other)
    assert set(store) == set(others)
    for name in store:
        assert np.array_equal(store[name].load(), others[name].load()), name
