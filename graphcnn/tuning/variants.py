"""The model compiled in the ways that can matter, each measured on held-out samples."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

from graphcnn.compiler import compile as compile_graph
from graphcnn.errors import GraphCNNError, RuntimeFailure
from graphcnn.graph import Graph
from graphcnn.onnx_file import read_onnx_file
from graphcnn.quantization import (
    Limit,
    Method,
    Quality,
    Quantization,
    QuantizationReport,
    prepare,
    quantize,
)
from graphcnn.quantization.placement import quantizable
from graphcnn.quantization.precision import Precision
from graphcnn.report.tuning import Candidate, FloatLayer, Layout, Trial, Variant
from graphcnn.runtime.settings import Settings
from graphcnn.weights import WeightStore

from .clock import Clock, OutOfTime
from .speed import slower_in_integers

_METHODS: tuple[Method, ...] = ("minmax", "percentile", "entropy")
_MIXES = 2
"""How often layers that are slower in integers are looked for: with some of them in float, others
have conversions around them."""


class Workshop:
    """Compiles a model and measures what comes of it.

    Args:
        graph: The model.
        weights: Its weights.
        name: What files are called, without their ending.
        folder: Where to put them, each in a folder of its own.
        clock: Ends what takes too long.

    Attributes:
        original: The plain float32 file.
        held_out: What quality is measured on, for people.
    """

    def __init__(
        self, graph: Graph, weights: WeightStore, name: str, folder: Path, clock: Clock
    ) -> None:
        self._graph, self._weights, self._name = graph, weights, name
        self._folder, self._clock, self._numbers = folder, clock, count()
        path = self._compiled("fp32", "nchw")
        self.original = Variant(path=path, precision="fp32", bytes=_size(path))
        self.held_out = "nothing measured"

    def measure_original(self, data: str, limit: Limit) -> None:
        """Measure the float32 file, which others are measured by.

        Args:
            data: What `graphcnn.quantization.read_samples` takes.
            limit: What others must keep.

        Raises:
            DataError: The data cannot be read or do not fit, or have no labels and the limit is of
                accuracy.
            OutOfTime: The stage has to end.
        """
        self._data, self._limit = data, limit
        self._clock.tick("reading data")
        how = Quantization(data=data, limit=limit)
        self._prepared = prepare(self.original.path, how, self._told("fp32"))
        self._reference = self._prepared.reference
        self.held_out = f"{len(self._reference):,} samples of {self._prepared.samples.split}"
        self.original = self._with(self.original, self._reference.quality)

    def compiled(self, precision: Precision, layout: Layout) -> Variant:
        """The model in a precision of floating point.

        Raises:
            OutOfTime: The stage has to end.
        """
        made = Variant(path=self._compiled(precision, layout), precision=precision, layout=layout)
        tick = self._clock.count(f"measuring {made.label}")
        return self._with(made, self._reference.measure(made.path, progress=tick))

    def integers(
        self, method: Method, floats: Sequence[FloatLayer] = (), layout: Layout = "nchw"
    ) -> Variant:
        """The model in integers, with as many more layers in float as the budget needs.

        Args:
            method: How ranges are chosen.
            floats: Layers to leave in float.
            layout: Whether inputs and outputs are channels first or last.

        Raises:
            GraphCNNError: There is no such file within the budget.
            OutOfTime: The stage has to end.
        """
        path = self._place()
        if layout == "nchw":
            for source in self.original.path.parent.iterdir():
                shutil.copy(source, path.parent)
        else:
            path = self._compiled("fp32", layout)
        names = tuple(layer.node for layer in floats)
        how = Quantization(data=self._data, limit=self._limit, method=method, floats=names)
        told = self._told(f"int8 {method}")
        report = quantize(path, how, told, self._prepared)
        made = Variant(
            path=path,
            precision="int8",
            layout=layout,
            method=method,
            floats=(*floats, *_harmful(report)),
        )
        return self._with(made, report.best.quality)

    def slower(self, variant: Variant, batch: int) -> tuple[list[FloatLayer], bool]:
        """The layers of a file of integers that are slower so, and whether all are that are left.

        Raises:
            RuntimeFailure: It does not run on the CPU.
            OutOfTime: The stage has to end.
        """
        floats = {layer.node for layer in variant.floats}
        tick = self._clock.count("each layer's time")
        found = slower_in_integers(self.original.path, variant.path, floats, batch, tick)
        layers = [FloatLayer(layer.name, layer.node, layer.place, "speed") for layer in found]
        left = len(quantizable(read_onnx_file(self.original.path))) - len(floats)
        return layers, len(layers) == left

    def holds_with(self, candidate: Candidate) -> bool:
        """Whether the budget holds too with other settings than a file was measured with."""
        settings = candidate.settings
        if (settings.provider, settings.optimization) == ("auto", "all"):
            return True
        try:
            found = self._reference.measure(candidate.variant.path, settings=settings)
        except GraphCNNError:
            return False
        return self._limit.holds(self._reference.quality, found)

    def within(self, variant: Variant) -> str:
        """Why a file is outside the budget; empty where it is not."""
        assert variant.snr is not None
        if self._limit.holds(self._reference.quality, Quality(variant.accuracy, variant.snr)):
            return ""
        return f"outside the budget: {self._limit}"

    def _with(self, variant: Variant, quality: Quality) -> Variant:
        size = _size(variant.path)
        return replace(variant, bytes=size, accuracy=quality.accuracy, snr=quality.snr)

    def _place(self) -> Path:
        """A path in a new folder."""
        folder = self._folder / str(next(self._numbers))
        folder.mkdir(parents=True)
        return folder / f"{self._name}.onnx"

    def _compiled(self, precision: Precision, layout: Layout) -> Path:
        path = self._place()
        compile_graph(
            self._graph,
            path,
            weights=self._weights,
            precision=precision,
            input_layout=layout,
            target="onnxruntime",
        )
        return path

    def _told(self, label: str) -> Callable[[str, int, int], None]:
        return lambda what, done, total: self._clock.tick(f"{label}: {what}, {done:,} of {total:,}")


def make_files(shop: Workshop, batch: int) -> list[Trial]:
    """Make the files that are worth timing, what may gain most first.

    What becomes of the others is said too.

    Args:
        shop: Makes them.
        batch: The samples of a run.
    """
    maker = _Maker(shop)
    with suppress(OutOfTime):
        best = maker.integers()
        if best:
            maker.mixes(best, batch)
        maker.make(Variant(path=shop.original.path, precision="fp16"), _compile)
    return maker.found


def with_channels_last(shop: Workshop, variant: Variant) -> list[Trial]:
    """The same file with inputs and outputs channels last; none where the stage has to end."""
    maker = _Maker(shop)
    with suppress(OutOfTime):
        maker.make(replace(variant, layout="nhwc"), _quantize if variant.method else _compile)
    return maker.found


def _compile(shop: Workshop, wanted: Variant) -> Variant:
    return shop.compiled(wanted.precision, wanted.layout)


def _quantize(shop: Workshop, wanted: Variant) -> Variant:
    assert wanted.method
    return shop.integers(wanted.method, wanted.floats, wanted.layout)


class _Maker:
    """Makes files, and keeps what became of each in `found`."""

    def __init__(self, shop: Workshop) -> None:
        self._shop, self.found = shop, list[Trial]()

    def make(self, wanted: Variant, make: Callable[[Workshop, Variant], Variant]) -> Variant | None:
        """Make a file like this; None where that fails or it is outside the budget."""
        try:
            made = make(self._shop, wanted)
        except GraphCNNError as error:
            self._reject(wanted, error.message)
            return None
        except OutOfTime:
            self._reject(wanted, "no time was left to make it")
            raise
        reason = self._shop.within(made)
        self.found.append(Trial(Candidate(made, Settings()), dropped=reason))
        return None if reason else made

    def integers(self) -> Variant | None:
        """The file of integers with the fewest layers in float.

        Ranges are chosen in another way only where the budget does not hold with all in integers.
        """
        made = []
        for method in _METHODS:
            variant = self.make(_integers(self._shop, method), _quantize)
            if variant:
                made.append(variant)
            if variant and not variant.floats:
                break
        return min(made, key=lambda variant: len(variant.floats), default=None)

    def mixes(self, variant: Variant, batch: int) -> None:
        """Files with the layers in float that are slower in integers."""
        for _ in range(_MIXES):
            try:
                layers, all_of_them = self._shop.slower(variant, batch)
            except RuntimeFailure:
                return
            if not layers:
                return
            floats = (*variant.floats, *layers)
            wanted = replace(variant, floats=floats)
            if all_of_them:
                self._reject(wanted, "every layer is slower in integers")
                return
            made = self.make(wanted, _quantize)
            if made is None:
                return
            variant = made

    def _reject(self, wanted: Variant, reason: str) -> None:
        unmade = replace(wanted, bytes=None, accuracy=None, snr=None)
        self.found.append(Trial(Candidate(unmade, Settings()), dropped=reason))


def _integers(shop: Workshop, method: Method) -> Variant:
    return Variant(path=shop.original.path, precision="int8", method=method)


def _harmful(report: QuantizationReport) -> list[FloatLayer]:
    return [FloatLayer(layer.name, layer.node, layer.place, "harm") for layer in report.best.floats]


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir())
