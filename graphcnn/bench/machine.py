"""How fast this machine is at best, measured through onnxruntime with the threads of a file.

The peak of arithmetic is the best of matrix products of several sizes, whose weights onnxruntime
may reorder as it does those of a layer; the peak of memory that of an elementwise operator on more
than caches hold. An operation is a multiplication or an addition.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from graphcnn.runtime.settings import Settings

from .profile import ProfiledWorker
from .timing import interleave

_ROWS = 512
_SIZES = (256, 512, 1024)
"""Of the square factors: smaller ones do not fill the machine, larger ones leave its caches."""

_COPIED = 2**24
"""Numbers that are read, and written: 64 MiB each way."""

_SECONDS = 1.0

INTEGERS = ("uint8", "int8")


@dataclass(frozen=True, slots=True)
class Roof:
    """What bounds a layer on this machine.

    Attributes:
        float32: Operations a second on float32.
        int8: Operations a second on integers of 8 bits.
        bandwidth: Bytes a second to and from memory.
    """

    float32: float
    int8: float
    bandwidth: float

    def peak(self, dtype: str) -> float:
        """Operations a second on an element type; float32's for all but integers of 8 bits."""
        return self.int8 if dtype in INTEGERS else self.float32


def measure_roof(settings: Settings) -> Roof:
    """Measure this machine.

    Args:
        settings: How onnxruntime runs the file that is to be set against it.

    Raises:
        RuntimeFailure: onnxruntime does not run the products.
    """
    with TemporaryDirectory(prefix="graphcnn-") as folder:
        path = Path(folder) / "roof.onnx"
        operations = _write(path)
        with ProfiledWorker(path, settings) as worker:
            interleave([worker], _ROWS, _SECONDS)
            found = worker.read(_ROWS, pick=min)
    best = {kernel.name: kernel.seconds for kernel in found.kernels}
    rates = {name: count / best[name] for name, count in operations.items()}
    return Roof(
        float32=max(rate for name, rate in rates.items() if name.startswith("float32")),
        int8=max(rate for name, rate in rates.items() if name.startswith("int8")),
        bandwidth=rates["copy"],
    )


def _write(path: Path) -> dict[str, int]:
    """Write the model, and give what each of its nodes does: operations, or bytes of the copy."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, nodes, inputs, outputs, weights = np.random.default_rng(0), [], [], [], []
    operations = dict[str, int]()
    kinds = (
        ("float32", "MatMul", TensorProto.FLOAT, TensorProto.FLOAT, np.float32),
        ("int8", "MatMulInteger", TensorProto.UINT8, TensorProto.INT32, np.int8),
    )
    for kind, op, given, made, stored in kinds:
        for size in _SIZES:
            name = f"{kind}_{size}"
            factor = rng.integers(-100, 100, (size, size)).astype(stored)
            weights.append(numpy_helper.from_array(factor, f"{name}_w"))
            inputs.append(helper.make_tensor_value_info(f"{name}_x", given, [_ROWS, size]))
            outputs.append(helper.make_tensor_value_info(f"{name}_y", made, [_ROWS, size]))
            nodes.append(helper.make_node(op, [f"{name}_x", f"{name}_w"], [f"{name}_y"], name))
            operations[name] = 2 * _ROWS * size * size
    sizes = [_ROWS, _COPIED // _ROWS]
    inputs.append(helper.make_tensor_value_info("copy_x", TensorProto.FLOAT, sizes))
    outputs.append(helper.make_tensor_value_info("copy_y", TensorProto.FLOAT, sizes))
    nodes.append(helper.make_node("Relu", ["copy_x"], ["copy_y"], "copy"))
    operations["copy"] = 2 * 4 * _COPIED
    graph = helper.make_graph(nodes, "roof", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return operations
