"""Activation functions, as layers and as the ``activation:`` of other layers.

Definitions and defaults are `keras.activations`'s. Those that few edge runtimes know (hard swish,
mish, gelu) are written in pieces, in the forms that onnxruntime fuses, unless all runtimes that the
file is meant for have them whole.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar, dataclass_transform

from msgspec import Meta

from graphcnn.errors import OptionError
from graphcnn.initializers import Initializer, Zeros
from graphcnn.options import build, name_and_options, shorten
from graphcnn.types import DType, TensorType, sample_axis
from graphcnn.weights import WeightSpec

from .forms import parametric, softsign, tanh, thresholded
from .op import (
    OPS,
    Cost,
    FollowOp,
    Lowering,
    Op,
    Placed,
    Placement,
    Reach,
    Size,
    as_dataclass,
    own_position,
    register,
)

NonNegative = Annotated[float, Meta(ge=0)]


class ActivationFunction(FollowOp):
    """A function of every element, or (softmax) of every vector along an axis.

    Attributes:
        steps: Operations an element, as `Cost` counts them.
        non_negative: No result is below zero, whatever the input.
    """

    steps: ClassVar[int] = 1
    non_negative: ClassVar[bool] = False
    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"

    @abstractmethod
    def apply(self, ctx: Lowering, x: str) -> str:
        """Emit the function of the value `x`, which has the type and layout of the result."""

    def infer(self, *inputs: TensorType) -> TensorType:
        """The input's own type."""
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        """A few operations an element."""
        return Cost(other=self.steps * output.elements)

    def lower(self, ctx: Lowering) -> str:
        """The function of the input."""
        return self.apply(ctx, ctx.operands[0])

    @classmethod
    def decode(cls, value: Any) -> ActivationFunction:
        """Read ``relu`` or ``{relu: {max_value: 6}}``."""
        example = "relu, or {relu: {max_value: 6}}"
        name, options = name_and_options(value, FUNCTIONS, "activation", example)
        if not isinstance(options, Mapping):
            raise OptionError(f"{name}: expected a mapping, found {shorten(options)}")
        kind, preset = FUNCTIONS[name]
        return build(kind, {**preset, **options})


FUNCTIONS: dict[str, tuple[type[ActivationFunction], dict[str, Any]]] = {}
"""Every activation by its name, with the options that the name stands for."""

F = TypeVar("F", bound=type[ActivationFunction])


@dataclass_transform(frozen_default=True, kw_only_default=True)
def function(*names: str, **preset: Any) -> Any:
    """Class decorator: make a function known by these names as an ``activation:``."""

    def enter(cls: F) -> F:
        made = cls if cls in OPS.values() else as_dataclass(cls)
        FUNCTIONS.update({name: (made, preset) for name in names})
        return made

    return enter


def activated(activation: ActivationFunction | None, ctx: Lowering, x: str) -> str:
    """Emit a layer's own activation, if it has one."""
    return activation.apply(ctx, x) if activation else x


def activated_type(activation: ActivationFunction | None, output: TensorType) -> TensorType:
    """The type of a layer's result once its own activation, if it has one, has accepted it."""
    return activation.infer(output) if activation else output


def activation_cost(activation: ActivationFunction | None, output: TensorType) -> Cost:
    """The cost of a layer's own activation, if it has one."""
    return activation.cost((output,), output) if activation else Cost()


def activation_weights(
    activation: ActivationFunction | None, output: TensorType
) -> dict[str, WeightSpec]:
    """The weights of a layer's own activation, if it has one with weights."""
    return activation.weights(output) if activation else {}


@register
class Activation(Op):
    """Any activation as a layer. Source: keras.layers.Activation."""

    activation: ActivationFunction
    reordering: ClassVar[Literal["absorbs", "passes", "refuses"]] = "passes"

    def infer(self, *inputs: TensorType) -> TensorType:
        """The input's own type."""
        return self.activation.infer(*inputs)

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        """Those of the function."""
        return self.activation.weights(*inputs)

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        """That of the function."""
        return self.activation.cost(inputs, output)

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        """That of the function."""
        return self.activation.reach(*inputs)

    def place(self, value: Placement) -> Placed:
        return self.activation.place(value)

    def lower(self, ctx: Lowering) -> str:
        """The function of the input."""
        return self.activation.lower(ctx)


@function("relu6", max_value=6.0)
@function("relu")
@register
class ReLU(ActivationFunction):
    """``max(x, 0)``, with an upper bound, a slope and a threshold. Source: keras.layers.ReLU.

    It is `max_value` from there up, ``negative_slope * (x - threshold)`` below `threshold`, and x
    between.
    """

    max_value: NonNegative | None = None
    negative_slope: NonNegative = 0.0
    threshold: NonNegative = 0.0

    @property
    def non_negative(self) -> bool:  # type: ignore[override]  # here the options say
        return not self.negative_slope

    def apply(self, ctx: Lowering, x: str) -> str:
        if self.threshold:
            return self._with_threshold(ctx, x)
        if self.negative_slope:
            leaky = ctx.emit("LeakyRelu", [x], alpha=self.negative_slope)
            return self._capped(ctx, leaky)
        if self.max_value is None:
            return ctx.emit("Relu", [x])
        return ctx.emit("Clip", [x, ctx.constant(0.0), ctx.constant(self.max_value)])

    def _with_threshold(self, ctx: Lowering, x: str) -> str:
        positive = self._capped(ctx, thresholded(ctx, x, self.threshold))
        if not self.negative_slope:
            return positive
        below = ctx.emit("Relu", [ctx.emit("Sub", [ctx.constant(self.threshold), x])])
        return ctx.emit(
            "Sub", [positive, ctx.emit("Mul", [below, ctx.constant(self.negative_slope)])]
        )

    def _capped(self, ctx: Lowering, x: str) -> str:
        if self.max_value is None:
            return x
        return ctx.emit("Min", [x, ctx.constant(self.max_value)])


@function("leaky_relu", negative_slope=0.2)
@register
class LeakyReLU(ActivationFunction):
    """``negative_slope * x`` below zero. Source: keras.layers.LeakyReLU."""

    negative_slope: NonNegative = 0.3

    def apply(self, ctx: Lowering, x: str) -> str:
        return ctx.emit("LeakyRelu", [x], alpha=self.negative_slope)


@function("prelu")
@register
class PReLU(ActivationFunction):
    """``alpha * x`` below zero, with alpha learned. Source: keras.layers.PReLU.

    There is one alpha an element, or one for all along `shared_axes` (counted from 1).
    """

    alpha_initializer: Initializer = Zeros()
    shared_axes: tuple[Size, ...] | None = None
    steps: ClassVar[int] = 2

    def weights(self, *inputs: TensorType) -> dict[str, WeightSpec]:
        (x,) = inputs
        shared = {sample_axis(axis, x.rank) for axis in self.shared_axes or ()}
        shape = tuple(1 if i in shared else size for i, size in enumerate(x.sizes))
        return {"alpha": WeightSpec(shape, self.alpha_initializer)}

    def apply(self, ctx: Lowering, x: str) -> str:
        alpha = ctx.broadcast("alpha")
        if not (self._by_channel(ctx) or ctx.takes("PRelu by element")):
            return parametric(ctx, x, alpha)
        return ctx.emit("PRelu", [x, alpha])

    def _by_channel(self, ctx: Lowering) -> bool:
        """Whether there is one alpha a channel."""
        spatial = len(ctx.output.spatial)
        return set(range(1, spatial + 1)) <= set(self.shared_axes or ())


@function("elu")
@register
class ELU(ActivationFunction):
    """``alpha * (exp(x) - 1)`` below zero. Source: keras.layers.ELU."""

    alpha: float = 1.0
    steps: ClassVar[int] = 3

    def apply(self, ctx: Lowering, x: str) -> str:
        return ctx.emit("Elu", [x], alpha=self.alpha)


@dataclass(frozen=True, kw_only=True)
class AxisFunction(ActivationFunction):
    """A function of the vectors along one axis, the channels unless told otherwise."""

    axis: int = -1
    onnx: ClassVar[str]
    steps: ClassVar[int] = 5

    def infer(self, *inputs: TensorType) -> TensorType:
        sample_axis(self.axis, inputs[0].rank)
        return inputs[0]

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        (x,) = inputs
        of_channels = sample_axis(self.axis, x.rank) == len(x.sizes) - 1
        return own_position(x) if of_channels else None

    def apply(self, ctx: Lowering, x: str) -> str:
        index = sample_axis(self.axis, ctx.output.rank)
        return ctx.emit(self.onnx, [x], axis=ctx.layout.axis(index, ctx.output))


@function("softmax")
@register
class Softmax(AxisFunction):
    """``exp(x) / sum(exp(x))`` along an axis. Source: keras.layers.Softmax."""

    onnx: ClassVar[str] = "Softmax"
    non_negative: ClassVar[bool] = True


@function("log_softmax")
class LogSoftmax(AxisFunction):
    """The logarithm of softmax."""

    onnx: ClassVar[str] = "LogSoftmax"


@function("gelu")
class GELU(ActivationFunction):
    """``x * P(X <= x)`` for a standard normal X, exactly or by tanh. Source: Hendrycks 2016."""

    approximate: bool = False
    steps: ClassVar[int] = 8

    def apply(self, ctx: Lowering, x: str) -> str:
        inner = self._tanh(ctx, x) if self.approximate else self._erf(ctx, x)
        if not ctx.takes("a product that ends as another function"):
            shared = ctx.emit("Mul", [inner, ctx.constant(0.5)])
            return ctx.emit("Mul", [x, ctx.emit("Add", [shared, ctx.constant(0.5)])])
        # In this order: MNN makes its own, coarser function of x * (1 + erf) * 0.5.
        half = ctx.emit("Mul", [x, ctx.constant(0.5)])
        return ctx.emit("Mul", [half, ctx.emit("Add", [inner, ctx.constant(1.0)])])

    def _erf(self, ctx: Lowering, x: str) -> str:
        return ctx.emit("Erf", [ctx.emit("Div", [x, ctx.constant(math.sqrt(2))])])

    def _tanh(self, ctx: Lowering, x: str) -> str:
        scale = math.sqrt(2 / math.pi)
        cubic = ctx.emit("Mul", [ctx.emit("Mul", [x, x]), ctx.constant(scale * 0.044715)])
        factor = ctx.emit("Add", [cubic, ctx.constant(scale)])
        return tanh(ctx, ctx.emit("Mul", [factor, x]))


@function("celu")
class CELU(ActivationFunction):
    """``alpha * (exp(x / alpha) - 1)`` below zero. Source: Barron 2017."""

    alpha: Annotated[float, Meta(gt=0)] = 1.0
    steps: ClassVar[int] = 4

    def apply(self, ctx: Lowering, x: str) -> str:
        taken = ctx.takes("Celu") and (self.alpha == 1 or ctx.takes("alpha of Celu"))
        if ctx.output.dtype == DType.float32 and taken:
            return ctx.emit("Celu", [x], alpha=self.alpha)
        # ONNX's Celu is of float32 alone. OpenCV 4.14 crashes on a Div before an Elu.
        if self.alpha == 1:
            return ctx.emit("Elu", [x], alpha=1.0)
        inner = ctx.emit("Mul", [x, ctx.constant(1 / self.alpha)])
        return ctx.emit("Mul", [ctx.emit("Elu", [inner]), ctx.constant(self.alpha)])


@dataclass(frozen=True, kw_only=True)
class FixedFunction(ActivationFunction):
    """A function without options: a row of the table below."""

    body: ClassVar[Callable[[Lowering, str], str]]

    def apply(self, ctx: Lowering, x: str) -> str:
        return type(self).body(ctx, x)


def _fixed(
    names: str,
    steps: int,
    body: str | Callable[[Lowering, str], str],
    text: str,
    *,
    non_negative: bool = False,
) -> type[FixedFunction]:
    """Make a function known by these names; the body is an ONNX operator, or emits several."""
    emit = (lambda ctx, x: ctx.emit(body, [x])) if isinstance(body, str) else body
    fields = {"steps": steps, "body": staticmethod(emit), "non_negative": non_negative}
    cls = type(names.split()[0], (FixedFunction,), {**fields, "__doc__": text})
    made: type[FixedFunction] = function(*names.split())(cls)
    return made


def _sixth(ctx: Lowering) -> float:
    """1 / 6 in float32, or the number after it where OpenCV would see a HardSwish's in it."""
    exact = ctx.takes("a product that ends as another function")
    return 1 / 6 if exact else 1 / 6 * (1 + 2**-23)


_fixed("linear", 0, lambda ctx, x: x, "The input itself.")
Sigmoid = _fixed("sigmoid", 4, "Sigmoid", "``1 / (1 + exp(-x))``.", non_negative=True)
_fixed("tanh", 4, tanh, "The hyperbolic tangent.")
_fixed("selu", 4, "Selu", "Self-normalizing ELU. Source: Klambauer et al. 2017.")
_fixed("softplus", 3, "Softplus", "``log(1 + exp(x))``.", non_negative=True)
_fixed("softsign", 3, softsign, "``x / (1 + abs(x))``.")
HardSigmoid = _fixed(
    "hard_sigmoid",
    4,
    lambda ctx, x: ctx.emit("HardSigmoid", [x], alpha=_sixth(ctx), beta=0.5),
    "``relu6(x + 3) / 6``.",
    non_negative=True,
)
_fixed(
    "silu swish",
    5,
    lambda ctx, x: ctx.emit("Mul", [x, ctx.emit("Sigmoid", [x])]),
    "``x * sigmoid(x)``. Source: Ramachandran et al. 2017.",
)
_fixed(
    "hard_silu hard_swish",
    5,
    lambda ctx, x: (
        ctx.emit("HardSwish", [x])
        if ctx.opset >= 14 and ctx.prefers("HardSwish")
        else ctx.emit("Mul", [x, HardSigmoid().apply(ctx, x)])
    ),
    "``x * hard_sigmoid(x)``. Source: Howard et al. 2019.",
)
_fixed(
    "mish",
    8,
    lambda ctx, x: (
        ctx.emit("Mish", [x])
        if ctx.opset >= 18 and ctx.prefers("Mish")
        else ctx.emit("Mul", [x, ctx.emit("Tanh", [ctx.emit("Softplus", [x])])])
    ),
    "``x * tanh(softplus(x))``. Source: Misra 2019.",
)
_fixed(
    "log_sigmoid",
    5,
    lambda ctx, x: ctx.emit("Neg", [ctx.emit("Softplus", [ctx.emit("Neg", [x])])]),
    "``-softplus(-x)``.",
)
_fixed(
    "hard_tanh",
    2,
    lambda ctx, x: ctx.emit("Clip", [x, ctx.constant(-1.0), ctx.constant(1.0)]),
    "x, cut to -1 and 1.",
)
_fixed("abs", 1, "Abs", "x without its sign.", non_negative=True)
_fixed("negative", 1, "Neg", "``-x``.")
_fixed("square", 1, lambda ctx, x: ctx.emit("Mul", [x, x]), "``x * x``.", non_negative=True)
_fixed("sqrt", 1, "Sqrt", "The square root; NaN below zero.", non_negative=True)
_fixed(
    "rsqrt",
    2,
    lambda ctx, x: ctx.emit("Reciprocal", [ctx.emit("Sqrt", [x])]),
    "``1 / sqrt(x)``; NaN below zero.",
    non_negative=True,
)
_fixed("reciprocal", 1, "Reciprocal", "``1 / x``.")
_fixed("exponential exp", 1, "Exp", "``exp(x)``.", non_negative=True)
_fixed("log", 1, "Log", "The natural logarithm; NaN below zero.")
_fixed("erf", 4, "Erf", "The error function.")
