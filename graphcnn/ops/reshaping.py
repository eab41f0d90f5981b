"""Layers that move or drop elements: flatten, reshape, permute, pad, crop, upsample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from graphcnn.errors import OptionError, ShapeError
from graphcnn.types import FIRST, LAST, Dim, DType, Layout, TensorType, is_symbolic, product

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
    per_axis,
    register,
)
from .window import Pads, check_padding, explicit_pads


def same_order(x: TensorType) -> bool:
    """Whether channels first and channels last put the elements of a sample in one order."""
    return product(x.spatial) == 1 or x.channels == 1


class Rearrange(Op):
    """An operator that gives the elements another shape, in their logical order."""

    is_view: ClassVar[bool] = True
    any_dtype: ClassVar[bool] = True

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def place(self, value: Placement) -> Placed:
        (x,), (layout,), output = value.inputs, value.layouts, value.output
        if output.rank <= 2:
            return _place_flat(x, layout, value.absorbed)
        if x.rank <= 2:
            return (LAST,), FIRST if same_order(output) else LAST
        if layout == FIRST and x.channels == output.channels:
            return (FIRST,), FIRST
        if layout == FIRST and same_order(x):
            return (FIRST,), LAST
        return (LAST,), LAST

    def lower(self, ctx: Lowering) -> str:
        (x,), out = ctx.inputs, ctx.output
        if x.sizes == out.sizes:
            return ctx.operands[0]
        if out.rank == 2:
            return ctx.emit("Flatten", ctx.operands, axis=1)
        sizes = [-1 if is_symbolic(size) else size for size in ctx.layout.sizes(out)]
        return ctx.emit("Reshape", [*ctx.operands, ctx.constant([0, *sizes], DType.int64)])


def _place_flat(x: TensorType, layout: Layout, absorbed: bool) -> Placed:
    if x.rank <= 2:
        return (layout,), layout
    if same_order(x):
        return (layout,), LAST
    if layout == FIRST and absorbed and not x.symbolic:
        return (FIRST,), Layout(segments=(x.sizes,))
    return (LAST,), LAST


@register
class Flatten(Rearrange):
    """All elements of a sample in one axis. Source: keras.layers.Flatten."""

    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0].with_sizes([inputs[0].elements])


@register
class Reshape(Rearrange):
    """Another shape, in which one -1 stands for what is left. Source: keras.layers.Reshape."""

    target_shape: tuple[Annotated[int, Meta(ge=-1, lt=2**31)], ...]

    def check(self) -> None:
        if 0 in self.target_shape:
            raise OptionError("target_shape: sizes must not be 0", path=("target_shape",))
        if self.target_shape.count(-1) > 1:
            raise OptionError("target_shape: at most one size can be -1", path=("target_shape",))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        known = math.prod(size for size in self.target_shape if size != -1)
        left, open_ = x.elements, -1 in self.target_shape
        if isinstance(left, int) and (left % known if open_ else left != known):
            raise ShapeError(
                f"{list(x.sizes)} has {left} elements, "
                f"which do not fit into {list(self.target_shape)}"
                + ("" if open_ else f" of {known}")
            )
        if x.symbolic and not open_:
            raise ShapeError(f"{list(x.sizes)} has sizes that are not known", hint="use a -1")
        return x.with_sizes([left // known if s == -1 else s for s in self.target_shape])


@register
class Permute(Op):
    """Axes in another order, counted from 1. Source: keras.layers.Permute."""

    any_dtype: ClassVar[bool] = True
    dims: tuple[Size, ...]

    def check(self) -> None:
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise OptionError(
                f"dims: expected each of 1 to {len(self.dims)} once, found {list(self.dims)}",
                path=("dims",),
            )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if len(self.dims) != len(x.sizes):
            raise ShapeError(
                f"dims {list(self.dims)} names {len(self.dims)} axes, "
                f"and the input has {len(x.sizes)}: {list(x.sizes)}"
            )
        return x.with_sizes([x.sizes[dim - 1] for dim in self.dims])

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def place(self, value: Placement) -> Placed:
        (x,), (layout,) = value.inputs, value.layouts
        if x.rank <= 2:
            return (LAST,), LAST
        for candidate in (FIRST, LAST):
            if self._order(x, layout, value.output, candidate) == list(range(x.rank)):
                return (layout,), candidate
        return (layout,), layout

    def _order(self, x: TensorType, given: Layout, out: TensorType, wanted: Layout) -> list[int]:
        """Where each axis of the result lies in the input, both in memory order."""
        order = [0] * out.rank
        for index, dim in enumerate(self.dims):
            order[wanted.axis(index, out)] = given.axis(dim - 1, x)
        return order

    def lower(self, ctx: Lowering) -> str:
        order = self._order(ctx.inputs[0], ctx.layouts[0], ctx.output, ctx.layout)
        if order == list(range(len(order))):
            return ctx.operands[0]
        return ctx.emit("Transpose", ctx.operands, perm=order)


@dataclass(frozen=True, kw_only=True)
class ZeroPadding(FollowOp):
    """Zeros around the spatial axes."""

    spatial_axes: ClassVar[int]
    any_dtype: ClassVar[bool] = True
    padding: Pads = 1

    def check(self) -> None:
        check_padding(self.pads, self.spatial_axes)

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """The zeros before and after, by axis."""
        return margins(self.padding, self.spatial_axes)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        sizes = [n + b + a for n, (b, a) in zip(x.spatial, self.pads, strict=True)]
        return x.with_sizes([*sizes, x.channels])

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        shifts = [Fraction(-before) for before, _ in self.pads]
        return tuple(Reach(low=shift, high=shift) for shift in shifts)

    def lower(self, ctx: Lowering) -> str:
        amounts = [0] * 2 * ctx.output.rank
        for index, (before, after) in enumerate(self.pads):
            axis = ctx.layout.axis(index, ctx.output)
            amounts[axis], amounts[ctx.output.rank + axis] = before, after
        operands = [*ctx.operands, ctx.constant(amounts, DType.int64), ctx.constant(0.0)]
        return ctx.emit("Pad", operands, mode="constant")


@register
class ZeroPadding1D(ZeroPadding):
    """Zeros before and after the steps. Source: keras.layers.ZeroPadding1D."""

    spatial_axes: ClassVar[int] = 1


@register
class ZeroPadding2D(ZeroPadding):
    """Zeros around an image. Source: keras.layers.ZeroPadding2D."""

    spatial_axes: ClassVar[int] = 2


@register
class ZeroPadding3D(ZeroPadding):
    """Zeros around a volume. Source: keras.layers.ZeroPadding3D."""

    spatial_axes: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class Cropping(FollowOp):
    """The spatial axes without their margins."""

    spatial_axes: ClassVar[int]
    any_dtype: ClassVar[bool] = True
    cropping: Pads = 1

    def check(self) -> None:
        check_padding(self.crops, self.spatial_axes, "cropping")

    @property
    def crops(self) -> tuple[tuple[int, int], ...]:
        """The margins before and after, by axis."""
        return margins(self.cropping, self.spatial_axes)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        sizes = [n - b - a for n, (b, a) in zip(x.spatial, self.crops, strict=True)]
        if any(isinstance(size, int) and size < 1 for size in sizes):
            raise ShapeError(f"cropping {self.cropping} leaves nothing of {list(x.spatial)}")
        return x.with_sizes([*sizes, x.channels])

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        shifts = [Fraction(before) for before, _ in self.crops]
        return tuple(Reach(low=shift, high=shift) for shift in shifts)

    def lower(self, ctx: Lowering) -> str:
        axes = [ctx.layout.axis(index, ctx.output) for index in range(self.spatial_axes)]
        starts = [before for before, _ in self.crops]
        ends = [-after if after else 2**31 - 1 for _, after in self.crops]
        bounds = [ctx.constant(values, DType.int64) for values in (starts, ends, axes)]
        return ctx.emit("Slice", [*ctx.operands, *bounds])


@register
class Cropping1D(Cropping):
    """The steps without their margins. Source: keras.layers.Cropping1D."""

    spatial_axes: ClassVar[int] = 1


@register
class Cropping2D(Cropping):
    """An image without its margins. Source: keras.layers.Cropping2D."""

    spatial_axes: ClassVar[int] = 2


@register
class Cropping3D(Cropping):
    """A volume without its margins. Source: keras.layers.Cropping3D."""

    spatial_axes: ClassVar[int] = 3


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
        if self.linear:
            return tuple(map(_linear_reach, self.factors))
        return tuple(Reach(Fraction(1, f), Fraction(1 - f, f)) for f in self.factors)

    def lower(self, ctx: Lowering) -> str:
        scales = ctx.constant([1.0, 1.0, *map(float, self.factors)], DType.float32)
        form: dict[str, Any] = (
            {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
            if self.linear
            else {
                "mode": "nearest",
                "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor",
            }
        )
        return ctx.emit("Resize", [ctx.operands[0], "", scales], **form)


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


def _linear_reach(factor: int) -> Reach:
    """Half-pixel interpolation: the two nearest positions, or the one that is hit."""
    centre = Fraction(1 - factor, 2 * factor)
    widest = factor - 1 if factor % 2 else 2 * factor - 1
    half = Fraction(widest, factor if factor % 2 else 2 * factor)
    return Reach(Fraction(1, factor), centre - half, centre + half)


def margins(given: Any, axes: int) -> tuple[tuple[int, int], ...]:
    """Keras's margins: on one axis, a list of two numbers is before and after."""
    if axes == 1 and isinstance(given, tuple) and [type(m) for m in given] == [int, int]:
        return (given,)
    return explicit_pads(given, axes)
