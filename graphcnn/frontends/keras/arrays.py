"""Which array of a Keras file is which weight of the graph.

Keras 3 keeps arrays by layer; before 3.6 it does not say which, but numbers the layers of each
class in the order of the model. The older format keeps those of a model in the model in one list:
what is trained first, then the rest, each in the order of the layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from graphcnn.errors import ErrorGroup, GraphCNNError, WeightError
from graphcnn.graph import Graph
from graphcnn.naming import snake_case

from .config import Layer, Model

A = TypeVar("A")
Layers = Mapping[str, tuple[Layer, str]]
"""By path, each layer that has weights and a node of it."""


def arrays_by_weight(
    graph: Graph, layers: Layers, stored: Mapping[str, Sequence[A]], where: Path | str
) -> dict[str, A]:
    """The array of every weight of the graph.

    Args:
        graph: The graph.
        layers: Its layers.
        stored: The arrays of each layer, by its path, in Keras's order.
        where: What messages call the file.

    Raises:
        ErrorGroup: Every layer that has another number of arrays.
    """
    found: dict[str, A] = {}
    errors: list[GraphCNNError] = []
    for path, (layer, node) in layers.items():
        names = list(graph.node(node).weights.values())
        arrays = stored.get(path, ())
        if len(arrays) != len(names):
            count = len(arrays) or "no"
            text = f"has {count} weights in {where}, expected {len(names)}: {', '.join(names)}"
            errors.append(WeightError(text, subject=layer.subject))
            continue
        found |= dict(zip(names, arrays, strict=True))
    if errors:
        raise ErrorGroup(errors)
    return found


def by_name(stored: Mapping[str, Sequence[A]], model: Model) -> dict[str, Sequence[A]]:
    """The arrays by the path of their layer, where the file has them by place."""
    names = dict(_places(model, "", ""))
    return {
        names.get(place.replace("/_layer_checkpoint_dependencies/", "/layers/"), place): arrays
        for place, arrays in stored.items()
    }


def _places(model: Model, place: str, path: str) -> Iterator[tuple[str, str]]:
    """The place of every layer in the file, and its path in the model."""
    counts: Counter[str] = Counter()
    for layer in model.layers:
        if layer.is_operation:
            continue
        stem = snake_case(layer.kind)
        number = f"_{counts[stem]}" if counts[stem] else ""
        counts[stem] += 1
        own = f"{place}/layers/{stem}{number}"
        yield own, f"{path}{layer.name}"
        if layer.model:
            yield from _places(layer.model, own, f"{path}{layer.name}/")


def by_layer(
    graph: Graph, layers: Layers, stored: Mapping[str, Sequence[A]], model: Model
) -> dict[str, Sequence[A]]:
    """The arrays of the older format by the path of their layer."""
    found: dict[str, Sequence[A]] = dict(stored)
    for layer in model.layers:
        if layer.model is None or layer.name not in stored:
            continue
        learns = layer.config.get("trainable") is not False
        paths = _paths(layer.model, f"{layer.name}/", learns)
        inside = [path for path in paths if path[0] in layers]
        trained: list[tuple[str, int]] = []
        fixed: list[tuple[str, int]] = []
        for path, is_trained in dict(inside).items():
            node = graph.node(layers[path][1])
            for index, weight in enumerate(node.weights.values()):
                varies = is_trained and graph.weight(weight).trainable
                (trained if varies else fixed).append((path, index))
        order = trained + fixed
        if len(order) != len(stored[layer.name]):
            continue
        parts: dict[str, dict[int, A]] = {}
        for (path, index), array in zip(order, stored[layer.name], strict=True):
            parts.setdefault(path, {})[index] = array
        found |= {path: [part[i] for i in sorted(part)] for path, part in parts.items()}
    return found


def _paths(model: Model, prefix: str, is_trained: bool) -> list[tuple[str, bool]]:
    """The path of every layer in a model, in order, and whether it is trained."""
    paths: list[tuple[str, bool]] = []
    for layer in model.layers:
        learns = is_trained and layer.config.get("trainable") is not False
        if layer.model:
            paths += _paths(layer.model, f"{prefix}{layer.name}/", learns)
        else:
            paths.append((f"{prefix}{layer.name}", learns))
    return paths
