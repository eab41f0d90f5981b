r"""Normalization layers, at inference.

Batch normalization: :math:`y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta` with stored
statistics (Ioffe and Szegedy 2015). Layer normalization: the same with statistics of each sample
over the normalized axes (Ba et al. 2016). Group normalization: over the positions and the channels
of a group (Wu and He 2018). Root mean square normalization:
:math:`y = s x / \sqrt{\overline{x^2} + \epsilon}` (Zhang and Sennrich 2019). Unit normalization
divides by the Euclidean length. Local response normalization divides each element by
:math:`(k + \alpha \sum_{|j| \le r} x_{c+j}^2)^\beta` over neighbouring channels (Krizhevsky et al.
2012), with TensorFlow's arguments: the sum is not divided by its length.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import Meta

from graphcnn.errors import OptionError, ShapeError
from graphcnn.initializers import Initializer, Ones, Zeros
from graphcnn.regularizers import Regularizer
from graphcnn.types import FIRST, Dim, DType, TensorType, sample_axis
from graphcnn.weights import WeightSpec

from .affine import AffineOp
from .forms import is_function
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
    own_position,
    register,
)
from .reduction import Axes, by_length, memory_axes, reduce, reduced_axes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@register
class BatchNormalization(AffineOp):
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

    def scale_shift(self, channels: int, **weights: Array) -> tuple[Array, Array]:
        import numpy as np

        a = weights.get("gamma", 1.0) / np.sqrt(weights["moving_variance"] + self.epsilon)
        return a, weights.get("beta", 0.0) - a * weights["moving_mean"]

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return own_position(inputs[0])

    def place(self, value: Placement) -> Placed:
        layout = FIRST if value.output.rank > 2 else value.layouts[0]
        return (layout,), layout

    def lower(self, ctx: Lowering) -> str:
        channels = known_channels(ctx.output)
        vector = ctx.weight if ctx.output.rank > 2 else ctx.broadcast
        gamma = vector("gamma") if self.scale else ctx.constant([1.0] * channels)
        beta = vector("beta") if self.center else ctx.constant([0.0] * channels)
        statistics = [vector("moving_mean"), vector("moving_variance")]
        (x,) = ctx.operands
        if is_function(ctx.maker(x)) and not ctx.takes("BatchNormalization of a function"):
            x = ctx.emit("Identity", [x])
        operands = [x, gamma, beta, *statistics]
        return ctx.emit("BatchNormalization", operands, epsilon=self.epsilon)


@dataclass(frozen=True, kw_only=True)
class SampleNormalization(Op):
    """Each sample by its own statistics, then a scale and a shift."""

    wide: ClassVar[bool] = True
    axis: Axes = -1
    epsilon: Annotated[float, Meta(ge=0)] = 1e-3
    center: bool = True
    scale: bool = True
    beta_initializer: Initializer = Zeros()
    gamma_initializer: Initializer = Ones()
    beta_regularizer: Regularizer | None = None
    gamma_regularizer: Regularizer | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        self.parameter_shape(inputs[0])
        return inputs[0]

    @abstractmethod
    def parameter_shape(self, x: TensorType) -> tuple[Dim, ...]:
        """The shape of the scale and of the shift.

        Raises:
            ShapeError: The input cannot be normalized this way.
        """

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        shape = self.parameter_shape(inputs[0])
        return {
            **({"gamma": WeightSpec(shape, self.gamma_initializer)} if self.scale else {}),
            **({"beta": WeightSpec(shape, self.beta_initializer)} if self.center else {}),
        }

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=8 * output.elements)

    def scaled(self, ctx: Lowering, y: str) -> str:
        """Emit the scale and the shift of what is normalized."""
        if self.scale:
            y = ctx.emit("Mul", [y, ctx.broadcast("gamma")])
        return ctx.emit("Add", [y, ctx.broadcast("beta")]) if self.center else y


@register
class LayerNormalization(SampleNormalization, FollowOp):
    """Scale and shift by each sample's own statistics. Source: keras.layers.LayerNormalization.

    The axes must be the last ones; the default is the channels. From opset 17 on it is one ONNX
    operator where the axes are the last ones in memory too. Over the channels of an image that is
    channels first it is written in pieces, so that the image need not be moved.
    """

    def parameter_shape(self, x: TensorType) -> tuple[Dim, ...]:
        return tuple(x.sizes[axis] for axis in last_axes(self.axis, x))

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return _reach(last_axes(self.axis, inputs[0]), inputs[0])

    def lower(self, ctx: Lowering) -> str:
        (x,), rank = ctx.operands, ctx.output.rank
        axes = memory_axes(ctx, last_axes(self.axis, ctx.output))
        last = axes == list(range(rank - len(axes), rank))
        taken = len(axes) == 1 or ctx.takes("LayerNormalization of several axes")
        if ctx.opset >= 17 and self.scale and last and taken:
            beta = [ctx.broadcast("beta")] if self.center else []
            if not (beta or len(axes) > 1 or ctx.takes("LayerNormalization without bias")):
                beta = [ctx.constant([0.0] * known_channels(ctx.output))]
            operands = [x, ctx.broadcast("gamma"), *beta]
            return ctx.emit("LayerNormalization", operands, axis=axes[0], epsilon=self.epsilon)
        centred = ctx.emit("Sub", [x, reduce(ctx, "ReduceMean", x, axes)])
        return self.scaled(ctx, by_root_mean_square(ctx, centred, axes, self.epsilon))


@register
class GroupNormalization(SampleNormalization, SpatialOp):
    """Scale and shift by the statistics of each group. Source: keras.layers.GroupNormalization.

    -1 groups are as many as there are channels: instance normalization.
    """

    groups: Annotated[int, Meta(ge=-1, lt=2**31)] = 32

    def check(self) -> None:
        if self.groups == 0:
            raise OptionError("groups: expected 1 or more, or -1, found 0", path=("groups",))

    def parameter_shape(self, x: TensorType) -> tuple[Dim, ...]:
        if not isinstance(self.axis, int):
            raise ShapeError(f"axis: expected the channels, found {list(self.axis)}")
        check_channel_axis(self.axis, x)
        channels = known_channels(x)
        if channels % self._count(channels):
            raise ShapeError(f"{channels} channels do not divide into {self.groups} groups")
        return (channels,)

    def _count(self, channels: int) -> int:
        return channels if self.groups == -1 else self.groups

    def lower(self, ctx: Lowering) -> str:
        (x,), rank, channels = ctx.operands, ctx.output.rank, known_channels(ctx.output)
        groups = self._count(channels)
        flat = rank < 4 and not ctx.takes("InstanceNormalization 1D")
        if groups == channels and rank > 2 and not flat:
            gamma = ctx.weight("gamma") if self.scale else ctx.constant([1.0] * groups)
            beta = ctx.weight("beta") if self.center else ctx.constant([0.0] * groups)
            return ctx.emit("InstanceNormalization", [x, gamma, beta], epsilon=self.epsilon)
        # Channels and the first spatial axis are split and joined, whatever their sizes, and the
        # others stay; a 0 keeps one that is not known.
        kept = [size if isinstance(size, int) else 0 for size in ctx.output.spatial[1:]]
        others = [1] if flat else kept
        grouped = ctx.constant([0, groups, -1, *others], DType.int64)
        parts = ctx.emit("Reshape", [x, grouped])
        plain = [ctx.constant([1.0] * groups), ctx.constant([0.0] * groups)]
        y = ctx.emit("InstanceNormalization", [parts, *plain], epsilon=self.epsilon)
        if rank == 2:  # No Reshape: OpenCV 5 fuses it, and refuses what it has made of vectors.
            return self.scaled(ctx, ctx.emit("Flatten", [y], axis=1))
        whole = ctx.constant([0, channels, -1, *([] if flat else others)], DType.int64)
        return self.scaled(ctx, ctx.emit("Reshape", [y, whole]))


@register
class RMSNormalization(FollowOp):
    """Scale by each sample's root mean square. Source: keras.layers.RMSNormalization.

    The axes must be the last ones; the default is the channels.
    """

    wide: ClassVar[bool] = True
    axis: Axes = -1
    epsilon: Annotated[float, Meta(ge=0)] = 1e-6

    def infer(self, *inputs: TensorType) -> TensorType:
        last_axes(self.axis, inputs[0])
        return inputs[0]

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        shape = tuple(x.sizes[axis] for axis in last_axes(self.axis, x))
        return {"scale": WeightSpec(shape, Ones())}

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=5 * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return _reach(last_axes(self.axis, inputs[0]), inputs[0])

    def lower(self, ctx: Lowering) -> str:
        axes = memory_axes(ctx, last_axes(self.axis, ctx.output))
        y = by_root_mean_square(ctx, ctx.operands[0], axes, self.epsilon)
        return ctx.emit("Mul", [y, ctx.broadcast("scale")])


@register
class UnitNormalization(FollowOp):
    """Scale to a Euclidean length of 1. Source: keras.layers.UnitNormalization."""

    wide: ClassVar[bool] = True
    axis: Axes = -1

    def infer(self, *inputs: TensorType) -> TensorType:
        reduced_axes(self.axis, inputs[0])
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=3 * output.elements)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return _reach(reduced_axes(self.axis, inputs[0]), inputs[0])

    def lower(self, ctx: Lowering) -> str:
        axes = memory_axes(ctx, reduced_axes(self.axis, ctx.output))
        return by_length(ctx, ctx.operands[0], axes, 1e-12)


@register
class LocalResponseNormalization(SpatialOp):
    """Divide by the energy of the neighbouring channels. Source: tf.nn.lrn, AlexNet."""

    wide: ClassVar[bool] = True
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
        return own_position(inputs[0])

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


def last_axes(axis: Axes, x: TensorType) -> tuple[int, ...]:
    """The normalized axes as indices into the sample's sizes, in order.

    Raises:
        ShapeError: They are not the last axes.
    """
    found = reduced_axes(axis, x)
    if found[0] + len(found) != len(x.sizes):
        raise ShapeError(
            f"axis {axis} is not the last axis or axes of a value of rank {x.rank}",
            hint="axis: -1 normalizes the channels, [-3, -2, -1] an image",
        )
    return found


def by_root_mean_square(ctx: Lowering, x: str, axes: list[int], epsilon: float) -> str:
    """Emit ``x / sqrt(mean(x * x) + epsilon)``."""
    mean = reduce(ctx, "ReduceMean", ctx.emit("Mul", [x, x]), axes)
    root = ctx.emit("Sqrt", [ctx.emit("Add", [mean, ctx.constant(epsilon)])])
    return ctx.emit("Div", [x, root])


def _reach(axes: tuple[int, ...], x: TensorType) -> tuple[Reach, ...] | None:
    """Its own position, where a layer joins channels alone."""
    return own_position(x) if axes == (len(x.sizes) - 1,) else None
