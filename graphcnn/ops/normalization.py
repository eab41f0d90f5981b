r"""Normalization layers, at inference.

Batch normalization: :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta` with stored
statistics (Ioffe and Szegedy 2015). Layer normalization: the same with statistics of each sample
over the normalized axes (Ba et al. 2016). Local response normalization divides each element by
:math:`(k + \alpha \sum_{|j| \le r} x_{c+j}^2)^\beta` over neighbouring channels (Krizhevsky et al.
2012), with TensorFlow's arguments: the sum is not divided by its length.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from graphcnn.errors import ShapeError
from graphcnn.initializers import Initializer, Ones, Zeros
from graphcnn.regularizers import Regularizer
from graphcnn.types import FIRST, DType, TensorType, sample_axis
from graphcnn.weights import WeightSpec

from .op import (
    Cost,
    FollowOp,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
    Size,
    SpatialOp,
    known_channels,
    register,
)


@register
class BatchNormalization(Op):
    """Scale and shift by stored statistics. Source: keras.layers.BatchNormalization."""

    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"
    axis: int = -1
    momentum: float = 0.99
    epsilon: Annotated[float, Meta(ge=0)] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer = Zeros()
    gamma_initializer: Initializer = Ones()
    moving_mean_initializer: Initializer = Zeros()
    moving_variance_initializer: Initializer = Ones()
    beta_regularizer: Regularizer | None = None
    gamma_regularizer: Regularizer | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        check_channel_axis(self.axis, inputs[0])
        return inputs[0]

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        shape = (known_channels(inputs[0]),)
        return {
            **({"gamma": WeightSpec(shape, self.gamma_initializer)} if self.scale else {}),
            **({"beta": WeightSpec(shape, self.beta_initializer)} if self.center else {}),
            "moving_mean": WeightSpec(shape, self.moving_mean_initializer, trainable=False),
            "moving_variance": WeightSpec(shape, self.moving_variance_initializer, trainable=False),
        }

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=2 * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return (Reach(),) * len(inputs[0].spatial)

    def place(self, value: Placement) -> Placed:
        layout = FIRST if value.output.rank > 2 else value.layouts[0]
        return (layout,), layout

    def lower(self, ctx: Lowering) -> str:
        channels = known_channels(ctx.output)
        vector = ctx.weight if ctx.output.rank > 2 else ctx.broadcast
        gamma = vector("gamma") if self.scale else ctx.constant([1.0] * channels)
        beta = vector("beta") if self.center else ctx.constant([0.0] * channels)
        statistics = [vector("moving_mean"), vector("moving_variance")]
        operands = [ctx.operands[0], gamma, beta, *statistics]
        return ctx.emit("BatchNormalization", operands, epsilon=self.epsilon)


@register
class LayerNormalization(FollowOp):
    """Scale and shift by each sample's own statistics. Source: keras.layers.LayerNormalization.

    The axes must be the last ones; the default is the channels.
    """

    axis: int | tuple[int, ...] = -1
    epsilon: Annotated[float, Meta(ge=0)] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer = Zeros()
    gamma_initializer: Initializer = Ones()
    beta_regularizer: Regularizer | None = None
    gamma_regularizer: Regularizer | None = None

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The normalized axes as indices into the sample's sizes, in order.

        Raises:
            ShapeError: They are not the last axes.
        """
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        found = tuple(sorted({sample_axis(axis, x.rank) for axis in axes}))
        last = tuple(range(len(x.sizes) - len(axes), len(x.sizes)))
        if found != last or not found:
            raise ShapeError(
                f"axis {self.axis} is not the last axis or axes of a value of rank {x.rank}",
                hint="axis: -1 normalizes the channels, [-3, -2, -1] an image",
            )
        return found

    def infer(self, *inputs: TensorType) -> TensorType:
        self.axes(inputs[0])
        return inputs[0]

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        shape = tuple(x.sizes[axis] for axis in self.axes(x))
        return {
            **({"gamma": WeightSpec(shape, self.gamma_initializer)} if self.scale else {}),
            **({"beta": WeightSpec(shape, self.beta_initializer)} if self.center else {}),
        }

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=8 * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        (x,) = inputs
        if len(self.axes(x)) > 1:
            return None
        return (Reach(),) * len(x.spatial) or None

    def lower(self, ctx: Lowering) -> str:
        (x,) = ctx.operands
        axes = [ctx.layout.axis(index, ctx.output) for index in self.axes(ctx.output)]
        centred = ctx.emit("Sub", [x, reduce_mean(ctx, x, axes)])
        variance = reduce_mean(ctx, ctx.emit("Pow", [centred, ctx.constant(2.0)]), axes)
        shifted = ctx.emit("Add", [variance, ctx.constant(self.epsilon)])
        y = ctx.emit("Div", [centred, ctx.emit("Sqrt", [shifted])])
        if self.scale:
            y = ctx.emit("Mul", [y, ctx.broadcast("gamma")])
        return ctx.emit("Add", [y, ctx.broadcast("beta")]) if self.center else y


@register
class LocalResponseNormalization(SpatialOp):
    """Divide by the energy of the neighbouring channels. Source: tf.nn.lrn, AlexNet."""

    depth_radius: Size = 5
    bias: Annotated[float, Meta(gt=0)] = 1.0
    alpha: Annotated[float, Meta(gt=0)] = 1.0
    beta: Annotated[float, Meta(gt=0)] = 0.5

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if x.rank != 4:
            raise ShapeError(
                f"expected an input of height, width and channels, found {list(x.sizes)}"
            )
        return x

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=(2 * (2 * self.depth_radius + 1) + 4) * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return (Reach(),) * 2

    def lower(self, ctx: Lowering) -> str:
        size = 2 * self.depth_radius + 1
        return ctx.emit(
            "LRN",
            ctx.operands,
            size=size,
            alpha=self.alpha * size,
            beta=self.beta,
            bias=self.bias,
        )


def check_channel_axis(axis: int, x: TensorType) -> None:
    """Refuse any axis but the channels.

    Raises:
        ShapeError: With the axis that was found.
    """
    if sample_axis(axis, x.rank) != len(x.sizes) - 1:
        raise ShapeError(
            f"axis {axis} is not the channels, which are the last axis of {list(x.sizes)}",
            hint="axis: -1",
        )


def reduce_mean(ctx: Lowering, x: str, axes: list[int]) -> str:
    """The mean over axes, kept at size 1; opset 18 made the axes an input."""
    if ctx.opset < 18:
        return ctx.emit("ReduceMean", [x], axes=axes, keepdims=1)
    return ctx.emit("ReduceMean", [x, ctx.constant(axes, DType.int64)], keepdims=1)
