"""What a Keras model says of itself: its layers, and how they are called on each other.

Two forms are read. Keras 3 writes a call as its arguments, in which a tensor is
``{"class_name": "__keras_tensor__", "config": {"keras_history": [layer, call, tensor]}}``. Keras 2
writes ``[[layer, call, tensor, {other arguments}], ...]``, and counts the calls of a model in a
model from 1, since the model's own inputs are its first; so does Keras 3 where it lists outputs.
Sources: keras/src/models/functional.py, keras/src/saving/serialization_lib.py (3.15).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from graphcnn.errors import ModelFileError
from graphcnn.keras_file import printable
from graphcnn.options import shorten

MAX_DEPTH = 100
"""The most lists and mappings inside one another."""

_MODELS = ("Functional", "Model", "Sequential")
_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor of a model.

    Attributes:
        layer: The name of the layer that makes it.
        call: Which call of the layer, from 0.
        tensor: Which of the results of that call, from 0.
    """

    layer: str
    call: int = 0
    tensor: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a layer; its arguments hold `Ref`s where tensors go in."""

    args: list[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def refs(self) -> list[Ref]:
        """The tensors that go in, in order."""
        return [item for item in flat([self.args, self.kwargs]) if isinstance(item, Ref)]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, operation or model in a model.

    Attributes:
        name: Its name, unique in its model.
        kind: The name of its class.
        module: Where Keras 3 has the class; empty in the older form.
        config: Its options.
        calls: How it is called, in order.
        model: What is in it, if it is a model.
    """

    name: str
    kind: str
    module: str
    config: dict[str, Any]
    calls: tuple[Call, ...]
    model: Model | None = None

    @property
    def is_operation(self) -> bool:
        """Whether it is a function of tensors rather than a layer."""
        if self.kind in ("TFOpLambda", "SlicingOpLambda", "Cast"):
            return True
        if self.module:
            return ".ops." in self.module and not self.is_foreign
        return not {"trainable", "dtype"} & self.config.keys()

    @property
    def is_foreign(self) -> bool:
        """Whether its class is none of Keras's own."""
        return bool(self.module) and self.module.split(".")[0] not in ("keras", "tf_keras")

    @property
    def subject(self) -> str:
        """How messages call it."""
        return f"{printable(self.name)} ({printable(self.kind)})"


@dataclass(frozen=True, slots=True)
class Model:
    """A model.

    Attributes:
        name: What it is called.
        layers: Its layers.
        inputs: The names of its input layers, in order.
        outputs: Its results, in order.
        has_inputs: Whether it names its input layers itself: Keras 2 calls it on them first.
    """

    name: str
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Ref, ...]
    has_inputs: bool = True

    def every_layer(self) -> Iterator[Layer]:
        """Its layers and those of the models in it."""
        for layer in self.layers:
            yield layer
            if layer.model:
                yield from layer.model.every_layer()


def flat(value: Any) -> Iterator[Any]:
    """What is in nested lists and mappings, in the order that Keras counts it."""
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from flat(value[key])
    else:
        yield value


def parse_model(text: str, older: bool = False) -> Model:
    """Read the description of a model.

    Args:
        text: JSON.
        older: Whether Keras 2 or earlier wrote it.

    Raises:
        ModelFileError: It is not JSON, nests too deeply, or is not that of a functional or
            sequential model.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the description of the model is not JSON: {error}") from None
    _check_depth(data)
    try:
        model = _model_of(data, older)
        if model is None:
            raise _unreadable(data)
        return model
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"the description of the model is not as Keras writes it: {type(error).__name__} "
            f"{shorten(str(error))}",
            hint="load it in Keras, and save it again: model.save('MODEL.keras')",
        ) from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"it holds {word}")


def _check_depth(data: Any) -> None:
    left = [(data, 1)]
    while left:
        value, depth = left.pop()
        if depth > MAX_DEPTH:
            raise ModelFileError(f"the description of the model nests deeper than {MAX_DEPTH}")
        if isinstance(value, list | dict):
            items = value.values() if isinstance(value, dict) else value
            left.extend((item, depth + 1) for item in items)


def _unreadable(data: Any) -> ModelFileError:
    kind = data.get("class_name") if isinstance(data, dict) else data
    return ModelFileError(
        f"this is no functional or sequential model of Keras, but {shorten(kind)}",
        hint="what a subclass of keras.Model does is code, which is not run here: build the model "
        "with keras.Model(inputs, outputs)",
    )


def _model_of(data: dict[str, Any], older: bool) -> Model | None:
    """The model that an object describes, if it is one."""
    module = data.get("module") or "keras"
    if data["class_name"] not in _MODELS or module.split(".")[0] not in ("keras", "tf_keras"):
        return None
    config = data["config"]
    if data["class_name"] == "Sequential":
        return _sequential(config, older)
    return _functional(config, older) if "input_layers" in config else None


def _sequential(config: Any, older: bool) -> Model:
    """A chain; before Keras 2.2 its configuration was the list of its layers alone."""
    config = config if isinstance(config, dict) else {"name": "sequential", "layers": config}
    layers = [_layer(data, (), older) for data in config["layers"]]
    has_inputs = bool(layers) and layers[0].kind == "InputLayer"
    if not has_inputs:
        first = layers[0].config if layers else {}
        shape = first.get("batch_input_shape") or first.get("batch_shape")
        shape = shape or config.get("build_input_shape")
        entry = Layer("input", "InputLayer", "", {"batch_shape": shape}, ())
        layers.insert(0, entry)
    before = [Ref(layer.name) for layer in layers]
    chained = [
        replace(layer, calls=(Call([ref]),)) for layer, ref in zip(layers[1:], before, strict=False)
    ]
    made = (replace(layers[0], calls=(Call([]),)), *chained)
    name = _text(config["name"])
    return _checked(Model(name, made, (layers[0].name,), (before[-1],), has_inputs))


def _functional(config: dict[str, Any], older: bool) -> Model:
    layers = []
    for data in config["layers"]:
        calls = [_call(node) for node in data.get("inbound_nodes") or ()]
        layers.append(_layer(data, tuple(calls) or (Call([]),), older))
    shifted = _Shift({layer.name: layer for layer in layers}, older)
    layers = [replace(layer, calls=tuple(map(shifted.call, layer.calls))) for layer in layers]
    inputs = tuple(ref.layer for ref in _refs(config["input_layers"]))
    outputs = tuple(shifted.output(ref) for ref in _refs(config["output_layers"]))
    return _checked(Model(_text(config.get("name") or "model"), tuple(layers), inputs, outputs))


def _checked(model: Model) -> Model:
    """A model whose names are unique, and whose tensors are results of calls that there are."""
    calls = {layer.name: len(layer.calls) for layer in model.layers}
    if len(calls) < len(model.layers):
        raise ModelFileError(f"two layers of {model.name} have one name")
    refs = [ref for layer in model.layers for call in layer.calls for ref in call.refs]
    for ref in (*refs, *model.outputs, *map(Ref, model.inputs)):
        if not 0 <= ref.call < calls.get(ref.layer, 0) or ref.tensor < 0:
            raise ModelFileError(
                f"{model.name} takes tensor {ref.tensor} of call {ref.call} of "
                f"{shorten(ref.layer)}, which there is not"
            )
    return model


def _layer(data: dict[str, Any], calls: tuple[Call, ...], older: bool) -> Layer:
    config = data["config"]
    model = _model_of(data, older)
    name = data.get("name") or (model.name if model else config["name"])
    # The older form has a registered class with its package before it: ``mine>Scale``.
    package, _, kind = _text(data["class_name"]).rpartition(">")
    return Layer(
        _text(name),
        kind,
        _text(data.get("module") or package),
        config if isinstance(config, dict) else {},
        calls,
        model,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {shorten(value)}")
    return value


@dataclass(frozen=True, slots=True)
class _Shift:
    """Counts the calls of models in a model from 0, where the file counts them from 1.

    Attributes:
        layers: The layers by name.
        older: Whether Keras 2 or earlier wrote them.
    """

    layers: dict[str, Layer]
    older: bool

    def call(self, call: Call) -> Call:
        """A call whose tensors Keras 2 counted."""
        swap = self._swapped
        kwargs = {key: swap(value) for key, value in call.kwargs.items()}
        return Call([swap(item) for item in call.args], kwargs)

    def output(self, ref: Ref) -> Ref:
        """A result of the model: here Keras 3 counts from 1 too, but for sequential models."""
        layer = self.layers.get(ref.layer)
        if layer is None or layer.model is None:
            return ref
        return _lowered(ref, _own_input(layer) if self.older else layer.kind != "Sequential")

    def _swapped(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._swapped(item) for item in value]
        if isinstance(value, dict):
            return {key: self._swapped(item) for key, item in value.items()}
        if not isinstance(value, _Counted):
            return value
        layer = self.layers.get(value.ref.layer)
        return _lowered(value.ref, layer is not None and _own_input(layer))


def _lowered(ref: Ref, from_one: bool) -> Ref:
    return replace(ref, call=ref.call - 1) if from_one and ref.call else ref


def _own_input(layer: Layer) -> bool:
    """Whether it is a model that Keras 2 had called on its own inputs first."""
    return layer.model is not None and layer.model.has_inputs


@dataclass(frozen=True, slots=True)
class _Counted:
    """A tensor as Keras 2 counts it."""

    ref: Ref


def _refs(value: Any) -> list[Ref]:
    """The tensors in ``[name, call, tensor]``, or in lists and mappings of such."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
        return [_ref(value)]
    return [ref for item in _items(value) for ref in _refs(item)]


def _items(value: Any) -> list[Any]:
    """What is in a list or a mapping, in the order that Keras counts it."""
    if isinstance(value, dict):
        return [value[key] for key in sorted(value)]
    if not isinstance(value, list):
        raise TypeError(f"expected a list, found {shorten(value)}")
    return value


def _ref(history: list[Any]) -> Ref:
    name, call, tensor = history[:3]
    if not isinstance(call, int) or not isinstance(tensor, int):
        raise TypeError(f"expected numbers, found {shorten(history)}")
    return Ref(_text(name), call, tensor)


def _call(node: Any) -> Call:
    """One call, in either form."""
    if isinstance(node, dict) and "args" in node:
        kwargs = {key: _revived(value) for key, value in node["kwargs"].items()}
        return Call([_revived(item) for item in node["args"]], kwargs)
    leaves = list(_leaves(node))
    tensors = [_older(leaf) for leaf in leaves]
    kwargs = leaves[0][3] if len(leaves[0]) > 3 else {}
    given = {key: _older_value(value) for key, value in kwargs.items()}
    return Call(tensors if len(tensors) == 1 else [tensors], given)


def _leaves(node: Any) -> Iterator[list[Any]]:
    """Each ``[name, call, tensor, ...]`` of a call in the older form."""
    if isinstance(node, list) and node and isinstance(node[0], str):
        yield node
        return
    for item in _items(node):
        yield from _leaves(item)


def _older(item: list[Any]) -> Any:
    return item[2] if item[0] == _CONSTANT else _Counted(_ref(item))


def _older_value(value: Any) -> Any:
    """An argument of the older form, in which a tensor is ``[name, call, tensor]``."""
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
            return _older(value)
        return [_older_value(item) for item in value]
    if isinstance(value, dict) and value.keys() == {"start", "stop", "step"}:
        return slice(value["start"], value["stop"], value["step"])
    return value


def _revived(value: Any) -> Any:
    """An argument with its tensors, slices and arrays; an array becomes nested lists."""
    if isinstance(value, list):
        return [_revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, config = value.get("class_name"), value.get("config")
    if kind == "__keras_tensor__":
        return _ref(value["config"]["keras_history"])
    if kind == "__slice__":
        return slice(config["start"], config["stop"], config["step"])  # type: ignore[index]
    if kind == "__ellipsis__":
        return Ellipsis
    if kind in ("__numpy__", "__tensor__"):
        return value["config"]["value"]
    return {key: _revived(item) for key, item in value.items()}
