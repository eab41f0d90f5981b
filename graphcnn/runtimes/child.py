"""The process that a runtime runs in."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from graphcnn import child

from .adapter import PythonAdapter, read_arrays, write_arrays


def serve() -> None:
    """Run files with the adapter that the arguments name, until the parent is gone."""
    module, kind = sys.argv[1:]
    adapter: PythonAdapter = getattr(import_module(module), kind)()

    def run(path: str, feeds: list[Any], outputs: list[str], made: str) -> list[list[Any]]:
        folder = Path(made)
        with TemporaryDirectory(dir=folder) as scratch:
            given = read_arrays(folder, feeds)
            found = adapter.execute(Path(path), given, outputs, Path(scratch))
        arrays = map(np.asarray, found)
        return write_arrays(folder, "out", list(zip(outputs, arrays, strict=True)))

    child.serve({"run": run}, _reason)


def _reason(error: Exception) -> str:
    """What a runtime says, on one line and not too long."""
    text = " ".join(str(error).partition("Stack backtrace:")[0].split())[:300]
    return f"cannot run it: {text or type(error).__name__}"
