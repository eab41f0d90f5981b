"""The model file: YAML in, `Graph` out.

A model file declares; it holds no code. Its layers are expanded first (blocks, parameters and
repeats become plain layers with unique names), then put in an order in which each follows its
inputs, and then added to a graph, which infers them one by one. Errors that are independent are
reported together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import networkx

from graphcnn.budget import Budget
from graphcnn.classes import check_classes
from graphcnn.errors import ErrorGroup, GraphCNNError, ModelFileError, SourceLocation, did_you_mean
from graphcnn.graph import Graph
from graphcnn.naming import class_names
from graphcnn.options import Options, build
from graphcnn.types import Dim, symbol

from .blocks import NAME, bad_name
from .document import Value, located, read_document
from .expand import Expander, Layer

T = TypeVar("T", bound=Options)

KEYS = ("name", "inputs", "layers", "outputs", "blocks", "budget", "classes", "train")
"""The keys at the top of a model file."""

_LARGEST_SIZE = 2**31 - 1
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_BATCH = "N"


def load(path: str | Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """Read a model file.

    Args:
        path: The file.
        shapes: Sizes of inputs by name, in place of those in the file; the name of the only input
            can be empty.

    Returns:
        The network, inferred and verified.

    Raises:
        ModelFileError: The file cannot be read, or is not a model file.
        ErrorGroup: What is wrong in it, all that is independent, each with its line and column.
    """
    path = Path(path)
    shown = str(path).encode(errors="replace").decode()
    root, raw = read_document(path, shown)
    graph = _Reader(root, Path(shown).stem, shapes or {}).read()
    graph.digest = hashlib.sha256(raw).hexdigest()
    return graph


class _Reader:
    """Turns one document into a graph, collecting errors on the way."""

    def __init__(self, root: Value, stem: str, shapes: Mapping[str, Sequence[int]]) -> None:
        self._root = root
        self._shapes = dict(shapes)
        self._graph = Graph(stem)
        self._errors: list[GraphCNNError] = []
        self._input_names: set[str] = set()

    def read(self) -> Graph:
        """The graph.

        Raises:
            ErrorGroup: Everything that is wrong.
        """
        if not self._has_inputs_and_layers():
            self._stop_on_errors()
        self._read_name()
        self._read_budget()
        self._read_recipe()
        expander = Expander(self._root, self._read_inputs(), self._errors)
        layers = expander.expand()
        self._add(layers)
        self._read_outputs(expander)
        self._read_classes()
        self._stop_on_errors()
        self._check_reachable()
        self._stop_on_errors()
        return self._graph

    def _fail(self, message: str, value: Value | SourceLocation, hint: str | None = None) -> None:
        location = value.location if isinstance(value, Value) else value
        self._errors.append(ModelFileError(message, location=location, hint=hint))

    def _stop_on_errors(self) -> None:
        if not self._errors:
            return
        unique: dict[tuple[str, int, int], GraphCNNError] = {}
        for error in ErrorGroup(self._errors).errors:
            place = (error.location.line, error.location.column) if error.location else (0, 0)
            unique.setdefault((error.message, *place), error)
        raise ErrorGroup(unique.values())

    def _has_inputs_and_layers(self) -> bool:
        """Check the keys at the top, and whether there is enough to go on with."""
        if not self._root.is_mapping:
            self._fail(
                f"expected a mapping with inputs: and layers:, found {self._root.kind}", self._root
            )
            return False
        for key in self._root.data:
            if key not in KEYS:
                hint = did_you_mean(str(key), KEYS)
                self._fail(f"unknown key {key!r}", self._root.key(key), hint)
        enough = True
        for key, kind in (("inputs", "is_mapping"), ("layers", "is_list")):
            value = self._root.get(key)
            enough &= value is not None and getattr(value, kind) and bool(value.data)
            if value is None:
                self._fail(f"missing {key}:", self._root, _EXAMPLES[key])
            elif not getattr(value, kind) or not value.data:
                expected = "a mapping" if kind == "is_mapping" else "a list"
                self._fail(f"{key}: expected {expected}, found {value.kind}", value, _EXAMPLES[key])
        return enough

    def _read_name(self) -> None:
        value = self._root.get("name")
        if value is None:
            return
        if not isinstance(value.data, str):
            self._fail(f"name: expected text, found {value.kind}", value)
            return
        if not value.data.isprintable() or not value.data:
            self._fail(f"name: expected printable characters, found {value.kind}", value)
            return
        self._graph.name = value.data

    def _read_budget(self) -> None:
        value = self._root.get("budget")
        if value is not None:
            self._graph.budget = self._options(Budget, value, "budget") or Budget()

    def _read_recipe(self) -> None:
        value = self._root.get("train")
        if value is not None:
            from graphcnn.recipe import Recipe

            self._graph.recipe = self._options(Recipe, value, "train")

    def _options(self, cls: type[T], value: Value, key: str) -> T | None:
        """What the key at the top says, or None if it is wrong."""
        if not value.is_mapping:
            self._fail(f"{key}: expected a mapping, found {value.kind}", value)
            return None
        try:
            return build(cls, value.plain())
        except GraphCNNError as error:
            self._errors.extend(located(error, value, key))
            return None

    def _read_inputs(self) -> list[str]:
        """Add the inputs to the graph, and return the names of all, the wrong ones too."""
        inputs = self._root.get("inputs")
        assert inputs is not None
        if len(inputs.data) == 1 and "" in self._shapes:
            self._shapes = {str(*inputs.data): self._shapes[""]}
        for name in self._shapes.keys() - inputs.data.keys():
            hint = did_you_mean(name, map(str, inputs.data))
            self._fail(f"inputs: there is none named {name!r} to give sizes", inputs, hint)
        for name, (key, value) in inputs.data.items():
            sizes = self._given(name, value) or self._sizes(value)
            if not isinstance(name, str) or not NAME.fullmatch(name):
                self._fail(f"inputs: {bad_name(key)}", key)
            elif sizes is not None:
                try:
                    self._graph.input(name, sizes, location=key.location)
                except GraphCNNError as error:
                    self._errors.append(error)
        self._input_names = {str(name) for name in inputs.data}
        return list(map(str, inputs.data))

    def _given(self, name: Any, value: Value) -> list[Dim] | None:
        """The sizes that the caller gives in place of those in the file, if any."""
        given = self._shapes.get(name)
        if given is None:
            return None
        if value.is_list and len(given) != len(value.data):
            self._fail(f"{name} has {len(value.data)} sizes, and {len(given)} are given", value)
            return None
        return list(given)

    def _sizes(self, value: Value) -> list[Dim] | None:
        if not value.is_list or not value.data:
            self._fail(f"expected a list of sizes, found {value.kind}", value, _EXAMPLES["inputs"])
            return None
        sizes = [self._size(item) for item in value.data]
        return None if None in sizes else [size for size in sizes if size is not None]

    def _size(self, value: Value) -> Dim | None:
        size = value.data
        if isinstance(size, str) and _SYMBOL.fullmatch(size):
            if size != _BATCH:
                return symbol(size)
            self._fail(f"{_BATCH} is the size of the batch", value, "another name, such as H or W")
            return None
        if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= _LARGEST_SIZE:
            self._fail(
                f"expected a size from 1 to {_LARGEST_SIZE:,}, or a name for one that is not "
                f"known, found {value.kind}",
                value,
                "the batch is implicit: [height, width, channels]",
            )
            return None
        return size

    def _add(self, layers: list[Layer]) -> None:
        """Add the layers to the graph, each after its inputs."""
        written = {layer.name: layer for layer in layers}
        failed = {name for name in self._input_names if name not in self._graph}
        for layer in self._ordered(layers, written):
            if layer.op is None or failed.intersection(_sources(layer)):
                failed.add(layer.name)
                continue
            try:
                self._graph.add(
                    layer.op,
                    layer.inputs,
                    name=layer.name,
                    weights=self._shared(layer),
                    location=layer.location,
                )
                self._check_shared(layer)
            except GraphCNNError as error:
                self._errors.append(error)
                failed.add(layer.name)

    def _shared(self, layer: Layer) -> Mapping[str, str]:
        """The weights that a layer has of another, by role.

        Raises:
            ModelFileError: The other is of another kind, or has none.
        """
        if layer.shares is None:
            return {}
        other = self._graph.node(layer.shares)
        if type(other.op) is type(layer.op) and other.weights:
            return other.weights
        raise ModelFileError(
            f"shares: {other.subject} has no weights for it",
            location=layer.location,
            subject=layer.name,
            hint="name a layer of the same kind that has weights",
        )

    def _check_shared(self, layer: Layer) -> None:
        """Refuse weights of a layer's own beside those that it has of another.

        Raises:
            ModelFileError: With what the other does not have.
        """
        weights = self._graph.node(layer.name).weights
        shared = weights if layer.shares is None else self._graph.node(layer.shares).weights
        if own := weights.keys() - shared.keys():
            raise ModelFileError(
                f"shares: {layer.shares} has no {', '.join(sorted(own))}, and the layer needs it",
                location=layer.location,
                subject=layer.name,
                hint="give both layers the same options",
            )

    def _ordered(self, layers: list[Layer], written: dict[str, Layer]) -> list[Layer]:
        """The layers, each after its inputs, otherwise as they were written."""
        position = {layer.name: index for index, layer in enumerate(layers)}
        if all(position.get(n, -1) < i for i, la in enumerate(layers) for n in _sources(la)):
            return layers
        order: networkx.DiGraph[str] = networkx.DiGraph()
        order.add_nodes_from(written)
        order.add_edges_from((n, la.name) for la in layers for n in _sources(la) if n in written)
        try:
            names = list(networkx.lexicographical_topological_sort(order, position.get))
        except networkx.NetworkXUnfeasible:
            cycle = [source for source, _ in networkx.find_cycle(order)]
            cycle.reverse()
            first = cycle.index(min(cycle, key=position.__getitem__))
            cycle = cycle[first:] + cycle[:first]
            path = " <- ".join([*cycle, cycle[0]])
            self._fail(f"there is a cycle: {path}", written[cycle[0]].location)
            return []
        return [written[name] for name in names]

    def _read_outputs(self, expander: Expander) -> None:
        value = self._root.get("outputs")
        if value is None:
            self._follow_last(expander)
        elif not value.is_list or not value.data:
            self._fail(f"outputs: expected a list of layer names, found {value.kind}", value)
        else:
            for item in value.data:
                self._read_output(item, expander)

    def _follow_last(self, expander: Expander) -> None:
        """Make what the layers result in the output."""
        last, layers = expander.last, self._root.get("layers")
        assert layers is not None
        if last in self._input_names:
            self._fail("layers: there is no layer between the input and the output", layers)
        elif last:
            self._graph.outputs = {last: last}

    def _read_output(self, item: Value, expander: Expander) -> None:
        """An output by the name of a layer, or of a block or repeat for its result."""
        name = item.data
        if not isinstance(name, str):
            self._fail(f"outputs: expected a layer's name, found {item.kind}", item)
            return
        source = expander.find(name)
        if source is None or source in self._input_names:
            names = set(expander.names) - self._input_names
            hint = did_you_mean(name, names)
            self._fail(f"outputs: there is no layer named {item.kind}", item, hint)
        elif name in self._graph.outputs:
            self._fail(f"outputs: {name} is named twice", item)
        else:
            self._graph.outputs[name] = source

    def _read_classes(self) -> None:
        value = self._root.get("classes")
        if value is None:
            return
        try:
            self._graph.classes = class_names(value.plain())
            if not self._errors:
                check_classes(self._graph, self._graph.classes)
        except GraphCNNError as error:
            self._errors.extend(located(error, value, "classes"))

    def _check_reachable(self) -> None:
        """Every layer and input must lead to an output: what does not is a mistake."""
        for node in self._graph.dangling():
            assert node.location is not None
            self._errors.append(
                ModelFileError(
                    "leads to no output",
                    location=node.location,
                    subject=node.subject,
                    hint="name it in outputs:, or use it as an input, or remove it",
                )
            )


def _sources(layer: Layer) -> tuple[str, ...]:
    """What has to be there before a layer: its inputs, and the layer whose weights it shares."""
    return (*layer.inputs, layer.shares) if layer.shares else layer.inputs


_EXAMPLES = {
    "inputs": "for example: inputs: {image: [28, 28, 1]}",
    "layers": "for example: layers: [Flatten, Dense: {units: 10}]",
}
