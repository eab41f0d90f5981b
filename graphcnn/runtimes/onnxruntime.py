"""onnxruntime on CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.session import open_session
from graphcnn.runtime.settings import Settings
from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter


class OnnxRuntime(PythonAdapter):
    """onnxruntime, its optimiser on."""

    name = "onnxruntime"
    packages = (("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),)
    install = "pip install 'graphcnn[cpu]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        session = open_session(path, Settings(provider="cpu"))
        found: list[Array] = session.run(list(outputs), dict(feeds))
        return found
