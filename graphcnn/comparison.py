r"""How far two engines' values are apart, and what is close enough.

A value :math:`b` agrees with its reference :math:`a` where

.. math:: \max |a - b| \le \mathrm{atol} + \mathrm{rtol} \cdot \max |a|

both maxima over the whole value and all samples: rounding in a sum is relative to its largest
terms, not to what is left of them. NaN on either side never agrees; an infinity agrees with the
same infinity at the same place, and is left out of the maxima.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .errors import OptionError
from .types import Array

_AT_ONCE = 2**20
"""Numbers that are compared together, in float64."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is close enough: see the module.

    Attributes:
        rtol: Allowed error, relative to the largest magnitude of the reference value.
        atol: Allowed error, absolute.
    """

    rtol: float = 1e-4
    atol: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("rtol", "atol"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise OptionError(f"{name}: expected a number from 0, found {value}", path=[name])

    def bound(self, scale: float) -> float:
        """The allowed error of a value whose largest magnitude is `scale`."""
        return self.atol + self.rtol * scale


INTEGERS = "int8"
"""The precision of files that compute in 8-bit integers, which float ones are no reference for: how
far they are apart is up to the network, and is measured by its accuracy."""

ROUNDED = {
    "fp16": Tolerance(5e-3, 1e-4),
    "fp16-body": Tolerance(2e-2, 1e-3),
    INTEGERS: Tolerance(1e-1, 1e-3),
}
"""What is close enough by the precision that a file states: float16 rounds to one part in 2048, and
sums of rounded numbers differ by a few of those. Of 8-bit integers it is for two of them: engines
that round a tie otherwise are a step apart, one part in 255 of a range, and outputs of networks a
few: OpenVINO and onnxruntime by up to 0.06 of the largest score, of four networks."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one value of A and one of B are apart, over all samples.

    Attributes:
        name: Its name in A.
        other: Its name in B.
        where: The line of the model file that it came from, if either side says so.
        certain: Both sides name it; otherwise it was found by a part of its name.
        sizes: Of one sample, channels last.
        samples: How many were compared.
        largest_absolute: The largest absolute difference.
        scale: The largest magnitude in A.
        cosine: The cosine between the two sides' values of a sample: the lowest of any sample.
        same_argmax: The samples whose largest number is at the same index, where a sample is one
            row of two numbers or more; None elsewhere.
        nan: The NaN in A, and in B.
        inf: The infinities in A, and in B.
        broken: The places where either is NaN, or an infinity that the other is not.
        bound: The largest absolute difference that the tolerance allows.
    """

    name: str
    other: str
    where: str
    certain: bool
    sizes: tuple[int, ...]
    samples: int
    largest_absolute: float
    scale: float
    cosine: float
    same_argmax: int | None
    nan: tuple[int, int]
    inf: tuple[int, int]
    broken: int
    bound: float

    @property
    def largest_relative(self) -> float | None:
        """The largest absolute difference as a share of `scale`; None where only A is zero."""
        if not self.largest_absolute:
            return 0.0
        return self.largest_absolute / self.scale if self.scale else None

    @property
    def within(self) -> bool:
        """Whether it is within the tolerance."""
        return not self.broken and self.largest_absolute <= self.bound


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Two models on the same samples.

    Attributes:
        models: A and B, as they were named.
        engines: What ran each.
        samples: How many samples they were given.
        data: Where these came from.
        tolerance: What was close enough.
        outputs: Each output.
        layers: Each layer that both have, in A's order; None where they were not compared.
        skipped: What could not be compared, and why.
        integers: The side that alone computes in 8-bit integers, and has the other's tolerance.
    """

    models: tuple[str, str]
    engines: tuple[str, str]
    samples: int
    data: str
    tolerance: Tolerance
    outputs: tuple[Difference, ...]
    layers: tuple[Difference, ...] | None = None
    skipped: tuple[str, ...] = ()
    integers: str = ""

    @property
    def equal(self) -> bool:
        """Whether all is within the tolerance: outputs, and the layers that both sides name.

        A layer that was found by a part of its name may be the wrong one, and decides nothing.
        """
        layers = (layer for layer in self.layers or () if layer.certain)
        return all(item.within for item in (*self.outputs, *layers))

    @property
    def first(self) -> Difference | None:
        """The first layer that leaves the tolerance."""
        return next((layer for layer in self.layers or () if not layer.within), None)


@dataclass(frozen=True, slots=True)
class RuntimeCell:
    """A file in one runtime, in batches of one size, beside the reference.

    Attributes:
        runtime: Its name.
        version: Its version.
        batch: The samples in a batch.
        outputs: Each output; none where it did not run.
        failure: Why it did not, such as ``crashed (signal 11)``; empty where it did.
        reason: What was said then.
    """

    runtime: str
    version: str
    batch: int
    outputs: tuple[Difference, ...] = ()
    failure: str = ""
    reason: str = ""

    @property
    def state(self) -> str:
        """``ok``, ``differs``, or why it did not run."""
        if self.failure:
            return self.failure
        return "ok" if all(item.within for item in self.outputs) else "differs"

    @property
    def worst(self) -> Difference | None:
        """The output that is furthest from what is allowed; None where it did not run."""
        return max(
            self.outputs,
            key=lambda item: math.inf if item.broken else item.largest_absolute / item.bound,
            default=None,
        )


@dataclass(frozen=True, slots=True)
class RuntimeReport:
    """A file in several runtimes, beside a reference.

    Attributes:
        models: The reference and the file, as they were named.
        engine: What ran the reference.
        data: Where the samples came from.
        tolerance: What was close enough.
        cells: Each runtime at each size of a batch.
        first: By runtime, the first layer that leaves the tolerance, or why none is named; of the
            runtimes that give other numbers.
        integers: See `VerifyReport`.
    """

    models: tuple[str, str]
    engine: str
    data: str
    tolerance: Tolerance
    cells: tuple[RuntimeCell, ...]
    first: Mapping[str, Difference | str]
    integers: str = ""

    @property
    def equal(self) -> bool:
        """Whether every runtime gives what the reference gives."""
        return all(cell.state == "ok" for cell in self.cells)


class Differing:
    """Adds up how far a value of A and one of B are apart, batch after batch."""

    def __init__(self) -> None:
        self.sizes: tuple[int, ...] = ()
        self.samples = self.broken = self._same_argmax = 0
        self.largest = self.scale = 0.0
        self._cosine = 1.0
        self._nan, self._inf = np.zeros(2, np.int64), np.zeros(2, np.int64)

    def add(self, a: Array, b: Array) -> None:
        """Take more samples: numbers of one shape, [samples, ...], channels last."""
        self.sizes = a.shape[1:]
        step = max(1, _AT_ONCE // max(1, math.prod(self.sizes)))
        for start in range(0, len(a), step):
            rows = (side[start : start + step].astype(np.float64) for side in (a, b))
            self._add(*(side.reshape(len(side), -1) for side in rows))

    def difference(
        self, name: str, other: str, where: str, certain: bool, tolerance: Tolerance
    ) -> Difference:
        """What all samples came to."""
        row = math.prod(self.sizes) == max(self.sizes, default=1) > 1
        return Difference(
            name=name,
            other=other,
            where=where,
            certain=certain,
            sizes=self.sizes,
            samples=self.samples,
            largest_absolute=self.largest,
            scale=self.scale,
            cosine=self._cosine,
            same_argmax=self._same_argmax if row else None,
            nan=(int(self._nan[0]), int(self._nan[1])),
            inf=(int(self._inf[0]), int(self._inf[1])),
            broken=self.broken,
            bound=tolerance.bound(self.scale),
        )

    def _add(self, a: Array, b: Array) -> None:
        self.samples += len(a)
        self._nan += [np.count_nonzero(np.isnan(side)) for side in (a, b)]
        self._inf += [np.count_nonzero(np.isinf(side)) for side in (a, b)]
        self._same_argmax += int((a.argmax(axis=1) == b.argmax(axis=1)).sum())
        finite = np.isfinite(a) & np.isfinite(b)
        self.broken += int((~finite & (a != b)).sum())
        a, b = np.where(finite, a, 0), np.where(finite, b, 0)
        self.largest = max(self.largest, float(np.abs(a - b).max()))
        self.scale = max(self.scale, float(np.abs(a).max()))
        self._cosine = min(self._cosine, float(_cosines(a, b).min()))


def _cosines(a: Array, b: Array) -> Array:
    """The cosine of each pair of rows: 1 where both are zero, and 0 where one is."""
    units = []
    for side in (a, b):
        scale = np.abs(side).max(axis=1, keepdims=True)
        scaled = side / np.where(scale, scale, 1)
        length = np.linalg.norm(scaled, axis=1, keepdims=True)
        units.append(scaled / np.where(length, length, 1))
    both_zero = ~(a.any(axis=1) | b.any(axis=1))
    return np.where(both_zero, 1.0, np.einsum("ij,ij->i", *units))
