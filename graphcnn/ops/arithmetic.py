"""Arithmetic on each element with fixed numbers, and with one number a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta

from graphcnn.errors import OptionError, ShapeError
from graphcnn.initializers import Constant
from graphcnn.types import TensorType
from graphcnn.weights import WeightSpec

from .activations import ActivationFunction
from .affine import AffineOp
from .forms import power
from .op import Cost, FollowOp, Lowering, Size, known_channels, register

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Finite = Annotated[float, Meta(ge=-3e38, le=3e38)]


@register
class Power(ActivationFunction):
    """``x ** exponent``; NaN below zero unless the exponent is whole. Source: keras.ops.power."""

    exponent: Finite

    @property
    def non_negative(self) -> bool:  # type: ignore[override]  # here the exponent says
        return self.exponent % 2 == 0

    def apply(self, ctx: Lowering, x: str) -> str:
        return power(ctx, x, self.exponent)


@register
class Clip(ActivationFunction):
    """x, cut to what lies between two bounds; either may be left out. Source: keras.ops.clip."""

    min_value: Finite | None = None
    max_value: Finite | None = None
    steps: ClassVar[int] = 2

    def check(self) -> None:
        low, high = self.min_value, self.max_value
        if low is None and high is None:
            raise OptionError("neither min_value nor max_value is given", path=("min_value",))
        if low is not None and high is not None and low > high:
            raise OptionError(
                f"min_value: expected at most max_value, which is {high}, found {low}",
                path=("min_value",),
            )

    @property
    def non_negative(self) -> bool:  # type: ignore[override]  # here the bound says
        return self.min_value is not None and self.min_value >= 0

    def apply(self, ctx: Lowering, x: str) -> str:
        if self.min_value is None:
            return ctx.emit("Min", [x, ctx.constant(self.max_value)])
        if self.max_value is None:
            return ctx.emit("Max", [x, ctx.constant(self.min_value)])
        return ctx.emit("Clip", [x, ctx.constant(self.min_value), ctx.constant(self.max_value)])


@register
class LayerScale(AffineOp, FollowOp):
    """Each channel times a learned number. Source: keras.applications.convnext, Touvron 2021."""

    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"
    init_values: float
    projection_dim: Size

    @property
    def shifts(self) -> bool:
        return False

    def scale_shift(self, channels: int, **weights: Array) -> tuple[Array, Array]:
        import numpy as np

        return weights["gamma"], np.zeros(())

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if known_channels(x) != self.projection_dim:
            raise ShapeError(
                f"projection_dim is {self.projection_dim}, and the input has {x.channels} channels"
            )
        return x

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        return {"gamma": WeightSpec((self.projection_dim,), Constant(value=self.init_values))}

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=output.elements)

    def lower(self, ctx: Lowering) -> str:
        return ctx.emit("Mul", [ctx.operands[0], ctx.broadcast("gamma")])
