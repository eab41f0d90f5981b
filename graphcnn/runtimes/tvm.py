"""TVM on CPU: the file is compiled by LLVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from graphcnn.runtime.signature import Array

from .adapter import PythonAdapter


class TVM(PythonAdapter):
    """TVM."""

    name = "tvm"
    packages = (("apache-tvm",),)
    install = "pip install 'graphcnn[tvm]'"

    def execute(
        self, path: Path, feeds: Mapping[str, Array], outputs: Sequence[str], scratch: Path
    ) -> Sequence[Array]:
        """See `PythonAdapter.execute`."""
        import onnx
        import tvm
        from tvm import relax
        from tvm.relax.frontend.onnx import from_onnx

        module = relax.transform.DecomposeOpsForInference()(from_onnx(onnx.load(path)))
        machine = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
        found = machine["main"](*(tvm.runtime.tensor(values) for values in feeds.values()))
        return [value.numpy() for value in ([found] if len(outputs) == 1 else found)]
