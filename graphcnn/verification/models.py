"""Comparing two models: running both on the same samples, and summing up."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphcnn.comparison import INTEGERS, ROUNDED, Difference, Differing, Tolerance, VerifyReport
from graphcnn.errors import ErrorGroup, GraphCNNError, VerificationError
from graphcnn.runtime.images import in_colors
from graphcnn.runtime.settings import Provider
from graphcnn.types import Array, Layout

from .embedded import WHOLE, ranked_alike, resized, unranked, with_best
from .opening import Model, Weights, opened
from .pairing import InputPair, Pair, pair_inputs, pair_layers, pair_outputs
from .samples import RandomSamples, Samples, Wanted, read_samples, with_open_sizes
from .side import Runner, Side, channels_last, logical, possible, spell
from .taps import with_taps

Progress = Callable[[int, int], None]

_OPEN_SIZES = (64, 224, 512)
"""What stands for sizes that both models leave open: the first that both can run."""

_MOST_SAMPLES = 32
"""Samples in a batch, where memory allows as many."""

_BATCH_BYTES = 2**22
"""The bytes of inputs in a batch, whose activations may take a hundred times as much."""

_LAYER_BYTES = 2**28
"""The bytes of layers' values, of both sides, that are held at once."""

_UNKNOWN_BYTES = _LAYER_BYTES // 16
"""What a layer's value is taken for where its sizes are not known."""


def verify(
    a: Model,
    b: Model,
    *,
    weights_a: Weights = None,
    weights_b: Weights = None,
    data: str | Path | None = None,
    random: int = 8,
    limits: tuple[float, float] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    per_layer: bool = False,
    seed: int = 0,
    provider: Provider = "auto",
    progress: Progress = lambda done, total: None,
) -> VerifyReport:
    """Run two models on the same samples, and compare what comes out.

    Args:
        a: The reference: a graph or a model file (lowered as it is written, and run by onnxruntime
            on CPU with its optimiser off), a .keras or .h5 file (run by Keras), or an .onnx file of
            any tool (run by onnxruntime).
        b: What is compared with it.
        weights_a: The weights of A, where it is a graph or a model file; drawn if None.
        weights_b: The weights of B.
        data: What to run them on: see `samples.read_samples`.
        random: How many random samples to run them on, if there is no data.
        limits: The least and the greatest random number; a standard normal distribution if None.
        rtol: Allowed error, relative to the largest magnitude in A's value; None for 1e-4, or what
            the precision that a file states asks for.
        atol: Allowed error, absolute; None for 1e-6, or what that precision asks for.
        per_layer: Whether to compare every layer that both have, too. onnxruntime's optimiser is
            off then.
        seed: What weights and samples are drawn from.
        provider: What runs .onnx files.
        progress: Called with the samples done so far, and in all, of each of the passes.

    Returns:
        How far outputs and layers are apart.

    Raises:
        VerificationError: The models cannot be compared: they have other numbers of inputs or
            outputs, or other sizes.
        GraphCNNError: A model or the data cannot be read or run.
    """
    Tolerance(rtol or 0, atol or 0)  # Refuses what is wrong before a model is opened.
    if random < 1:
        raise VerificationError(f"expected one random sample or more, found {random}")
    if limits and not limits[0] < limits[1] < math.inf:
        raise VerificationError(f"expected a least and a greater number, found {limits}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphcnn-")))
        sides = (
            opened(a, weights_a, seed, provider, folder / "a.onnx"),
            opened(b, weights_b, seed, provider, folder / "b.onnx"),
        )
        sides = with_taps(*with_best(*sides))
        tolerance = tolerance_of(sides, rtol, atol)
        run = Comparison(sides, tuple(pair_inputs(*sides)), tolerance, progress)
        outputs, order = pair_outputs(*sides)
        samples = run.samples(data, random, seed, limits)
        found = run.outputs(outputs, order, samples)
        layers, skipped = run.layers(samples) if per_layer else (None, [])
    return VerifyReport(
        models=(sides[0].model, sides[1].model),
        engines=(sides[0].engine, sides[1].engine),
        samples=samples.count,
        data=samples.source,
        tolerance=tolerance,
        outputs=tuple(found),
        layers=None if layers is None else tuple(layers),
        skipped=tuple(skipped),
        integers=alone_in_integers(sides, rtol, atol),
    )


def tolerance_of(sides: Sequence[Side], rtol: float | None, atol: float | None) -> Tolerance:
    """What is given, else what the coarser side's precision asks for.

    8-bit integers ask for nothing beside floats: see `INTEGERS`.
    """
    precisions = {side.precision for side in sides}
    own = [ROUNDED.get(p, Tolerance()) for p in precisions if p != INTEGERS or len(precisions) == 1]
    return Tolerance(
        max(one.rtol for one in own) if rtol is None else rtol,
        max(one.atol for one in own) if atol is None else atol,
    )


def alone_in_integers(sides: Sequence[Side], rtol: float | None, atol: float | None) -> str:
    """The side that computes in 8-bit integers where the other does not, and no tolerance is given.

    Returns:
        Its model; nothing if there is none.
    """
    found = [side.model for side in sides if side.precision == INTEGERS]
    return found[0] if len(found) == 1 and rtol is atol is None else ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models whose inputs belong together.

    Attributes:
        sides: A and B.
        inputs: Their inputs.
        tolerance: What is close enough.
        progress: What is told how far a pass is.
    """

    sides: tuple[Side, Side]
    inputs: tuple[InputPair, ...]
    tolerance: Tolerance
    progress: Progress

    def samples(
        self,
        data: str | Path | None,
        random: int,
        seed: int,
        limits: tuple[float, float] | None = None,
    ) -> Samples:
        """The data, or this many random samples: see `verify`."""
        wanted = [Wanted(p.a.name, p.sizes, (p.a.dtype, p.b.dtype)) for p in self.inputs]
        if data is not None:
            return read_samples(data, wanted)
        return self._closed(
            [
                RandomSamples(random, with_open_sizes(wanted, size), seed, limits)
                for size in _OPEN_SIZES
            ]
        )

    def _closed(self, choices: Sequence[RandomSamples]) -> RandomSamples:
        """The first of the samples, which differ in their open sizes, that both sides can run."""
        if all(None not in pair.sizes for pair in self.inputs):
            return choices[0]
        for samples in choices[:-1]:
            try:
                next(self._values(samples, 1, [side.runner() for side in self.sides]))
            except GraphCNNError:
                continue
            return samples
        return choices[-1]

    def outputs(
        self,
        pairs: Sequence[Pair],
        order: Sequence[int],
        samples: Samples,
        size: int | None = None,
    ) -> list[Difference]:
        """Compare the outputs, which must have the same sizes.

        Args:
            pairs: The outputs.
            order: That of B's.
            samples: What is run.
            size: How many samples are run at once; as many as fit if None.

        Raises:
            VerificationError: Some cannot be compared.
        """
        a, b = (side.runner() for side in self.sides)

        def b_in_order(feeds: Mapping[str, Array]) -> list[Array]:
            found = b(feeds)
            return [found[place] for place in order]

        runners = [a, b_in_order]
        ran = _Counted(self.progress, samples.count)
        size = size or self._batch(samples)
        found, problems = self._compared(pairs, runners, samples, size, ran)
        if problems:
            raise ErrorGroup(VerificationError(f"output {problem}") for problem in problems)
        return found

    def layers(self, samples: Samples) -> tuple[list[Difference], list[str]]:
        """Compare the layers that both have, as many at once as memory allows."""
        pairs = pair_layers(*self.sides)
        chunks = list(_chunks(pairs))
        ran = _Counted(self.progress, samples.count * len(chunks))
        found, skipped = [], []
        for chunk in chunks:
            runners = [
                side.runner([(pair.a, pair.b)[place] for pair in chunk])
                for place, side in enumerate(self.sides)
            ]
            fits = _LAYER_BYTES // max(1, sum(map(_bytes, chunk)))
            size = max(1, min(self._batch(samples), fits))
            more, problems = self._compared(chunk, runners, samples, size, ran)
            found += more
            skipped += problems
        return found, skipped

    def _compared(
        self,
        pairs: Sequence[Pair],
        runners: Sequence[Runner],
        samples: Samples,
        size: int,
        ran: _Counted,
    ) -> tuple[list[Difference], list[str]]:
        """How far the pairs are apart, and which cannot be compared."""
        tops = self.sides[1].tops
        sums: dict[int, tuple[Differing, tuple[Layout, Layout]]] = {}
        problems: dict[int, str] = {}
        for count, found in self._values(samples, size, runners):
            values = ranked_alike(found, pairs, self.sides, self.tolerance)
            for place, (pair, (a, b)) in enumerate(zip(pairs, values, strict=True)):
                if place not in sums and place not in problems:
                    layouts = _arranged(pair, a, b, count)
                    if isinstance(layouts, str):
                        problems[place] = layouts
                        continue
                    sums[place] = Differing(), layouts
                if place in sums:
                    total, (one, other) = sums[place]
                    total.add(channels_last(a, one), channels_last(b, other))
            ran.add(count)
        differences = [
            total.difference(
                pairs[place].a.name,
                pairs[place].b.name,
                pairs[place].a.where or pairs[place].b.where,
                pairs[place].certain,
                WHOLE if pairs[place].b.name in tops else self.tolerance,
            )
            for place, (total, _) in sums.items()
        ]
        return [unranked(one, tops) for one in differences], list(problems.values())

    def _values(
        self, samples: Samples, size: int, runners: Sequence[Runner]
    ) -> Iterator[tuple[int, list[tuple[Array, Array]]]]:
        """Batch by batch: how many samples, and each pair's two values as the sides hold them."""
        for batch in samples.batches(size):
            a, b = (
                side.fed(runner, self._given(batch, place))
                for place, (side, runner) in enumerate(zip(self.sides, runners, strict=True))
            )
            yield len(next(iter(batch.values()))), list(zip(a, b, strict=True))

    def _given(self, batch: Mapping[str, Array], place: int) -> dict[str, Array]:
        """A batch by the names and in the layouts of one side's inputs."""
        given = {}
        for pair in self.inputs:
            spec = (pair.a, pair.b)[place]
            array = in_colors(batch[pair.a.name], spec)
            if (size := pair.resize(place)) is not None:
                array = resized(array, *size)
            if pair.layouts[place].channels_first:
                array = np.moveaxis(array, -1, 1)
            given[spec.name] = array
        return given

    def _batch(self, samples: Samples) -> int:
        """How many samples to run at once: as many as fit, and as a side may fix."""
        one = next(samples.batches(1))
        fits = _BATCH_BYTES // max(1, sum(array.nbytes for array in one.values()))
        return max(1, min(_MOST_SAMPLES, fits))


@dataclass(slots=True)
class _Counted:
    """Adds up samples for a progress callback."""

    report: Progress
    total: int
    done: int = 0

    def add(self, count: int) -> None:
        self.done += count
        self.report(self.done, self.total)


def _arranged(pair: Pair, a: Array, b: Array, count: int) -> tuple[Layout, Layout] | str:
    """The layouts in which two values are compared, or why they cannot be.

    Where shapes leave several open, it is those in which the values are nearest.
    """
    label = pair.a.name if pair.a.name == pair.b.name else f"{pair.a.name} ({pair.b.name} in B)"
    for side, values in (("A", a), ("B", b)):
        if len(values) != count:
            return f"{label}: in {side} it is not one value whose first axis is the batch"
    ways = pair.layouts(a.shape[1:], b.shape[1:])
    if not ways:
        one, other = (
            spell(logical(values.shape[1:], possible(value, values.ndim)[0]))
            for value, values in ((pair.a, a), (pair.b, b))
        )
        return f"{label}: {one} in A, and {other} in B"
    return ways[0] if len(ways) == 1 else min(ways, key=lambda way: _distance(a, b, way))


def _distance(a: Array, b: Array, way: tuple[Layout, Layout]) -> float:
    differing = Differing()
    differing.add(channels_last(a, way[0]), channels_last(b, way[1]))
    return differing.largest


def _bytes(pair: Pair) -> int:
    """What one sample of a pair takes, in float32."""
    sizes = pair.a.sizes or pair.b.sizes
    known = [size for size in sizes or () if size is not None]
    if sizes is None or len(known) < len(sizes):
        return _UNKNOWN_BYTES
    return 2 * 4 * math.prod(known)


def _chunks(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """The pairs in parts of which one sample fits in memory, each of one pair at least."""
    chunk: list[Pair] = []
    room = _LAYER_BYTES
    for pair in pairs:
        if chunk and _bytes(pair) > room:
            yield chunk
            chunk, room = [], _LAYER_BYTES
        chunk.append(pair)
        room -= _bytes(pair)
    if chunk:
        yield chunk
