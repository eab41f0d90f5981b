"""Layers that join several values: arithmetic on equal shapes, and concatenation.

A size of 1 stretches to its partner's, so that a gate of one number a channel can multiply an
image.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import ne
from typing import Any, ClassVar, Literal

from graphcnn.errors import ShapeError
from graphcnn.types import FIRST, LAST, Dim, Layout, TensorType, sample_axis

from .forms import with_channels
from .op import (
    Cost,
    FollowOp,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
    own_position,
    register,
)
from .reduction import by_length, reduce

_SHORTEST = 1e-7
"""keras.backend.epsilon(): Dot divides vectors by at least this."""


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
        return own_position(inputs[0]) if len({x.spatial for x in inputs}) == 1 else None

    def lower(self, ctx: Lowering) -> str:
        total, *others = (with_channels(ctx, index) for index in range(len(ctx.operands)))
        stretches = len({x.spatial for x in ctx.inputs}) > 1
        apart = self.onnx == "Add" and stretches and not ctx.takes("an Add that stretches")
        for operand in others:
            if apart:
                total = ctx.emit("Sub", [total, ctx.emit("Neg", [operand])])
            else:
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
class Divide(Merge):
    """The first by the second. Source: keras.ops.divide."""

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    onnx: ClassVar[str] = "Div"


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
        of_channels = sample_axis(self.axis, inputs[0].rank) == len(inputs[0].sizes) - 1
        return own_position(inputs[0]) if of_channels else None

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


@register
class Dot(Op):
    """The products of vectors of two values, summed. Source: keras.layers.Dot.

    Two vectors give one number. Of two values of two sizes each, every vector of one along its
    axis meets every vector of the other: ``[a, k]`` and ``[b, k]`` give ``[a, b]``.
    """

    arity: ClassVar[tuple[int, int | None]] = (2, 2)
    wide: ClassVar[bool] = True
    axes: int | tuple[int, int]
    normalize: bool = False

    def _indices(self, inputs: Sequence[TensorType]) -> list[int]:
        """The axis of each input, as an index into its sizes."""
        axes = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        return [sample_axis(axis, x.rank) for axis, x in zip(axes, inputs, strict=True)]

    def infer(self, *inputs: TensorType) -> TensorType:
        ranks = {x.rank for x in inputs}
        if len(ranks) > 1 or not ranks <= {2, 3}:
            raise _unequal(inputs, "both have one size, or both have two")
        found = self._indices(inputs)
        if len({x.sizes[index] for x, index in zip(inputs, found, strict=True)}) > 1:
            raise _unequal(inputs, f"the axes that are multiplied ({self.axes}) must be equal")
        if ranks == {2}:
            return inputs[0].with_sizes([1])
        return inputs[0].with_sizes(
            [x.sizes[1 - index] for x, index in zip(inputs, found, strict=True)]
        )

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        length = inputs[0].sizes[self._indices(inputs)[0]]
        scaling = 3 * sum(x.elements for x in inputs) if self.normalize else 0
        return Cost(macs=length * output.elements, other=scaling)

    def place(self, value: Placement) -> Placed:
        """A matrix product wants the axis last in its first factor, and first in its second.

        It gives the result as it is of the inputs in order, and channels first of them swapped.
        """
        if value.output.rank == 2:
            return (LAST, LAST), LAST
        last = [LAST if index else FIRST for index in self._indices(value.inputs)]
        first = [FIRST if index else LAST for index in self._indices(value.inputs)]
        ways = (((first[0], last[1]), FIRST), ((last[0], first[1]), LAST))
        return min(ways, key=lambda way: sum(map(ne, way[0], value.layouts)))

    def lower(self, ctx: Lowering) -> str:
        operands = list(ctx.operands)
        axes = [
            layout.axis(index, x)
            for layout, index, x in zip(
                ctx.layouts, self._indices(ctx.inputs), ctx.inputs, strict=True
            )
        ]
        if self.normalize:
            pairs = enumerate(zip(operands, axes, strict=True))
            operands = [by_length(ctx, x, [axis], _SHORTEST, of=of) for of, (x, axis) in pairs]
        if ctx.output.rank == 2:
            return reduce(ctx, "ReduceSum", ctx.emit("Mul", operands), [1])
        return ctx.emit("MatMul", operands[::-1] if ctx.layout == FIRST else operands)


def _unequal(inputs: tuple[TensorType, ...], rule: str = "sizes must be equal, or 1") -> ShapeError:
    found = ", ".join(str(list(x.sizes)) for x in inputs)
    return ShapeError(f"shapes {found} do not fit together: {rule}")
