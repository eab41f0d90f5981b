"""A child process that runs one .onnx file when it is told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from graphcnn.child import LONGEST, Child, python
from graphcnn.runtime.settings import Settings


class Worker(Child):
    """A child process that has loaded a file, and runs it when it is told to.

    Args:
        path: The .onnx file.
        settings: How onnxruntime runs it.
        shapes: Sizes of inputs that the file leaves open, by name, channels last.
        limit: How many seconds a load or a run may take before it is said to hang.

    Attributes:
        path: The file.
        settings: How onnxruntime runs it.
        load_seconds: How long it took to load the file, without the start of the process.
        baseline_bytes: The most memory that the process had held before.

    Raises:
        RuntimeFailure: The file cannot be loaded, or the child died or hangs; on entering.
    """

    def __init__(
        self,
        path: str | Path,
        settings: Settings,
        shapes: Mapping[str, Sequence[int]] | None = None,
        limit: float = LONGEST,
    ) -> None:
        super().__init__(str(path), python("graphcnn.bench.child"), limit)
        self.path, self.settings = path, settings
        self._options: dict[str, Any] = {
            "path": str(path),
            "settings": asdict(settings),
            "shapes": dict(shapes or {}),
        }
        self.load_seconds, self.baseline_bytes = 0.0, 0

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            found = self.ask("load", **self._options)
        except BaseException:
            self.__exit__()
            raise
        self.load_seconds, self.baseline_bytes = found["seconds"], found["baseline"]
        return self

    def run(self, batch: int, seconds: float) -> list[float]:
        """Run a batch of random numbers again and again, once at least.

        Args:
            batch: The samples.
            seconds: How long.

        Returns:
            The seconds of each run.

        Raises:
            RuntimeFailure: It does not run, or the child died or hangs.
        """
        found: list[float] = self.ask("run", longer=seconds, batch=batch, seconds=seconds)
        return found
