"""Rearrangements of weight arrays for ONNX: views wherever numpy can make one.

Each is a small frozen dataclass, so that two layers which share a weight and arrange it alike
compare equal and share one initializer in the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Permuted:
    """Axes permuted, after an optional reshape.

    Attributes:
        order: The axes, as in `numpy.transpose`.
        split: The shape to see the array in first; empty for its own.
    """

    order: tuple[int, ...]
    split: tuple[int, ...] = ()

    def __call__(self, array: Array) -> Array:
        """The view."""
        return array.reshape(self.split or array.shape).transpose(self.order)


@dataclass(frozen=True, slots=True)
class ChannelsFirstRows:
    """Rows put in the order of a flattened channels-first value.

    Attributes:
        segments: The channels-last sizes of each flattened piece; see `Layout.segments`.
        transposed: Whether the rows become the last axis (a Dense kernel for ``transB=1``).
    """

    segments: tuple[tuple[int, ...], ...]
    transposed: bool = False

    def __call__(self, array: Array) -> Array:
        """A view where there is one piece, a copy where there are several."""
        import numpy as np

        if len(self.segments) == 1:
            rows = array.reshape(*self.segments[0], *array.shape[1:])
            rows = np.moveaxis(rows, len(self.segments[0]) - 1, 0)
        else:
            rows = array[self._index()] if self.segments else array
        return np.moveaxis(rows, -1, 0) if self.transposed else rows

    def _index(self) -> Array:
        import numpy as np

        order, start = [], 0
        for sizes in self.segments:
            stop = start + math.prod(sizes)
            order.append(np.moveaxis(np.arange(start, stop).reshape(sizes), -1, 0).reshape(-1))
            start = stop
        return np.concatenate(order)


@dataclass(frozen=True, slots=True)
class ChannelsLeading:
    """The last axis in front, after axes of size 1 are put there up to `rank` axes."""

    rank: int

    def __call__(self, array: Array) -> Array:
        """The view."""
        import numpy as np

        shape = (1,) * (self.rank - array.ndim) + array.shape
        return np.moveaxis(array.reshape(shape), -1, 0)


@dataclass(frozen=True, slots=True)
class Then:
    """One function after another."""

    first: Callable[[Array], Array]
    second: Callable[[Array], Array]

    def __call__(self, array: Array) -> Array:
        """The second of the first."""
        return self.second(self.first(array))
