"""Small .onnx files, made without the compiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def write_network(path: Path, batch: int | str = "N", height: int | str = 8) -> Path:
    """A convolution of 3 to 4 channels, ReLU, pooling over all positions, and a Gemm to 5."""
    rng = np.random.default_rng(0)
    weights = {"k": (4, 3, 3, 3), "kb": (4,), "d": (4, 5), "db": (5,)}
    nodes = [
        helper.make_node("Conv", ["x", "k", "kb"], ["conv/conv"], "conv/conv", pads=[1] * 4),
        helper.make_node("Relu", ["conv/conv"], ["conv"], "conv"),
        helper.make_node("GlobalAveragePool", ["conv"], ["pool"], "pool"),
        helper.make_node("Flatten", ["pool"], ["flatten"], "flatten"),
        helper.make_node("Gemm", ["flatten", "d", "db"], ["y"], "gemm"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, height, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])],
        [
            numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)
            for name, shape in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path
