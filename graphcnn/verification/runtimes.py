"""One .onnx file in several runtimes, beside a reference, and where each first leaves it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx

from graphcnn.child import Crashed, Hung
from graphcnn.comparison import Difference, RuntimeCell, RuntimeReport
from graphcnn.errors import ErrorGroup, GraphCNNError, VerificationError
from graphcnn.runtime.signature import read_signature
from graphcnn.runtimes import Adapter, Missing
from graphcnn.types import Array

from .embedded import with_best
from .models import Comparison, alone_in_integers, tolerance_of
from .onnx_side import OnnxSide
from .opening import Model, Weights, opened
from .pairing import Pair, pair_inputs, pair_outputs
from .samples import ArraySamples, Samples
from .side import Runner, Value
from .taps import with_taps

BATCHES = (1, 3)
"""The sizes of batches that a file is run in: runtimes have been right at one and wrong beyond."""


class RuntimeSide(OnnxSide):
    """An .onnx file in a runtime.

    Args:
        path: The file.
        adapter: The runtime.
        folder: Where copies of the file lie that give more values.
    """

    def __init__(self, path: Path, adapter: Adapter, folder: Path) -> None:
        super().__init__(path, "cpu")
        self.engine = f"{adapter.name} {adapter.version()}"
        self._adapter, self._folder = adapter, folder

    def runner(self, values: Sequence[Value] | None = None) -> Runner:
        """The adapter's runs of the file, or of a copy whose outputs are the values too."""
        path = self._path if values is None else self._tapped(values)
        names = [value.held for value in (self.outputs if values is None else values)]

        def run(feeds: Mapping[str, Array]) -> list[Array]:
            found = self._adapter.run(path, feeds)
            return [found[name] for name in names]

        return run

    def _tapped(self, values: Sequence[Value]) -> Path:
        """A copy that states types and sizes of the values, as most runtimes ask for."""
        model = onnx.load(self._path)
        known = {item.name for item in model.graph.output}
        for spec in read_signature(self._opened(values)).outputs:
            if spec.name in known:
                continue
            kind = onnx.helper.np_dtype_to_tensor_dtype(spec.dtype)
            sizes = [*spec.shape[:1], *(s if isinstance(s, int) else None for s in spec.shape[1:])]
            model.graph.output.append(onnx.helper.make_tensor_value_info(spec.name, kind, sizes))
        path = self._folder / "tapped.onnx"
        onnx.save(model, path)
        return path


def verify_runtimes(
    model: Model,
    path: str | Path,
    runtimes: Sequence[Adapter],
    *,
    weights: Weights = None,
    batches: Sequence[int] = BATCHES,
    data: str | Path | None = None,
    limits: tuple[float, float] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RuntimeReport:
    """Run a file in runtimes, and compare what each gives with a reference.

    Of a runtime that gives other numbers the layers are compared too, in a copy of the file that
    has them all as outputs.

    Args:
        model: The reference: see `verify`.
        path: The .onnx file.
        runtimes: What it is run in.
        weights: Of the reference, where it is a graph or a model file; drawn if None.
        batches: How many samples are run at once, one size after another.
        data: What it is run on, as many samples as the largest batch; random numbers if None.
        limits: The least and the greatest random number; a standard normal distribution if None.
        rtol: See `verify`.
        atol: See `verify`.
        seed: What weights and samples are drawn from.
        progress: Called with the runs done so far, and in all.

    Returns:
        How far each is apart, at each size of a batch.

    Raises:
        Missing: A runtime is not installed.
        VerificationError: The file cannot be compared with the reference.
        GraphCNNError: A model or the data cannot be read.
    """
    _check_installed(runtimes)
    if not runtimes:
        raise VerificationError("expected a runtime or more, found none")
    if not batches or min(batches) < 1:
        raise VerificationError(f"expected batches of one sample or more, found {list(batches)}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphcnn-")))
        reference = opened(model, weights, seed, "cpu", folder / "a.onnx")
        cells: list[RuntimeCell] = []
        first: dict[str, Difference | str] = {}
        for adapter in runtimes:
            stack.enter_context(adapter)
            side = RuntimeSide(Path(path), adapter, folder)
            sides = with_taps(*with_best(reference, side))
            run = Comparison(
                sides,
                tuple(pair_inputs(*sides)),
                tolerance_of(sides, rtol, atol),
                lambda done, total: None,
            )
            outputs = pair_outputs(*sides)
            samples = _first(run.samples(data, max(batches), seed, limits), max(batches))
            for batch in batches:
                cells.append(_cell(run, outputs, adapter, _first(samples, batch)))
                progress(len(cells), len(runtimes) * len(batches))
                if cells[-1].state == "differs" and adapter.name not in first:
                    first[adapter.name] = _first_layer(run, _first(samples, batch))
    return RuntimeReport(
        models=(reference.model, str(path)),
        engine=reference.engine,
        data=samples.source,
        tolerance=run.tolerance,
        cells=tuple(cells),
        first=first,
        integers=alone_in_integers(run.sides, rtol, atol),
    )


def _check_installed(runtimes: Sequence[Adapter]) -> None:
    """Refuse runtimes that are not installed, all of them at once."""
    problems: list[GraphCNNError] = []
    for adapter in runtimes:
        try:
            adapter.check()
        except Missing as error:
            problems.append(error)
    if problems:
        raise ErrorGroup(problems)


def _first(samples: Samples, count: int) -> ArraySamples:
    """The first of the samples, held in memory."""
    if samples.count < count:
        raise VerificationError(f"{samples.source}: {count} are needed for a batch")
    arrays = next(samples.batches(count))
    found = ArraySamples({name: np.asarray(array) for name, array in arrays.items()}, "")
    found.source = samples.source
    return found


def _cell(
    run: Comparison,
    pairs: tuple[list[Pair], list[int]],
    adapter: Adapter,
    samples: ArraySamples,
) -> RuntimeCell:
    """What the runtime makes of these samples at once."""
    label = adapter.name, adapter.version() or "", samples.count
    try:
        outputs = run.outputs(*pairs, samples, samples.count)
    except Crashed as error:
        cause = f"signal {-error.status}" if error.status < 0 else f"exit status {error.status}"
        return RuntimeCell(*label, failure=f"crashed ({cause})", reason=error.message)
    except Hung as error:
        return RuntimeCell(*label, failure="hung", reason=error.message)
    except GraphCNNError as error:
        sizes = all(isinstance(one, VerificationError) for one in error.errors)
        failure = "other sizes" if sizes else "refused"
        return RuntimeCell(*label, failure=failure, reason=error.message)
    return RuntimeCell(*label, outputs=tuple(outputs))


def _first_layer(run: Comparison, samples: ArraySamples) -> Difference | str:
    """The first layer that leaves the tolerance, or why none can be named."""
    try:
        layers, _ = run.layers(samples)
    except GraphCNNError as error:
        return f"its layers cannot be compared: {error.message}"
    found = next((layer for layer in layers if not layer.within), None)
    return found or "with its layers as outputs it gives the right numbers"
