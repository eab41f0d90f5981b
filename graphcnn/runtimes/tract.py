"""tract on CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter


class Tract(PythonAdapter):
    """tract."""

    name = "tract"
    packages = (("tract",),)
    install = "pip install 'graphcnn[tract]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        import tract

        model = tract.onnx().load(str(path)).into_model()
        found = model.into_runnable().run(list(feeds.values()))
        return [values.to_numpy() for values in found]
