"""Pooling over windows and over everything.

Beyond Keras, pads may be numbers, as those of convolutions. `MaxPooling` never takes a pad for the
largest value, and `AveragePooling` does not count pads unless `count_include_pad` says so. Pads
that differ before and after are written as a Pad, a plain average and, for each axis, a
multiplication by :math:`k / c`, where :math:`c` of the window's :math:`k` taps lie inside the
input: some runtimes refuse uneven pads on AveragePool. Pads that count are a Pad and a plain
average: some get AveragePool's own wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from graphcnn.errors import OptionError
from graphcnn.types import TensorType, is_symbolic

from .forms import padded, pooling_input
from .op import (
    Cost,
    Lowering,
    Reach,
    Sizes,
    SpatialOp,
    check_axes,
    check_rank,
    per_axis,
    register,
)
from .window import Padding, Window, check_padding

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Pooling(SpatialOp):
    """A reduction over each window; the strides are the window's own size unless given."""

    spatial_axes: ClassVar[int]
    pool_size: Sizes = 2
    strides: Sizes | None = None
    padding: Padding = "valid"

    def check(self) -> None:
        check_axes(self, self.spatial_axes, "pool_size", "strides")
        check_padding(self.padding, self.spatial_axes)
        if isinstance(self.padding, str):
            return
        sides = zip(self.window.pads(()), self.window.kernel, strict=True)
        if any(max(pads) >= size for pads, size in sides):
            raise OptionError(
                f"padding: expected less than the window {list(self.window.kernel)}, so that each "
                f"has some of the input in it, found {self.padding}",
                path=("padding",),
            )

    @property
    def window(self) -> Window:
        """The window with one entry an axis."""
        strides = self.pool_size if self.strides is None else self.strides
        return Window(
            per_axis(self.pool_size, self.spatial_axes),
            per_axis(strides, self.spatial_axes),
            (1,) * self.spatial_axes,
            self.padding,
        )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        return x.with_sizes((*self.window.output(x.spatial), x.channels))

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=math.prod(self.window.kernel) * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return self.window.reach(inputs[0].spatial)


class MaxPooling(Pooling):
    """The largest value in each window."""

    def lower(self, ctx: Lowering) -> str:
        attributes = self.window.attributes(ctx.inputs[0].spatial)
        return ctx.emit("MaxPool", [pooling_input(ctx, attributes)], **attributes)


@register
class MaxPooling1D(MaxPooling):
    """The largest value in each window of steps. Source: keras.layers.MaxPooling1D."""

    spatial_axes: ClassVar[int] = 1


@register
class MaxPooling2D(MaxPooling):
    """The largest value in each window. Source: keras.layers.MaxPooling2D."""

    spatial_axes: ClassVar[int] = 2


@register
class MaxPooling3D(MaxPooling):
    """The largest value in each window of a volume. Source: keras.layers.MaxPooling3D."""

    spatial_axes: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class AveragePooling(Pooling):
    """The mean of each window, pads left out unless they are counted as zeros."""

    count_include_pad: bool = False

    def lower(self, ctx: Lowering) -> str:
        (x,), sizes = ctx.operands, ctx.inputs[0].spatial
        attributes = self.window.attributes(sizes)
        pads = self.window.pads(sizes)
        uneven = any(before != after for before, after in pads)
        known = not any(map(is_symbolic, sizes))
        if not any(map(any, pads)) or not (self.count_include_pad or (uneven and known)):
            return ctx.emit("AveragePool", [x], count_include_pad=0, **attributes)
        x = padded(ctx, x, attributes["pads"])
        attributes["pads"] = [0] * 2 * self.spatial_axes
        mean = ctx.emit("AveragePool", [x], count_include_pad=0, **attributes)
        if self.count_include_pad:
            return mean
        for axis in range(self.spatial_axes):
            if any(pads[axis]):
                correction = ctx.constant(self._correction(ctx, axis, pads[axis]))
                mean = ctx.emit("Mul", [mean, correction])
        return mean

    def _correction(
        self, ctx: Lowering, axis: int, pads: tuple[int, int]
    ) -> np.ndarray[Any, np.dtype[Any]]:
        """A window's taps over those inside the input, along one axis, shaped to broadcast."""
        import numpy as np

        size, (before, after) = ctx.inputs[0].spatial[axis], pads
        kernel, stride = self.window.kernel[axis], self.window.strides[axis]
        starts = np.arange(0, size + before + after - kernel + 1, stride) - before
        inside = np.minimum(starts + kernel, size) - np.maximum(starts, 0)
        return (kernel / inside).reshape(-1, *(1,) * (self.spatial_axes - 1 - axis))


@register
class AveragePooling1D(AveragePooling):
    """The mean of each window of steps. Source: keras.layers.AveragePooling1D."""

    spatial_axes: ClassVar[int] = 1


@register
class AveragePooling2D(AveragePooling):
    """The mean of each window. Source: keras.layers.AveragePooling2D."""

    spatial_axes: ClassVar[int] = 2


@register
class AveragePooling3D(AveragePooling):
    """The mean of each window of a volume. Source: keras.layers.AveragePooling3D."""

    spatial_axes: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class GlobalPooling(SpatialOp):
    """A reduction over all spatial axes, which go away unless they are kept at size 1."""

    spatial_axes: ClassVar[int]
    onnx: ClassVar[str]
    keepdims: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        kept = (1,) * self.spatial_axes if self.keepdims else ()
        return x.with_sizes((*kept, x.channels))

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=inputs[0].elements)

    def lower(self, ctx: Lowering) -> str:
        pooled = ctx.emit(self.onnx, [ctx.operands[0]])
        return pooled if self.keepdims else ctx.emit("Flatten", [pooled], axis=1)


class GlobalMaxPooling(GlobalPooling):
    """The largest value of each channel."""

    onnx: ClassVar[str] = "GlobalMaxPool"


class GlobalAveragePooling(GlobalPooling):
    """The mean of each channel."""

    wide: ClassVar[bool] = True
    onnx: ClassVar[str] = "GlobalAveragePool"


@register
class GlobalMaxPooling1D(GlobalMaxPooling):
    """The largest value of each channel. Source: keras.layers.GlobalMaxPooling1D."""

    spatial_axes: ClassVar[int] = 1


@register
class GlobalMaxPooling2D(GlobalMaxPooling):
    """The largest value of each channel. Source: keras.layers.GlobalMaxPooling2D."""

    spatial_axes: ClassVar[int] = 2


@register
class GlobalMaxPooling3D(GlobalMaxPooling):
    """The largest value of each channel. Source: keras.layers.GlobalMaxPooling3D."""

    spatial_axes: ClassVar[int] = 3


@register
class GlobalAveragePooling1D(GlobalAveragePooling):
    """The mean of each channel. Source: keras.layers.GlobalAveragePooling1D."""

    spatial_axes: ClassVar[int] = 1


@register
class GlobalAveragePooling2D(GlobalAveragePooling):
    """The mean of each channel. Source: keras.layers.GlobalAveragePooling2D."""

    spatial_axes: ClassVar[int] = 2


@register
class GlobalAveragePooling3D(GlobalAveragePooling):
    """The mean of each channel. Source: keras.layers.GlobalAveragePooling3D."""

    spatial_axes: ClassVar[int] = 3
