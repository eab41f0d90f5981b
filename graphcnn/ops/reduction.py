"""Reductions over axes of a sample, and the helpers by which other layers reduce.

A reduction leaves a value as it lies: of ``[N, channels, height, width]`` in memory, what remains
is channels first where the channels remain, and in the logical order where they do not, so no data
moves for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from graphcnn.errors import ShapeError
from graphcnn.types import FIRST, LAST, DType, TensorType, is_symbolic, sample_axis

from .op import Cost, Lowering, Op, Placed, Placement, Reach, own_position, register

Axes = int | tuple[int, ...]
"""One axis or several, counted as Keras counts them: the batch is 0."""


def reduced_axes(axis: Axes | None, x: TensorType) -> tuple[int, ...]:
    """Axes as indices into the sample's sizes, in order; None is all of them.

    Raises:
        ShapeError: One is the batch, does not exist, or is there twice; or there are none.
    """
    if axis is None:
        return tuple(range(len(x.sizes)))
    given = (axis,) if isinstance(axis, int) else axis
    found = sorted(sample_axis(index, x.rank) for index in given)
    if not found or len(set(found)) < len(found):
        raise ShapeError(f"axis: expected different axes, at least one, found {list(given)}")
    return tuple(found)


def reduce(
    ctx: Lowering, op_type: str, x: str, axes: Sequence[int], *, keepdims: bool = True, of: int = 0
) -> str:
    """Emit a reduction over axes of the memory; opset 18 made the axes an input, 13 ReduceSum's.

    Args:
        ctx: The lowering.
        op_type: The reduction.
        x: What is reduced.
        axes: Where its axes lie in memory.
        keepdims: Whether they stay, at size 1.
        of: Which of the inputs `x` has the sizes of.
    """
    if len(axes) > 1 and not all(map(ctx.takes, _several(ctx, op_type, axes))):
        x, axes = reduce(ctx, op_type, x, axes[1:], keepdims=keepdims), axes[:1]
    if len(axes) == 1 and op_type == "ReduceSum" and not ctx.takes("ReduceSum of one axis"):
        size = ctx.layouts[of].sizes(ctx.inputs[of])[axes[0] - 1]
        if not is_symbolic(size):
            mean = reduce(ctx, "ReduceMean", x, axes, keepdims=keepdims)
            return ctx.emit("Mul", [mean, ctx.constant(size)])
    if ctx.opset < 18 and op_type != "ReduceSum":
        return ctx.emit(op_type, [x], axes=list(axes), keepdims=int(keepdims))
    return ctx.emit(op_type, [x, ctx.constant(list(axes), DType.int64)], keepdims=int(keepdims))


def _several(ctx: Lowering, op_type: str, axes: Sequence[int]) -> list[str]:
    """The forms that a reduction of several axes has."""
    forms = {
        "extremum of several axes": op_type in ("ReduceMax", "ReduceMin"),
        "reduction of everything": len(axes) == ctx.inputs[0].rank - 1,
    }
    return [name for name, held in forms.items() if held]


def memory_axes(ctx: Lowering, axes: Sequence[int]) -> list[int]:
    """Where axes of the first input lie in memory, in order."""
    return sorted(ctx.layouts[0].axis(index, ctx.inputs[0]) for index in axes)


def by_length(ctx: Lowering, x: str, axes: Sequence[int], shortest: float, *, of: int = 0) -> str:
    """Emit x by its Euclidean length over axes of the memory, never by less than `shortest`.

    `of` is which of the inputs `x` has the sizes of.
    """
    sizes = ctx.layouts[of].sizes(ctx.inputs[of])
    if all(sizes[axis - 1] == 1 for axis in axes):  # OpenCV 4.14 leaves this ReduceL2 out.
        length = ctx.emit("Abs", [x])
    elif ctx.opset < 18 or ctx.takes("axes of ReduceL2 as an input"):
        length = reduce(ctx, "ReduceL2", x, axes)
    else:
        squares = reduce(ctx, "ReduceSum", ctx.emit("Mul", [x, x]), axes, of=of)
        length = ctx.emit("Sqrt", [squares])
    return ctx.emit("Div", [x, ctx.emit("Max", [length, ctx.constant(shortest)])])


@dataclass(frozen=True, kw_only=True)
class Reduction(Op):
    """One number of all along some axes of each sample, or along all of them.

    The axes go away unless they are kept at size 1.
    """

    onnx: ClassVar[str]
    axis: Axes | None = None
    keepdims: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        axes = reduced_axes(self.axis, x)
        if self.keepdims:
            return x.with_sizes([1 if i in axes else size for i, size in enumerate(x.sizes)])
        return x.with_sizes([size for i, size in enumerate(x.sizes) if i not in axes])

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=inputs[0].elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        (x,) = inputs
        channels_alone = reduced_axes(self.axis, x) == (len(x.sizes) - 1,)
        return own_position(x) if channels_alone and self.keepdims else None

    def place(self, value: Placement) -> Placed:
        (x,), (layout,) = value.inputs, value.layouts
        layout = layout if x.rank > 2 else LAST
        channels_stay = self.keepdims or len(x.sizes) - 1 not in reduced_axes(self.axis, x)
        stays_first = layout == FIRST and channels_stay and value.output.rank > 2
        return (layout,), FIRST if stays_first else LAST

    def lower(self, ctx: Lowering) -> str:
        axes = memory_axes(ctx, reduced_axes(self.axis, ctx.inputs[0]))
        return reduce(ctx, self.onnx, ctx.operands[0], axes, keepdims=self.keepdims)


@register
class Mean(Reduction):
    """The mean over axes. Source: keras.ops.mean."""

    wide: ClassVar[bool] = True
    onnx: ClassVar[str] = "ReduceMean"


@register
class Sum(Reduction):
    """The sum over axes. Source: keras.ops.sum."""

    wide: ClassVar[bool] = True
    onnx: ClassVar[str] = "ReduceSum"


@register
class Max(Reduction):
    """The largest value over axes. Source: keras.ops.max."""

    onnx: ClassVar[str] = "ReduceMax"


@register
class Min(Reduction):
    """The smallest value over axes. Source: keras.ops.min."""

    onnx: ClassVar[str] = "ReduceMin"
