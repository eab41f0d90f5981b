"""Operators that `graphcnn.embedding` puts around a network: colours in order, the best classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from graphcnn.errors import ShapeError
from graphcnn.types import DType, TensorType

from .op import Cost, Lowering, Op, Reach, SpatialOp, known_channels, own_position

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class ReverseChannels(SpatialOp):
    """The channels from last to first: BGR as RGB, and RGB as BGR."""

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0]

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost()

    def reach(self, *inputs: TensorType) -> tuple[Reach, ...] | None:
        return own_position(inputs[0])

    def lower(self, ctx: Lowering) -> str:
        """A Gather, or the convolution of one position that does the same."""
        import numpy as np

        (x,) = ctx.operands
        channels, axes = known_channels(ctx.output), len(ctx.output.spatial)
        if ctx.takes("Gather"):
            places = ctx.constant(range(channels)[::-1], DType.int64)
            return ctx.emit("Gather", [x, places], axis=1)
        kernel = np.eye(channels)[::-1].reshape(channels, channels, *(1,) * axes)
        return ctx.emit("Conv", [x, ctx.constant(kernel)], kernel_shape=[1] * axes)


@dataclass(frozen=True, slots=True)
class BackwardInputs:
    """A kernel (..., in, out) for inputs whose channels come from last to first."""

    def __call__(self, kernel: Array) -> Array:
        """The view."""
        return kernel[..., ::-1, :]


@dataclass(frozen=True, slots=True)
class Backward:
    """What a function makes, from last to first.

    Attributes:
        function: Makes one number for each channel.
    """

    function: Any

    def __call__(self, *arrays: Array) -> Array:
        """The view."""
        made: Array = self.function(*arrays)[::-1]
        return made


@dataclass(frozen=True, kw_only=True)
class _Top(Op):
    """One of the two results of an ONNX TopK.

    Attributes:
        k: How many of the classes.
    """

    part: ClassVar[int]
    k: int

    def _checked(self, x: TensorType) -> None:
        if x.rank != 2 or not 1 <= self.k <= known_channels(x):
            raise ShapeError(f"there are no {self.k} best of {list(x.sizes)}")

    def cost(self, inputs: tuple[TensorType, ...], output: TensorType) -> Cost:
        return Cost(other=inputs[0].elements)

    def lower(self, ctx: Lowering) -> str:
        k = ctx.constant([self.k], DType.int64)
        return ctx.emit_part("TopK", [*ctx.operands, k], self.part, 2, axis=-1)


@dataclass(frozen=True, kw_only=True)
class TopScores(_Top):
    """The highest scores of each sample, highest first."""

    part: ClassVar[int] = 0

    def infer(self, *inputs: TensorType) -> TensorType:
        self._checked(inputs[0])
        return inputs[0].with_sizes((self.k,))


@dataclass(frozen=True, kw_only=True)
class TopClasses(_Top):
    """The classes that have the highest scores, the highest first; of equal ones the first."""

    part: ClassVar[int] = 1

    def infer(self, *inputs: TensorType) -> TensorType:
        self._checked(inputs[0])
        return TensorType((self.k,), DType.int64)
