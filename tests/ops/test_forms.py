"""Layers in the forms of runtimes that take no other: the same numbers, at a bounded cost."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest

import graphcnn
from graphcnn.errors import ErrorGroup
from graphcnn.graph import Graph
from graphcnn.ops import Conv2D, Dense, Max, Mean, Op, ReLU, ZeroPadding2D
from graphcnn.types import DType, symbol
from tests.onnx_checks import run


def _network(*ops: Op, dtype: DType = DType.float32) -> Graph:
    graph = Graph("network")
    value = graph.input("x", (9, 8, 3), dtype)
    for index, op in enumerate(ops):
        value = graph.add(op, value, name=f"layer{index}")
    graph.outputs["y"] = value
    return graph


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("pads", [((1, 2), (0, 3)), ((7, 0), (5, 9)), ((0, 0), (32, 32))])
def test_zeros_without_a_pad(
    pads: tuple[tuple[int, int], tuple[int, int]], layout: Literal["nchw", "nhwc"], tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    graphcnn.compile(_network(ZeroPadding2D(padding=pads), ReLU()), path, input_layout=layout)
    held = onnx.load(path).graph
    assert "Pad" not in {node.op_type for node in held.node}
    assert max(len(tensor.raw_data) for tensor in held.initializer) <= 3 * 65 * 4
    x = np.random.default_rng(0).random((2, 9, 8, 3), np.float32)
    (found,) = run(path, {"x": x}, layout == "nchw").values()
    np.testing.assert_array_equal(found, np.pad(x, ((0, 0), *pads, (0, 0))))


def test_integers_are_not_padded_by_a_convolution(tmp_path: Path) -> None:
    graph = _network(ZeroPadding2D(padding=1), dtype=DType.int32)
    with pytest.raises(ErrorGroup, match=r"layer0 \(ZeroPadding2D\): Pad: ncnn does not load it"):
        graphcnn.compile(graph, tmp_path / "m.onnx")


@pytest.mark.parametrize("target", ["opencv", "ncnn", "portable"])
def test_a_maximum_of_everything(target: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    graphcnn.compile(_network(Max(axis=(1, 2, 3))), path, target=target)
    x = np.random.default_rng(0).random((2, 9, 8, 3), np.float32)
    (found,) = run(path, {"x": x}).values()
    np.testing.assert_array_equal(found.reshape(2), x.max(axis=(1, 2, 3)))


def test_the_batch_is_told_by_an_operator_of_images(tmp_path: Path) -> None:
    kinds = {}
    for target in ("ncnn", "portable", "onnxruntime"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(_network(Mean(axis=(1, 2)), Dense(units=4)), path, target=target)
        kinds[target] = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds["ncnn"] == kinds["portable"] == ["MaxPool", *kinds["onnxruntime"]]
    volumes = Graph("volumes")
    volumes.outputs["y"] = volumes.add(Mean(axis=(1, 2, 3)), volumes.input("x", (4, 4, 4, 2)))
    with pytest.raises(ErrorGroup, match="images, and no operator of images: ncnn gives wrong"):
        graphcnn.compile(volumes, tmp_path / "volumes.onnx", target="ncnn")


@pytest.mark.parametrize(("kernel", "rows"), [(2, 1), (1, 1), (1, 2)])
@pytest.mark.parametrize(("width", "padding"), [(2, "valid"), (3, "valid"), (4, "same")])
def test_strides_to_one_column(
    width: int, padding: Literal["valid", "same"], kernel: int, rows: int, tmp_path: Path
) -> None:
    graph = Graph("narrow")
    op = Conv2D(filters=3, kernel_size=(kernel, 2), strides=(rows, 4), padding=padding)
    graph.outputs["y"] = graph.add(op, graph.input("x", (9, width, 1)), name="conv")
    found = {}
    for target in ("openvino", "portable", "onnxruntime"):
        path = tmp_path / f"{target}.onnx"
        graphcnn.compile(graph, path, target=target)
        convs = [node for node in onnx.load(path).graph.node if node.op_type == "Conv"]
        strides = next(a.ints for a in convs[0].attribute if a.name == "strides")
        assert strides[-1] == (4 if target == "onnxruntime" or strides[0] > 1 else 1)
        x = np.random.default_rng(0).random((2, 9, width, 1), np.float32)
        (found[target],) = run(path, {"x": x}).values()
    for target in ("openvino", "portable"):
        np.testing.assert_allclose(found[target], found["onnxruntime"], rtol=1e-6)


def test_strides_of_a_width_that_is_not_known(tmp_path: Path) -> None:
    graph = Graph("open")
    op = Conv2D(filters=3, kernel_size=2, strides=(1, 2))
    graph.outputs["y"] = graph.add(op, graph.input("x", (9, symbol("W"), 1)), name="conv")
    with pytest.raises(ErrorGroup, match="strides of the width to one column: openvino gives"):
        graphcnn.compile(graph, tmp_path / "m.onnx", target="openvino")
