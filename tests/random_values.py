"""Weights and inputs drawn at random, of a size that keeps values near one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphcnn.graph import Graph
from graphcnn.ops import Op
from graphcnn.types import is_symbolic

Array = np.ndarray[Any, np.dtype[Any]]

BATCH = 7
"""Samples in a batch. It differs from the sizes of most samples, since Keras's Add (3.15, over
TensorFlow) takes a value of (batch, 1) for one of (1, channels) where the two numbers are equal."""


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
    if role in ("gamma", "scale", "alpha"):
        return {"gamma": 1.0, "scale": 1.0, "alpha": 0.2}[role] + 0.3 * normal
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
