"""What Keras has as functions only, as layers and activations that it can save."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from graphcnn.engine import keras, tf
from graphcnn.ops import OPS, Clip, Divide, LocalResponseNormalization, Op, Power, Slice
from graphcnn.ops.pooling import MaxPooling, Pooling
from graphcnn.ops.reduction import Reduction
from graphcnn.options import field_values


@keras.saving.register_keras_serializable(package="graphcnn")
class ActivationWithOptions:
    """One of Keras's activations with options, which Keras can save.

    Args:
        name: What Keras calls it.
        options: Its options.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name, self.options = name, dict(options)

    def __call__(self, x: Any) -> Any:
        """Apply it."""
        home = keras.activations if hasattr(keras.activations, self.name) else keras.ops
        return getattr(home, self.name)(x, **self.options)

    def get_config(self) -> dict[str, Any]:
        """What it is made from."""
        return {"name": self.name, "options": self.options}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ActivationWithOptions:
        """Make it again."""
        return cls(**config)


def _padded(x: Any, pads: tuple[tuple[int, int], ...], value: float) -> Any:
    """A batch with a number around its spatial axes."""
    return keras.ops.pad(x, ((0, 0), *pads, (0, 0)), constant_values=value)


def _pooled(op: Any, x: Any) -> Any:
    """Pooling over windows that reach into pads of given sizes."""
    pads, window = op.window.pads(x.shape[1:-1]), (op.window.kernel, op.window.strides)
    if isinstance(op, MaxPooling):
        return keras.ops.max_pool(_padded(x, pads, -math.inf), *window)
    mean = keras.ops.average_pool(_padded(x, pads, 0), *window)
    if op.count_include_pad:
        return mean
    return mean / keras.ops.average_pool(_padded(keras.ops.ones_like(x), pads, 0), *window)


def _reduced(op: Any, x: Any) -> Any:
    """A reduction, whose axes do not hold the batch."""
    axis = tuple(range(1, len(x.shape))) if op.axis is None else op.axis
    return getattr(keras.ops, op.title.lower())(x, axis=axis, keepdims=op.keepdims)


def _sliced(op: Any, x: Any) -> Any:
    """A part of one axis."""
    index: list[Any] = [slice(None)] * len(x.shape)
    index[op.axis] = slice(op.start, op.stop, op.step)
    return x[tuple(index)]


def _clipped(op: Any, x: Any) -> Any:
    """Bounds, of which one may be missing."""
    low = -math.inf if op.min_value is None else op.min_value
    return keras.ops.clip(x, low, math.inf if op.max_value is None else op.max_value)


_CALLS: dict[Any, Callable[[Any, Any], Any]] = {
    LocalResponseNormalization: lambda op, x: tf.nn.local_response_normalization(
        x, **field_values(op)
    ),
    Pooling: _pooled,
    Reduction: _reduced,
    Slice: _sliced,
    Clip: _clipped,
    Power: lambda op, x: keras.ops.power(x, op.exponent),
    Divide: lambda op, x: keras.ops.divide(*x),
}
"""What an operator does to a batch, by its class or a base of it, where Keras has no layer."""


@keras.saving.register_keras_serializable(package="graphcnn")
class Operation(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """An operator that Keras has no layer for, as a layer.

    Args:
        title: What the model file calls the operator.
        fields: Its fields.
        options: What `keras.layers.Layer` takes.
    """

    def __init__(self, title: str, fields: Mapping[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.title, self.fields = title, dict(fields)

    def call(self, x: Any) -> Any:
        """Compute it of a batch, channels last, or of several."""
        op = OPS[self.title](**self.fields)
        return next(call for kind, call in _CALLS.items() if isinstance(op, kind))(op, x)

    def get_config(self) -> dict[str, Any]:
        """What the layer is made from."""
        return {**super().get_config(), "title": self.title, "fields": self.fields}


@keras.saving.register_keras_serializable(package="graphcnn")
class ChannelScale(keras.layers.Layer):  # type: ignore[misc]  # keras is untyped
    """Each channel times a learned number."""

    def build(self, input_shape: Any) -> None:
        """Make the numbers."""
        self.gamma = self.add_weight(shape=input_shape[-1:], name="gamma")

    def call(self, x: Any) -> Any:
        """Scale a batch."""
        return x * self.gamma


@keras.saving.register_keras_serializable(package="graphcnn")
class SampleDropout(keras.layers.Dropout):  # type: ignore[misc]  # keras is untyped
    """Dropout of whole samples."""

    def build(self, input_shape: Any) -> None:
        """Draw one number a sample."""
        self.noise_shape = (None, *(1,) * (len(input_shape) - 1))
        super().build(input_shape)


def is_operation(op: Op) -> bool:
    """Whether Keras has no layer for an operator with these fields."""
    if isinstance(op, Pooling):
        return not isinstance(op.padding, str) or getattr(op, "count_include_pad", False)
    return isinstance(op, tuple(_CALLS))
