"""Fully connected layers.

A value that was flattened from channels first reaches `Dense` in that order: the kernel's rows are
put in the same order instead of moving the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from graphcnn.initializers import GlorotUniform, Initializer, Zeros
from graphcnn.regularizers import Regularizer
from graphcnn.types import FIRST, LAST, TensorType
from graphcnn.weights import WeightSpec

from .activations import (
    ActivationFunction,
    activated,
    activated_type,
    activation_cost,
    activation_weights,
)
from .affine import LinearOp
from .arrange import ChannelsFirstRows, Permuted
from .op import (
    Cost,
    Lowering,
    Placed,
    Placement,
    Reach,
    Size,
    known_channels,
    own_position,
    register,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@register
class Dense(LinearOp):
    """A matrix product with the last axis, kernel (in, units). Source: keras.layers.Dense."""

    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "absorbs"
    units: Size
    activation: ActivationFunction | None = None
    use_bias: bool = True
    kernel_initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    kernel_regularizer: Regularizer | None = None
    bias_regularizer: Regularizer | None = None

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        known_channels(x)
        return activated_type(self.activation, x.with_sizes((*x.spatial, self.units)))

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        kernel = WeightSpec((known_channels(x), self.units), self.kernel_initializer)
        bias = WeightSpec((self.units,), self.bias_initializer)
        return {
            "kernel": kernel,
            **({"bias": bias} if self.use_bias else {}),
            **activation_weights(self.activation, self.infer(x)),
        }

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        bias = Cost(other=output.elements if self.use_bias else 0)
        product = Cost(macs=known_channels(inputs[0]) * output.elements)
        return product + bias + activation_cost(self.activation, output)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return own_position(inputs[0])

    def scaled_outputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale

    def scaled_inputs(self, kernel: Array, scale: Array) -> Array:
        return kernel * scale[:, None]

    def response(self, shift: Array, **kernels: Array) -> Array:
        return cast("Array", shift @ kernels["kernel"])

    def uniform(self, x: TensorType) -> bool:
        return True

    def place(self, value: Placement) -> Placed:
        if value.output.rank > 2:
            return (FIRST,), FIRST
        return value.layouts, LAST

    def lower(self, ctx: Lowering) -> str:
        (x,) = ctx.inputs
        y = self._gemm(ctx) if x.rank == 2 else self._pointwise(ctx, x)
        return activated(self.activation, ctx, y)

    def _gemm(self, ctx: Lowering) -> str:
        (x,) = ctx.inputs
        view = ChannelsFirstRows(ctx.layouts[0].segments, transposed=True)
        kernel = ctx.weight("kernel", view, (self.units, known_channels(x)))
        bias = [ctx.weight("bias")] if self.use_bias else []
        return ctx.emit("Gemm", [ctx.operands[0], kernel, *bias], transB=1)

    def _pointwise(self, ctx: Lowering, x: TensorType) -> str:
        """Over spatial axes a dense layer is a convolution with a kernel of one position."""
        axes = len(x.spatial)
        split = (*(1,) * axes, known_channels(x), self.units)
        view = Permuted((axes + 1, axes, *range(axes)), split)
        kernel = ctx.weight("kernel", view, (self.units, known_channels(x), *(1,) * axes))
        bias = [ctx.weight("bias")] if self.use_bias else []
        return ctx.emit("Conv", [ctx.operands[0], kernel, *bias], kernel_shape=[1] * axes)
