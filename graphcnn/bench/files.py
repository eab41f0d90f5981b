"""Several .onnx files side by side: how long they run, load, and how much memory they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphcnn.onnx_file import read_onnx_file
from graphcnn.runtime.deploy import read_deployment
from graphcnn.runtime.settings import Settings

from .timing import Progress, Ratio, Timing, compare, interleave
from .worker import Worker


@dataclass(frozen=True, slots=True)
class FileTiming:
    """A file at a batch.

    Attributes:
        path: The file.
        settings: How onnxruntime ran it.
        timing: How long its runs took.
        load_seconds: How long it took to load, without the start of the process.
        peak_bytes: The most memory that its process held.
        baseline_bytes: The most that the process had held before it loaded the file.
        ratio: How many times faster it is than the first file; None for the first.
    """

    path: str
    settings: Settings
    timing: Timing
    load_seconds: float
    peak_bytes: int
    baseline_bytes: int
    ratio: Ratio | None


def deployed_settings(path: str | Path, overrides: Mapping[str, Any]) -> Settings:
    """The settings of the ``deploy.json`` beside a file, or the defaults, and some in their place.

    Raises:
        GraphCNNError: ``deploy.json`` is damaged, or was made for other bytes.
    """
    deployment = read_deployment(path)
    return replace(deployment.settings if deployment else Settings(), **overrides)


def own_batches(paths: Sequence[str | Path]) -> tuple[int, ...]:
    """The batches to measure files at if none is asked for: those that they fix, or else 1.

    Raises:
        ModelFileError: A file cannot be read as ONNX.
    """
    batches = (read_onnx_file(path).batch for path in paths)
    return tuple(sorted({batch for batch in batches if isinstance(batch, int)})) or (1,)


def measure_files(
    files: Sequence[tuple[str | Path, Settings]],
    batch: int,
    seconds: float,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Progress = lambda done, total: None,
) -> list[FileTiming]:
    """Measure files at a batch, each in a process of its own, in turns.

    Args:
        files: Files, and how onnxruntime runs each.
        batch: The samples of a run.
        seconds: How long each file runs.
        shapes: Sizes of inputs that files leave open, by name, channels last.
        progress: Called with the turns done so far, and in all.

    Raises:
        RuntimeFailure: A file does not load or run, or not at this batch.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(*file, shapes)) for file in files]
        timings = interleave(workers, batch, seconds, progress=progress)
    return [
        FileTiming(
            path=str(worker.path),
            settings=worker.settings,
            timing=timing,
            load_seconds=worker.load_seconds,
            peak_bytes=worker.peak_bytes,
            baseline_bytes=worker.baseline_bytes,
            ratio=None if index == 0 else compare(timings[0], timing),
        )
        for index, (worker, timing) in enumerate(zip(workers, timings, strict=True))
    ]
