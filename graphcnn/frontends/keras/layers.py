"""Keras's layers as operators of the graph: most by their options alone, some by a rule.

Which order of the axes a layer wants of its inputs follows from its options: those with a
``data_format`` want the channels where it says, those that work element by element take any order,
and the others want Keras's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphcnn.errors import ModelFileError
from graphcnn.keras_file import printable
from graphcnn.ops import OPS, ActivationFunction, Op
from graphcnn.ops.activations import AxisFunction, PReLU
from graphcnn.ops.merging import Merge
from graphcnn.options import shorten

from .config import Call, Layer, Ref
from .options import fields_of, own_keys
from .steps import Step, Value, operator

Fields = dict[str, Any]
Rule = Callable[[Step, Layer], Value]

_IDENTITIES = {
    *("AugMix", "CutMix", "MixUp", "RandAugment", "RandomColorDegeneration", "RandomColorJitter"),
    *("RandomElasticTransform", "RandomErasing", "RandomGaussianBlur", "RandomGrayscale"),
    *("RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization"),
    *("RandomSaturation", "RandomSharpness", "RandomShear"),
}
"""Layers that pass their input on at inference, and have no operator. Source: Keras 3.15."""


def check_call(call: Call, older: bool) -> None:
    """Refuse arguments of a layer's call that change what it does.

    Keras 3 tells each layer that it is not training, whatever it was called with; Keras 2 does not.

    Args:
        call: The call.
        older: Whether Keras 2 or earlier wrote it.

    Raises:
        ModelFileError: With the argument.
    """
    for name, value in call.kwargs.items():
        given = [value] if name != "mask" or not isinstance(value, list) else value
        if isinstance(value, Ref) and name in ("inputs", "x", "input"):
            continue
        if name == "training" and not older:
            continue
        if any(item not in (None, False) for item in given):
            raise ModelFileError(f"is called with {name}={shorten(value)}, which is not supported")
    if any(item is not None for item in call.args[1:]):
        raise ModelFileError("is called with several arguments", hint="give it a list of tensors")


def check_known(layer: Layer) -> None:
    """Refuse a layer that there is no rule and no operator for.

    Raises:
        ModelFileError: With what an operator for it would need.
    """
    if _rule_of(layer):
        return
    if layer.kind not in OPS or (layer.is_foreign and _is_own(OPS[layer.kind])):
        raise _unsupported(layer)


def check_layer(layer: Layer) -> None:
    """Refuse a layer that there is no rule and no operator for, or whose options are wrong.

    Raises:
        GraphCNNError: With what an operator for it would need.
    """
    check_known(layer)
    if not _rule_of(layer):
        operator(layer.kind, fields_of(layer))
    elif layer.kind in OPS:
        fields_of(layer)


def call_layer(step: Step, layer: Layer) -> Value:
    """Add the nodes of one call of a layer that `check_known` lets pass.

    Raises:
        GraphCNNError: Its options are wrong, or its inputs do not fit.
    """
    if rule := _rule_of(layer):
        return rule(step, layer)
    cls, fields = OPS[layer.kind], fields_of(layer)
    values = step.inputs
    if cls.training_only or _is_elementwise(cls):
        values = step.alike(values)
    elif layer.config.get("data_format") == "channels_first":
        values = tuple(map(step.channels_last, values))
        return step.finish(layer.kind, _on_channels(fields, step, values[0]), *values, first=True)
    else:
        values = tuple(map(step.last, values))
    return step.finish(layer.kind, fields, *values, first=any(value.first for value in values))


def _rule_of(layer: Layer) -> Rule | None:
    return None if layer.is_foreign else RULES.get(layer.kind)


def _unsupported(layer: Layer) -> ModelFileError:
    """Says that there is no operator for a layer, and what one would need."""
    if layer.kind == "Lambda":
        return ModelFileError(
            "is Python code, which is never run here",
            hint="write it with keras.ops, or as a class of its own and an operator of that name",
        )
    fields = printable(", ".join(own_keys(layer)), 500) or "(none)"
    return ModelFileError(
        "there is no operator for it",
        hint=f"@graphcnn.register a class {printable(layer.kind)}(Op) with the fields "
        f"{fields}, and weights() in the order of Keras's; see "
        "examples/custom_operator.py",
    )


def _is_own(cls: type[Op]) -> bool:
    return cls.__module__.startswith("graphcnn.")


def _is_elementwise(cls: type[Op]) -> bool:
    return issubclass(cls, ActivationFunction) and not issubclass(cls, (AxisFunction, PReLU))


def _on_channels(fields: Fields, step: Step, value: Value) -> Fields:
    """The fields with the axis of an activation as the graph numbers it."""
    activation = fields.get("activation")
    if isinstance(activation, PReLU) and value.first:
        raise ModelFileError(
            "its activation is a PReLU, whose weights Keras has channels first",
            hint="make it a layer of its own: PReLU()(Conv2D(8, 3)(x))",
        )
    if isinstance(activation, AxisFunction):
        axis = step.axis(value, activation.axis)
        return {**fields, "activation": type(activation)(axis=axis)}
    return fields


def _identity(step: Step, layer: Layer) -> Value:
    (value,) = step.inputs
    return step.finish("Activation", {"activation": "linear"}, value, first=value.first)


def _random_crop(step: Step, layer: Layer) -> Value:
    """Keras 2 crops and resizes at inference, Keras 3 does not: alike where the sizes are right."""
    (value,) = step.inputs
    height, width = layer.config["height"], layer.config["width"]
    if step.type(value).spatial != (height, width):
        raise ModelFileError(
            f"makes {height}x{width} of {list(step.sizes(value))} at inference in Keras 2, and "
            "nothing in Keras 3",
            hint="save the model without it, or with CenterCrop or Resizing in its place",
        )
    return _identity(step, layer)


def _flatten(step: Step, layer: Layer) -> Value:
    (value,) = step.inputs
    is_first = layer.config.get("data_format") == "channels_first"
    value = step.channels_last(value) if is_first else step.last(value)
    return step.finish("Flatten", {}, value, first=False)


def _channel_axis(step: Step, layer: Layer) -> Value:
    """A layer that works along one axis, which can be made the last."""
    (value,) = step.inputs
    fields = fields_of(layer)
    axes = fields.get("axis", -1)
    axes = axes if isinstance(axes, list) else [axes]
    if len(axes) != 1 or axes == [None]:
        value = step.last(value)
        fields["axis"] = None if layer.kind == "Normalization" and not axes else axes[0]
        if len(axes) > 1:
            fields["axis"] = [step.axis(value, axis) for axis in axes]
    else:
        value = step.with_channels(value, axes[0])
        fields["axis"] = step.axis(value, axes[0])
    if layer.kind == "Normalization":
        fields |= {k: _numbers(fields[k]) for k in ("mean", "variance") if fields.get(k)}
    return step.finish(layer.kind, fields, value, first=value.first)


def _numbers(value: Any) -> Any:
    """Nested lists as one list, or the number that is alone in them."""
    while isinstance(value, list) and len(value) == 1:
        (value,) = value
    return value


def _any_axis(step: Step, layer: Layer) -> Value:
    """A layer that works along any axis."""
    values = step.alike(step.inputs)
    fields = fields_of(layer)
    fields["axis"] = step.axis(values[0], fields.get("axis", -1))
    return step.finish(layer.kind, fields, *values, first=values[0].first)


def _activation(step: Step, layer: Layer) -> Value:
    (value,) = step.inputs
    fields = fields_of(layer)
    if isinstance(fields["activation"], PReLU):
        value = step.last(value)
    return step.finish("Activation", _on_channels(fields, step, value), value, first=value.first)


def _merge(step: Step, layer: Layer) -> Value:
    """Keras gives values of fewer axes new ones behind the batch."""
    values = step.inputs
    ranks = {step.type(value).rank for value in values}
    if len(ranks) == 1:
        values = step.alike(values)
    else:
        values = tuple(_widened(step, step.last(value), max(ranks)) for value in values)
    return step.finish(layer.kind, fields_of(layer), *values, first=values[0].first)


def _widened(step: Step, value: Value, rank: int) -> Value:
    missing = rank - step.type(value).rank
    if not missing:
        return value
    sizes = [*(1,) * missing, *step.known_sizes(value)]
    return step.add("reshaped", "Reshape", {"target_shape": sizes}, value)


def _permute(step: Step, layer: Layer) -> Value:
    return permuted(step, step.inputs[0], list(fields_of(layer)["dims"]))


def permuted(step: Step, value: Value, dims: list[int]) -> Value:
    """The value with Keras's axes in another order, counted from 1.

    Where that only moves the channels from the front to the end or back, the node stays.
    """
    axes = len(step.type(value).sizes)
    if sorted(dims) != list(range(1, axes + 1)):
        raise ModelFileError(f"puts axes in the order {shorten(dims)}, and there are {axes}")
    if value.first:
        dims = [axes if dim == 1 else dim - 1 for dim in dims]
    if dims == list(range(1, axes + 1)):
        return Value(value.name)
    if not value.first and dims == [axes, *range(1, axes)]:
        return Value(value.name, True)
    return step.finish("Permute", {"dims": dims}, Value(value.name), first=False)


def _rescaling(step: Step, layer: Layer) -> Value:
    """Numbers by channel belong to Keras's last axis."""
    (value,) = step.inputs
    fields = {k: _numbers(v) if k != "name" else v for k, v in fields_of(layer).items()}
    if any(isinstance(number, list) for number in fields.values()):
        value = step.last(value)
    return step.finish("Rescaling", fields, value, first=value.first)


def _custom_scale(step: Step, layer: Layer) -> Value:
    """``x0 + scale * x1``. Source: keras.applications.inception_resnet_v2.CustomScaleLayer."""
    first, second = step.alike(step.inputs)
    scaled = step.add("scaled", "Rescaling", {"scale": layer.config["scale"]}, second)
    return step.finish("Add", {}, first, scaled, first=first.first)


RULES: dict[str, Rule] = {
    **dict.fromkeys(_IDENTITIES, _identity),
    "Activation": _activation,
    "BatchNormalization": _channel_axis,
    "Concatenate": _any_axis,
    "CustomScaleLayer": _custom_scale,
    "Flatten": _flatten,
    "GroupNormalization": _channel_axis,
    "Identity": _identity,
    "LayerNormalization": _channel_axis,
    "Normalization": _channel_axis,
    "Permute": _permute,
    "RandomCrop": _random_crop,
    "Rescaling": _rescaling,
    "Softmax": _any_axis,
    "UnitNormalization": _any_axis,
    **{kind: _merge for kind, cls in OPS.items() if issubclass(cls, Merge)},
}
"""The layers that their options alone do not say everything of."""
