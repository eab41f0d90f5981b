"""Operators that graphs hold and model files do not name: inputs, and what passes make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from graphcnn.initializers import Ones, Zeros
from graphcnn.types import DType, Layout, TensorType
from graphcnn.weights import WeightSpec

from .affine import AffineOp
from .op import (
    Cost,
    FollowOp,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
    known_channels,
    own_position,
)
from .reshaping import same_order

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Input(Op):
    """A value that the caller provides.

    Attributes:
        shape: The sizes of one sample, channels last.
        dtype: The element type.
    """

    arity: ClassVar[tuple[int, int | None]] = (0, 0)
    shape: tuple[Any, ...]
    dtype: DType = DType.float32

    def infer(self, *inputs: TensorType) -> TensorType:
        return TensorType(self.shape, self.dtype)

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return (Reach(),) * (len(self.shape) - 1)

    def lower(self, ctx: Lowering) -> str:
        raise NotImplementedError("inputs are declared by the builder")


@dataclass(frozen=True, kw_only=True)
class ChangeLayout(Op):
    """The same value in another layout, as the layout pass needs it.

    Attributes:
        channels_first: Whether the result is channels first; its input is the opposite.
    """

    any_dtype: ClassVar[bool] = True
    channels_first: bool

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return own_position(inputs[0])

    def place(self, value: Placement) -> Placed:
        return value.layouts, Layout(channels_first=self.channels_first)

    def lower(self, ctx: Lowering) -> str:
        """A Transpose, or a Reshape where the elements are in the same order both ways."""
        (x,) = ctx.inputs
        if same_order(x) and not x.symbolic:
            sizes = ctx.constant([0, *ctx.layout.sizes(x)], DType.int64)
            return ctx.emit("Reshape", [*ctx.operands, sizes])
        last = x.rank - 1
        order = [0, last, *range(1, last)] if self.channels_first else [0, *range(2, x.rank), 1]
        return ctx.emit("Transpose", ctx.operands, perm=order)


@dataclass(frozen=True, kw_only=True)
class Cast(FollowOp):
    """The same numbers in another element type.

    Attributes:
        dtype: The type of the result.
    """

    any_dtype: ClassVar[bool] = True
    dtype: DType

    def infer(self, *inputs: TensorType) -> TensorType:
        return TensorType(inputs[0].sizes, self.dtype)

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def lower(self, ctx: Lowering) -> str:
        return ctx.emit("Cast", ctx.operands, to=self.dtype.onnx)


@dataclass(frozen=True, kw_only=True)
class ScaleShift(AffineOp, FollowOp):
    """``a * x + b`` with weights for both, as passes make it of several layers.

    Attributes:
        scales: Whether there is an `a`.
        shifts: Whether there is a `b`.
        divides: Whether no `a` is 0.
    """

    scales: bool = True
    shifts: bool = True
    divides: bool = False

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        shape = (known_channels(inputs[0]),)
        return {
            **({"scale": WeightSpec(shape, Ones())} if self.scales else {}),
            **({"shift": WeightSpec(shape, Zeros())} if self.shifts else {}),
        }

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=(self.scales + self.shifts) * output.elements)

    def scale_shift(self, channels: int, **weights: Array) -> tuple[Array, Array]:
        import numpy as np

        one, zero = np.ones(channels), np.zeros(channels)
        return weights.get("scale", one), weights.get("shift", zero)

    def lower(self, ctx: Lowering) -> str:
        (x,) = ctx.operands
        if self.scales:
            x = ctx.emit("Mul", [x, ctx.broadcast("scale")])
        return ctx.emit("Add", [x, ctx.broadcast("shift")]) if self.shifts else x
