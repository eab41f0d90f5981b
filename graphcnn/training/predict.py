"""A model's output in TensorFlow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from graphcnn.engine import tf
from graphcnn.graph import Graph
from graphcnn.types import Array
from graphcnn.weights import WeightStore

from .build import build_twin


def predict(
    graph: Graph,
    weights: WeightStore,
    x: Array,
    batch_size: int = 256,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Array:
    """The first output of a model of one input, in float32.

    Args:
        graph: The model.
        weights: Its weights.
        x: The inputs, (samples, *sizes), channels last; they become float32 batch by batch.
        batch_size: Samples at a time.
        progress: Told of samples that are done, and of all.

    Raises:
        ErrorGroup: The weights do not fit the graph.
    """
    twin = build_twin(graph)
    twin.load(weights)
    shape = (None, *twin.model.inputs[0].shape[1:])
    run = tf.function(
        lambda batch: tf.nest.flatten(twin.model(batch, training=False))[0],
        input_signature=[tf.TensorSpec(shape, tf.float32)],
        jit_compile=twin.needs_xla or None,
    )
    results = []
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size].astype(np.float32)
        results.append(run(tf.constant(batch)).numpy())
        progress(min(start + batch_size, len(x)), len(x))
    return np.concatenate(results)
