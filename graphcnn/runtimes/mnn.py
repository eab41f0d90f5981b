"""MNN on CPU, from the file that its converter makes.

The converter is called as a function: its programs install packages and send data away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter

_WINOGRAD_LEVEL = 3
"""``WINOGRAD_MEMORY_LEVEL``: by default MNN takes tiles whose rounding reaches 2e-5."""


class MNN(PythonAdapter):
    """MNN."""

    name = "mnn"
    packages = (("mnn",),)
    install = "pip install 'graphcnn[mnn]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        import _tools  # MNN's own name for its converter.
        from MNN import expr, nn

        converted = str(scratch / "model.mnn")
        options = {"-f": "ONNX", "--modelFile": path, "--MNNModel": converted, "--bizCode": "-"}
        _tools.mnnconvert(["mnnconvert", *(str(part) for item in options.items() for part in item)])
        # Else it computes in float16 on processors that can.
        manager = nn.create_runtime_manager(({"backend": "CPU", "precision": "high"},))
        manager.set_hint(_WINOGRAD_LEVEL, 0)
        model = nn.load_module_from_file(
            converted, list(feeds), list(outputs), runtime_manager=manager
        )
        types = {"float32": expr.float, "int32": expr.int, "uint8": expr.uint8}
        given = [
            expr.const(values, list(values.shape), expr.NCHW, types[values.dtype.name])
            for values in feeds.values()
        ]
        found = model.forward(given)
        found = found if isinstance(found, list | tuple) else [found]
        return [expr.convert(value, expr.NCHW).read() for value in found]
