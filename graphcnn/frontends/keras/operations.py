"""Keras's operations on tensors as operators of the graph.

Keras 3 has a class for each (``keras.src.ops``), whose options and arguments go by one list of
names here. Keras 2 names functions of TensorFlow instead; `TENSORFLOW` says which class each is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphcnn.errors import ModelFileError
from graphcnn.options import shorten

from .arithmetic import arithmetic, cast, clip, function, reduction, same
from .config import Call, Layer, Ref
from .indexing import (
    concatenate,
    expand,
    get_item,
    pad,
    reshape,
    slice_,
    spatial,
    split,
    squeeze,
    transpose,
)
from .steps import Results, Rule, Step, Value

_FUNCTIONS = ("TFOpLambda", "SlicingOpLambda")
"""The classes that Keras 2 gives to functions of TensorFlow."""


def call_operation(step: Step, layer: Layer, call: Call, values: Mapping[Ref, Value]) -> Results:
    """Add the nodes of one call of an operation.

    Args:
        step: Where to.
        layer: The operation.
        call: Its arguments.
        values: The tensors among them.

    Raises:
        GraphCNNError: It is not supported, or its arguments do not fit.
    """
    (names, rule), renamed = operation_of(layer)
    given = {key: value for key, value in layer.config.items() if key != "name"}
    if layer.kind in _FUNCTIONS:
        given = {}
    if len(call.args) > len(names):
        raise ModelFileError(f"takes {len(names)} arguments, found {len(call.args)}")
    given |= dict(zip(names, call.args, strict=False))
    given |= {renamed.get(key, key): value for key, value in call.kwargs.items() if key != "name"}
    for key in given.keys() - {*names}:
        if given[key] not in (None, False):
            raise ModelFileError(f"{key}={shorten(given[key])} is not supported")
    held = {name: _held(given.get(name), values) for name in names}
    return rule(step, {key: value for key, value in held.items() if value is not None})


def operation_of(layer: Layer) -> tuple[tuple[tuple[str, ...], Rule], dict[str, str]]:
    """The names of an operation's arguments and its rule, and other names for the arguments.

    Raises:
        ModelFileError: It is not supported.
    """
    kind, renamed = layer.kind, dict[str, str]()
    if kind in _FUNCTIONS:
        function = str(layer.config.get("function"))
        if function not in TENSORFLOW:
            raise ModelFileError(f"the function tf.{shorten(function)[1:-1]} is not supported")
        kind, renamed = TENSORFLOW[function]
    if kind not in OPERATIONS:
        raise ModelFileError("the operation is not supported", hint=f"known: {_KNOWN}")
    return OPERATIONS[kind], renamed


def _held(value: Any, values: Mapping[Ref, Value]) -> Any:
    """An argument with values in the place of tensors."""
    if isinstance(value, list):
        return [_held(item, values) for item in value]
    return values[value] if isinstance(value, Ref) else value


_TWO = ("x1", "x2")
_REDUCED = ("x", "axis", "keepdims")
_RESIZED = ("interpolation", "antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio")
_POOLED = ("x", "pool_size", "strides", "padding", "data_format")

OPERATIONS: dict[str, tuple[tuple[str, ...], Rule]] = {
    **{kind: (_TWO, arithmetic(kind)) for kind in ("Add", "Subtract", "Multiply", "Divide")},
    **{kind: (_TWO, arithmetic(kind)) for kind in ("Power", "Maximum", "Minimum")},
    "TrueDivide": (_TWO, arithmetic("Divide")),
    **{
        kind: (("x",), function(name))
        for kind, name in {
            "Abs": "abs",
            "Absolute": "abs",
            "Erf": "erf",
            "Exp": "exp",
            "HardSigmoid": "hard_sigmoid",
            "HardSilu": "hard_silu",
            "HardTanh": "hard_tanh",
            "Log": "log",
            "LogSigmoid": "log_sigmoid",
            "Negative": "negative",
            "Reciprocal": "reciprocal",
            "Relu": "relu",
            "Relu6": "relu6",
            "Rsqrt": "rsqrt",
            "Selu": "selu",
            "Sigmoid": "sigmoid",
            "Silu": "silu",
            "Softplus": "softplus",
            "Softsign": "softsign",
            "Sqrt": "sqrt",
            "Square": "square",
            "Tanh": "tanh",
        }.items()
    },
    "Celu": (("x", "alpha"), function("celu", "alpha")),
    "Elu": (("x", "alpha"), function("elu", "alpha")),
    "Gelu": (("x", "approximate"), function("gelu", "approximate", approximate=True)),
    "LeakyRelu": (
        ("x", "negative_slope"),
        function("leaky_relu", "negative_slope", negative_slope=0.2),
    ),
    "LogSoftmax": (("x", "axis"), function("log_softmax", "axis")),
    "Softmax": (("x", "axis"), function("softmax", "axis")),
    **{kind: (_REDUCED, reduction(kind)) for kind in ("Mean", "Sum", "Max", "Min")},
    "Amax": (_REDUCED, reduction("Max")),
    "Amin": (_REDUCED, reduction("Min")),
    "Cast": (("x", "dtype"), cast),
    "Clip": (("x", "x_min", "x_max"), clip),
    "Concatenate": (("xs", "axis"), concatenate),
    "Copy": (("x",), same),
    "ExpandDims": (("x", "axis"), expand),
    "GetItem": (("x", "key"), get_item),
    "Pad": (("x", "pad_width", "mode", "constant_values"), pad),
    "Reshape": (("x", "newshape"), reshape),
    "Slice": (("x", "start_indices", "shape"), slice_),
    "Split": (("x", "indices_or_sections", "axis", "sizes"), split),
    "Squeeze": (("x", "axis"), squeeze),
    "StopGradient": (("x",), same),
    "Transpose": (("x", "axes"), transpose),
    "AveragePool": (_POOLED, spatial("AveragePooling{}D", *_POOLED[1:4])),
    "MaxPool": (_POOLED, spatial("MaxPooling{}D", *_POOLED[1:4])),
    "Resize": (
        ("x", "size", *_RESIZED, "fill_mode", "fill_value", "data_format"),
        spatial("Resizing", *_RESIZED),
    ),
}
"""The names of an operation's arguments in Keras's order, and what it becomes.

Options that are not among the names must be off.
"""

_KNOWN = ", ".join(sorted(OPERATIONS))

_XY = {"x": "x1", "y": "x2"}
_INPUT = {"input_tensor": "x", "features": "x", "input": "x", "logits": "x", "a": "x"}

TENSORFLOW: dict[str, tuple[str, dict[str, str]]] = {
    "__operators__.add": ("Add", _XY),
    "__operators__.getitem": ("GetItem", {"slice_spec": "key"}),
    "cast": ("Cast", {}),
    "clip_by_value": ("Clip", {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "concat": ("Concatenate", {}),
    "expand_dims": ("ExpandDims", _INPUT),
    "identity": ("Copy", _INPUT),
    "image.resize": ("Resize", {"method": "interpolation"}),
    "math.abs": ("Abs", {}),
    "math.add": ("Add", _XY),
    "math.divide": ("Divide", _XY),
    "math.exp": ("Exp", {}),
    "math.log": ("Log", {}),
    "math.maximum": ("Maximum", _XY),
    "math.minimum": ("Minimum", _XY),
    "math.multiply": ("Multiply", _XY),
    "math.negative": ("Negative", {}),
    "math.pow": ("Power", _XY),
    "math.reduce_max": ("Max", _INPUT),
    "math.reduce_mean": ("Mean", _INPUT),
    "math.reduce_min": ("Min", _INPUT),
    "math.reduce_sum": ("Sum", _INPUT),
    "math.rsqrt": ("Rsqrt", {}),
    "math.sigmoid": ("Sigmoid", {}),
    "math.softplus": ("Softplus", _INPUT),
    "math.sqrt": ("Sqrt", {}),
    "math.square": ("Square", {}),
    "math.subtract": ("Subtract", _XY),
    "math.tanh": ("Tanh", {}),
    "math.truediv": ("Divide", _XY),
    "nn.elu": ("Elu", _INPUT),
    "nn.leaky_relu": ("LeakyRelu", {**_INPUT, "alpha": "negative_slope"}),
    "nn.log_softmax": ("LogSoftmax", _INPUT),
    "nn.relu": ("Relu", _INPUT),
    "nn.relu6": ("Relu6", _INPUT),
    "nn.selu": ("Selu", _INPUT),
    "nn.silu": ("Silu", _INPUT),
    "nn.softmax": ("Softmax", _INPUT),
    "pad": ("Pad", {"paddings": "pad_width"}),
    "reshape": ("Reshape", {"shape": "newshape"}),
    "split": ("Split", {"num_or_size_splits": "sizes"}),
    "squeeze": ("Squeeze", _INPUT),
    "stop_gradient": ("StopGradient", _INPUT),
    "transpose": ("Transpose", {"perm": "axes"}),
}
"""TensorFlow's functions in Keras 2's files: the operation, and its names for arguments."""
