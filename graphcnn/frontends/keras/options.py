"""The options of a Keras layer as the fields of an operator.

What has no part in inference is left out by name; whatever else an operator has no field for must
have the value that changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graphcnn.errors import ErrorGroup, GraphCNNError, ModelFileError
from graphcnn.initializers import INITIALIZERS
from graphcnn.ops import OPS, ActivationFunction, Op
from graphcnn.ops.activations import FUNCTIONS
from graphcnn.options import Options, build, field_types, option_fields, shorten
from graphcnn.regularizers import REGULARIZERS

from .config import Layer

_WITHOUT_PART = {
    *("name", "trainable", "dtype", "autocast", "batch_input_shape", "build_input_shape"),
    *("activity_regularizer", "synchronized", "renorm_clipping", "renorm_momentum"),
    *("lora_alpha", "seed", "fused", "data_format", "input_length", "force_generator"),
}
"""What concerns training, names or memory only; or is read elsewhere."""

_CHANGES_NOTHING: dict[str, Any] = {
    "groups": 1,
    "lora_rank": None,
    "quantization_config": None,
    "renorm": False,
    "rms_scaling": False,
    "virtual_batch_size": None,
    "adjustment": None,
    "fill_mode": "constant",
    "fill_value": 0.0,
}
"""Keys that operators have no field for, and the value under which they need none."""

_BY_AXIS = {
    *("kernel_size", "strides", "dilation_rate", "pool_size", "size", "output_padding"),
    *("padding", "cropping"),
}
"""Fields in which one number stands for every axis."""

_FORMER = {
    ("LeakyReLU", "alpha"): "negative_slope",
    ("GlobalAveragePooling1D", "keep_dims"): "keepdims",
}
"""What Keras 2 called a key of today."""


def fields_of(layer: Layer) -> dict[str, Any]:
    """The fields of the operator that a layer becomes.

    Raises:
        GraphCNNError: An option is not understood; or a group of such.
    """
    cls = OPS[layer.kind]
    known = {field.name for field in option_fields(cls)}
    hints = field_types(cls)
    fields: dict[str, Any] = {}
    errors: list[GraphCNNError] = []
    for key, value in layer.config.items():
        name = _FORMER.get((layer.kind, key), key)
        if name in known:
            try:
                fields |= _field(layer.kind, name, hints[name], value)
            except GraphCNNError as error:
                errors.append(error)
        elif not cls.training_only and not _is_dropped(key, value, known):
            errors.append(ModelFileError(f"{key}: {shorten(value)} is not supported"))
    if errors:
        raise ErrorGroup(errors)
    if "pool_size" in fields and fields.get("strides") == fields["pool_size"]:
        del fields["strides"]
    return fields


def own_keys(layer: Layer) -> list[str]:
    """The keys of a layer's options that say what it does."""
    return [k for k in layer.config if not _is_dropped(k, layer.config[k], set())]


def _is_dropped(key: str, value: Any, known: set[str]) -> bool:
    if key in _WITHOUT_PART or key.endswith(("_constraint", "_regularizer")):
        return True
    if key == "kernel_initializer" and "depthwise_initializer" in known:
        return True  # Depthwise and separable convolutions only inherit it.
    return key in _CHANGES_NOTHING and value == _CHANGES_NOTHING[key]


def _field(kind: str, name: str, hint: Any, value: Any) -> dict[str, Any]:
    """One field, or none where the default does."""
    if name.endswith("_initializer"):
        return _serialized(name, value, INITIALIZERS)
    if name.endswith("_regularizer"):
        return _serialized(name, value, REGULARIZERS)
    if "ActivationFunction" in str(hint):
        activation = activation_of(value)
        optional = "None" in str(hint)
        is_linear = activation is None or type(activation) is FUNCTIONS["linear"][0]
        return {name: None if optional and is_linear else activation}
    if name not in _BY_AXIS:
        return {name: value}
    axes = {int(digit) for digit in re.findall(r"([123])D", kind)}
    pair = {2} if name in ("padding", "cropping") else set[int]()
    return {name: _short(value, axes | pair if axes == {1} else axes, pair)}


def _short(value: Any, lengths: set[int], inner: set[int]) -> Any:
    """One number where every axis has the same.

    Args:
        value: A number, or a list.
        lengths: How long the list may be; other lists are left to the operator.
        inner: The same for the lists in it.
    """
    if not isinstance(value, list) or len(value) not in lengths:
        return value
    items = [_short(item, inner, set()) for item in value]
    first = items[0]
    same = all(item == first for item in items)
    return first if same and isinstance(first, int) and not isinstance(first, bool) else value


def _serialized(name: str, value: Any, known: Mapping[str, type[Options]]) -> dict[str, Any]:
    """An initializer or a regularizer where there is one like it: they matter in training only."""
    if not isinstance(value, Mapping):
        return {name: value} if value in known else {}
    classes = {cls.__name__: cls for cls in known.values()}
    cls = classes.get(str(value.get("class_name")))
    if cls is None:
        return {}
    options = value.get("config") or {}
    kept = {key: options[key] for key in field_types(cls) if key in options}  # type: ignore[arg-type]
    try:
        return {name: build(cls, kept)}
    except GraphCNNError:
        return {}


def activation_of(value: Any) -> ActivationFunction | None:
    """The activation that Keras names or describes.

    Raises:
        GraphCNNError: There is none like it.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        kind, config = value.get("class_name"), value.get("config")
        layer = Layer(str(kind), str(kind), str(value.get("module") or ""), {}, ())
        if not isinstance(config, Mapping) or layer.is_foreign:
            raise _unknown_activation(value.get("registered_name") or config)
        layer = replace(layer, config=dict(config))
        if kind == "Activation":
            return activation_of(config.get("activation"))
        if kind not in OPS or not issubclass(OPS[str(kind)], ActivationFunction):
            raise _unknown_activation(kind)
        made: Op = build(OPS[str(kind)], fields_of(layer))
        assert isinstance(made, ActivationFunction)
        return made
    if not isinstance(value, str) or value not in FUNCTIONS:
        raise _unknown_activation(value)
    return ActivationFunction.decode(value)


def _unknown_activation(name: Any) -> ModelFileError:
    return ModelFileError(
        f"activation: {shorten(name)} is not known",
        hint=f"known: {', '.join(sorted(FUNCTIONS))}",
    )


def check_dtype(layer: Layer) -> None:
    """Refuse layers whose numbers are not float32.

    Raises:
        ModelFileError: With what they are.
    """
    policy = layer.config.get("dtype")
    if isinstance(policy, Mapping):
        config = policy.get("config")
        policy = config.get("name") if isinstance(config, Mapping) else policy.get("class_name")
    if policy in (None, "float32", "mixed_float16", "mixed_bfloat16"):
        return
    raise ModelFileError(
        f"its numbers are {shorten(policy)}, expected float32",
        hint="build the model under the policy float32 or mixed_float16, and copy the weights",
    )
