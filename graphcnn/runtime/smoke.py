"""One run of a new file on random input, to see that it runs and gives the shapes inferred."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.errors import CheckFailed
from graphcnn.export import Lowered, stand_in
from graphcnn.graph import Graph
from graphcnn.passes import peak_memory
from graphcnn.types import Dim, DType, is_symbolic

from .session import first_line, open_session
from .settings import Settings

_LARGEST_ACTIVATIONS = 2**32
"""A model whose activations take more bytes than this is not run."""

_LARGEST_WEIGHTS = 100 * 2**20
"""Above this many bytes of weights a stand-in runs: onnxruntime would need several times the memory
that writing the file takes."""

_MOST_WEIGHTS = 4000
"""Above this many weights a stand-in runs: onnxruntime takes quadratic time to load them."""

_OPEN_SIZES = (64, 224, 512, 1024)
"""What stands for sizes that are not known: the first with which no value vanishes."""


def smoke_run(network: Graph, lowered: Lowered, path: Path) -> str:
    """Run a new file once on random input, and compare the outputs' shapes with those inferred.

    Args:
        network: The graph that was lowered.
        lowered: The model that was written.
        path: The file; where it is large a stand-in with zeros for weights is run instead.

    Returns:
        What was done, for people.

    Raises:
        CheckFailed: It does not run, or an output has another shape than was inferred.
        RuntimeFailure: onnxruntime cannot load it.
    """
    size = open_size(network)
    needed = _activation_bytes(network, size)
    if needed > _LARGEST_ACTIVATIONS:
        return f"not run: its activations take {needed:,} bytes"
    small = lowered.weight_bytes <= _LARGEST_WEIGHTS and len(lowered.initializers) <= _MOST_WEIGHTS
    _run(network, path if small else stand_in(lowered), size)
    return "run by onnxruntime" + ("" if small else " (with zeros for weights, since it is large)")


def _run(network: Graph, model: Path | bytes, size: int) -> None:
    session = open_session(model, Settings(provider="cpu"), optimize=False)
    rng = np.random.default_rng(0)
    feeds = {node.name: random_value(rng, network, node.name, size) for node in network.inputs}
    try:
        results = session.run(list(network.outputs), feeds)
    except Exception as error:
        raise CheckFailed(f"onnxruntime cannot run the model: {first_line(error)}") from error
    for (name, source), result in zip(network.outputs.items(), results, strict=True):
        expected = _shape(network, source, size)
        if result.shape != expected:
            raise CheckFailed(
                f"output {name} was inferred as {list(expected)}, "
                f"and onnxruntime gives {list(result.shape)}"
            )


def _shape(network: Graph, name: str, size: int) -> tuple[int, ...]:
    """A value's shape as it lies in memory, one sample where the batch is open."""
    sizes = network.node(name).layout.sizes(network.type(name))
    return (network.batch or 1, *(_at(dim, size) for dim in sizes))


def random_value(rng: np.random.Generator, network: Graph, name: str, size: int) -> Any:
    """Random numbers of a value's type, one sample where the batch is open.

    Standard normal ones, or where they are pixels 0 to 255.
    """
    shape, dtype = _shape(network, name, size), network.type(name).dtype
    if dtype == DType.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.standard_normal(shape, np.float32).astype(dtype.numpy)


def open_size(network: Graph) -> int:
    """A number for each height and width that is not known, with which no value vanishes."""
    open_ = {s for node in network for s in network.type(node.name).sizes if is_symbolic(s)}
    for size in _OPEN_SIZES:
        if all(_at(expression, size) > 0 for expression in open_):
            return size
    raise CheckFailed(f"its sizes vanish even on inputs of {_OPEN_SIZES[-1]} positions")


def _at(size: Dim, number: int) -> int:
    """A size where every open one is this number."""
    if not is_symbolic(size):
        return size
    expression: Any = size
    return int(expression.subs(dict.fromkeys(expression.free_symbols, number)))


def _activation_bytes(network: Graph, size: int) -> int:
    """The activation memory of one run: the peak, or where that is not known all of it."""
    peak = peak_memory(network).bytes
    if peak is None:
        peak = sum(_at(network.type(node.name).bytes, size) for node in network)
    return peak * (network.batch or 1)
