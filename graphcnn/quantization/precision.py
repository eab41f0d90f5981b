"""The precisions that a file can be compiled to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

from graphcnn.errors import ExportError
from graphcnn.export import Lowered, data_path, plan_file, write_model
from graphcnn.export.writer import ExternalData
from graphcnn.onnx_structure import read_structure

from .quality import QualityReport
from .quantize import Progress, Quantization, QuantizationReport, measure_quality, quantize

Precision = Literal["fp32", "fp16", "fp16-body", "int8"]
"""How weights are stored, and what is computed in; see `graphcnn.compile`."""


def check_precision(
    precision: Precision,
    quantization: Quantization | None,
    external_data: ExternalData,
    inputs: Sequence[str],
) -> None:
    """Refuse a precision that cannot be reached with what is given.

    Raises:
        ExportError: It is unknown, needs data or takes none, or cannot have its weights apart.
    """
    if precision not in get_args(Precision):
        raise ExportError(f"precision: expected one of {get_args(Precision)}")
    if precision == "int8" and quantization is None:
        raise ExportError(
            "int8 needs data to measure the ranges of activations on",
            hint="--data DATA: a few hundred samples are enough",
        )
    if quantization is not None and len(inputs) != 1:
        raise ExportError(
            f"data are for models of one input, and this has {len(inputs)}: {', '.join(inputs)}",
            hint="--precision fp16 needs no data",
        )
    if precision == "int8" and external_data == "always":
        raise ExportError("int8 files hold their weights", hint="--external-data auto")
    if precision == "fp32" and quantization is not None:
        raise ExportError("fp32 loses nothing that data could show", hint="--precision int8")


def into_integers(
    path: Path, how: Quantization, progress: Progress
) -> tuple[QuantizationReport, int]:
    """Put a float32 file into integers in its place, and count its nodes; see `quantize`."""
    report = quantize(path, how, progress)
    data_path(path).unlink(missing_ok=True)
    return report, len(read_structure(path).graph.node)


def measured(
    path: Path, single: Callable[[], Lowered], how: Quantization, progress: Progress
) -> QualityReport:
    """Compare a file with the float32 file that it could have been; see `measure_quality`.

    Args:
        path: The file.
        single: Lowers the same network in float32.
        how: The data, and what must be kept.
        progress: Told how it goes.
    """
    with TemporaryDirectory(prefix="graphcnn-") as folder:
        original = Path(folder) / "float32.onnx"
        write_model(plan_file(single(), original, "auto"), original)
        return measure_quality(original, path, how, progress)
