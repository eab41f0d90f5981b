r"""Layers that repeat, interpolate or take the middle.

Resizing follows Keras, which is TensorFlow with pixels as areas: position :math:`p` of :math:`m`
stands for :math:`(p + 1/2) n / m - 1/2` of :math:`n`. Bilinear interpolation weighs the two
neighbours of that, and nearest takes the position :math:`\lfloor (p + 1/2) n / m \rfloor`. Where
nearest is not a whole repetition its positions are worked out here, in float32 as TensorFlow does
it (what is 2 may come out as 1.9999999), and written as numbers: runtimes round ties in different
ways.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

from graphcnn.errors import OptionError, ShapeError
from graphcnn.types import FIRST, LAST, Dim, DType, TensorType, is_symbolic

from .forms import selected
from .op import (
    Cost,
    FollowOp,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
    Size,
    Sizes,
    SpatialOp,
    check_axes,
    check_rank,
    known_channels,
    per_axis,
    register,
)
from .reshaping import Cropping2D


@dataclass(frozen=True, kw_only=True)
class UpSampling(SpatialOp):
    """Spatial axes made longer by whole factors."""

    spatial_axes: ClassVar[int]
    size: Sizes = 2

    def check(self) -> None:
        check_axes(self, self.spatial_axes, "size")

    @property
    def factors(self) -> tuple[int, ...]:
        """The factor of each spatial axis."""
        return per_axis(self.size, self.spatial_axes)

    @property
    def linear(self) -> bool:
        """Whether values are interpolated rather than repeated."""
        return False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        sizes: list[Dim] = [n * f for n, f in zip(x.spatial, self.factors, strict=True)]
        return x.with_sizes([*sizes, x.channels])

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=(9 if self.linear else 0) * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return tuple(_reach(Fraction(1, factor), self.linear) for factor in self.factors)

    def lower(self, ctx: Lowering) -> str:
        return resize(
            ctx, ctx.operands[0], [1.0, 1.0, *map(float, self.factors)], linear=self.linear
        )


@register
class UpSampling1D(UpSampling):
    """Steps repeated. Source: keras.layers.UpSampling1D."""

    spatial_axes: ClassVar[int] = 1


@register
class UpSampling2D(UpSampling):
    """An image enlarged. Source: keras.layers.UpSampling2D."""

    spatial_axes: ClassVar[int] = 2
    interpolation: Literal["nearest", "bilinear"] = "nearest"

    @property
    def linear(self) -> bool:
        return self.interpolation == "bilinear"


@register
class UpSampling3D(UpSampling):
    """A volume repeated. Source: keras.layers.UpSampling3D."""

    spatial_axes: ClassVar[int] = 3


@register
class Resizing(SpatialOp):
    """An image of another height and width. Source: keras.layers.Resizing."""

    height: Size
    width: Size
    interpolation: Literal["nearest", "bilinear"] = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    antialias: bool = False

    def check(self) -> None:
        reasons = {
            "crop_to_aspect_ratio": ("what it cuts is a layer of its own", "a Cropping2D before"),
            "pad_to_aspect_ratio": ("what it pads is a layer of its own", "a ZeroPadding2D after"),
            "antialias": (
                "ONNX has it from opset 18 on only, and few runtimes have it",
                "an AveragePooling2D before it smooths",
            ),
        }
        for name, (reason, hint) in reasons.items():
            if getattr(self, name):
                raise OptionError(f"{name} is not supported: {reason}", path=(name,), hint=hint)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        _known_image(x)
        return x.with_sizes((self.height, self.width, x.channels))

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=(9 if self.interpolation == "bilinear" else 0) * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        linear = self.interpolation == "bilinear"
        return tuple(_reach(Fraction(n, m), linear) for n, m in self._pairs(inputs[0]))

    def _pairs(self, x: TensorType) -> list[tuple[int, int]]:
        """The size before and after, by axis."""
        return list(zip(x.spatial, (self.height, self.width), strict=True))

    def lower(self, ctx: Lowering) -> str:
        (x,) = ctx.operands
        pairs = self._pairs(ctx.inputs[0])
        if self.interpolation == "bilinear" or all(m % n == 0 for n, m in pairs):
            scales = [1.0, 1.0, *(_scale(n, m) for n, m in pairs)]
            return resize(ctx, x, scales, linear=self.interpolation == "bilinear")
        for axis, (n, m) in enumerate(pairs, start=2):
            if n != m:
                x = selected(ctx, x, axis, _nearest(n, m))
        return x


@register
class CenterCrop(FollowOp):
    """The middle of an image. Source: keras.layers.CenterCrop."""

    any_dtype: ClassVar[bool] = True
    height: Size
    width: Size

    def _cropping(self, x: TensorType) -> Cropping2D:
        """The margins, of which the odd pixel is after."""
        _known_image(x)
        extra = [n - m for n, m in zip(x.spatial, (self.height, self.width), strict=True)]
        if min(extra) < 0:
            found = "x".join(map(str, x.spatial))
            raise ShapeError(
                f"{self.height}x{self.width} is more than the input's {found}",
                hint="Keras resizes such an image: a Resizing before it",
            )
        return Cropping2D(cropping=tuple((more // 2, more - more // 2) for more in extra))

    def infer(self, *inputs: TensorType) -> TensorType:
        return self._cropping(*inputs).infer(*inputs)

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return self._cropping(*inputs).reach(*inputs)

    def lower(self, ctx: Lowering) -> str:
        return self._cropping(*ctx.inputs).lower(ctx)


@register
class RepeatVector(Op):
    """A vector at each of n steps. Source: keras.layers.RepeatVector."""

    any_dtype: ClassVar[bool] = True
    n: Size

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.rank != 2:
            raise ShapeError(f"expected an input of one size, found {list(x.sizes)}")
        return x.with_sizes((self.n, known_channels(x)))

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def place(self, value: Placement) -> Placed:
        return (LAST,), FIRST

    def lower(self, ctx: Lowering) -> str:
        column = ctx.constant([0, known_channels(ctx.output), 1], DType.int64)
        steps = ctx.emit("Reshape", [*ctx.operands, column])
        if ctx.takes("Expand") or ctx.output.dtype != DType.float32:
            return ctx.emit("Expand", [steps, ctx.constant([1, 1, self.n], DType.int64)])
        return ctx.emit("Mul", [steps, ctx.constant([1.0] * self.n)])


def resize(ctx: Lowering, x: str, scales: list[float], *, linear: bool) -> str:
    """Emit a Resize in the forms that runtimes agree on: half-pixel linear, or repetition."""
    sizes = ctx.inputs[0].spatial
    narrow = linear and 1 in sizes and not ctx.takes("linear Resize of one row or column")
    if narrow and set(sizes) == {1}:
        linear = False  # Of one number both are the same.
    form = (
        {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        if linear
        else {
            "mode": "nearest",
            "coordinate_transformation_mode": "asymmetric",
            "nearest_mode": "floor",
        }
    )
    if narrow and linear:
        axis = 2 + sizes.index(1)
        x = ctx.emit("Concat", [x, x], axis=axis)
        scales = [s / 2 if place == axis else s for place, s in enumerate(scales)]
    return ctx.emit("Resize", [x, "", ctx.constant(scales, DType.float32)], **form)


def _scale(before: int, after: int) -> float:
    """What to multiply a size by, rounded up: Resize rounds the product down."""
    import numpy as np

    scale = np.float32(after / before)
    low = Fraction(float(scale)) < Fraction(after, before)
    return float(np.nextafter(scale, np.float32(np.inf)) if low else scale)


def _nearest(before: int, after: int) -> Any:
    """The position that each position of the result is taken from."""
    import numpy as np

    step = np.float32(before) / np.float32(after)
    found = np.floor((np.arange(after, dtype=np.float32) + np.float32(0.5)) * step)
    return np.minimum(found, before - 1)


def _reach(step: Fraction, linear: bool) -> Reach:
    """The neighbours of a position, or the one it is in; they repeat with the denominator."""
    half = Fraction(1, 2)
    lows, highs = [], []
    for position in range(step.denominator):
        centre = (position + half) * step - (half if linear else 0)
        lows.append(math.floor(centre) - step * position)
        highs.append((math.ceil if linear else math.floor)(centre) - step * position)
    return Reach(step, min(lows), max(highs))


def _known_image(x: TensorType) -> None:
    check_rank(x, 2)
    if any(map(is_symbolic, x.spatial)):
        raise ShapeError(
            f"the height and width of the input must be known, found {list(x.spatial)}",
            hint="give them as numbers, or use an UpSampling2D or a Cropping2D",
        )
