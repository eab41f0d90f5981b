"""Running an .onnx file on a file or arrays, and what comes out of it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.errors import RuntimeFailure
from graphcnn.files import replacing

from .inputs import fit_inputs, read_inputs
from .session import Provider, first_line, open_session
from .signature import Array, read_signature


@dataclass(frozen=True, slots=True)
class Score:
    """One class and the value a model gives it.

    Attributes:
        index: The class, counted from 0.
        value: Its value.
        name: What it is called, if the file says so.
    """

    index: int
    value: float
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One result of a model.

    Attributes:
        name: Its name in the file.
        values: Its numbers, the batch first.
        layout: Its axes in order, such as ``NCHW``; empty where there are no spatial axes, or
            where the file does not say.
        classes: The names of the classes, if these are their scores and the file has them.
    """

    name: str
    values: Array
    layout: str = ""
    classes: tuple[str, ...] = ()

    def top(self, count: int) -> list[list[Score]] | None:
        """The highest scores of each sample, highest first.

        Args:
            count: How many; all of them where there are fewer.

        Returns:
            A list for each sample, or None where the output is not a row of scores a sample.
            Equal scores are in the order of their classes, and NaN is last.
        """
        if self.values.ndim != 2:
            return None
        scores = self.values.astype(np.float64)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return [
            [Score(int(i), float(row[i]), self.classes[i] if self.classes else None) for i in best]
            for row, best in zip(scores, order, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came out of a model.

    Attributes:
        model: The file.
        provider: What ran it, as onnxruntime calls it.
        outputs: Its results, in the order of the file.
    """

    model: str
    provider: str
    outputs: tuple[Output, ...]

    def save(self, path: str | Path) -> None:
        """Write all outputs to an .npz file, by their names, whole or not at all.

        Raises:
            ExportError: It cannot be written.
        """
        with replacing(Path(path)) as partial, zipfile.ZipFile(partial, "w") as archive:
            for output in self.outputs:
                with archive.open(f"{output.name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, output.values, allow_pickle=False)


def run(
    model: str | Path, inputs: str | Path | Mapping[str, Any] | Any, provider: Provider = "auto"
) -> RunResult:
    """Run a model once.

    Args:
        model: An .onnx file.
        inputs: A .npy, .npz or image file, arrays by the names of the inputs, or one array for a
            model of one input.
        provider: ``auto`` takes CUDA where the installed onnxruntime can use it.

    Raises:
        MissingExtra: onnxruntime is not installed, or Pillow and the input is an image.
        RuntimeFailure: The model or the inputs cannot be read, do not fit each other, or the
            provider is not there.
    """
    session = open_session(model, provider)
    signature = read_signature(session)
    if isinstance(inputs, str | Path):
        feeds = read_inputs(inputs, signature.inputs)
    else:
        feeds = fit_inputs(inputs, signature.inputs)
    try:
        found = session.run(None, feeds)
    except Exception as error:
        raise RuntimeFailure(f"{model}: onnxruntime cannot run it: {first_line(error)}") from error
    outputs = tuple(
        Output(spec.name, values, spec.layout, _names(signature.classes, values))
        for spec, values in zip(signature.outputs, found, strict=True)
    )
    return RunResult(str(model), session.get_providers()[0], outputs)


def _names(classes: tuple[str, ...], values: Array) -> tuple[str, ...]:
    """The names of the classes, if there is one for each score."""
    return classes if values.ndim == 2 and values.shape[1] == len(classes) else ()
