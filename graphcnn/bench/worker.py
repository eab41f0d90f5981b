"""A child process that runs one .onnx file when it is told to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from graphcnn.errors import RuntimeFailure
from graphcnn.runtime.settings import Settings

_LONGEST = 300.0
"""A child that says nothing for longer than this, in seconds, hangs."""


class Child:
    """A process that does one thing after another, and is gone when the context ends.

    Where this process dies without a word, the child's standard input closes, and it ends.

    Args:
        label: What messages call it.
        limit: How many seconds it may take to answer.

    Attributes:
        peak_bytes: The most memory that it has held.
    """

    def __init__(self, label: str, limit: float = _LONGEST) -> None:
        self._label, self._limit, self.peak_bytes = label, limit, 0

    def __enter__(self) -> Self:
        self._said = tempfile.TemporaryFile()
        code = f"import sys; sys.path[:] = {sys.path!r}; from graphcnn.bench import child"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{code}; child.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def ask(self, job: str, longer: float = 0.0, **options: Any) -> Any:
        """Have it do something, and wait for what comes of it.

        Args:
            job: What to do.
            longer: The seconds that this takes by itself, for which it is not said to hang.
            options: With what.

        Raises:
            RuntimeFailure: It cannot do that, died, or hangs.
        """
        late = threading.Event()

        def stop() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(self._limit + longer, stop)
        timer.daemon = True
        try:
            timer.start()
            line = self._exchange(json.dumps([job, options]))
        finally:
            timer.cancel()
        if not line:
            raise self._failure(late.is_set())
        reply = json.loads(line)
        if "error" in reply:
            raise RuntimeFailure(reply["error"], hint=reply["hint"], subject=self._subject(reply))
        self.peak_bytes = reply["peak"]
        return reply["found"]

    def _exchange(self, request: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(request, file=self._process.stdin, flush=True)
            return self._process.stdout.readline()
        except BrokenPipeError:
            return ""

    def _subject(self, reply: Mapping[str, Any]) -> str | None:
        return None if self._label in reply["error"] else self._label

    def _failure(self, late: bool) -> RuntimeFailure:
        if late:
            return RuntimeFailure(
                f"{self._label}: no answer for {self._limit:g} s, so it was ended"
            )
        status = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip().splitlines()
        cause = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
        hint = "signal 9 is what a system without memory sends" if status == -9 else None
        text = f"{self._label}: the process that ran it {cause}"
        return RuntimeFailure(f"{text}: {said[-1]}" if said else text, hint=hint)


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
        limit: float = _LONGEST,
    ) -> None:
        super().__init__(str(path), limit)
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
            self.__exit__(None, None, None)
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
