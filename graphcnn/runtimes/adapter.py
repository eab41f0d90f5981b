"""What every runtime is to graphcnn: whether it is here, and what it makes of a file.

Each run is made in a child process, so that a runtime that crashes or hangs takes nothing with it.
Arrays go there and back as files of plain numbers.
"""

from __future__ import annotations

import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from graphcnn.child import Child, Crashed, Hung, python
from graphcnn.errors import GraphCNNError, RuntimeFailure
from graphcnn.onnx_structure import read_structure
from graphcnn.runtime.signature import Array

LIMIT = 120.0
"""A runtime that takes longer than this over a file, in seconds, hangs."""


class Missing(GraphCNNError):
    """A runtime that is not installed."""


class Adapter(ABC):
    """A runtime. Inside of a ``with`` its process is kept from run to run.

    ::

        with OpenVINO() as runtime:
            scores = runtime.run("model.onnx", {"image": images})["scores"]

    Args:
        folder: Where its packages lie, as ``pip install --target`` puts them, so that two versions
            can be held against each other; where they are installed if None.
        limit: How many seconds a run may take.

    Attributes:
        name: What the command line calls it.
        packages: What it needs: of each row one package. The first row's tells its version.
        install: The command that installs it.
    """

    name: ClassVar[str]
    packages: ClassVar[tuple[tuple[str, ...], ...]]
    install: ClassVar[str]

    def __init__(self, folder: str | Path | None = None, limit: float = LIMIT) -> None:
        self.folder = Path(folder) if folder else None
        self._limit = limit
        self._kept = False
        self._child: Child | None = None

    def version(self) -> str | None:
        """The installed version; None where it is not installed."""
        return self._version(self.packages[0])

    def missing(self) -> str | None:
        """The command that installs it; None where it is installed."""
        return None if all(map(self._version, self.packages)) else self.install

    def run(self, path: str | Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run a file.

        Args:
            path: The .onnx file.
            feeds: Its inputs, by name, [samples, ...] in its own layouts.

        Returns:
            Its outputs, by name.

        Raises:
            Missing: The runtime is not installed.
            Crashed: Its process died.
            Hung: It did not end in time.
            RuntimeFailure: It refuses the file or the inputs, or the file cannot be read.
        """
        self.check()
        graph = read_structure(Path(path)).graph
        weights = {tensor.name for tensor in graph.initializer}
        inputs = [item.name for item in graph.input if item.name not in weights]
        names = [item.name for item in graph.output]
        if set(inputs) != set(feeds):
            raise RuntimeFailure(f"{path}: its inputs are {inputs}, and {list(feeds)} are given")
        with tempfile.TemporaryDirectory(prefix="graphcnn-") as made:
            folder = Path(made)
            rows = write_arrays(folder, "in", [(name, feeds[name]) for name in inputs])
            answer = self._ask(path=str(Path(path).resolve()), feeds=rows, outputs=names, made=made)
            return read_arrays(folder, answer)

    def check(self) -> None:
        """Refuse a runtime that is not installed.

        Raises:
            Missing: It is not.
        """
        command = self.missing()
        if command:
            raise Missing(f"the runtime {self.name} is not installed", hint=command)

    def __enter__(self) -> Self:
        self._kept = True
        return self

    def __exit__(self, *error: object) -> None:
        self._kept = False
        self._end()

    def _ask(self, **request: Any) -> Any:
        if self._child is None:
            self._child = Child(self.name, self._command(), self._limit).__enter__()
        try:
            return self._child.ask("run", **request)
        except (Crashed, Hung):
            self._end()
            raise
        finally:
            if not self._kept:
                self._end()

    def _end(self) -> None:
        child, self._child = self._child, None
        if child:
            child.__exit__()

    @abstractmethod
    def _command(self) -> list[str]:
        """What starts its process."""

    @abstractmethod
    def _version(self, names: Sequence[str]) -> str | None:
        """The version of the first of these packages that is installed."""


class PythonAdapter(Adapter):
    """A runtime that Python calls."""

    @abstractmethod
    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """Run a file; called in the child.

        Args:
            path: The .onnx file.
            feeds: Its inputs, by name, in its order.
            outputs: The names of its outputs.
            scratch: An empty folder.

        Returns:
            The outputs, in this order.
        """

    def _command(self) -> list[str]:
        folders = [self.folder] if self.folder else []
        kind = type(self)
        return python("graphcnn.runtimes.child", folders, kind.__module__, kind.__qualname__)

    def _version(self, names: Sequence[str]) -> str | None:
        path = [str(self.folder)] if self.folder else sys.path
        # Of two versions the first is imported.
        versions = reversed([(one.name.lower(), one.version) for one in distributions(path=path)])
        found = dict(versions)
        return next((found[name] for name in names if name in found), None)


def write_arrays(folder: Path, stem: str, arrays: Sequence[tuple[str, Array]]) -> list[list[Any]]:
    """Write arrays as files.

    Returns:
        Of each the name, the element type, the sizes and the file.
    """
    rows = []
    for place, (name, values) in enumerate(arrays):
        file = f"{stem}{place}.bin"
        np.ascontiguousarray(values).tofile(folder / file)
        rows.append([name, values.dtype.name, list(values.shape), file])
    return rows


def read_arrays(folder: Path, rows: Sequence[Sequence[Any]]) -> dict[str, Array]:
    """The arrays that `write_arrays` has written, by name."""
    return {
        name: np.fromfile(folder / file, dtype).reshape(shape) for name, dtype, shape, file in rows
    }
