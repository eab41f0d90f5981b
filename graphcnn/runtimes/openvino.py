"""OpenVINO on CPU, in float32: by default it computes in bfloat16 where the processor can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.signature import Array

from .adapter import Adapter


class OpenVINO(Adapter):
    """OpenVINO."""

    name = "openvino"
    packages = (("openvino",),)
    install = "pip install 'graphcnn[openvino]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `Adapter.execute`."""
        import openvino

        hints = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled = openvino.compile_model(path, "CPU", hints)
        found = compiled(dict(feeds))
        return [found[name] for name in outputs]
