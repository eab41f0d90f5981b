"""A model of Keras's into nodes of a graph, call by call.

Models in models are flattened: the layer ``conv`` of the model ``stem`` becomes ``stem/conv``.
Layers that are called several times share their weights. Everything that cannot be imported is
told at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import networkx

from graphcnn.errors import ErrorGroup, GraphCNNError, ModelFileError, did_you_mean
from graphcnn.graph import Graph
from graphcnn.naming import unused_name
from graphcnn.options import shorten
from graphcnn.types import Dim, symbol

from .config import Layer, Model, Ref
from .layers import call_layer, check_call, check_known, check_layer
from .operations import call_operation, operation_of
from .options import check_dtype
from .steps import Step, Value

T = TypeVar("T")
Shapes = Mapping[str, Sequence[int]]

MAX_CALLS = 50_000
_LONGEST_NAME = 200
_SPATIAL_SYMBOLS = {1: "L", 2: "HW", 3: "DHW"}


class Importer:
    """Adds a model to a graph.

    Args:
        graph: An empty graph.
        model: The model.
        shapes: Sizes of inputs by name, channels last, in place of those of the model.
        older: Whether Keras 2 or earlier wrote it.

    Attributes:
        layers: By the path of each layer that has weights, such as ``stem/conv``, the layer and the
            first node of it.
        names: By the path of each layer, the node of its first call.
    """

    def __init__(self, graph: Graph, model: Model, shapes: Shapes, older: bool = False) -> None:
        self.layers: dict[str, tuple[Layer, str]] = {}
        self.names: dict[str, str] = {}
        self._graph, self._model, self._shapes, self._older = graph, model, shapes, older
        self._errors: list[GraphCNNError] = []
        self._permuted: dict[tuple[str, tuple[int, ...]], str] = {}
        self._calls = 0
        self._taken = set(_paths(model, ""))
        self._counts: dict[str, int] = {}
        self._symbols: set[str] = set()
        self._is_first = any(
            layer.config.get("data_format") == "channels_first" for layer in model.every_layer()
        )

    def run(self) -> None:
        """Add everything, and name the outputs.

        Raises:
            ErrorGroup: Every layer that cannot be imported, and why.
        """
        inputs = self._inputs()
        outputs = self._call_model(self._model, inputs, "", "")
        self._raise()
        if None in outputs:
            raise ModelFileError("the model results in tensors that none of its layers makes")
        self._add_outputs([value for value in outputs if value])
        self._drop_unused()
        self._raise()

    def _raise(self) -> None:
        if self._errors:
            raise ErrorGroup(self._errors)

    def _try(self, subject: str, function: Callable[[], T]) -> T | None:
        """What the function returns; None where it fails, which is noted."""
        try:
            return function()
        except GraphCNNError as error:
            self._errors.append(error.explained(subject=subject))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            text = f"its options are not as Keras writes them: {type(error).__name__} {error}"
            self._errors.append(ModelFileError(text, subject=subject))
        return None

    def _inputs(self) -> list[Value | None]:
        by_name = {layer.name: layer for layer in self._model.layers}
        layers = [by_name[name] for name in self._model.inputs]
        only = layers[0].name if len(layers) == 1 else ""
        shapes = {name or only: sizes for name, sizes in self._shapes.items()}
        known = [layer.name for layer in layers]
        for name in shapes.keys() - {*known}:
            text, hint = f"there is no input named {name!r}", did_you_mean(name, known)
            if not name:
                text = f"sizes are given without a name, and there are {len(known)} inputs"
                hint = f"--input-shape NAME=...; {did_you_mean(name, known) or ''}"
            self._errors.append(ModelFileError(text, hint=hint))
        return [
            self._try(layer.subject, lambda layer=layer: self._input(layer, shapes))  # type: ignore[misc]
            for layer in layers
        ]

    def _input(self, layer: Layer, shapes: Shapes) -> Value:
        config = layer.config
        if layer.kind != "InputLayer":
            raise ModelFileError("is an input of the model, and no InputLayer")
        dtype = config.get("dtype") or "float32"
        if dtype != "float32":
            raise ModelFileError(
                f"takes {shorten(dtype)}, expected float32",
                hint="build the model with keras.Input(..., dtype='float32')",
            )
        if config.get("sparse") or config.get("ragged"):
            raise ModelFileError("takes sparse or ragged tensors, which are not supported")
        shape = config.get("batch_shape") or config.get("batch_input_shape")
        sizes = self._sizes(layer, shape, shapes)
        first = self._is_first and len(sizes) > 1
        name = self._graph.input(self._unused(layer.name, layer.name), sizes)
        return Value(name, first)

    def _sizes(self, layer: Layer, shape: Any, shapes: Shapes) -> list[Dim]:
        """The sizes of an input, channels last; the open ones are symbols."""
        given = shapes.get(layer.name)
        if not isinstance(shape, list):
            if given is None:
                raise ModelFileError(
                    "the model does not say the sizes of its input",
                    hint="give them: --input-shape 224,224,3",
                )
            return list(given)
        sizes = shape[1:]
        if any(isinstance(n, bool) or not isinstance(n, int | None) for n in sizes):
            raise ModelFileError(f"expected sizes, found {shorten(shape)}")
        if self._is_first and len(sizes) > 1:
            sizes = [*sizes[1:], sizes[0]]
        if given is None:
            return [self._symbol(sizes, i) if n is None else n for i, n in enumerate(sizes)]
        if len(given) != len(sizes):
            raise ModelFileError(f"has {len(sizes)} sizes, and {len(given)} are given for it")
        return list(given)

    def _symbol(self, sizes: Sequence[Any], axis: int) -> Dim:
        letters = _SPATIAL_SYMBOLS.get(len(sizes) - 1, "")
        stem = letters[axis] if axis < len(letters) else "C"
        name = unused_name(stem, self._symbols, {}, first=2)
        self._symbols.add(name)
        return symbol(name)

    def _call_model(
        self, model: Model, inputs: Sequence[Value | None], prefix: str, path: str
    ) -> list[Value | None]:
        """Call every layer of a model, and return its results; None stands for what failed."""
        values: dict[Ref, Value | None] = {}
        for name, value in zip(model.inputs, inputs, strict=True):
            values[Ref(name)] = value
        layers = {layer.name: layer for layer in model.layers}
        for name, number in self._ordered(model):
            if name in model.inputs:
                continue
            layer = layers[name]
            results = self._call(layer, number, values, prefix, path)
            values |= {Ref(name, number, index): made for index, made in enumerate(results)}
        return [values.get(ref) for ref in model.outputs]

    def _ordered(self, model: Model) -> list[tuple[str, int]]:
        """The calls of all layers, each after what it takes, otherwise as they are written."""
        order: networkx.DiGraph[tuple[str, int]] = networkx.DiGraph()
        position: dict[tuple[str, int], tuple[int, int]] = {}
        for index, layer in enumerate(model.layers):
            for number, call in enumerate(layer.calls):
                position[layer.name, number] = (number, index)
                order.add_node((layer.name, number))
                order.add_edges_from(((r.layer, r.call), (layer.name, number)) for r in call.refs)
        try:
            return list(networkx.lexicographical_topological_sort(order, position.__getitem__))
        except networkx.NetworkXUnfeasible:
            raise ModelFileError(f"the calls in {model.name} go round in a circle") from None

    def _call(
        self,
        layer: Layer,
        number: int,
        values: dict[Ref, Value | None],
        prefix: str,
        path: str,
    ) -> Sequence[Value | None]:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise ModelFileError(f"the models in the model make more than {MAX_CALLS:,} calls")
        call = layer.calls[number]
        subject = f"{path}{layer.subject}"
        taken = {ref: values.get(ref) for ref in call.refs}
        if layer.model is None:
            made = self._try(subject, lambda: self._call_plain(layer, number, taken, prefix, path))
            return made or []
        name = f"{prefix}{layer.name}" + (f"_{number}" if number else "")
        if len(call.refs) != len(layer.model.inputs):
            count = len(layer.model.inputs)
            text = f"is called on {len(call.refs)} tensors, and has {count} inputs"
            self._errors.append(ModelFileError(text, subject=subject))
            return []
        self._try(subject, lambda: check_call(call, self._older))
        inputs = [taken[ref] for ref in call.refs]
        return self._call_model(layer.model, inputs, f"{name}/", f"{path}{layer.name}/")

    def _call_plain(
        self,
        layer: Layer,
        number: int,
        taken: Mapping[Ref, Value | None],
        prefix: str,
        path: str,
    ) -> list[Value]:
        """Call a layer or an operation; where its inputs failed, only look whether it could be."""
        call = layer.calls[number]
        is_operation = layer.is_operation and layer.kind != "InputLayer"
        if not is_operation:
            check_known(layer)
            check_dtype(layer)
            check_call(call, self._older)
            self._check_older(layer)
        inputs = {ref: value for ref, value in taken.items() if value}
        if len(inputs) < len(taken):
            (operation_of if is_operation else check_layer)(layer)
            return []
        own = f"{path}{layer.name}"
        known = self.layers.get(own)
        weights = dict(self._graph.node(known[1]).weights) if known else {}
        name = self._unused(f"{prefix}{layer.name}", None if number else own)
        self.names.setdefault(own, name)
        values = tuple(inputs[ref] for ref in call.refs)
        step = Step(self._graph, name, values, weights, self._permuted)
        if is_operation:
            results = call_operation(step, layer, call, inputs)
            return results if isinstance(results, list) else [results]
        result = call_layer(step, layer)
        if step.made and not known and self._graph.node(step.made).weights:
            self.layers[own] = (layer, step.made)
        return [result]

    def _unused(self, text: str, path: str | None) -> str:
        """A name for a node like the text: the text itself where that is the layer's path."""
        name = _name(text)
        if name != path:
            name = unused_name(name, self._taken, self._counts)
            self._taken.add(name)
        return self._graph.unused(name)

    def _check_older(self, layer: Layer) -> None:
        if self._older and layer.config.get("activation") == "hard_sigmoid":
            raise ModelFileError(
                "its hard_sigmoid is 0.2 x + 0.5 in Keras 2, and relu6(x + 3) / 6 in Keras 3",
                hint="load it in Keras 3, see that it does what it should, and save it again",
            )

    def _add_outputs(self, values: Sequence[Value]) -> None:
        """Make values results of the graph, in Keras's order of the axes.

        A result that is an input, or is there twice, gets a node of its own.
        """
        inputs = {node.name for node in self._graph.inputs}
        for value in values:
            step = Step(self._graph, "", (), {}, self._permuted)
            value = step.channels_last(value) if self._is_first else step.last(value)
            name = value.name
            if name in inputs or name in self._graph.outputs:
                same = Step(self._graph, self._graph.unused(f"{name}_output"), (), {})
                name = same.finish("Activation", {"activation": "linear"}, value, first=False).name
            self._graph.outputs[name] = name

    def _drop_unused(self) -> None:
        """Nodes that lead to no output do nothing; an input that does not is a mistake."""
        for node in self._graph.dangling():
            if node.op.title == "Input":
                self._errors.append(ModelFileError("leads to no output", subject=node.subject))
            else:
                self._graph.erase(node.name)


def _paths(model: Model, path: str) -> Iterator[str]:
    """The path of every layer in a model."""
    for layer in model.layers:
        yield f"{path}{layer.name}"
        if layer.model:
            yield from _paths(layer.model, f"{path}{layer.name}/")


def _name(text: str) -> str:
    """A name that a model file can hold, like Keras's."""
    name = re.sub(r"[^A-Za-z0-9_.\-/]", "_", text[-_LONGEST_NAME:])
    name = re.sub(r"\.\.+", ".", name)
    return name if re.match(r"[A-Za-z0-9_]", name) else f"_{name[1:]}"
