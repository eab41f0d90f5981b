"""OpenVINO on CPU, in float32: by default it computes in bfloat16 where the processor can."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter


class OpenVINO(PythonAdapter):
    """OpenVINO."""

    name = "openvino"
    packages = (("openvino",),)
    install = "pip install 'graphcnn[openvino]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        # Else it starts a process that reports its use over the network.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        import openvino

        hints = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.compile_model(path, "CPU", hints)
        found = compiled(dict(feeds))
        return [found[name] for name in outputs]
