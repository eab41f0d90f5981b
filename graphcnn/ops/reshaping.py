"""Layers that move or drop elements: flatten, reshape, permute, pad, crop, slice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from graphcnn.errors import OptionError, ShapeError
from graphcnn.types import (
    FIRST,
    LAST,
    Dim,
    DType,
    Layout,
    TensorType,
    is_symbolic,
    product,
    sample_axis,
)

from .forms import padded
from .op import (
    Cost,
    FollowOp,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
    Size,
    check_rank,
    register,
)
from .pooling import MaxPooling
from .window import Pads, check_padding, explicit_pads

Index = Annotated[int, Meta(gt=-(2**31), lt=2**31)]
_END = 2**31 - 1
"""More than any index."""


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
        if x.sizes == output.sizes:
            return (layout,), layout
        if layout == FIRST and x.channels == output.channels:
            return (FIRST,), FIRST
        either = FIRST if same_order(output) else LAST
        return (FIRST if layout == FIRST and same_order(x) else LAST,), either

    def lower(self, ctx: Lowering) -> str:
        (x,), out = ctx.inputs, ctx.output
        if ctx.layouts[0].sizes(x) == ctx.layout.sizes(out):
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
            if self.order(x, layout, value.output, candidate) == list(range(x.rank)):
                return (layout,), candidate
        return (layout,), layout

    def order(self, x: TensorType, given: Layout, out: TensorType, wanted: Layout) -> list[int]:
        """Where each axis of the result lies in the input, both in memory order."""
        order = [0] * out.rank
        for index, dim in enumerate(self.dims):
            order[wanted.axis(index, out)] = given.axis(dim - 1, x)
        return order

    def lower(self, ctx: Lowering) -> str:
        order = self.order(ctx.inputs[0], ctx.layouts[0], ctx.output, ctx.layout)
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
        if not ctx.takes("Pad") and ctx.output.dtype.is_float:
            return self._portable(ctx)
        amounts = [0] * 2 * ctx.output.rank
        for index, (before, after) in enumerate(self.pads):
            axis = ctx.layout.axis(index, ctx.output)
            amounts[axis], amounts[ctx.output.rank + axis] = before, after
        operands = [*ctx.operands, ctx.constant(amounts, DType.int64), ctx.constant(_zero(ctx))]
        return ctx.emit("Pad", operands, mode="constant")

    def _portable(self, ctx: Lowering) -> str:
        """The forms that take no Pad are of values that are channels first."""
        (x,), befores, afters = ctx.operands, *zip(*self.pads, strict=True)
        if ctx.layout == FIRST:
            return padded(ctx, x, [*befores, *afters])
        last = ctx.output.rank - 1
        x = ctx.emit("Transpose", [x], perm=[0, last, *range(1, last)])
        x = padded(ctx, x, [*befores, *afters])
        return ctx.emit("Transpose", [x], perm=[0, *range(2, last + 1), 1])


def _zero(ctx: Lowering) -> float:
    """What to pad with. Before a maximum it is the smallest number above zero.

    onnxruntime (1.31) and onnx's optimizer take a Pad of zero for the pads of a MaxPool after it,
    which are minus infinity.
    """
    if ctx.output.dtype.is_float and any(isinstance(user, MaxPooling) for user in ctx.users):
        import numpy as np

        return float(np.finfo(ctx.output.dtype.numpy).smallest_subnormal)
    return 0.0


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


@register
class Slice(FollowOp):
    """A part of one axis, as Python's ``start:stop:step``. Source: keras.ops.slice, Python.

    The axis is counted as Keras counts it: the batch is 0.
    """

    any_dtype: ClassVar[bool] = True
    axis: int
    start: Index | None = None
    stop: Index | None = None
    step: Index = 1

    def check(self) -> None:
        if self.step == 0:
            raise OptionError("step: expected any number but 0", path=("step",))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        index = sample_axis(self.axis, x.rank)
        sizes = list(x.sizes)
        sizes[index] = self._size(sizes[index])
        return x.with_sizes(sizes)

    def _size(self, size: Dim) -> Dim:
        start, stop = self.start or 0, self.stop or 0
        if not is_symbolic(size):
            taken = len(range(size)[self.start : self.stop : self.step])
            if not taken:
                raise ShapeError(f"[{self._spelled}] takes nothing of a size of {size}")
            return taken
        if self.step == 1 and start >= 0 and (self.stop is None or stop < 0):
            return size - start + stop
        raise ShapeError(
            f"how much [{self._spelled}] takes of a size of {size} is not known",
            hint="give the size as a number, or start from the front, stop from the end, step by 1",
        )

    @property
    def _spelled(self) -> str:
        ends = ("" if end is None else str(end) for end in (self.start, self.stop))
        return f"{':'.join(ends)}:{self.step}"

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        (x,) = inputs
        index = sample_axis(self.axis, x.rank)
        reaches = [Reach()] * len(x.spatial)
        if index == len(reaches):
            return tuple(reaches)
        size = x.sizes[index]
        if is_symbolic(size) or self.step < 0:
            return None
        first = Fraction(range(size)[self.start : self.stop : self.step][0])
        reaches[index] = Reach(Fraction(self.step), first, first)
        return tuple(reaches)

    def lower(self, ctx: Lowering) -> str:
        ends = (0, _END) if self.step > 0 else (_END, -_END - 1)
        bounds = [e if g is None else g for g, e in zip((self.start, self.stop), ends, strict=True)]
        axis = ctx.layout.axis(sample_axis(self.axis, ctx.output.rank), ctx.output)
        numbers = [ctx.constant([n], DType.int64) for n in (*bounds, axis, self.step)]
        return ctx.emit("Slice", [*ctx.operands, *numbers])


def margins(given: Any, axes: int) -> tuple[tuple[int, int], ...]:
    """Keras's margins: on one axis, a list of two numbers is before and after."""
    if axes == 1 and isinstance(given, tuple) and [type(m) for m in given] == [int, int]:
        return (given,)
    return explicit_pads(given, axes)
