"""Layers that join several values: arithmetic on equal shapes, and concatenation.

A size of 1 stretches to its partner's, so that a gate of one number a channel can multiply an
image.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from graphcnn.errors import ShapeError
from graphcnn.types import LAST, Dim, Layout, TensorType, sample_axis

from .op import (
    Cost,
    FollowOp,
    Lowering,
    Placed,
    Placement,
    Reach,
    register,
)


class Merge(FollowOp):
    """A function of the elements in the same place of every input."""

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    onnx: ClassVar[str]

    def infer(self, *inputs: TensorType) -> TensorType:
        if len({x.rank for x in inputs}) > 1:
            raise _unequal(inputs)
        return inputs[0].with_sizes(
            [self._size(inputs, axis) for axis in range(len(inputs[0].sizes))]
        )

    def _size(self, inputs: tuple[TensorType, ...], axis: int) -> Dim:
        sizes = {x.sizes[axis] for x in inputs} - {1}
        if len(sizes) > 1:
            raise _unequal(inputs)
        return sizes.pop() if sizes else 1

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=(len(inputs) - 1) * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        if len({x.spatial for x in inputs}) > 1:
            return None
        return (Reach(),) * len(inputs[0].spatial)

    def lower(self, ctx: Lowering) -> str:
        total = ctx.operands[0]
        for operand in ctx.operands[1:]:
            total = ctx.emit(self.onnx, [total, operand])
        return total


@register
class Add(Merge):
    """The sum. Source: keras.layers.Add."""

    onnx: ClassVar[str] = "Add"


@register
class Subtract(Merge):
    """The first less the second. Source: keras.layers.Subtract."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    onnx: ClassVar[str] = "Sub"


@register
class Multiply(Merge):
    """The product. Source: keras.layers.Multiply."""

    onnx: ClassVar[str] = "Mul"


@register
class Maximum(Merge):
    """The largest. Source: keras.layers.Maximum."""

    onnx: ClassVar[str] = "Max"


@register
class Minimum(Merge):
    """The smallest. Source: keras.layers.Minimum."""

    onnx: ClassVar[str] = "Min"


@register
class Average(Merge):
    """The mean. Source: keras.layers.Average."""

    onnx: ClassVar[str] = "Add"

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=len(inputs) * output.elements)

    def lower(self, ctx: Lowering) -> str:
        total = super().lower(ctx)
        return ctx.emit("Mul", [total, ctx.constant(1 / len(ctx.operands))])


@register
class Concatenate(FollowOp):
    """The inputs one after another along an axis. Source: keras.layers.Concatenate."""

    arity: ClassVar[tuple[int, int | None]] = (2, None)
    any_dtype: ClassVar[bool] = True
    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"
    axis: int = -1

    def infer(self, *inputs: TensorType) -> TensorType:
        if len({x.rank for x in inputs}) > 1:
            raise _unequal(inputs, "all sizes but the one joined must be equal")
        axis = sample_axis(self.axis, inputs[0].rank)
        others = {(*x.sizes[:axis], *x.sizes[axis + 1 :]) for x in inputs}
        if len(others) > 1:
            raise _unequal(inputs, f"all sizes but the one joined (axis {self.axis}) must be equal")
        sizes = list(inputs[0].sizes)
        sizes[axis] = sum(x.sizes[axis] for x in inputs)
        return inputs[0].with_sizes(sizes)

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        if sample_axis(self.axis, inputs[0].rank) != len(inputs[0].sizes) - 1:
            return None
        return (Reach(),) * len(inputs[0].spatial)

    def place(self, value: Placement) -> Placed:
        if value.output.rank > 2:
            return super().place(value)
        if all(layout == LAST for layout in value.layouts):
            return value.layouts, LAST
        pieces: list[Any] = []
        for x, layout in zip(value.inputs, value.layouts, strict=True):
            pieces.extend(layout.segments or (x.sizes,))
        return value.layouts, Layout(segments=tuple(pieces))

    def lower(self, ctx: Lowering) -> str:
        index = sample_axis(self.axis, ctx.output.rank)
        return ctx.emit("Concat", ctx.operands, axis=ctx.layout.axis(index, ctx.output))


def _unequal(inputs: tuple[TensorType, ...], rule: str = "sizes must be equal, or 1") -> ShapeError:
    found = ", ".join(str(list(x.sizes)) for x in inputs)
    return ShapeError(f"shapes {found} do not fit together: {rule}")
