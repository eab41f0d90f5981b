"""One of the two models that are compared: what it takes, what it can give, and running it.

The two sides may hold a value in different orders. Each value's order is known (graphcnn's own
files say it, Keras has one order for all) or, in files of other tools, one of two that shapes tell
apart, where they do.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from graphcnn.errors import VerificationError
from graphcnn.runtime.inputs import fit
from graphcnn.runtime.signature import ANY, Array, TensorSpec
from graphcnn.types import FIRST, LAST, Layout

Sizes = tuple[int | None, ...]
"""The sizes of one sample; None where any will do, or it is not known."""

Runner = Callable[[Mapping[str, Array]], list[Array]]
"""Values, in an order that was asked for, from inputs by name."""

NO_BATCH = np.empty((0, 0))
"""What stands for a value that is not one row a sample."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a side can give.

    Attributes:
        name: What the model calls it.
        held: What the engine calls it.
        sizes: Of one sample, as they lie in memory; None where not even their number is known.
        layout: How they lie; None where it cannot be told.
        where: The line of the model file that it came from, or nothing.
    """

    name: str
    held: str
    sizes: Sizes | None = None
    layout: Layout | None = None
    where: str = ""


class Side(ABC):
    """A model that can be run.

    Attributes:
        model: How the user named it.
        engine: What runs it.
        inputs: What it takes, in its order.
        outputs: What it gives, in its order.
        layouts_known: Whether the layouts of inputs are known rather than guessed.
        foreign: Its values have the names of another tool.
        tops: By the output of the best classes that of their scores, where it gives these alone.
        scored: In the place of the best classes its runner gives the scores of all.
        precision: What its weights and numbers are rounded to, as the file states it.
    """

    model: str
    engine: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[Value, ...]
    layouts_known = True
    foreign = False
    tops: Mapping[str, str] = MappingProxyType({})
    scored = False
    precision = "fp32"

    @abstractmethod
    def layers(self) -> list[Value]:
        """The values of its layers, in the order they are computed."""

    @abstractmethod
    def runner(self, values: Sequence[Value] | None = None) -> Runner:
        """What runs it for these values; for its outputs if None.

        Raises:
            RuntimeFailure: Its engine cannot; the runner raises the same.
        """

    def input_layouts(self, spec: TensorSpec) -> tuple[Layout, ...]:
        """The layouts that an input may have, the likeliest first."""
        stated = FIRST if spec.order == "channels first" else LAST
        if self.layouts_known or len(spec.shape) < 3:
            return (stated,)
        return (stated, LAST if stated == FIRST else FIRST)

    def fed(self, run: Runner, arrays: Mapping[str, Array]) -> list[Array]:
        """Run samples, in batches of its own size where it fixes one.

        Args:
            run: One of its runners.
            arrays: Samples by the names of its inputs, in its own layouts.

        Returns:
            The runner's values for these samples; `NO_BATCH` for one whose first axis is not the
            batch.

        Raises:
            RuntimeFailure: They do not fit, or the model does not run.
        """
        count = len(next(iter(arrays.values())))
        fixed = {spec.shape[0] for spec in self.inputs if isinstance(spec.shape[0], int)}
        step = int(min(fixed, default=count))
        parts = [self._run(run, arrays, start, step) for start in range(0, count, step)]
        return [np.concatenate(rows)[:count] for rows in zip(*parts, strict=True)]

    def _run(self, run: Runner, arrays: Mapping[str, Array], start: int, step: int) -> list[Array]:
        """A batch of exactly `step` samples: past the end the last one is repeated."""
        feeds = {}
        for spec in self.inputs:
            array = arrays[spec.name]
            rows = array[np.minimum(np.arange(start, start + step), len(array) - 1)]
            feeds[spec.name] = fit(rows, spec, f"{self.model}: input {spec.name!r}")
        return [_batched(values, step) for values in run(feeds)]


class Around(Side):
    """A side that gives other values than the one that it holds.

    Args:
        side: The one that it holds.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self.model, self.engine, self.inputs = side.model, side.engine, side.inputs
        self.outputs, self.tops, self.precision = side.outputs, side.tops, side.precision
        self.layouts_known, self.scored = side.layouts_known, side.scored

    def layers(self) -> list[Value]:
        """See `Side.layers`, which finds out whose names they are."""
        found = self.side.layers()
        self.foreign = self.side.foreign
        return found


def _batched(values: Array, count: int) -> Array:
    """The values, or none where the first axis is not the batch."""
    return values if values.ndim and len(values) == count else NO_BATCH


def check_batched(side: Side) -> None:
    """Refuse inputs without a batch.

    Raises:
        VerificationError: An input has no axes, or none at all.
    """
    if not side.inputs:
        raise VerificationError(f"{side.model} has no inputs")
    for spec in side.inputs:
        if not spec.shape:
            raise VerificationError(
                f"{side.model}: input {spec.name!r} is a single number",
                hint="the first axis of each input must be the batch",
            )


def sample_sizes(spec: TensorSpec) -> Sizes:
    """The sizes of one sample of an input as they lie in memory."""
    return tuple(size if isinstance(size, int) else None for size in spec.shape[1:])


def open_spec(
    name: str, sizes: Sizes, dtype: np.dtype[Any], batch: int | None = None
) -> TensorSpec:
    """What is channels last, of any batch unless that is given."""
    rank = len(sizes) + 1
    layout = LAST.letters(rank) if 3 <= rank <= 5 else ""
    shape = ("N" if batch is None else batch, *(ANY if size is None else size for size in sizes))
    return TensorSpec(name, shape, dtype, layout)


def logical(sizes: Sizes, layout: Layout) -> Sizes:
    """Sizes of a sample, channels last."""
    return (*sizes[1:], sizes[0]) if layout.channels_first else sizes


def channels_last(values: Array, layout: Layout) -> Array:
    """Values of a batch in their logical order."""
    if layout.channels_first:
        return np.moveaxis(values, 1, -1)
    if not layout.segments:
        return values
    ends = np.cumsum([math.prod(piece) for piece in layout.segments])
    pieces = np.split(values, ends[:-1], axis=-1)
    whole = [
        np.moveaxis(piece.reshape(*piece.shape[:-1], sizes[-1], *sizes[:-1]), -len(sizes), -1)
        for piece, sizes in zip(pieces, layout.segments, strict=True)
    ]
    return np.concatenate([piece.reshape(*values.shape[:-1], -1) for piece in whole], axis=-1)


def arrangements(
    a: Sizes | None, a_layouts: Iterable[Layout], b: Sizes | None, b_layouts: Iterable[Layout]
) -> Iterator[tuple[Layout, Layout]]:
    """The pairs of layouts in which two values have one shape, the likeliest first."""
    b_layouts = tuple(b_layouts)
    for one in a_layouts:
        for other in b_layouts:
            if a is None or b is None or _fits(logical(a, one), logical(b, other)):
                yield one, other


def merged(a: Sizes, b: Sizes) -> Sizes:
    """Sizes that both sides take."""
    return tuple(one if other is None else other for one, other in zip(a, b, strict=True))


def possible(value: Value, rank: int) -> tuple[Layout, ...]:
    """The layouts that a value may have, for a rank that counts the batch."""
    if value.layout is not None:
        return (value.layout,)
    return (LAST, FIRST) if rank >= 3 else (LAST,)


def spell(sizes: Sizes) -> str:
    """Sizes in words, such as ``28x28x1``."""
    return "x".join("?" if size is None else str(size) for size in sizes) or "one number"


def _fits(a: Sizes, b: Sizes) -> bool:
    return len(a) == len(b) and all(
        None in (one, other) or one == other for one, other in zip(a, b, strict=True)
    )
