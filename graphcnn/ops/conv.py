"""Convolutions of one, two and three spatial axes.

Cross-correlations, as everywhere in deep learning: the kernel is not flipped. Kernels are shaped as
Keras shapes them. With a window of :math:`w` taps, :math:`c` input channels, :math:`g` groups and
:math:`f` filters, a convolution has :math:`w (c / g) f` kernel weights and as many
multiply-accumulates an output position.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from msgspec import Meta

from graphcnn.errors import OptionError, ShapeError
from graphcnn.initializers import GlorotUniform, Initializer, Zeros
from graphcnn.regularizers import Regularizer
from graphcnn.types import Dim, TensorType
from graphcnn.weights import WeightSpec

from .activations import (
    ActivationFunction,
    activated,
    activated_type,
    activation_cost,
    activation_weights,
)
from .affine import LinearOp
from .arrange import Permuted
from .forms import convolution_input, cropped
from .op import (
    Cost,
    Lowering,
    Reach,
    Size,
    Sizes,
    SpatialOp,
    check_axes,
    check_rank,
    known_channels,
    per_axis,
    register,
)
from .window import Padding, Window, check_padding

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Convolution(LinearOp, SpatialOp):
    """What all convolutions share: a window, a bias and an activation."""

    spatial_axes: ClassVar[int]
    kernel_size: Sizes
    strides: Sizes = 1
    padding: Padding = "valid"
    dilation_rate: Sizes = 1
    activation: ActivationFunction | None = None
    use_bias: bool = True
    bias_initializer: Initializer = Zeros()
    bias_regularizer: Regularizer | None = None

    def check(self) -> None:
        check_axes(self, self.spatial_axes, "kernel_size", "strides", "dilation_rate")
        check_padding(self.padding, self.spatial_axes)
        if max(self.window.strides) > 1 and max(self.window.dilations) > 1:
            raise OptionError(
                "strides and dilation_rate cannot both be greater than 1, as in Keras",
                path=("dilation_rate",),
            )

    @property
    def window(self) -> Window:
        """The window with one entry an axis."""
        return Window(
            per_axis(self.kernel_size, self.spatial_axes),
            per_axis(self.strides, self.spatial_axes),
            per_axis(self.dilation_rate, self.spatial_axes),
            self.padding,
        )

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return self.window.reach(inputs[0].spatial)

    def scaled_outputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale

    def uniform(self, x: TensorType) -> bool:
        if self.padding == "same" and x.symbolic:
            return max(self.window.kernel) == 1
        return not any(map(any, self.window.pads(x.spatial)))

    def _result(self, x: TensorType, sizes: tuple[Dim, ...], channels: int) -> TensorType:
        return activated_type(self.activation, x.with_sizes((*sizes, channels)))

    def _tail_weights(self, output: TensorType) -> dict[str, WeightSpec]:
        bias = WeightSpec((known_channels(output),), self.bias_initializer)
        return {
            **({"bias": bias} if self.use_bias else {}),
            **activation_weights(self.activation, output),
        }

    def _tail_cost(self, output: TensorType) -> Cost:
        bias = Cost(other=output.elements if self.use_bias else 0)
        return bias + activation_cost(self.activation, output)

    def _tail(self, ctx: Lowering, op_type: str, operands: list[str], **attributes: Any) -> str:
        """Emit the node that adds the bias, then the activation."""
        bias = [ctx.weight("bias")] if self.use_bias else []
        y = ctx.emit(op_type, [*operands, *bias], **attributes)
        return activated(self.activation, ctx, y)


@dataclass(frozen=True, kw_only=True)
class Conv(Convolution):
    """A dense or grouped convolution, kernel (*window, in / groups, filters)."""

    filters: Size
    groups: Size = 1
    kernel_initializer: Initializer = GlorotUniform()
    kernel_regularizer: Regularizer | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        channels = known_channels(x)
        if channels % self.groups:
            raise ShapeError(f"{channels} input channels do not divide into {self.groups} groups")
        if self.filters % self.groups:
            raise ShapeError(f"{self.filters} filters do not divide into {self.groups} groups")
        return self._result(x, self.window.output(x.spatial), self.filters)

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        shape = (*self.window.kernel, known_channels(x) // self.groups, self.filters)
        kernel = WeightSpec(shape, self.kernel_initializer)
        return {"kernel": kernel, **self._tail_weights(self.infer(x))}

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        taps = math.prod(self.window.kernel) * (known_channels(inputs[0]) // self.groups)
        return Cost(macs=taps * output.elements) + self._tail_cost(output)

    def scaled_inputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * self._by_group(scale)

    def response(self, shift: Array, **kernels: Array) -> Array:
        return cast(
            "Array", (kernels["kernel"] * self._by_group(shift)).reshape(-1, self.filters).sum(0)
        )

    def _by_group(self, vector: Array) -> Array:
        """Numbers by input channel as (in / groups, filters): each filter sees its own group's."""
        import numpy as np

        return np.repeat(vector.reshape(self.groups, -1).T, self.filters // self.groups, axis=1)

    def lower(self, ctx: Lowering) -> str:
        kernel = ctx.weight("kernel", filters_first(self.spatial_axes))
        attributes: dict[str, Any] = self.window.attributes(ctx.inputs[0].spatial)
        if self.groups > 1:
            attributes["group"] = self.groups
        x = convolution_input(ctx, attributes)
        return self._tail(ctx, "Conv", [x, kernel], **attributes)


@register
class Conv1D(Conv):
    """Convolution over steps. Source: keras.layers.Conv1D."""

    spatial_axes: ClassVar[int] = 1
    padding: Padding | Literal["causal"] = "valid"  # type: ignore[assignment]  # one more word


@register
class Conv2D(Conv):
    """Convolution over height and width. Source: keras.layers.Conv2D."""

    spatial_axes: ClassVar[int] = 2


@register
class Conv3D(Conv):
    """Convolution over depth, height and width. Source: keras.layers.Conv3D."""

    spatial_axes: ClassVar[int] = 3


@dataclass(frozen=True, kw_only=True)
class DepthwiseConv(Convolution):
    """Each channel alone, kernel (*window, in, multiplier)."""

    depth_multiplier: Size = 1
    depthwise_initializer: Initializer = GlorotUniform()
    depthwise_regularizer: Regularizer | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        channels = known_channels(x) * self.depth_multiplier
        return self._result(x, self.window.output(x.spatial), channels)

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        shape = (*self.window.kernel, known_channels(x), self.depth_multiplier)
        kernel = WeightSpec(shape, self.depthwise_initializer)
        return {"kernel": kernel, **self._tail_weights(self.infer(x))}

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        macs = math.prod(self.window.kernel) * output.elements
        return Cost(macs=macs) + self._tail_cost(output)

    def scaled_outputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale.reshape(-1, self.depth_multiplier)

    def scaled_inputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale[:, None]

    def response(self, shift: Array, **kernels: Array) -> Array:
        kernel = kernels["kernel"] * shift[:, None]
        return cast("Array", kernel.reshape(-1, kernel.shape[-2] * kernel.shape[-1]).sum(0))

    def lower(self, ctx: Lowering) -> str:
        kernel, attributes = lower_depthwise(ctx, self.window, "kernel", self.depth_multiplier)
        x = convolution_input(ctx, attributes)
        return self._tail(ctx, "Conv", [x, kernel], **attributes)


@register
class DepthwiseConv1D(DepthwiseConv):
    """Convolution of each channel alone over steps. Source: keras.layers.DepthwiseConv1D."""

    spatial_axes: ClassVar[int] = 1


@register
class DepthwiseConv2D(DepthwiseConv):
    """Convolution of each channel alone. Source: keras.layers.DepthwiseConv2D."""

    spatial_axes: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class SeparableConv(Convolution):
    """A depthwise convolution, then a pointwise one that adds the bias."""

    outputs_role: ClassVar[str] = "pointwise_kernel"
    inputs_role: ClassVar[str] = "depthwise_kernel"
    filters: Size
    depth_multiplier: Size = 1
    depthwise_initializer: Initializer = GlorotUniform()
    pointwise_initializer: Initializer = GlorotUniform()
    depthwise_regularizer: Regularizer | None = None
    pointwise_regularizer: Regularizer | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        known_channels(x)
        return self._result(x, self.window.output(x.spatial), self.filters)

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        depthwise = (*self.window.kernel, known_channels(x), self.depth_multiplier)
        inner = known_channels(x) * self.depth_multiplier
        pointwise = ((1,) * self.spatial_axes) + (inner, self.filters)
        return {
            "depthwise_kernel": WeightSpec(depthwise, self.depthwise_initializer),
            "pointwise_kernel": WeightSpec(pointwise, self.pointwise_initializer),
            **self._tail_weights(self.infer(x)),
        }

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        inner = known_channels(inputs[0]) * self.depth_multiplier
        positions = output.elements // self.filters
        macs = positions * inner * (math.prod(self.window.kernel) + self.filters)
        return Cost(macs=macs) + self._tail_cost(output)

    def scaled_inputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale[:, None]

    def response(self, shift: Array, **kernels: Array) -> Array:
        depthwise, pointwise = kernels["depthwise_kernel"], kernels["pointwise_kernel"]
        inner = (depthwise * shift[:, None]).reshape(-1, pointwise.shape[-2]).sum(0)
        return cast("Array", inner @ pointwise.reshape(-1, self.filters))

    def lower(self, ctx: Lowering) -> str:
        kernel, attributes = lower_depthwise(
            ctx, self.window, "depthwise_kernel", self.depth_multiplier
        )
        inner = ctx.emit("Conv", [convolution_input(ctx, attributes), kernel], **attributes)
        pointwise = ctx.weight("pointwise_kernel", filters_first(self.spatial_axes))
        return self._tail(ctx, "Conv", [inner, pointwise], kernel_shape=[1] * self.spatial_axes)


@register
class SeparableConv1D(SeparableConv):
    """Depthwise, then pointwise, over steps. Source: keras.layers.SeparableConv1D."""

    spatial_axes: ClassVar[int] = 1


@register
class SeparableConv2D(SeparableConv):
    """Depthwise, then pointwise. Source: keras.layers.SeparableConv2D."""

    spatial_axes: ClassVar[int] = 2


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(Convolution):
    r"""The gradient of a convolution by its input, kernel (*window, filters, in).

    The full result along an axis of :math:`n` positions has :math:`(n - 1) s + e`. Of it

    - ``valid`` cuts nothing, and adds zeros up to :math:`\max(s - e, 0)` or `output_padding`;
    - ``same`` cuts :math:`e - s`, so that :math:`n s` are left, or with `output_padding` :math:`o`
      :math:`2 \lfloor e / 2 \rfloor - o`. The smaller half is cut before, as TensorFlow cuts it;
      where the number is negative it is added after.
    """

    filters: Size
    padding: Literal["valid", "same"] = "valid"
    output_padding: Annotated[int, Meta(ge=0)] | tuple[Annotated[int, Meta(ge=0)], ...] | None = (
        None
    )
    kernel_initializer: Initializer = GlorotUniform()
    kernel_regularizer: Regularizer | None = None

    def check(self) -> None:
        super().check()
        check_axes(self, self.spatial_axes, "output_padding")
        if self.output_padding is None:
            return
        extra = per_axis(self.output_padding, self.spatial_axes)
        if any(o >= s for o, s in zip(extra, self.window.strides, strict=True)):
            raise OptionError(
                f"output_padding: expected less than the strides {list(self.window.strides)}, "
                f"found {list(extra)}",
                path=("output_padding",),
            )

    @property
    def trims(self) -> tuple[tuple[int, int, int], ...]:
        """By axis: how much of the full result is cut before and after, and how much is added."""
        rows = zip(self.window.spans, self.window.strides, self._extras, strict=True)
        trims = []
        for span, stride, extra in rows:
            if self.padding == "valid":
                cut = -max(stride - span, 0) if extra is None else -extra
            else:
                cut = span - stride if extra is None else span // 2 * 2 - extra
            before = max(cut, 0) // 2
            trims.append((before, max(cut, 0) - before, max(-cut, 0)))
        return tuple(trims)

    @property
    def _extras(self) -> tuple[int | None, ...]:
        if self.output_padding is None:
            return (None,) * self.spatial_axes
        return per_axis(self.output_padding, self.spatial_axes)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        check_rank(x, self.spatial_axes)
        known_channels(x)
        rows = zip(x.spatial, self.window.spans, self.window.strides, self.trims, strict=True)
        sizes = tuple(
            (n - 1) * stride + span - before - after + extra
            for n, span, stride, (before, after, extra) in rows
        )
        return self._result(x, sizes, self.filters)

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        shape = (*self.window.kernel, self.filters, known_channels(x))
        kernel = WeightSpec(shape, self.kernel_initializer)
        return {"kernel": kernel, **self._tail_weights(self.infer(x))}

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        macs = math.prod(self.window.kernel) * self.filters * inputs[0].elements
        return Cost(macs=macs) + self._tail_cost(output)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        rows = zip(self.window.spans, self.window.strides, self.trims, strict=True)
        return tuple(
            Reach(
                Fraction(1, stride),
                Fraction(before - span + 1, stride),
                Fraction(before, stride),
            )
            for span, stride, (before, _, _) in rows
        )

    def scaled_outputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale[:, None]

    def scaled_inputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale

    def uniform(self, x: TensorType) -> bool:
        return False

    def response(self, shift: Array, **kernels: Array) -> Array:
        raise NotImplementedError("an output position sees some of the window only")

    def lower(self, ctx: Lowering) -> str:
        kernel = ctx.weight("kernel", filters_first(self.spatial_axes))
        befores, afters, extras = zip(*self.trims, strict=True)
        attributes: dict[str, Any] = {
            "kernel_shape": list(self.window.kernel),
            "strides": list(self.window.strides),
            "pads": [*befores, *afters],
        }
        if any(extras):
            attributes["output_padding"] = list(extras)
        if any(d > 1 for d in self.window.dilations):
            attributes["dilations"] = list(self.window.dilations)
        operands = [ctx.operands[0], kernel]
        if befores == afters or ctx.takes("uneven pads of ConvTranspose"):
            return self._tail(ctx, "ConvTranspose", operands, **attributes)
        attributes["pads"] = [*befores, *befores]
        bias = [ctx.weight("bias")] if self.use_bias else []
        whole = ctx.emit("ConvTranspose", [*operands, *bias], **attributes)
        ends = [after - before for before, after in zip(befores, afters, strict=True)]
        return activated(self.activation, ctx, cropped(ctx, whole, ends))


@register
class Conv1DTranspose(ConvTranspose):
    """Transposed convolution over steps. Source: keras.layers.Conv1DTranspose."""

    spatial_axes: ClassVar[int] = 1


@register
class Conv2DTranspose(ConvTranspose):
    """Transposed convolution. Source: keras.layers.Conv2DTranspose."""

    spatial_axes: ClassVar[int] = 2


@register
class Conv3DTranspose(ConvTranspose):
    """Transposed convolution over depth, height and width. Source: keras.layers.Conv3DTranspose."""

    spatial_axes: ClassVar[int] = 3


def filters_first(rank: int) -> Permuted:
    """From Keras's (*window, a, b) to ONNX's (b, a, *window)."""
    return Permuted((rank + 1, rank, *range(rank)))


def lower_depthwise(
    ctx: Lowering, window: Window, role: str, multiplier: int
) -> tuple[str, dict[str, Any]]:
    """The kernel and the attributes of an ONNX Conv with a group for each channel."""
    (x,) = ctx.inputs
    channels, rank = known_channels(x), len(window.kernel)
    out = channels * multiplier
    view = Permuted((rank + 1, rank, *range(rank)), (*window.kernel, 1, out))
    kernel = ctx.weight(role, view, (out, 1, *window.kernel))
    return kernel, {**window.attributes(x.spatial), "group": channels}
