"""Scaling of inputs, as part of the model: what runs the file feeds it raw pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from graphcnn.errors import OptionError, ShapeError
from graphcnn.initializers import Ones, Zeros
from graphcnn.types import DType, TensorType
from graphcnn.weights import WeightSpec

from .affine import AffineOp
from .op import Cost, FollowOp, Lowering, known_channels, register

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

PerChannel = float | tuple[float, ...]

_SMALLEST_DEVIATION = 1e-7
"""keras.backend.epsilon(): Normalization divides by at least this."""


class Pointwise(AffineOp, FollowOp):
    """A few operations on each element, with numbers that may differ by channel."""

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=2 * output.elements)


@register
class Rescaling(Pointwise):
    """``x * scale + offset``. Source: keras.layers.Rescaling."""

    scale: PerChannel
    offset: PerChannel = 0.0

    @property
    def reordering(self) -> Literal["absorbs", "passes", "refuses"]:  # type: ignore[override]
        """One number for all channels is right in any order of the elements."""
        return (
            "refuses"
            if isinstance(self.scale, tuple) or isinstance(self.offset, tuple)
            else "passes"
        )

    @property
    def scales(self) -> bool:
        return self.scale != 1

    @property
    def shifts(self) -> bool:
        return self.offset != 0

    @property
    def divides(self) -> bool:
        return self.scale != 0 if isinstance(self.scale, float) else 0 not in self.scale

    def scale_shift(self, channels: int, **weights: Array) -> tuple[Array, Array]:
        import numpy as np

        return np.asarray(self.scale, np.float64), np.asarray(self.offset, np.float64)

    def infer(self, *inputs: TensorType) -> TensorType:
        check_per_channel(inputs[0], scale=self.scale, offset=self.offset)
        return inputs[0]

    def lower(self, ctx: Lowering) -> str:
        (x,) = ctx.operands
        if self.scale != 1:
            x = ctx.emit("Mul", [x, ctx.channel_constant(self.scale)])
        if self.offset != 0:
            x = ctx.emit("Add", [x, ctx.channel_constant(self.offset)])
        return x


@register
class Normalization(Pointwise):
    """``(x - mean) / sqrt(variance)``, by channel. Source: keras.layers.Normalization.

    Without `mean` and `variance` they are weights, with the count of samples that they came from.
    """

    axis: Literal[-1] | None = -1
    mean: PerChannel | None = None
    variance: PerChannel | None = None
    invert: bool = False

    def check(self) -> None:
        if (self.mean is None) != (self.variance is None):
            raise OptionError("mean and variance are given together, or neither", path=("mean",))
        variances = (self.variance,) if isinstance(self.variance, float) else self.variance
        if any(v < 0 for v in variances or ()):
            raise OptionError(
                f"variance: expected no negative number, found {self.variance}", path=("variance",)
            )

    def infer(self, *inputs: TensorType) -> TensorType:
        given = {"mean": self.mean, "variance": self.variance}
        check_per_channel(inputs[0], **{k: v for k, v in given.items() if v is not None})
        return inputs[0]

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        if self.mean is not None:
            return {}
        shape = () if self.axis is None else (known_channels(inputs[0]),)
        return {
            "mean": WeightSpec(shape, Zeros(), trainable=False),
            "variance": WeightSpec(shape, Ones(), trainable=False),
            "count": WeightSpec((), Zeros(), trainable=False, dtype=DType.int32),
        }

    @property
    def divides(self) -> bool:
        return True

    def scale_shift(self, channels: int, **weights: Array) -> tuple[Array, Array]:
        import numpy as np

        mean = weights.get("mean", np.asarray(self.mean))
        deviation = Deviation()(weights.get("variance", np.asarray(self.variance)))
        return (deviation, mean) if self.invert else (1 / deviation, -mean / deviation)

    def lower(self, ctx: Lowering) -> str:
        import numpy as np

        (x,) = ctx.operands
        if self.mean is None:
            mean = ctx.broadcast("mean")
            deviation = ctx.broadcast("variance", Deviation())
        else:
            mean = ctx.channel_constant(self.mean)
            deviation = ctx.channel_constant(Deviation()(np.asarray(self.variance)))
        if self.invert:
            return ctx.emit("Add", [ctx.emit("Mul", [x, deviation]), mean])
        return ctx.emit("Div", [ctx.emit("Sub", [x, mean]), deviation])


@dataclass(frozen=True, slots=True)
class Deviation:
    """The standard deviation of a variance, never so small that dividing by it overflows."""

    def __call__(self, variance: Array) -> Array:
        """Its square root, bounded from below."""
        import numpy as np

        return np.maximum(np.sqrt(variance), _SMALLEST_DEVIATION)


def check_per_channel(x: TensorType, **values: PerChannel) -> None:
    """Refuse lists that do not have one number for each channel.

    Raises:
        ShapeError: Naming the field.
    """
    for name, value in values.items():
        if isinstance(value, tuple) and len(value) != known_channels(x):
            raise ShapeError(
                f"{name} has {len(value)} numbers, and the input has {x.channels} channels"
            )
