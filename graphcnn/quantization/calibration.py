"""The range of every activation, measured by onnxruntime's calibrators a few samples at a time.

``minmax`` takes the least and the greatest number seen, ``percentile`` leaves out the outermost
hundred-thousandth, and ``entropy`` cuts where the histogram loses the least information (Migacz,
8-bit Inference with TensorRT, 2017).
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from graphcnn.errors import DataError
from graphcnn.onnx_file import OnnxFile
from graphcnn.runtime.predict import Predictor
from graphcnn.runtime.signature import Array

from .placement import COMPUTING, PASSING
from .samples import Rows

Method = Literal["minmax", "entropy", "percentile"]

_NAMES = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
_OPTIONS: dict[str, dict[str, Any]] = {
    "minmax": {},
    "entropy": {"num_bins": 512},
    "percentile": {"symmetric": False},
}

_MOST_SAMPLES = 32
_MOST_BYTES = 64 * 2**20
"""Histograms are made of all activations of a batch at once: it is cut to stay below this."""

_MOST_BINS = 1024

_HINT = "weights or samples that overflow; graphcnn evaluate shows more"


def calibrate(
    file: OnnxFile,
    predictor: Predictor,
    rows: Rows,
    method: Method,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Any:
    """Measure the range of every activation.

    Args:
        file: A float32 file.
        predictor: The same, loaded: it says how samples are fed.
        rows: The samples.
        method: How a range is chosen.
        progress: Called with the samples done so far, and in all.

    Returns:
        What the library's quantizer takes as ranges.

    Raises:
        DataError: An activation is not finite on a sample.
    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    with TemporaryDirectory(prefix="graphcnn-", dir=file.path.parent) as folder, _quiet():
        calibrator = create_calibrator(
            file.path,
            sorted(COMPUTING | PASSING),
            augmented_model_path=str(Path(folder) / "calibrated.onnx"),
            calibrate_method=CalibrationMethod[_NAMES[method]],
            use_external_data_format=True,
            extra_options=_OPTIONS[method],
        )
        calibrator.model = None
        done = 0
        fixed = predictor.input.shape[0]
        step = fixed if isinstance(fixed, int) else _step(file)
        for start in range(0, len(rows), step):
            batch = rows[start : start + step]
            done += len(batch)
            if not np.isfinite(batch).all():
                raise DataError("the data hold samples that are not finite")
            if isinstance(fixed, int):  # Samples repeat until a last batch is full.
                batch = np.resize(batch, (fixed, *batch.shape[1:]))
            _collect(calibrator, predictor.feed(batch))
            progress(done, len(rows))
        if method == "entropy":
            found = calibrator.collector.histogram_dict
            found.update({name: _coarser(histogram) for name, histogram in found.items()})
        ranges = calibrator.compute_data()
    _check(ranges)
    return ranges


def _coarser(histogram: tuple[Any, ...]) -> tuple[Any, ...]:
    """A histogram around zero with its bins joined, where outliers have added many.

    The search for the least loss takes time as the square of the bins, and more.
    """
    counts, edges, low, high, threshold = histogram
    half = len(counts) // 2
    joined = -(-len(counts) // _MOST_BINS)
    more = -half % joined
    counts = np.pad(counts, more).reshape(-1, joined).sum(axis=1)
    edge = edges[-1] * ((half + more) / half)
    edges = np.linspace(-edge, edge, len(counts) + 1, dtype=edges.dtype)
    return counts, edges, low, high, threshold


def _collect(calibrator: Any, feed: dict[str, Array]) -> None:
    try:
        calibrator.collect_data(_One(feed))
    except ValueError as error:  # A histogram from infinity to infinity.
        raise DataError(f"a range cannot be measured: {error}", hint=_HINT) from None


class _One:
    """The library's reader of calibration data, of a single batch."""

    def __init__(self, feed: dict[str, Array]) -> None:
        self._feed: dict[str, Array] | None = feed

    def get_next(self) -> dict[str, Array] | None:
        """The batch, and then nothing."""
        feed, self._feed = self._feed, None
        return feed


def _step(file: OnnxFile) -> int:
    """How many samples are fed at once where the file does not say."""
    activations = sum(node.activation_bytes or 0 for node in file.nodes)
    return max(1, min(_MOST_SAMPLES, _MOST_BYTES // max(1, activations)))


def _check(ranges: Any) -> None:
    for name, found in ranges.data.items():
        if not all(np.isfinite(edge).all() for edge in found.range_value):
            raise DataError(
                f"{name} is not finite on the samples it was calibrated on",
                hint=_HINT,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the library prints, and warns of, from the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
