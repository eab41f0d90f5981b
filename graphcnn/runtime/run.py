"""Running an .onnx file on a file or arrays, and what comes out of it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graphcnn.errors import RuntimeFailure
from graphcnn.files import replacing

from .runner import Session
from .settings import Provider, Settings
from .signature import Array


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
        indices: The class of each score, int64[N, k], where the file has cut them to the best.
        ranks: Whether these are the classes of scores that another output has.
    """

    name: str
    values: Array
    layout: str = ""
    classes: tuple[str, ...] = ()
    indices: Array | None = None
    ranks: bool = False

    def top(self, count: int) -> list[list[Score]] | None:
        """The highest scores of each sample, highest first.

        Args:
            count: How many; all of them where there are fewer.

        Returns:
            A list for each sample, or None where the output is not a row of scores a sample.
            Equal scores are in the order of their classes, and NaN is last.
        """
        if self.values.ndim != 2 or self.ranks:
            return None
        scores = self.values.astype(np.float64)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        places = order if self.indices is None else np.take_along_axis(self.indices, order, 1)
        best = zip(np.take_along_axis(scores, order, 1), places, strict=True)
        return [
            [Score(int(i), float(x), self._name(int(i))) for x, i in zip(*row, strict=True)]
            for row in best
        ]

    def _name(self, index: int) -> str | None:
        return self.classes[index] if 0 <= index < len(self.classes) else None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What came out of a model.

    Attributes:
        model: The file.
        provider: What ran it, as onnxruntime calls it.
        outputs: Its results, in the order of the file.
        samples: The file that each sample was read from, where there was more than one.
        tuned: The settings that were applied, if they are those of ``deploy.json``.
    """

    model: str
    provider: str
    outputs: tuple[Output, ...]
    samples: tuple[str, ...] = ()
    tuned: Settings | None = None

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
    model: str | Path,
    inputs: str | Path | Mapping[str, Any] | Any,
    provider: Provider | None = None,
) -> RunResult:
    """Run a model once.

    Args:
        model: An .onnx file.
        inputs: A .npy, .npz or image file, arrays by the names of the inputs, or one array for a
            model of one input.
        provider: What runs it, in place of what ``deploy.json`` says.

    Raises:
        MissingExtra: onnxruntime is not installed, or Pillow and the input is an image.
        RuntimeFailure: The model or the inputs cannot be read, do not fit each other, or the
            provider is not there.
    """
    return _run(Session(model, provider=provider), inputs)


def run_files(
    model: str | Path, files: Sequence[str | Path], provider: Provider | None = None
) -> RunResult:
    """Run a model on each of several files, and put what comes out together along the batch.

    Args:
        model: An .onnx file.
        files: .npy, .npz or image files.
        provider: What runs it, in place of what ``deploy.json`` says.

    Raises:
        MissingExtra: onnxruntime is not installed, or Pillow and an input is an image.
        RuntimeFailure: As of `run`; or the results of two files have other shapes.
    """
    session = Session(model, provider=provider)
    results = [_run(session, path) for path in files]
    if len(files) == 1:
        return results[0]
    outputs = tuple(_joined(found) for found in zip(*(r.outputs for r in results), strict=True))
    samples = tuple(
        str(path) for path, result in zip(files, results, strict=True) for _ in _samples(result)
    )
    return replace(results[0], outputs=outputs, samples=samples)


def _run(session: Session, inputs: Any) -> RunResult:
    found, tops = session.run(inputs), {name: place for place, name in session.tops.items()}
    outputs = tuple(
        Output(
            name,
            values,
            session.outputs[name].layout,
            session.classes if name in tops else _names(session.classes, values),
            found[tops[name]] if name in tops else None,
            name in session.tops,
        )
        for name, values in found.items()
    )
    tuned = session.settings if session.tuned else None
    return RunResult(session.path, session.provider, outputs, tuned=tuned)


def _samples(result: RunResult) -> range:
    return range(len(result.outputs[0].values))


def _joined(outputs: Sequence[Output]) -> Output:
    """One output of several runs, along the batch."""
    shapes = {output.values.shape[1:] for output in outputs}
    if len(shapes) > 1 or not outputs[0].values.ndim:
        found = " and ".join(str(list(shape)) for shape in sorted(shapes))
        raise RuntimeFailure(
            f"{outputs[0].name} has samples of {found}: they cannot be put together",
            hint="run one file at a time",
        )
    indices = [output.indices for output in outputs if output.indices is not None]
    return replace(
        outputs[0],
        values=np.concatenate([output.values for output in outputs]),
        indices=np.concatenate(indices) if indices else None,
    )


def _names(classes: tuple[str, ...], values: Array) -> tuple[str, ...]:
    """The names of the classes, if there is one for each score."""
    return classes if values.ndim == 2 and values.shape[1] == len(classes) else ()
