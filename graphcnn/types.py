"""Types of values: sizes, element types, and how a value's elements lie in memory.

A value is a batch of samples. Its type holds the sizes of one sample, channels last; the batch
belongs to the whole graph (`Graph.batch`), so no shape rule can mix it with anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ShapeError

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
"""An array, in hints of what must not import numpy too."""

Dim: TypeAlias = int
"""A size. Where a model leaves heights or widths open it is a sympy integer expression, which
supports the same arithmetic; `is_symbolic` tells the two apart."""

MAX_ELEMENTS = 2**36
"""More elements in one tensor than any device that runs a CNN could hold: a mistake."""


class DType(Enum):
    """An element type."""

    float32 = "float32"
    float16 = "float16"
    uint8 = "uint8"
    int32 = "int32"
    int64 = "int64"

    @property
    def label(self) -> str:
        """Its name, which is also numpy's."""
        return self.value

    @property
    def is_float(self) -> bool:
        """Whether it holds fractions."""
        return self.value.startswith("float")

    @property
    def itemsize(self) -> int:
        """Bytes an element."""
        return _DTYPES[self][0]

    @property
    def onnx(self) -> int:
        """Its number in ONNX's TensorProto."""
        return _DTYPES[self][1]

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian numpy type, which is what ONNX and safetensors store."""
        import numpy as np

        return np.dtype(self.value).newbyteorder("<")

    def __str__(self) -> str:
        return self.value


_DTYPES = {
    DType.float32: (4, 1),
    DType.float16: (2, 10),
    DType.uint8: (1, 2),
    DType.int32: (4, 6),
    DType.int64: (8, 7),
}


def is_symbolic(size: Dim) -> bool:
    """Whether a size is an expression rather than a number."""
    return not isinstance(size, int)


def symbol(name: str) -> Dim:
    """A named size of at least 1 that is not known yet, such as the height of an image.

    Raises:
        ShapeError: The name is N, which is the batch.
    """
    if name == "N":
        raise ShapeError("N is the size of the batch", hint="another name, such as H or W")
    from sympy import Symbol

    return Symbol(name, integer=True, positive=True)  # type: ignore[no-any-return]


def product(sizes: Sequence[Dim]) -> Dim:
    """The number of elements that sizes span."""
    return math.prod(sizes)


@dataclass(frozen=True, slots=True)
class TensorType:
    """The type of a value, printed ``float32[N, 28, 28, 1]``.

    Attributes:
        sizes: The sizes of one sample, channels last, without the batch.
        dtype: The element type.
    """

    sizes: tuple[Dim, ...]
    dtype: DType = DType.float32

    def __post_init__(self) -> None:
        if any(isinstance(size, int) and size < 1 for size in self.sizes):
            raise ShapeError(f"sizes must be positive, found {list(self.sizes)}")
        elements = self.elements
        if isinstance(elements, int) and elements > MAX_ELEMENTS:
            raise ShapeError(
                f"a value of {list(self.sizes)} has {elements:,} elements a sample, "
                f"more than the {MAX_ELEMENTS:,} that graphcnn accepts"
            )

    @property
    def rank(self) -> int:
        """The number of axes, the batch counted."""
        return len(self.sizes) + 1

    @property
    def spatial(self) -> tuple[Dim, ...]:
        """The sizes between the batch and the channels."""
        return self.sizes[:-1]

    @property
    def channels(self) -> Dim:
        """The size of the last axis."""
        return self.sizes[-1]

    @property
    def elements(self) -> Dim:
        """Elements in one sample."""
        return product(self.sizes)

    @property
    def bytes(self) -> Dim:
        """Bytes of one sample."""
        return self.elements * self.dtype.itemsize

    @property
    def symbolic(self) -> bool:
        """Whether any size of a sample is an expression."""
        return any(is_symbolic(size) for size in self.sizes)

    def with_sizes(self, sizes: Sequence[Dim]) -> TensorType:
        """This element type with other sizes."""
        return TensorType(tuple(sizes), self.dtype)

    def shape(self, batch: int | None) -> tuple[Dim | None, ...]:
        """The sizes with a batch in front; None is a batch of any size."""
        return (batch, *self.sizes)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(size) for size in ('N', *self.sizes))}]"


def sample_axis(axis: int, rank: int) -> int:
    """Turn an axis counted as Keras counts it (the batch is 0) into an index into `sizes`.

    Args:
        axis: From ``-rank`` to ``rank - 1``.
        rank: The value's rank, the batch counted.

    Raises:
        ShapeError: The axis is the batch, or does not exist.
    """
    index = axis + rank if axis < 0 else axis
    if index == 0:
        raise ShapeError(f"axis {axis} is the batch, which no layer may touch")
    if not 0 < index < rank:
        raise ShapeError(f"axis {axis} does not exist: the input has axes 1 to {rank - 1}")
    return index - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """How the elements of a value lie in memory. The logical order is always channels last.

    Attributes:
        channels_first: The channels come before the spatial axes (a value of rank 3 or more).
        segments: For a flattened value that was channels first when it was flattened: the
            channels-last sizes of each piece, in order. A piece of one size is in plain order.
    """

    channels_first: bool = False
    segments: tuple[tuple[int, ...], ...] = ()

    def sizes(self, value: TensorType) -> tuple[Dim, ...]:
        """The sizes of one sample in the order they lie in memory."""
        if self.channels_first:
            return (value.channels, *value.spatial)
        return value.sizes

    def axis(self, index: int, value: TensorType) -> int:
        """Where the logical axis `sizes[index]` lies, the batch counted as 0."""
        if not self.channels_first:
            return index + 1
        return 1 if index == len(value.sizes) - 1 else index + 2

    def letters(self, rank: int) -> str:
        """The axes of a value of this rank, the batch counted, such as ``NCHW``."""
        if rank < 2:
            return "N"
        spatial = {3: "L", 4: "HW", 5: "DHW"}.get(rank, "")
        return f"NC{spatial}" if self.channels_first else f"N{spatial}C"

    def __str__(self) -> str:
        if self.segments:
            return "flattened from channels first"
        return "channels first" if self.channels_first else "channels last"


LAST = Layout()
FIRST = Layout(channels_first=True)


def spatial_layout(value: TensorType) -> Layout:
    """Channels first where there is a spatial axis, plain where there is none."""
    return FIRST if value.rank > 2 else LAST
