"""A file of Keras's, or a live model, as a graph and its weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from graphcnn.errors import ErrorGroup, GraphCNNError, ModelFileError
from graphcnn.graph import Graph
from graphcnn.keras_file import (
    ARCHIVE_ENDING,
    StoredArray,
    printable,
    read_keras_file,
    read_model_config,
)
from graphcnn.options import shorten
from graphcnn.weight_files import Weight, file_digest, stored_by_keras
from graphcnn.weights import WeightStore

from .arrays import arrays_by_weight, by_layer, by_name
from .config import Model, parse_model
from .importer import Importer, Shapes

_LONGEST_TEXT = 2000
"""The longest line of a message, whatever the file holds."""


def load_keras(path: Path, shapes: Shapes | None = None) -> tuple[Graph, WeightStore]:
    """Read a .keras or .h5 file. Nothing in it is executed, and arrays are not read yet.

    Args:
        path: The file.
        shapes: Sizes of inputs by name, channels last, in place of those of the model; the name
            of the only input can be empty.

    Returns:
        The network, whose `digest` is that of the file, and its weights.

    Raises:
        MissingExtra: h5py is not installed.
        ModelFileError: The file cannot be read, or holds no functional or sequential model.
        ErrorGroup: Every layer that is not supported, with what an operator for it would need.
        WeightError: Its weights do not fit the model.
    """
    if not path.is_file():
        raise ModelFileError(f"{path}: no such file")
    try:
        text, version = read_model_config(path)
        stored: Mapping[str, Sequence[StoredArray]] = read_keras_file(path)
        digest = file_digest(path)
    except GraphCNNError:
        raise
    except Exception as error:
        raise ModelFileError(f"{path}: not a readable Keras file: {error}") from error
    is_archive = path.name.endswith(ARCHIVE_ENDING)
    older = _is_older(path, version)
    try:
        model = parse_model(text, older)
        graph, importer = _imported(model, shapes or {}, older)
        graph.digest = digest
        if any(place.startswith("/") for place in stored):
            stored = by_name(stored, model)
        if not is_archive:
            stored = by_layer(graph, importer.layers, stored, model)
        arrays = arrays_by_weight(graph, importer.layers, stored, path)
        weights = {name: stored_by_keras(path, name, array) for name, array in arrays.items()}
        return graph, _checked(graph, weights, f"sha256:{digest}")
    except GraphCNNError as error:
        raise _told(error, path) from None


def layer_names(path: Path) -> dict[str, str]:
    """The node of each layer of a Keras file, by the layer's path; of none if it is not supported.

    Raises:
        Exception: The file cannot be read.
    """
    text, version = read_model_config(path)
    with suppress(GraphCNNError):
        older = _is_older(path, version)
        return _imported(parse_model(text, older), {}, older)[1].names
    return {}


def _is_older(path: Path, version: str) -> bool:
    """Whether Keras 2 or earlier wrote a file, which did not always say its version."""
    return version.startswith(("1.", "2.")) or not (version or path.name.endswith(ARCHIVE_ENDING))


def _told(error: GraphCNNError, path: Path) -> GraphCNNError:
    """The error with its file, and with nothing of the file's that a terminal would obey."""
    told = [_printable(one) for one in error.errors]
    whole = ErrorGroup(told) if isinstance(error, ErrorGroup) else told[0]
    return whole.explained(context=[("file", str(path))])


def _printable(error: GraphCNNError) -> GraphCNNError:
    error = copy.copy(error)
    error.message = printable(error.message, _LONGEST_TEXT)
    error.subject = error.subject and printable(error.subject, _LONGEST_TEXT)
    error.hint = error.hint and printable(error.hint, _LONGEST_TEXT)
    error.context = tuple((key, printable(row, _LONGEST_TEXT)) for key, row in error.context)
    return error


def from_keras(model: Any, shapes: Shapes | None = None) -> tuple[Graph, WeightStore]:
    """A live Keras model, or a file, as a graph and its weights.

    Args:
        model: A functional or sequential `keras.Model`; or the path of a .keras or .h5 file.
        shapes: Sizes of inputs by name, channels last, in place of those of the model.

    Returns:
        The network, and its weights, which are copied out of the model when they are loaded.

    Raises:
        ModelFileError: It is no functional or sequential model.
        ErrorGroup: Every layer that is not supported, with what an operator for it would need.
    """
    if isinstance(model, str | Path):
        return load_keras(Path(model), shapes)
    if not hasattr(model, "to_json"):
        raise ModelFileError(
            f"expected a Keras model or the path of a .keras or .h5 file, found {shorten(model)}"
        )
    described = parse_model(model.to_json())
    graph, importer = _imported(described, shapes or {}, False)
    arrays = arrays_by_weight(graph, importer.layers, dict(_variables(model, "")), described.name)
    weights = {name: _held(variable) for name, variable in arrays.items()}
    return graph, _checked(graph, weights, f"keras model {described.name}")


def _imported(model: Model, shapes: Shapes, older: bool) -> tuple[Graph, Importer]:
    name = model.name if model.name.isprintable() else ascii(model.name)[1:-1]
    graph = Graph(name or "model")
    importer = Importer(graph, model, shapes, older)
    importer.run()
    return graph, importer


def _checked(graph: Graph, weights: Mapping[str, Weight], origin: str) -> WeightStore:
    kept = {name: weights[name] for name in graph.weights}
    store = WeightStore(kept, origin)
    store.check(graph.weights)
    return store


def _variables(model: Any, prefix: str) -> Iterator[tuple[str, Sequence[Any]]]:
    """The variables of each layer by its path, those of models in the model too."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _variables(layer, f"{prefix}{layer.name}/")
        yield f"{prefix}{layer.name}", layer.weights


def _held(variable: Any) -> Weight:
    """A variable, whose integers are int64 or int32 by the backend."""
    dtype = "int32" if str(variable.dtype) == "int64" else str(variable.dtype)
    return Weight(tuple(variable.shape), dtype, lambda: variable.numpy().astype(dtype, copy=False))
