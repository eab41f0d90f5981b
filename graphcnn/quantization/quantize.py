"""A float32 file put into 8-bit integers, with as many layers left in float as a budget needs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import get_args

from graphcnn import metadata as keys
from graphcnn.errors import DataError, ExportError, GraphError, OptionError, did_you_mean
from graphcnn.export import SizeLimit
from graphcnn.onnx_file import read_onnx_file
from graphcnn.runtime.predict import Predictor

from .calibration import Method, calibrate
from .insertion import insert
from .placement import WEIGHTED, Layer, quantizable
from .processor import Arithmetic, suitable_arithmetic, this_processor
from .quality import BudgetExceeded, Limit, Quality, QualityReport, Reference
from .samples import Samples, read_samples
from .search import Attempt, Damage, damage_samples, damages, put_back

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

_LISTED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How to put a file into integers.

    Attributes:
        data: What `read_samples` takes.
        limit: What must be kept; None writes the file whatever is lost.
        method: How the range of an activation is chosen.
        samples: How many samples are calibrated on, at most.
        floats: Names of layers to leave in float.
        rank: Whether each layer's own damage is measured where the budget holds without.

    Raises:
        OptionError: There is no such method, or there are no samples.
    """

    data: str
    limit: Limit | None = None
    method: Method = "minmax"
    samples: int = 512
    floats: tuple[str, ...] = ()
    rank: bool = False

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise OptionError(f"method: expected one of {get_args(Method)}, found {self.method!r}")
        if self.samples < 1:
            raise OptionError(f"samples: expected at least 1, found {self.samples}")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantizationReport:
    """What was put into integers, and what that costs.

    Attributes:
        arithmetic: The integers, and why these.
        method: How ranges were chosen.
        calibrated: How many samples they were measured on.
        quality: How good the written file is, or the best where none was.
        attempts: The files that were made and measured, in that order.
        best: The one that was written: the first that holds, with the fewest layers in float. If
            none holds, the closest.
        damages: Each layer's own damage, the most harmful first; empty where it was not measured.
        damage_samples: How many samples that was measured on.
        layers: How many nodes can be in integers.
        asked: The layers that were asked to be in float.
    """

    arithmetic: Arithmetic
    method: Method
    calibrated: int
    quality: QualityReport
    attempts: tuple[Attempt, ...]
    best: Attempt
    damages: tuple[Damage, ...]
    damage_samples: int
    layers: int
    asked: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What several files of one model can be quantized by, read and measured once.

    Attributes:
        samples: The samples.
        reference: What the float32 file gives on those that are held out.
    """

    samples: Samples
    reference: Reference


def prepare(
    path: Path, how: Quantization, progress: Progress = lambda what, done, total: None
) -> Prepared:
    """Read samples, and measure the float32 file on them.

    Args:
        path: The float32 file, of one input.
        how: The data, and what must be kept.
        progress: Told how it goes.

    Raises:
        GraphCNNError: Of the kind that says what cannot be read, or does not fit.
    """
    samples = read_samples(how.data, Predictor(path), how.samples)
    if how.limit and how.limit.kind == "accuracy" and samples.labels is None:
        problem = "there are no labels to tell the accuracy by"
        raise DataError(problem, subject=how.data, hint="--budget snr=30")
    tick = partial(progress, "measuring float32")
    return Prepared(samples, Reference(path, samples.held_out, samples.labels, tick))


def quantize(
    path: Path,
    how: Quantization,
    progress: Progress = lambda what, done, total: None,
    prepared: Prepared | None = None,
) -> QuantizationReport:
    """Put a float32 file into integers, in its place.

    Args:
        path: The file, of one input. Where an error is raised it stays as it is.
        how: What to do.
        progress: Told how it goes.
        prepared: What `prepare` gave for the same model, data and number of samples, if it did.

    Raises:
        BudgetExceeded: The budget holds with no layer in integers only.
        GraphCNNError: Of the kind that says what cannot be read, or does not fit.
    """
    work = _Work(path, how, progress, prepared)
    report = work.search()
    if not report.quality.holds:
        raise _excess(report)
    work.write(report)
    return report


def measure_quality(
    original: Path, path: Path, how: Quantization, progress: Progress
) -> QualityReport:
    """Measure a file beside its float32 original.

    Args:
        original: The float32 file.
        path: The file.
        how: The data and what must be kept.
        progress: Told how it goes.

    Raises:
        BudgetExceeded: It does not keep what it must.
        GraphCNNError: Of the kind that says what cannot be read, or does not fit.
    """
    prepared = prepare(original, how, progress)
    reference = prepared.reference
    found = reference.measure(path, progress=partial(progress, "measuring the file"))
    report = QualityReport(
        original=reference.quality,
        quality=found,
        limit=how.limit,
        held_out=len(reference),
        split=prepared.samples.split,
    )
    if not report.holds:
        raise BudgetExceeded(report, "the file")
    return report


class _Work:
    """One file on its way into integers."""

    def __init__(
        self, path: Path, how: Quantization, progress: Progress, prepared: Prepared | None
    ) -> None:
        self._path, self._how, self._progress = path, how, progress
        self._file = read_onnx_file(path)
        layers = quantizable(self._file)
        self._asked = _named(layers, how.floats)
        self._layers = [layer for layer in layers if layer not in self._asked]
        if WEIGHTED.isdisjoint(layer.op for layer in self._layers):
            raise GraphError(
                "no layer of the model that has weights can be in integers",
                hint="--precision fp16 halves the file",
            )
        self._arithmetic = suitable_arithmetic(this_processor())
        prepared = prepared or prepare(path, how, progress)
        self._samples, self._reference = prepared.samples, prepared.reference
        tick = partial(progress, "calibrating")
        rows = self._samples.calibration
        self._ranges = calibrate(self._file, Predictor(path), rows, how.method, tick)

    def search(self) -> QuantizationReport:
        """Make and measure files until the budget holds, or cannot."""
        how, original = self._how, self._reference.quality
        attempts = [Attempt((), self._measure(()))]
        enough = how.limit is None or how.limit.holds(original, attempts[0].quality)
        count = min(damage_samples(self._file.macs), len(self._reference))
        found: tuple[Damage, ...] = ()
        if how.rank or not enough:
            tick = partial(self._progress, "each layer alone")
            first = self._reference.first(count)
            found = damages(self._layers, self._measure, first, count, tick)
        if how.limit and not enough:
            ranking = [damage.layer for damage in found]
            put_back(ranking, self._measure, how.limit, original, attempts.append)
        best = _best(attempts, how.limit, original)
        return QuantizationReport(
            arithmetic=self._arithmetic,
            method=how.method,
            calibrated=len(self._samples.calibration),
            quality=QualityReport(
                original=original,
                quality=best.quality,
                limit=how.limit,
                held_out=len(self._reference),
                split=self._samples.split,
            ),
            attempts=tuple(attempts),
            best=best,
            damages=found,
            damage_samples=count if found else 0,
            layers=len(self._layers) + len(self._asked),
            asked=self._asked,
        )

    def write(self, report: QuantizationReport) -> None:
        """Put the best file in the place of the float32 file."""
        import onnx

        with self._made(report.best.floats, _metadata(report)) as made:
            onnx.checker.check_model(made, full_check=True)
            os.replace(made, self._path)

    def _measure(self, floats: Sequence[Layer], samples: int | None = None) -> Quality:
        progress = partial(self._progress, "measuring int8") if samples is None else _silent
        with self._made(floats) as made:
            return self._reference.measure(made, samples, progress)

    @contextmanager
    def _made(
        self, floats: Sequence[Layer], metadata: Mapping[str, str] = MappingProxyType({})
    ) -> Iterator[Path]:
        """A file with these layers in float, for as long as it is needed."""
        import onnx

        integers = {layer.node for layer in self._layers if layer not in floats}
        with TemporaryDirectory(prefix=".graphcnn-", dir=self._path.parent) as folder:
            made = Path(folder) / "int8.onnx"
            model = insert(self._path, self._ranges, self._arithmetic, integers)
            said = {item.key: item.value for item in model.metadata_props}
            onnx.helper.set_model_props(model, said | dict(metadata))
            if model.ByteSize() > SizeLimit:
                raise ExportError("in integers the model is still larger than 2 GiB")
            made.write_bytes(model.SerializeToString(deterministic=True))
            del model
            yield made


def _harm(damage: Damage) -> str:
    """One layer's damage, for people."""
    layer = damage.layer
    title = f" ({layer.origin.title})" if layer.origin else ""
    points = "" if damage.accuracy is None else f"loses {damage.accuracy * 100:.2f} points, "
    return f"{layer.name}{title} alone: {points}{damage.snr:.1f} dB"


def _silent(done: int, total: int) -> None:
    """Tell nobody: it is one of many."""


def _named(layers: Sequence[Layer], names: Collection[str]) -> tuple[Layer, ...]:
    """The layers of these names.

    Raises:
        GraphError: There is none of a name.
    """
    known = {name for layer in layers for name in layer.names}
    for name in names:
        if name not in known:
            raise GraphError(
                f"no layer named {name!r:.80} can be in integers", hint=did_you_mean(name, known)
            )
    return tuple(layer for layer in layers if not layer.names.isdisjoint(names))


def _best(attempts: Sequence[Attempt], limit: Limit | None, original: Quality) -> Attempt:
    """Of those that hold the one with the fewest layers in float; else the closest."""
    if limit is None:
        return attempts[0]
    holding = [attempt for attempt in attempts if limit.holds(original, attempt.quality)]
    if holding:
        return min(holding, key=lambda attempt: len(attempt.floats))
    return min(attempts, key=lambda attempt: limit.excess(original, attempt.quality))


def _metadata(report: QuantizationReport) -> dict[str, str]:
    best = report.best
    facts = {
        "activations": report.arithmetic.activations,
        "weights": f"{report.arithmetic.weights}, per channel",
        "calibration": f"{report.method}, {report.calibrated} samples",
        "float_layers": [layer.name for layer in (*report.asked, *best.floats)],
        "held_out_samples": report.quality.held_out,
        "accuracy": best.quality.accuracy,
        "float32_accuracy": report.quality.original.accuracy,
        "snr_db": None if math.isinf(best.quality.snr) else round(best.quality.snr, 2),
    }
    return {keys.PRECISION: "int8", keys.QUANTIZATION: json.dumps(facts)}


def _excess(report: QuantizationReport) -> BudgetExceeded:
    count = len(report.attempts)
    files = "the only file" if count == 1 else f"the best of {count} files"
    floats = f"{len(report.best.floats)} of {report.layers} layers in float"
    rows = [(d.layer.place, _harm(d)) for d in report.damages[:_LISTED]]
    hint = "a larger budget, another --calibration, or more --calibration-samples"
    return BudgetExceeded(report.quality, f"{files}, with {floats},", hint, rows)
