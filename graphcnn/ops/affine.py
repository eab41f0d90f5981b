r"""Layers that act on each channel by a product and a sum, and layers linear in their input.

With :math:`x` the channels at one position, an *affine* layer is :math:`a x + b`, element by
element, and a *linear* one :math:`W x + c` summed over a window. They merge:

- after a linear layer, :math:`a (W x + c) + b = (a W) x + (a c + b)`: each output channel of the
  kernel is scaled, the bias scaled and shifted;
- before one, :math:`W (a x + b) + c = (W a) x + (W b + c)`: each input channel of the kernel is
  scaled, and the bias gains :math:`W b`, the sum over the window. That sum is the same at every
  position only where the window never reaches into zero padding;
- one after another, :math:`a' (a x + b) + b' = (a' a) x + (a' b + b')`.

Numbers are combined in float64 and rounded once.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from graphcnn.types import TensorType

from .op import Op

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


class AffineOp(Op):
    """A layer that is ``a * x + b``, with one `a` and one `b` for each channel."""

    @property
    def scales(self) -> bool:
        """Whether any `a` can differ from 1."""
        return True

    @property
    def shifts(self) -> bool:
        """Whether any `b` can differ from 0."""
        return True

    @property
    def divides(self) -> bool:
        """Whether no `a` can be 0, so that ``b / a`` exists."""
        return False

    @abstractmethod
    def scale_shift(self, channels: int, **weights: Array) -> tuple[Array, Array]:
        """`a` and `b` in float64, each one number or one for each channel.

        Args:
            channels: How many there are.
            weights: The layer's weights by role.
        """


class LinearOp(Op):
    """A layer that is ``W x + c``, summed over a window, and then an activation.

    Attributes:
        outputs_role: The weight whose output channels are the layer's.
        inputs_role: The weight whose input channels are the layer's.
    """

    outputs_role: ClassVar[str] = "kernel"
    inputs_role: ClassVar[str] = "kernel"
    use_bias: bool

    @abstractmethod
    def scaled_outputs(self, kernel: Array, scale: Array) -> Array:
        """The kernel with each output channel scaled; `scale` has one number each."""

    @abstractmethod
    def scaled_inputs(self, kernel: Array, scale: Array) -> Array:
        """The kernel with each input channel scaled; `scale` has one number each."""

    @abstractmethod
    def response(self, shift: Array, **kernels: Array) -> Array:
        """What the kernels make, by output channel, of an input that is `shift` everywhere."""

    @abstractmethod
    def uniform(self, x: TensorType) -> bool:
        """Whether an input that is alike everywhere gives an output that is."""


@dataclass(frozen=True, slots=True)
class Parts:
    """An affine layer with its weights as a function of arrays: makes `a` and `b`.

    Attributes:
        op: The layer.
        channels: How many there are.
        roles: Its weights, in the order in which their arrays are given.
    """

    op: AffineOp
    channels: int
    roles: tuple[str, ...]

    def __call__(self, arrays: tuple[Array, ...]) -> tuple[Array, Array]:
        """`a` and `b`, one number a channel each."""
        import numpy as np

        wide = (array.astype(np.float64) for array in arrays)
        a, b = self.op.scale_shift(self.channels, **dict(zip(self.roles, wide, strict=True)))
        return np.broadcast_to(a, self.channels), np.broadcast_to(b, self.channels)


@dataclass(frozen=True, slots=True)
class ScaledOutputs:
    """A kernel times what follows: of the kernel, and the affine layer's weights."""

    linear: LinearOp
    affine: Parts

    def __call__(self, kernel: Array, *arrays: Array) -> Array:
        """The kernel."""
        return self.linear.scaled_outputs(kernel, self.affine(arrays)[0])


@dataclass(frozen=True, slots=True)
class BiasBefore:
    """A bias under what follows: of the bias, if there was one, and the affine layer's weights."""

    affine: Parts
    use_bias: bool

    def __call__(self, *arrays: Array) -> Array:
        """The bias."""
        a, b = self.affine(arrays[1:] if self.use_bias else arrays)
        return a * arrays[0] + b if self.use_bias else b


@dataclass(frozen=True, slots=True)
class ScaledInputs:
    """A kernel times what comes before: of the kernel, and the affine layer's weights."""

    linear: LinearOp
    affine: Parts

    def __call__(self, kernel: Array, *arrays: Array) -> Array:
        """The kernel."""
        return self.linear.scaled_inputs(kernel, self.affine(arrays)[0])


@dataclass(frozen=True, slots=True)
class BiasAfter:
    """A bias and what comes before: of the kernels, the bias if any, and the affine's weights."""

    linear: LinearOp
    kernels: tuple[str, ...]
    affine: Parts

    def __call__(self, *arrays: Array) -> Array:
        """The bias."""
        import numpy as np

        count = len(self.kernels) + self.linear.use_bias
        own, others = arrays[:count], arrays[count:]
        kernels = zip(self.kernels, (k.astype(np.float64) for k in own), strict=False)
        response = self.linear.response(self.affine(others)[1], **dict(kernels))
        return response + own[-1] if self.linear.use_bias else response


@dataclass(frozen=True, slots=True)
class Chained:
    """One of the two vectors of affine layers in a row, of the weights of all, the first's first.

    Attributes:
        parts: The layers in order.
        shift: Whether `b` is wanted, rather than `a`.
    """

    parts: tuple[Parts, ...]
    shift: bool

    def __call__(self, *arrays: Array) -> Array:
        """The vector."""
        (a, b), start = self.parts[0](arrays[: len(self.parts[0].roles)]), len(self.parts[0].roles)
        for part in self.parts[1:]:
            stop = start + len(part.roles)
            a2, b2 = part(arrays[start:stop])
            a, b, start = a2 * a, a2 * b + b2, stop
        return b if self.shift else a


@dataclass(frozen=True, slots=True)
class Vector:
    """`a` or `b` of an affine layer's weights, of some of its channels.

    Attributes:
        affine: The layer.
        shift: Whether `b` is wanted, rather than `a`.
        start: The first channel.
        stop: The channel after the last.
    """

    affine: Parts
    shift: bool
    start: int
    stop: int

    def __call__(self, *arrays: Array) -> Array:
        """The vector."""
        return self.affine(arrays)[self.shift][self.start : self.stop]


@dataclass(frozen=True, slots=True)
class ShiftFirst:
    """``b / a`` of an affine layer's weights: what to add before the product, not after it."""

    affine: Parts

    def __call__(self, *arrays: Array) -> Array:
        """The vector."""
        a, b = self.affine(arrays)
        return b / a
