"""Operators that graphs hold and model files do not name: the inputs, and changes of layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from graphcnn.types import DType, Layout, TensorType

from .op import (
    Cost,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
)
from .reshaping import same_order


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
        return (Reach(),) * len(inputs[0].spatial)

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
